"""Which earlier checkpoints a report is tied to."""

import pytest

from auditkeep.clock import DAY, parse
from auditkeep.db.database import Database
from auditkeep.db.schema import checkpoints
from auditkeep.lake import handed_out

pytestmark = pytest.mark.both_databases


def test_printed_daily_and_newest_checkpoints_are_taken_to_be_held(db: Database) -> None:
    start = parse("2026-05-01T08:00:00Z")
    with db.system_write() as tx:
        rows = [
            {"size": n, "root": b"r" * 32, "note": "signed", "created_at": start + n * DAY // 100}
            for n in range(1, 201)
        ]
        tx.insert(checkpoints, *rows)
        handed_out.note(tx, 7)
        handed_out.note(tx, 7)
    with db.system_read() as tx:
        held = handed_out.sizes(tx, 200)
        few = handed_out.sizes(tx, 7)
    assert held == sorted(set(held))
    assert 7 in held
    assert set(range(200 - handed_out.NEWEST, 200)) <= set(held)
    day_ends = {n for n in range(1, 199) if (start + n * DAY // 100) // DAY
                != (start + (n + 1) * DAY // 100) // DAY}  # fmt: skip
    assert day_ends <= set(held)
    assert few == [1, 2, 3, 4, 5, 6]


def test_a_checkpoint_without_signature_was_never_held(db: Database) -> None:
    with db.system_write() as tx:
        tx.insert(checkpoints, {"size": 3, "root": b"r" * 32, "note": None, "created_at": 0})
    with db.system_read() as tx:
        assert handed_out.sizes(tx, 10) == []
