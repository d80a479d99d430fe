"""Which assessments look alike from day to day, whenever each of them was made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from tests.evidence.making import ACCOUNT, NOW, register

from auditkeep.clock import DAY, MINUTE, Day, Instant, day_of
from auditkeep.db.database import Database
from auditkeep.db.tx import Tx
from auditkeep.evidence import lens, settled
from auditkeep.evidence.lens import Reach
from auditkeep.evidence.slots import Every
from auditkeep.ids import Tenant

TODAY = day_of(NOW)
HERE = Reach(frozenset({ACCOUNT}), None)
KEYS = {1: {"iam:CreateUser"}, 2: {"s3:CreateBucket", "iam:CreateUser"}}

pytestmark = pytest.mark.both_databases


@pytest.fixture
def tx(db: Database, tenant: Tenant) -> Iterator[Tx]:
    with db.write(tenant) as tx:
        register(tx)
        yield tx


def opened(tx: Tx, name: str, at: int = NOW, reach: Reach = HERE, every: Every = "DAILY") -> str:
    lens.open_for_controls(tx, name, KEYS, reach, Instant(at), every=every)
    return name


def on(tx: Tx, names: Iterable[str], days_ahead: int) -> list[object]:
    found = settled.of(tx, list(names))
    return [found[name].on(Day(TODAY + days_ahead)) for name in names]


def test_what_was_opened_at_different_times_looks_alike_from_the_next_day_on(tx: Tx) -> None:
    opened(tx, "a")
    opened(tx, "b", NOW + MINUTE)
    opened(tx, "c", NOW - 9 * DAY)
    assert on(tx, "abc", 0)[:2] == [None, None]
    first, *others = on(tx, "abc", 1)
    assert first is not None
    assert others == [first, first]
    assert on(tx, "c", 0) == [first]
    assert on(tx, "a", 300) == [first]


def test_accounts_regions_keys_and_ordinals_tell_assessments_apart(tx: Tx) -> None:
    opened(tx, "a")
    opened(tx, "b", reach=Reach(frozenset({ACCOUNT, "222233334444"}), None))
    opened(tx, "c", reach=Reach(frozenset({ACCOUNT}), frozenset({"us-east-1"})))
    lens.open_for_controls(tx, "d", {1: KEYS[2], 2: KEYS[1]}, HERE, NOW)
    lens.open_for_controls(tx, "e", {1: KEYS[1], 3: KEYS[2]}, HERE, NOW)
    assert len(set(on(tx, "abcde", 1))) == 5


def test_nothing_is_at_rest_before_the_last_change(tx: Tx) -> None:
    opened(tx, "a", NOW - 9 * DAY)
    opened(tx, "b", NOW - 9 * DAY)
    before = on(tx, "a", 0)
    lens.close(tx, "b", NOW, [2])
    lens.open_for_control(tx, "b", 2, KEYS[2], HERE, Instant(NOW + 2 * DAY))
    assert on(tx, "b", 0) == on(tx, "b", 2) == [None]
    assert on(tx, "b", 3) == before  # it looks as it did, from then on
    lens.close(tx, "b", Instant(NOW + 4 * DAY), [2])
    assert on(tx, "b", 4) == [None]
    assert on(tx, "b", 5) not in ([None], before)


def test_an_assessment_without_intervals_is_always_at_rest(tx: Tx) -> None:
    assert on(tx, "xy", 0)[0] is not None
    assert len(set(on(tx, "xy", 0))) == 1


@pytest.mark.parametrize(("every", "again"), [("WEEKLY", 7), ("MONTHLY", 31)])
def test_rhythms_tell_assessments_apart_on_the_slots_of_one_of_them(
    tx: Tx, every: Every, again: int
) -> None:
    """The 4th of May is a day after which a month has 31 days."""
    opened(tx, "a", NOW, every=every)
    opened(tx, "b", NOW + 2 * DAY, every=every)
    opened(tx, "c", NOW - again * DAY if every == "WEEKLY" else NOW, every=every)
    slot, none, other = 1 + again, 2 + again, 3 + again
    a, b, c = on(tx, "abc", slot)
    assert a == c != b
    assert len(set(on(tx, "abc", none))) == 1
    a, b, c = on(tx, "abc", other)
    assert a == c != b
    assert a == on(tx, "a", none)[0]
