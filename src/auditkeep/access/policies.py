"""Where identity policies come from: those shipped with Auditkeep, and each account's own."""

from collections.abc import Mapping
from importlib import resources

import msgspec

from auditkeep.access.policy import Policy, read
from auditkeep.access.principals import Principal
from auditkeep.access.remembered import Remembered
from auditkeep.clock import Instant
from auditkeep.db.database import Database
from auditkeep.db.schema import policies
from auditkeep.db.tx import SystemTx
from auditkeep.errors import SetupError


class _Shipped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of `managed/`: what the policy is for, and its IAM document."""

    description: str
    document: msgspec.Raw


def managed() -> dict[str, Policy]:
    """The policies shipped with Auditkeep, by name."""
    found = {}
    for file in sorted(resources.files(__package__).joinpath("managed").iterdir(), key=str):
        name = file.name.removesuffix(".json")
        if name != file.name:
            shipped = msgspec.json.decode(file.read_bytes(), type=_Shipped)
            found[name] = read(name, bytes(shipped.document))
    return found


def put(tx: SystemTx, account: str, name: str, document: str) -> None:
    """Keep an account's own policy under `name`, in place of an earlier one.

    InputError when the document holds what is not evaluated; SetupError for a managed name.
    """
    if name in managed():
        raise SetupError(f"{name} is a managed policy; give yours another name.")
    read(name, document)
    row = {"account": account, "name": name, "document": document}
    tx.upsert(policies, [row], replace=["document"])


def find(tx: SystemTx, account: str, name: str) -> Policy | None:
    """An account's own policy."""
    mine = (policies.c.account == account, policies.c.name == name)
    row = tx.first(tx.select(policies.c.document).where(*mine))
    return None if row is None else read(name, row.document)


def require(tx: SystemTx, account: str, name: str) -> None:
    """SetupError unless the account has, or everyone has, a policy of that name."""
    known = managed()
    if name not in known and find(tx, account, name) is None:
        raise SetupError(
            f"Account {account} has no policy '{name}'. Managed policies are {', '.join(known)}."
        )


class Policies:
    """The policies of principals for the dispatcher, own ones remembered for a few seconds."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._managed: Mapping[str, Policy] = managed()
        self._own: Remembered[tuple[str, str], Policy] = Remembered(self._look_up)

    def of(self, principal: Principal, now: Instant) -> list[Policy]:
        """What is attached to the principal; a name that no longer stands for a policy is none."""
        found = (
            self._managed.get(name) or self._own.get((principal.account, name), now)
            for name in principal.policies
        )
        return [policy for policy in found if policy is not None]

    def _look_up(self, key: tuple[str, str]) -> Policy | None:
        with self._db.system_read() as tx:
            return find(tx, *key)
