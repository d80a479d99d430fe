"""The outbox: queued once, held by one, ended by its holder only; the same for both engines."""

import threading

import pytest

from auditkeep.clock import FixedClock, Instant, parse
from auditkeep.db.database import Database
from auditkeep.errors import StorageError
from auditkeep.ids import Tenant
from auditkeep.work.inline import InlineJobs
from auditkeep.work.jobs import LEASE, MAX_TRIES, DatabaseJobs, Job, Jobs, delay, enqueue

NOW = parse("2026-05-01T12:00:00Z")
TENANT = Tenant("111122223333", "us-east-1")
KINDS = ["report"]


def later(microseconds: int) -> Instant:
    return Instant(NOW + microseconds)


@pytest.fixture(params=["database", "inline"])
def jobs(request: pytest.FixtureRequest, db: Database) -> Jobs:
    return DatabaseJobs(db) if request.param == "database" else InlineJobs()


def queue(db: Database, jobs: Jobs, key: str, attempt: int = 1) -> None:
    with db.write(TENANT) as tx:
        jobs.enqueue(tx, "report", key, NOW, attempt)


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


def test_a_failure_is_put_off_longer_each_time_and_then_for_good(db: Database, jobs: Jobs) -> None:
    queue(db, jobs, "r1")
    at = NOW
    for n in range(1, MAX_TRIES + 1):
        job = claimed(jobs, at)
        assert (job.tries, job.last_try) == (n, n == MAX_TRIES)
        assert jobs.finish(job, at, "the disk is full")
        assert jobs.claim(KINDS, Instant(at + delay(n) - 1)) is None
        at = Instant(at + delay(n))
    assert jobs.claim(KINDS, later(LEASE * 1000)) is None


def test_delays_double_and_are_bounded() -> None:
    assert [delay(n) for n in (1, 2, 3)] == [1_000_000, 2_000_000, 4_000_000]
    assert delay(60) == delay(61)


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

    runners = [threading.Thread(target=run) for _ in range(4)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    assert sorted(taken) == [f"r{n:02}" for n in range(12)]


def test_waiting_ends_when_a_job_is_committed(db: Database) -> None:
    jobs = DatabaseJobs(db)
    waiter = threading.Thread(target=jobs.wait, args=(30.0,))
    waiter.start()
    queue(db, jobs, "r1")
    waiter.join(10)
    assert not waiter.is_alive()
