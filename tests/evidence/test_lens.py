"""Intervals open and close, and a lens sees what they say, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.evidence.making import NOW

from auditkeep.clock import DAY, MINUTE, Instant
from auditkeep.db.database import Database
from auditkeep.db.tx import Tx
from auditkeep.evidence import lens
from auditkeep.evidence.ids import pinned_key
from auditkeep.evidence.lens import FOREVER, Interval, Reach
from auditkeep.ids import GLOBAL_REGION, Tenant

A = "a0000000-0000-4000-8000-000000000000"
B = "b0000000-0000-4000-8000-000000000000"
REACH = Reach(frozenset({"111122223333"}), frozenset({"us-east-1", GLOBAL_REGION}))
KEYS = frozenset({"iam:CreateUser", "s3:CreateBucket"})
LATER = Instant(NOW + 10 * MINUTE)

pytestmark = pytest.mark.both_databases


@pytest.fixture
def tx(db: Database, tenant: Tenant) -> Iterator[Tx]:
    with db.write(tenant) as tx:
        yield tx


def test_an_open_interval_has_no_end(tx: Tx) -> None:
    lens.open_for_control(tx, A, 1, KEYS, REACH, NOW)
    (one,) = lens.load(tx, A, [1], None)
    assert one.intervals[0] == Interval(
        KEYS, REACH.accounts, REACH.regions, NOW, FOREVER, anchor=NOW
    )
    assert one.match_keys == KEYS | {pinned_key(A, 1)}


def test_what_is_pinned_needs_no_interval_and_knows_no_bounds(tx: Tx) -> None:
    (one,) = lens.load(tx, A, [3], None)
    assert len(one.intervals) == 1
    assert one.intervals[0].pinned
    key = pinned_key(A, 3)
    assert one.sees(key, "999988887777", "anywhere", Instant(0), 1)
    assert not one.sees(pinned_key(A, 1), "999988887777", "anywhere", Instant(0), 1)
    assert not one.sees(pinned_key(B, 3), "999988887777", "anywhere", Instant(0), 1)


def test_a_control_without_match_keys_opens_nothing(tx: Tx) -> None:
    lens.open_for_control(tx, A, 1, [], REACH, NOW)
    assert lens.first_openings(tx, A) == {}


def test_closing_ends_what_is_open_and_forgets_what_never_began(tx: Tx) -> None:
    lens.open_for_controls(tx, A, {1: KEYS, 2: KEYS}, REACH, NOW)
    lens.open_for_control(tx, A, 1, {"api:x"}, REACH, Instant(NOW + DAY))
    lens.open_for_control(tx, B, 1, KEYS, REACH, NOW)
    lens.close(tx, A, LATER, [1])
    first, second = lens.load(tx, A, [1, 2], None)
    assert [i.closes_at for i in first.intervals if not i.pinned] == [LATER]
    assert [i.closes_at for i in second.intervals if not i.pinned] == [FOREVER]
    lens.close(tx, A, Instant(LATER + 1))
    first, second = lens.load(tx, A, [1, 2], None)
    assert first.intervals[0].closes_at == LATER
    assert second.intervals[0].closes_at == LATER + 1
    assert lens.load(tx, B, [1], None)[0].intervals[0].closes_at == FOREVER


def test_opening_and_closing_at_one_instant_leaves_nothing(tx: Tx) -> None:
    lens.open_for_control(tx, A, 1, KEYS, REACH, NOW)
    lens.close(tx, A, NOW)
    assert lens.first_openings(tx, A) == {}


def test_first_openings_are_the_earliest_of_each_control(tx: Tx) -> None:
    lens.open_for_control(tx, A, 1, KEYS, REACH, LATER)
    lens.open_for_control(tx, A, 1, KEYS, REACH, NOW, LATER)
    lens.open_for_control(tx, A, 2, KEYS, REACH, LATER)
    assert lens.first_openings(tx, A) == {1: NOW, 2: LATER}


def test_lenses_come_in_the_order_asked_for_with_intervals_in_time(tx: Tx) -> None:
    lens.open_for_control(tx, A, 1, KEYS, REACH, LATER)
    lens.open_for_control(tx, A, 1, KEYS, REACH, NOW, LATER)
    found = lens.load(tx, A, [2, 1], 7)
    assert [(x.ordinal, x.up_to_batch) for x in found] == [(2, 7), (1, 7)]
    assert [i.opens_at for i in found[1].intervals] == [NOW, LATER, 0]


def test_intervals_that_closed_before_are_left_out_on_request(tx: Tx) -> None:
    lens.open_for_control(tx, A, 1, KEYS, REACH, NOW)
    lens.close(tx, A, LATER)
    lens.open_for_control(tx, A, 1, KEYS, REACH, LATER)
    (one,) = lens.load(tx, A, [1], None, since=LATER)
    assert [i.opens_at for i in one.intervals if not i.pinned] == [LATER]


def test_another_tenants_intervals_are_not_seen(tx: Tx, db: Database) -> None:
    lens.open_for_control(tx, A, 1, KEYS, REACH, NOW)
    other = tx.system().of(Tenant("999988887777", "us-east-1"))
    assert lens.first_openings(other, A) == {}


def test_deleting_forgets_one_assessment(tx: Tx) -> None:
    for assessment in (A, B):
        lens.open_for_control(tx, assessment, 1, KEYS, REACH, NOW)
    lens.delete(tx, A)
    assert lens.first_openings(tx, A) == {}
    assert lens.first_openings(tx, B) == {1: NOW}


def test_all_regions_survive_the_database(tx: Tx) -> None:
    lens.open_for_control(tx, A, 1, KEYS, Reach(REACH.accounts, None), NOW)
    (one,) = lens.load(tx, A, [1], None)
    assert one.sees("iam:CreateUser", "111122223333", "mars-1", NOW, 1)
