"""Regions that accounts have switched on: what is remembered, and what a plan leaves out."""

from __future__ import annotations

from typing import Any

from auditkeep.clock import MINUTE, Day, Instant, day_of, parse
from auditkeep.collection import regions, targets
from auditkeep.collection.plan import Look, Plan, Reach, Reason, make
from auditkeep.collection.regions import OFTEN, REMEMBERED, TRUSTED, Known, applied, became
from auditkeep.collection.targets import NOT_RUNNING, Target

HERE, FAR, NEAR = "eu-west-1", "af-south-1", "eu-south-1"
ONE, TWO = "111111111111", "222222222222"
OPENED = parse("2026-05-01T10:00:00Z")
HOUR = 60 * MINUTE
CALLS = "api:ec2_DescribeVpcs"


def at(hours: int) -> Instant:
    return Instant(OPENED + hours * HOUR)


def planned(known: Known | None, *keys: str) -> Plan:
    """What is asked of the first account, in three regions, after it said what is known of it."""
    look = Look(
        reason=Reason("assessment", "a", "1"),
        match_keys=frozenset(keys),
        accounts=frozenset({ONE, TWO}),
        regions=None,
        opens_at=OPENED,
    )
    found = None if known is None else known.switched
    whole = make([look], Reach(frozenset({HERE, FAR, NEAR})))
    return applied(whole, {} if found is None else {ONE: found})


def asked(plan: Plan) -> tuple[set[str], set[str]]:
    """The regions that the first account is asked in, and those that are left out."""
    here = {r for a, r, _ in plan.questions() if a == ONE}
    return here, {r for a, r, _ in plan.not_asked() if a == ONE}


def said(*on: str, before: Known | None = None, hours: int = 1) -> Known:
    return became(before, frozenset(on), at(hours))


def test_an_account_that_has_not_said_is_asked_everywhere() -> None:
    assert asked(planned(None, "config:X")) == ({HERE, FAR, NEAR}, set())
    assert asked(planned(became(None, None, at(1)), "config:X")) == ({HERE, FAR, NEAR}, set())


def test_what_is_off_is_left_out_of_one_account_s_plan_only() -> None:
    plan = planned(said(HERE, NEAR), "config:X", CALLS)
    assert asked(plan) == ({HERE, NEAR}, {FAR})
    assert plan.regions_off() == {FAR: ([ONE], 2)}
    assert asked(plan.of_account(ONE)) == ({HERE, NEAR}, {FAR})
    assert plan.of_account(ONE).accounts == {ONE}
    assert {(a, r) for a, r, _ in plan.questions() if a == TWO} == {
        (TWO, HERE), (TWO, FAR), (TWO, NEAR),
    }  # fmt: skip


def test_a_region_that_is_on_for_everybody_is_never_taken_for_off() -> None:
    assert asked(planned(said(NEAR), "config:X")) == ({HERE, NEAR}, {FAR})


def test_what_was_said_is_trusted_for_a_day_and_then_what_was_off_is_asked() -> None:
    known = said(HERE, NEAR)
    later = became(known, None, Instant(at(1) + TRUSTED - 1))
    assert asked(planned(later, "config:X")) == ({HERE, NEAR}, {FAR})
    doubted = became(later, None, Instant(at(1) + TRUSTED))
    assert asked(planned(doubted, "config:X")) == ({HERE, FAR, NEAR}, set())
    assert due_at(planned(doubted, "config:X"), "AWS_Config").off_until == at(1)
    again = said(HERE, NEAR, before=doubted, hours=48)
    assert asked(planned(again, "config:X")) == ({HERE, NEAR}, {FAR})


def due_at(plan: Plan, source: str) -> Any:
    (found,) = [
        d for a, r, d in plan.questions() if (a, r, d.question.source) == (ONE, FAR, source)
    ]
    return found


def test_nothing_was_due_while_a_region_was_off() -> None:
    off = said(HERE, hours=100)
    on = said(HERE, FAR, before=off, hours=101)
    plan = planned(on, "config:X", "ec2:RunInstances", CALLS)
    state = due_at(plan, "AWS_Config")
    assert (state.opens_at, state.newest, state.off_until) == (at(100), at(100), at(100))
    # an answer from before it was off: it is looked at whole, and the time between is no gap
    before = Target(done_at=at(2), since=at(2), looked_at=at(2))
    (todo,) = targets.to_ask(state, before, at(101), HOUR)
    assert todo.at == at(101)
    assert targets.missed(todo, before, HOUR) is None
    assert targets.failed_since(todo, before) == at(100)
    (late,) = targets.to_ask(state, before, at(110), HOUR)
    lost = targets.missed(late, before, HOUR)
    assert lost is not None
    assert (lost.opens_at, lost.trouble.reason) == (at(100), NOT_RUNNING)
    # events since it was known to be off are asked for, from the source's own history
    events = due_at(plan, "AWS_Cloudtrail")
    assert targets.to_ask(events, targets.NEVER_ASKED, at(101), HOUR)[0].since == at(100)
    # and the first slot is the first midnight since
    calls = due_at(plan, "AWS_API_Call")
    today = day_of(at(101))
    assert calls.slots_due(None, today) == []
    assert calls.slots_due(None, Day(today + 1)) == [today + 1]
    assert calls.first_missed(None, Day(today + 1)) is None


def test_it_is_forgotten_that_a_region_was_off_when_it_matters_no_more() -> None:
    on = said(HERE, FAR, before=said(HERE, hours=100), hours=101)
    assert said(HERE, FAR, before=on, hours=102).switched == on.switched
    much_later = became(on, frozenset({HERE, FAR}), Instant(at(100) + REMEMBERED + 1))
    assert much_later.said is not None
    assert much_later.said.off_until == {}
    gone = said(HERE, before=on, hours=103)
    assert gone.said is not None
    assert gone.said.off_until == {}


def test_who_is_asked_again_and_when() -> None:
    plan = planned(said(HERE), "config:X")
    now = at(3)

    def to_ask(known: dict[str, Known], *elsewhere: Any, plan: Plan = plan) -> list[str]:
        return regions.to_ask(plan, known, elsewhere, now, 15 * MINUTE)

    assert to_ask({}) == [ONE, TWO]
    fresh, stale = Known(asked_at=now), Known(asked_at=Instant(now - OFTEN))
    assert to_ask({ONE: stale, TWO: fresh}) == [ONE]
    # one that nobody asks there, or only about regions that are on for everybody, need not say
    whole = planned(None, "config:X")
    assert to_ask({}, "AWS_Config", plan=whole) == []
    # but where one was off, that may have changed
    assert to_ask({}, "AWS_Config") == [ONE]
    alone = make(
        [Look(Reason("assessment", "a", "1"), frozenset({"config:X"}), frozenset({ONE}),
              frozenset({HERE}), OPENED)],
        Reach(frozenset({HERE})),
    )  # fmt: skip
    assert to_ask({}, plan=alone) == []
