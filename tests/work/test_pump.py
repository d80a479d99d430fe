"""The pump: what happens to a job when its handler succeeds, fails, breaks, or its process dies."""

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest
from tests.work.inline import InlineJobs

from auditkeep.clock import FixedClock, Instant, SystemClock
from auditkeep.db.database import Database
from auditkeep.errors import StorageError
from auditkeep.ids import Tenant
from auditkeep.work import pump as pumping
from auditkeep.work.jobs import LEASE, DatabaseJobs
from auditkeep.work.pump import Handler, Pump
from auditkeep.work.retry import STANDARD


class Recorder:
    """A handler that fails the first `failures` times."""

    def __init__(self, failures: int = 0, error: Exception | None = None) -> None:
        self.left = failures
        self.error = error or StorageError("the disk is full")
        self.ran: list[str] = []
        self.gave_up: list[str] = []

    def run(self, _tenant: Tenant, key: str) -> None:
        self.ran.append(key)
        if self.left:
            self.left -= 1
            raise self.error

    def give_up(self, _tenant: Tenant, key: str, reason: str) -> None:
        self.gave_up.append(f"{key}: {reason}")


def pump_of(jobs: InlineJobs | DatabaseJobs, recorder: Recorder, clock: FixedClock) -> Pump:
    return Pump(jobs, {"report": Handler(recorder.run, recorder.give_up)}, clock)


def queue(db: Database, jobs: InlineJobs | DatabaseJobs, tenant: Tenant, clock: FixedClock) -> None:
    with db.write(tenant) as tx:
        jobs.enqueue(tx, "report", "r1", clock.now())


def test_a_job_that_succeeds_runs_once(db: Database, tenant: Tenant, clock: FixedClock) -> None:
    jobs, recorder = InlineJobs(), Recorder()
    queue(db, jobs, tenant, clock)
    assert pump_of(jobs, recorder, clock).drain() == 1
    assert recorder.ran == ["r1"]
    assert list(jobs.ended.values()) == [None]


def test_a_transient_failure_is_tried_again_later(
    db: Database, tenant: Tenant, clock: FixedClock
) -> None:
    jobs, recorder = InlineJobs(), Recorder(failures=1)
    queue(db, jobs, tenant, clock)
    pump = pump_of(jobs, recorder, clock)
    assert pump.drain() == 1
    clock.advance(LEASE)
    assert pump.drain() == 1
    assert recorder.ran == ["r1", "r1"]
    assert recorder.gave_up == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StorageError("the disk is full"), "the disk is full"),
        (KeyError("x"), "An unexpected KeyError stopped it; the log has the details."),
    ],
)
def test_the_last_failure_is_told_with_its_reason(
    db: Database, tenant: Tenant, clock: FixedClock, error: Exception, reason: str
) -> None:
    jobs, recorder = InlineJobs(), Recorder(failures=99, error=error)
    queue(db, jobs, tenant, clock)
    pump = pump_of(jobs, recorder, clock)
    for _ in range(STANDARD.tries + 3):
        pump.drain()
        clock.advance(LEASE * 10)
    assert len(recorder.ran) == STANDARD.tries
    assert recorder.gave_up == [f"r1: {reason}"]
    assert list(jobs.ended.values()) == [reason]


def test_a_job_that_kills_its_process_is_given_up_in_the_end(
    db: Database, tenant: Tenant, clock: FixedClock
) -> None:
    jobs, recorder = DatabaseJobs(db), Recorder()
    queue(db, jobs, tenant, clock)
    for _ in range(STANDARD.tries):  # claimed, and never heard of again
        assert jobs.claim(["report"], clock.now()) is not None
        clock.advance(LEASE)
    assert pump_of(jobs, recorder, clock).step()
    assert recorder.ran == []
    assert recorder.gave_up == ["r1: The process that ran it died every time."]
    clock.advance(LEASE)
    assert not pump_of(jobs, recorder, clock).step()


