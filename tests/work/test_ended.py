"""What becomes of jobs that are over: seen, tried again, forgotten in time."""

import pytest
from sqlalchemy import func

from auditkeep.clock import DAY, SECOND, Instant, parse
from auditkeep.db.database import Database
from auditkeep.db.schema import jobs as table
from auditkeep.ids import Tenant
from auditkeep.work import ended
from auditkeep.work.jobs import DatabaseJobs, Failure

NOW = parse("2026-05-01T12:00:00Z")
TENANT = Tenant("111122223333", "us-east-1")


def run(db: Database, key: str, failure: Failure | None, kind: str = "mail") -> None:
    jobs = DatabaseJobs(db)
    with db.write(TENANT) as tx:
        jobs.enqueue(tx, kind, key, NOW)
    job = jobs.claim([kind], NOW)
    assert job is not None
    assert job.key == key
    assert jobs.finish(job, NOW, failure)


def left(db: Database) -> int:
    with db.system_read() as tx:
        return int(tx.scalar(tx.select(func.count(table.c.id))))


@pytest.mark.both_databases
def test_trouble_is_what_failed_or_waits_to_be_tried_again(db: Database) -> None:
    run(db, "m1", None)
    run(db, "m2", Failure("refused", None))
    run(db, "m3", Failure("nobody answers", SECOND))
    run(db, "r1", Failure("refused", None), kind="report")
    with db.system_read() as tx:
        found = ended.troubles(tx, ["mail"])
    assert [(t.key, t.tries, t.error, t.again_at) for t in found] == [
        ("m2", 1, "refused", None),
        ("m3", 1, "nobody answers", NOW + SECOND),
    ]


@pytest.mark.both_databases
def test_trying_again_begins_anew(db: Database) -> None:
    run(db, "m1", None)
    run(db, "m2", Failure("refused", None))
    run(db, "m3", Failure("nobody answers", DAY))
    later = Instant(NOW + SECOND)
    with db.system_write() as tx:
        assert ended.try_again(tx, ["mail"], later) == 2
    jobs = DatabaseJobs(db)
    again = [jobs.claim(["mail"], later) for _ in range(3)]
    assert [(j.key, j.tries, j.queued_at) for j in again if j is not None] == [
        ("m2", 1, later),
        ("m3", 1, later),
    ]


@pytest.mark.both_databases
def test_done_is_kept_a_day_and_failed_a_month(db: Database) -> None:
    run(db, "m1", None)
    run(db, "m2", Failure("refused", None))
    run(db, "m3", Failure("nobody answers", DAY))
    for days, forgotten, kept in [(1, 0, 3), (2, 1, 2), (30, 0, 2), (31, 1, 1), (900, 0, 1)]:
        with db.system_write() as tx:
            assert ended.prune(tx, Instant(NOW + days * DAY)) == forgotten
        assert left(db) == kept
