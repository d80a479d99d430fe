"""The outbox: queued once, held by one, ended by its holder only; the same for both engines."""

import threading

import pytest
from tests.threads import at_once
from tests.work.inline import InlineJobs

from auditkeep.clock import SECOND, FixedClock, Instant, parse
from auditkeep.db.database import Database
from auditkeep.errors import StorageError
from auditkeep.ids import Tenant
from auditkeep.work.jobs import LEASE, DatabaseJobs, Failure, Job, Jobs, enqueue

NOW = parse("2026-05-01T12:00:00Z")
TENANT = Tenant("111122223333", "us-east-1")
KINDS = ["report"]


def later(microseconds: int) -> Instant:
    return Instant(NOW + microseconds)


@pytest.fixture(params=["database", "inline"])
def jobs(request: pytest.FixtureRequest, db: Database) -> Jobs:
    return DatabaseJobs(db) if request.param == "database" else InlineJobs()


def queue(
    db: Database, jobs: Jobs, key: str, attempt: int = 1, *, lane: str | None = None, at: int = 0
) -> None:
    with db.write(TENANT) as tx:
        jobs.enqueue(tx, "report", key, later(at), attempt, lane=lane)


def claimed(jobs: Jobs, at: Instant = NOW) -> Job:
    job = jobs.claim(KINDS, at)
    assert job is not None
    return job


@pytest.mark.both_databases
def test_a_job_queued_twice_runs_once(db: Database, jobs: Jobs) -> None:
    queue(db, jobs, "r1")
    queue(db, jobs, "r1")
    job = claimed(jobs)
    assert (job.kind, job.key, job.tries, job.tenant) == ("report", "r1", 1, TENANT)
    assert jobs.claim(KINDS, NOW) is None
    assert jobs.finish(job, NOW)
    queue(db, jobs, "r1")
    assert jobs.claim(KINDS, later(LEASE * 10)) is None


def test_a_further_attempt_is_another_job(db: Database, jobs: Jobs) -> None:
    queue(db, jobs, "r1")
    assert jobs.finish(claimed(jobs), NOW)
    queue(db, jobs, "r1", attempt=2)
    assert claimed(jobs).key == "r1"


def test_a_rolled_back_request_queues_nothing(db: Database, jobs: Jobs) -> None:
    with pytest.raises(StorageError), db.write(TENANT) as tx:
        jobs.enqueue(tx, "report", "r1", NOW)
        raise StorageError("no")
    assert jobs.claim(KINDS, NOW) is None


def test_only_kinds_asked_for_are_claimed(db: Database, jobs: Jobs) -> None:
    queue(db, jobs, "r1")
    assert jobs.claim(["notice"], NOW) is None


@pytest.mark.both_databases
def test_a_dead_runner_loses_its_job_when_the_lease_ends(db: Database, jobs: Jobs) -> None:
    queue(db, jobs, "r1")
    dead = claimed(jobs)
    assert jobs.claim(KINDS, later(LEASE - 1)) is None
    heir = claimed(jobs, later(LEASE))
    assert heir.tries == 2
    assert not jobs.renew(dead, later(LEASE))
    assert not jobs.finish(dead, later(LEASE))
    assert jobs.finish(heir, later(LEASE))


def test_a_renewed_lease_keeps_the_job(db: Database, jobs: Jobs) -> None:
    queue(db, jobs, "r1")
    job = claimed(jobs)
    assert jobs.renew(job, later(LEASE // 2))
    assert jobs.claim(KINDS, later(LEASE)) is None


@pytest.mark.both_databases
def test_a_failure_is_put_off_and_then_final(db: Database, jobs: Jobs) -> None:
    queue(db, jobs, "r1")
    assert jobs.finish(claimed(jobs), NOW, Failure("the disk is full", SECOND))
    assert jobs.claim(KINDS, later(SECOND - 1)) is None
    again = claimed(jobs, later(SECOND))
    assert again.tries == 2
    assert jobs.finish(again, later(SECOND), Failure("the disk is full", None))
    assert jobs.claim(KINDS, later(LEASE * 1000)) is None


@pytest.mark.both_databases
def test_a_lane_runs_one_job_at_a_time_and_holds_no_other(db: Database, jobs: Jobs) -> None:
    for key, lane in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("c1", None), ("c2", None)]:
        queue(db, jobs, key, lane=lane)
    taken = [claimed(jobs) for _ in range(4)]
    assert [j.key for j in taken] == ["a1", "b1", "c1", "c2"]
    assert jobs.claim(KINDS, NOW) is None
    assert jobs.finish(taken[0], NOW)
    assert claimed(jobs).key == "a2"


@pytest.mark.both_databases
def test_a_lane_that_is_down_waits_behind_the_job_that_found_it(db: Database, jobs: Jobs) -> None:
    for key in ("a1", "a2"):
        queue(db, jobs, key, lane="a")
    assert jobs.finish(claimed(jobs), NOW, Failure("nobody answers", SECOND, lane=True))
    queue(db, jobs, "a3", lane="a", at=1)
    queue(db, jobs, "b1", lane="b", at=1)
    assert claimed(jobs, later(2)).key == "b1"
    assert jobs.claim(KINDS, later(SECOND - 1)) is None
    probe = claimed(jobs, later(SECOND))
    assert (probe.key, probe.tries) == ("a1", 2)
    assert jobs.finish(probe, later(SECOND), Failure("nobody answers", 2 * SECOND, lane=True))
    assert jobs.claim(KINDS, later(3 * SECOND - 1)) is None
    probe = claimed(jobs, later(3 * SECOND))
    assert (probe.key, probe.tries) == ("a1", 3)
    assert jobs.finish(probe, later(3 * SECOND))
    rest = []
    while (job := jobs.claim(KINDS, later(4 * SECOND))) is not None:
        rest.append((job.key, job.tries))
        assert jobs.finish(job, later(4 * SECOND))
    assert sorted(rest) == [("a2", 1), ("a3", 1)]


def test_a_failure_of_one_job_alone_holds_nothing(db: Database, jobs: Jobs) -> None:
    for key in ("a1", "a2"):
        queue(db, jobs, key, lane="a")
    assert jobs.finish(claimed(jobs), NOW, Failure("it is malformed", SECOND))
    assert claimed(jobs).key == "a2"


def test_the_plain_function_queues_too(db: Database) -> None:
    with db.write(TENANT) as tx:
        enqueue(tx, "report", "r1", NOW)
    assert claimed(DatabaseJobs(db)).key == "r1"


@pytest.mark.both_databases
def test_many_runners_share_the_jobs_without_overlap(db: Database, clock: FixedClock) -> None:
    jobs = DatabaseJobs(db)
    for n in range(12):
        queue(db, jobs, f"r{n:02}")
    taken: list[str] = []

    def run() -> None:
        while (job := jobs.claim(KINDS, clock.now())) is not None:
            taken.append(job.key)
            jobs.finish(job, clock.now())

    at_once([run] * 4)
    assert sorted(taken) == [f"r{n:02}" for n in range(12)]


def test_waiting_ends_when_a_job_is_committed(db: Database) -> None:
    jobs = DatabaseJobs(db)
    waiter = threading.Thread(target=jobs.wait, args=(30.0,))
    waiter.start()
    queue(db, jobs, "r1")
    waiter.join(10)
    assert not waiter.is_alive()
