"""How far back a control can be made to see, per match key and account."""

from auditkeep.clock import DAY, Instant, parse
from auditkeep.evidence.lens import FOREVER, Interval, Lens
from auditkeep.evidence.reaching import Stretch, unseen
from auditkeep.evidence.slots import Every

START = parse("2026-04-01T00:00:00Z")
A, B = "111122223333", "444455556666"


def day(number: int) -> Instant:
    return Instant(START + number * DAY)


def looked(
    opens: int,
    closes: int | None,
    keys: str = "k",
    accounts: tuple[str, ...] = (A,),
    *,
    every: Every = "DAILY",
    backfilled: bool = False,
) -> Interval:
    until = FOREVER if closes is None else day(closes)
    return Interval(
        frozenset(keys),
        frozenset(accounts),
        None,
        day(opens),
        until,
        every,
        day(opens),
        backfilled,
    )


def told(
    *intervals: Interval, besides_backfills: bool = True
) -> set[tuple[str, frozenset[str], int, int]]:
    """Keys, accounts, and from which day to which."""
    found = unseen([Lens("a", 1, intervals)], START, besides_backfills=besides_backfills)
    return {
        (
            "".join(sorted(keys[1])),
            stretch.accounts,
            (stretch.opens_at - START) // DAY,
            (stretch.closes_at - START) // DAY,
        )
        for stretch, keys in found.items()
    }


def test_nothing_was_seen_before_the_first_interval() -> None:
    assert told(looked(5, None)) == {("k", frozenset({A}), 0, 5)}
    assert told(looked(0, None)) == set()
    assert told() == set()


def test_a_corrected_keyword_was_not_seen_until_it_was_corrected() -> None:
    assert told(looked(5, 8, "xk"), looked(8, None, "yk")) == {
        ("ky", frozenset({A}), 0, 5),
        ("y", frozenset({A}), 5, 8),
    }


def test_an_account_that_came_in_was_not_seen_until_then() -> None:
    assert told(looked(5, 8), looked(8, None, accounts=(A, B))) == {
        ("k", frozenset({A, B}), 0, 5),
        ("k", frozenset({B}), 5, 8),
    }


def test_one_stretch_goes_over_what_others_bound() -> None:
    assert told(looked(0, 3, "x"), looked(3, 6, "z"), looked(6, None)) == {
        ("k", frozenset({A}), 0, 6)
    }


def test_a_time_in_which_nothing_was_looked_at_stays_a_gap() -> None:
    assert told(looked(2, 4), looked(6, None)) == {("k", frozenset({A}), 0, 2)}
    assert told(looked(2, 4, "x"), looked(6, None)) == {("k", frozenset({A}), 0, 4)}


def test_what_was_opened_afterwards_is_seen_and_was_not_asked_for() -> None:
    opened = (looked(0, 5, backfilled=True), looked(5, None))
    assert told(*opened) == set()
    assert told(*opened, besides_backfills=False) == {("k", frozenset({A}), 0, 5)}
    # a backfill is no look of its own: what was a gap stays one
    gap = (looked(0, 2, backfilled=True), looked(2, 4), looked(6, None))
    assert told(*gap) == set()


def test_what_looks_more_often_has_not_been_seen_by_what_looks_less_often() -> None:
    weekly, daily = looked(0, 5, every="WEEKLY"), looked(5, None)
    assert told(weekly, daily) == {("k", frozenset({A}), 0, 5)}
    assert told(looked(0, 5), looked(5, None, every="WEEKLY")) == set()


def test_controls_that_lack_the_same_are_opened_together() -> None:
    lenses = [Lens("a", n, (looked(5, None, keys),)) for n, keys in ((1, "k"), (2, "xy"))]
    (only,) = unseen(lenses, START).items()
    assert only == (
        Stretch(frozenset({A}), None, "DAILY", day(0), day(5)),
        {1: frozenset("k"), 2: frozenset("xy")},
    )


def test_what_ended_has_no_past_to_open() -> None:
    assert told(looked(2, 4)) == set()