def test_a_long_run_keeps_its_lease(
    db: Database, tenant: Tenant, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pumping, "LEASE", 30_000)  # renewed every 10 ms
    jobs = DatabaseJobs(db)
    queue(db, jobs, tenant, clock)
    seen: list[bool] = []

    def slow(_tenant: Tenant, _key: str) -> None:
        clock.advance(LEASE - 1)
        time.sleep(0.2)
        clock.advance(LEASE - 1)
        seen.append(jobs.claim(["report"], clock.now()) is None)

    assert Pump(jobs, {"report": Handler(slow)}, clock).step()
    assert seen == [True]


def test_threads_run_jobs_and_stop_orderly(db: Database, tenant: Tenant) -> None:
    jobs, begun, go = DatabaseJobs(db), threading.Event(), threading.Event()
    finished: list[str] = []

    def run(_tenant: Tenant, key: str) -> None:
        begun.set()
        go.wait(10)
        finished.append(key)

    pump = Pump(jobs, {"report": Handler(run)}, SystemClock())
    pump.start()
    with db.write(tenant) as tx:
        jobs.enqueue(tx, "report", "r1", SystemClock().now())
    assert begun.wait(10)
    stopper = threading.Thread(target=pump.stop)
    stopper.start()
    go.set()
    stopper.join(10)
    assert finished == ["r1"]
    assert not stopper.is_alive()


def test_a_pump_that_never_started_stops_at_once(clock: FixedClock) -> None:
    assert Pump(InlineJobs(), {}, clock).stop()


class Crossing:
    """Handlers of jobs: `slow…` stands aside until `go`, and others are done at once."""

    def __init__(self, db: Database, aside: int, threads: int = 1) -> None:
        self.jobs = DatabaseJobs(db)
        handlers = {"report": Handler(self._run)}
        self.pump = Pump(self.jobs, handlers, SystemClock(), threads=threads, aside=aside)
        self.done: list[str] = []
        self.waited: list[bool] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def _run(self, _tenant: Tenant, key: str) -> None:
        with self._working():
            pass
        if key.startswith("slow"):
            self.waited.append(self.pump.stand_aside(30.0 if key == "slow" else 0.05))
        with self._working():
            time.sleep(0.002)
        self.done.append(key)

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        yield
        with self._lock:
            self.at_once -= 1

    def queue(self, db: Database, tenant: Tenant, *keys: str) -> None:
        with db.write(tenant) as tx:
            for number, key in enumerate(keys):
                self.jobs.enqueue(tx, "report", key, Instant(number))

    def wait_for(self, *keys: str) -> None:
        ends = time.monotonic() + 10
        while not set(keys) <= set(self.done):
            assert time.monotonic() < ends, self.done
            time.sleep(0.005)


def test_a_run_that_stands_aside_lets_others_work(db: Database, tenant: Tenant) -> None:
    house = Crossing(db, aside=1)
    house.queue(db, tenant, "slow", "one", "two")
    house.pump.start()
    house.wait_for("one", "two")
    assert house.done == ["one", "two"]
    assert house.pump.stop(10)
    assert house.waited == [False]  # it was told that the pump stops, long before its time
    assert house.done == ["one", "two", "slow"]


def test_no_more_work_at_the_same_time_because_some_stood_aside(
    db: Database, tenant: Tenant
) -> None:
    house = Crossing(db, aside=8, threads=2)
    keys = [f"slow-{n}" for n in range(6)] + [f"quick-{n}" for n in range(6)]
    house.queue(db, tenant, *keys)
    house.pump.start()
    house.wait_for(*keys)
    assert house.pump.stop(10)
    assert house.waited == [True] * 6
    assert house.most_at_once <= 2


def test_who_finds_too_many_aside_is_told_at_once(db: Database, tenant: Tenant) -> None:
    house = Crossing(db, aside=0)
    house.queue(db, tenant, "slow", "one")
    house.pump.start()
    house.wait_for("slow", "one")
    assert house.waited == [False]
    assert house.pump.stop(10)
