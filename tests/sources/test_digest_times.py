"""A log file is named by a digest of the hour of its delivery, once that one has come."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditkeep.clock import MINUTE, Instant, parse
from auditkeep.sources.digest_times import HOUR, WAIT, DigestTimes
from auditkeep.sources.trail_layout import DIGESTS, Key, Place

TEN = parse("2026-05-01T10:00:00Z")
PLACE = Place("", "", "111122223333", "eu-west-1")
DIGEST = Key("", DIGESTS, PLACE, TEN, "main", "eu-west-1")


def made(*hours: float, **members: str) -> list[Key]:
    return [replace(DIGEST, at=Instant(TEN + int(h * HOUR)), **members) for h in hours]  # type: ignore[arg-type]


def times(*keys: Key) -> DigestTimes:
    found = DigestTimes()
    for key in keys:
        found.add(key)
    return found


@pytest.mark.parametrize(
    ("hours", "covered"),
    [
        ((), False),
        ((1,), False),  # the file of 10:20 may be in the digest of 11:00, or, late, in the next
        ((1, 2), True),
        ((0, 1, 2), True),
        ((1, 3), False),  # the one after is missing
        ((5, 6), False),  # nobody made digests at the time
    ],
)
def test_a_file_is_covered_by_two_digests_that_follow_each_other(
    hours: tuple[float, ...], *, covered: bool
) -> None:
    assert times(*made(*hours)).covers(Instant(TEN + 20 * MINUTE)) is covered


def test_each_trail_that_delivers_there_must_have_made_its_own() -> None:
    at = Instant(TEN + 20 * MINUTE)
    assert not times(*made(1, 2), *made(1, trail="other")).covers(at)
    assert times(*made(1, 2), *made(1, 2, trail="other")).covers(at)


def test_digests_of_late_files_say_nothing_of_others() -> None:
    late = [replace(key, backfill=True) for key in made(1, 2)]
    assert not times(*late).any
    assert late[0].chain != DIGEST.chain


def test_a_file_waits_for_its_digest_but_not_for_ever() -> None:
    at = Instant(TEN + 20 * MINUTE)
    alone = times(*made(1))
    assert alone.may_come(at, at, Instant(at + WAIT - 1))
    assert not alone.may_come(at, at, Instant(at + WAIT))
    assert not times(*made(1, 2)).may_come(at, at, at)
