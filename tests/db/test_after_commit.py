"""What follows a commit: all of it, and never in the way of the answer."""

import pytest

from auditkeep.db.database import Database
from auditkeep.ids import Tenant


def test_one_that_fails_is_logged_and_the_others_run(
    db: Database, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[str] = []

    def fails() -> None:
        raise OSError("gone")

    with db.write(tenant) as tx:
        tx.after_commit(fails)
        tx.after_commit(lambda: ran.append("second"))
        assert ran == []
    assert ran == ["second"]
    assert "gone" in caplog.text


def test_nothing_follows_a_transaction_that_failed(db: Database, tenant: Tenant) -> None:
    ran: list[str] = []
    with pytest.raises(OSError, match="no"), db.write(tenant) as tx:
        tx.after_commit(lambda: ran.append("ran"))
        raise OSError("no")
    assert ran == []
