"""The address book."""

import pytest

from auditkeep.clock import parse
from auditkeep.db.database import Database
from auditkeep.errors import SetupError
from auditkeep.ids import Tenant
from auditkeep.notifications import addresses

NOW = parse("2026-05-01T12:00:00Z")
TENANT = Tenant("111122223333", "us-east-1")
ROLE = "arn:aws:iam::111122223333:role/team/Owner"


@pytest.mark.both_databases
def test_one_address_for_a_principal_however_they_sign_in(db: Database) -> None:
    with db.write(TENANT) as tx:
        addresses.put(tx, ROLE, "a@example.com", NOW)
        entry = addresses.put(tx, ROLE, "b@example.com", NOW)
    with db.read(TENANT) as tx:
        assert addresses.listed(tx) == [entry]
        session = "arn:aws:sts::111122223333:assumed-role/Owner/jane"
        assert addresses.find(tx, session) == "b@example.com"
    with db.read(Tenant("111122223333", "eu-west-1")) as tx:
        assert addresses.find(tx, ROLE) is None
    with db.write(TENANT) as tx:
        addresses.delete(tx, ROLE)
        assert addresses.find(tx, ROLE) is None
        with pytest.raises(SetupError, match="no entry"):
            addresses.delete(tx, ROLE)


@pytest.mark.parametrize(
    "address",
    ["", "nobody", "a@b c", "a@b\nBcc: c@d", "Ann <a@b>", "a@b,c@d", "ä@example.com", "a@"],
)
def test_what_is_no_address_is_refused(db: Database, address: str) -> None:
    with db.write(TENANT) as tx, pytest.raises(SetupError, match="no mail address"):
        addresses.put(tx, ROLE, address, NOW)


@pytest.mark.parametrize("principal", ["owner", "arn:aws:s3:::b", "arn:aws:iam::1:user/x", ""])
def test_what_is_no_principal_is_refused(db: Database, principal: str) -> None:
    with db.write(TENANT) as tx, pytest.raises(SetupError, match="no principal"):
        addresses.put(tx, principal, "a@example.com", NOW)
