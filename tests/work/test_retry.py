"""When a failed job is tried again, and when no more."""

from auditkeep.clock import MINUTE, SECOND, Instant, parse
from auditkeep.errors import StorageError, StorageFull
from auditkeep.ids import Tenant
from auditkeep.work.jobs import Job
from auditkeep.work.retry import FEWEST_TRIES, STANDARD, Retry

NOW = parse("2026-05-01T12:00:00Z")
DAY_LONG = Retry(tries=400, within=1440 * MINUTE, first=2 * SECOND, longest=10 * MINUTE, spread=0.5)


def job(tries: int, key: str = "m1") -> Job:
    tenant = Tenant("111122223333", "us-east-1")
    return Job(f"111122223333/us-east-1/mail/{key}/1", tenant, "mail", key, tries, NOW)


def test_waits_double_and_are_bounded() -> None:
    assert [STANDARD.delay(job(n)) for n in (1, 2, 3)] == [SECOND, 2 * SECOND, 4 * SECOND]
    assert STANDARD.delay(job(60)) == STANDARD.delay(job(10_000)) == 5 * MINUTE


def test_waits_are_spread_and_a_try_always_waits_the_same() -> None:
    waits = {DAY_LONG.delay(job(5, f"m{n}")) for n in range(100)}
    assert len(waits) == 100
    assert all(16 * SECOND < wait <= 32 * SECOND for wait in waits)
    assert DAY_LONG.delay(job(5)) == DAY_LONG.delay(job(5))


def test_a_job_ends_after_its_tries() -> None:
    assert STANDARD.failure(job(4), "no", NOW).again == 8 * SECOND
    assert STANDARD.failure(job(5), "no", NOW).again is None
    assert not STANDARD.exhausted(job(5))
    assert STANDARD.exhausted(job(6))


def test_a_day_of_tries_ends_with_the_day() -> None:
    now, tries = NOW, 1
    while (again := DAY_LONG.failure(job(tries), "no", now).again) is not None:
        now, tries = Instant(now + again), tries + 1
    assert 23 * 60 * MINUTE < now - NOW <= 1440 * MINUTE
    assert 144 < tries < DAY_LONG.tries


def test_what_waited_switched_off_is_still_tried_a_few_times() -> None:
    late = Instant(NOW + 10 * 1440 * MINUTE)
    ends = [DAY_LONG.failure(job(n), "no", late).again is None for n in range(1, 8)]
    assert ends.index(True) == FEWEST_TRIES - 1


def test_errors_say_whether_to_try_again_and_whom_else_they_concern() -> None:
    rule = Retry(final=(StorageFull,), lane=(StorageError,))
    assert rule.failure(job(1), "no", NOW, StorageFull("no")).again is None
    failed = rule.failure(job(1), "no", NOW, StorageError("no"))
    assert (failed.again, failed.lane) == (SECOND, True)
    assert not rule.failure(job(1), "no", NOW, KeyError("no")).lane
