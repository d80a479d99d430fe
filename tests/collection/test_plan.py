"""The plan: what is asked follows from who looks, and is asked once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from auditkeep.clock import DAY, Day, Instant, day_from_name, parse
from auditkeep.collection import targets
from auditkeep.collection.plan import (
    HOME,
    TRAIL,
    Look,
    Plan,
    Question,
    Reach,
    Reason,
    make,
    question_of,
)
from auditkeep.evidence import slots
from auditkeep.evidence.slots import Every
from auditkeep.ids import GLOBAL_REGION
from auditkeep.mapping import keywords

OPENED = parse("2026-05-01T10:00:00Z")
ONE, TWO, THREE = "111111111111", "222222222222", "333333333333"
HERE = frozenset({"eu-west-1", GLOBAL_REGION})
REACH = Reach(frozenset({"eu-west-1"}))


def look(*keys: str, accounts: Iterable[str] = (ONE,), **members: Any) -> Look:
    given: dict[str, Any] = {
        "reason": Reason("assessment", "a", "1"),
        "regions": HERE,
        "opens_at": OPENED,
    }
    return Look(match_keys=frozenset(keys), accounts=frozenset(accounts), **given | members)


def asked(plan: Plan) -> set[tuple[str, str, str, str]]:
    return {(a, r, d.question.source, d.question.what) for a, r, d in plan.questions()}


def the_duty(plan: Plan) -> Any:
    ((_, _, duty),) = plan.questions()
    return duty


def test_nothing_looks_nothing_is_asked() -> None:
    assert make([], REACH).size == 0
    assert make([look("pinned:a/1", "run:config")], REACH).size == 0


def test_each_source_is_asked_where_it_can_be() -> None:
    plan = make(
        [look("api:ec2_DescribeVpcs", "api:iam_ListUsers", "config:X", "securityhub:IAM.4",
              "ec2:RunInstances", "iam:CreateUser")],
        REACH,
    )  # fmt: skip
    assert asked(plan) == {
        (ONE, "eu-west-1", "AWS_API_Call", "ec2_DescribeVpcs"),
        (ONE, GLOBAL_REGION, "AWS_API_Call", "iam_ListUsers"),
        (ONE, "eu-west-1", "AWS_Config", ""),
        (ONE, "eu-west-1", "AWS_Security_Hub", ""),
        (ONE, "eu-west-1", "AWS_Cloudtrail", ""),
        (ONE, GLOBAL_REGION, "AWS_Cloudtrail", ""),
    }


def test_cloudtrail_is_asked_for_what_is_done_to_config_and_security_hub_themselves() -> None:
    events = ("config:StopConfigurationRecorder", "securityhub:BatchImportFindings")
    assert asked(make([look(*events)], REACH)) == {(ONE, "eu-west-1", "AWS_Cloudtrail", "")}
    both = make([look("config:PutConfigRule", "config:Custom_Mine", "config:IAM_X")], REACH)
    wanted = {d.question.source: d.match_keys for _, _, d in both.questions()}
    assert wanted == {
        "AWS_Cloudtrail": {"config:PutConfigRule"},
        "AWS_Config": {"config:Custom_Mine", "config:IAM_X"},
    }


def test_every_keyword_of_a_source_is_asked_of_that_source() -> None:
    for source in ("AWS_API_Call", "AWS_Cloudtrail", "AWS_Config", "AWS_Security_Hub"):
        listed = keywords.keywords(source)
        found = {k for word in listed for k in keywords.match_keys(source, word)}
        assert {q and q.source for q in map(question_of, found)} == {source}


def test_global_events_are_not_asked_for_twice_where_the_home_region_is_asked_anyway() -> None:
    plan = make(
        [look("ec2:RunInstances", "iam:CreateUser", regions=frozenset({HOME, GLOBAL_REGION}))],
        REACH,
    )
    assert asked(plan) == {(ONE, HOME, "AWS_Cloudtrail", "")}
    assert the_duty(plan).match_keys == {"ec2:RunInstances", "iam:CreateUser"}


def test_a_second_framework_over_the_same_sources_adds_no_question() -> None:
    keys = ("api:ec2_DescribeVpcs", "config:X", "iam:CreateUser")
    first = look(*keys, accounts=(ONE, TWO))
    second = look(*keys, accounts=(TWO, ONE), reason=Reason("assessment", "b", "7"))
    alone, both = make([first], REACH), make([first, second], REACH)
    assert asked(alone) == asked(both)
    duty = both.duty(TWO, "eu-west-1", Question("AWS_Config", ""))
    assert duty is not None
    assert {r.id for r in duty.reasons} == {"a", "b"}


def test_an_account_with_a_list_of_regions_is_asked_there_only() -> None:
    wide = look("api:ec2_DescribeVpcs", "api:iam_ListUsers", accounts=(ONE, TWO), regions=None)
    reach = Reach(
        frozenset({"eu-west-1", "us-east-1"}), {TWO: frozenset({"eu-south-1", "us-east-1"})}
    )
    places = {(a, r) for a, r, _, _ in asked(make([wide], reach))}
    assert places == {
        (ONE, "eu-west-1"), (ONE, "us-east-1"), (ONE, GLOBAL_REGION),
        (TWO, "eu-south-1"), (TWO, "us-east-1"), (TWO, GLOBAL_REGION),
    }  # fmt: skip
    own = look("api:ec2_DescribeVpcs", accounts=(TWO,))
    assert make([own], reach).size == 0


def test_whose_events_a_trail_brings_is_not_asked_for_them() -> None:
    plan = make(
        [look("ec2:RunInstances", "config:X", accounts=(ONE, TWO))],
        Reach(REACH.elsewhere, apart=frozenset({(TWO, "eu-west-1"), (ONE, "us-east-1")})),
    )
    assert {(a, s, w) for a, _, s, w in asked(plan)} == {
        (ONE, "AWS_Cloudtrail", ""), (ONE, "AWS_Config", ""), (TWO, "AWS_Config", ""),
        (TWO, "AWS_Cloudtrail", "trail"),
    }  # fmt: skip
    by_trail = plan.duty(TWO, "eu-west-1", TRAIL)
    assert by_trail is not None
    assert targets.to_ask(by_trail, targets.NEVER_ASKED, Instant(OPENED + DAY), DAY) == []


def test_a_missed_slot_is_caught_up_once() -> None:
    weekly = the_duty(make([look("api:ec2_DescribeVpcs", every="WEEKLY")], REACH))
    anchor = day_from_name("2026-05-02")
    assert weekly.slots_due(None, Day(anchor - 1)) == []
    assert weekly.slots_due(None, anchor) == [anchor]
    assert weekly.slots_due(None, Day(anchor + 3)) == [anchor]
    assert weekly.slots_due(anchor, Day(anchor + 6)) == []
    # three weeks of silence: the last one is asked for, and the first that was missed is told
    assert weekly.slots_due(anchor, Day(anchor + 22)) == [anchor + 21]
    assert weekly.first_missed(anchor, Day(anchor + 21)) == anchor + 7
    assert weekly.first_missed(anchor, Day(anchor + 7)) is None


def test_a_call_that_several_want_is_made_on_the_days_of_either_and_once_a_day() -> None:
    looks = [
        look("api:ec2_DescribeVpcs", every="DAILY", opens_at=Instant(OPENED + 3 * DAY)),
        look("api:ec2_DescribeVpcs", every="WEEKLY"),
    ]
    duty = the_duty(make(looks, REACH))
    weekly = day_from_name("2026-05-02")
    assert duty.slots_due(None, weekly) == [weekly]
    today = Day(weekly + 7)
    assert duty.slots_due(Day(weekly + 6), today) == [today]
    # the weekly slot was missed, and so was the daily one after it
    assert duty.slots_due(Day(weekly + 6), Day(weekly + 8)) == [weekly + 7, weekly + 8]


def test_a_match_key_says_who_is_asked() -> None:
    assert question_of("api:iam_ListUsers") == Question("AWS_API_Call", "iam_ListUsers")
    assert question_of("config:Custom_x:y") == Question("AWS_Config", "")
    assert question_of("signin:ConsoleLogin") == Question("AWS_Cloudtrail", "")
    assert question_of("ConsoleLogin") is None
    assert question_of("pinned:a/1") is None


KEYS = (
    "api:ec2_DescribeVpcs",
    "api:iam_ListUsers",
    "config:X",
    "iam:CreateUser",
    "s3:CreateBucket",
)
some_looks = st.lists(
    st.builds(
        look,
        st.sampled_from(KEYS),
        accounts=st.sets(st.sampled_from((ONE, TWO, THREE)), min_size=1),
        regions=st.none() | st.just(HERE) | st.just(frozenset({HOME, GLOBAL_REGION})),
        opens_at=st.integers(0, 40).map(lambda d: Instant(OPENED + d * DAY)),
        every=st.sampled_from(("DAILY", "WEEKLY", "MONTHLY")),
        reason=st.integers(1, 9).map(lambda n: Reason("assessment", "a", str(n))),
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(looks=some_looks, ahead=st.integers(0, 90))
def test_every_look_is_served_and_nothing_else_is_asked(looks: list[Look], ahead: int) -> None:
    plan = make(looks, Reach(frozenset({"eu-west-1", HOME})))
    served: dict[tuple[str, str, Question], set[tuple[str, str]]] = {}
    days: dict[tuple[str, str, Question], set[Day]] = {}
    today = Day(day_from_name("2026-05-01") + ahead)
    for one in looks:
        (key,) = one.match_keys
        question = question_of(key)
        assert question is not None
        wide = frozenset({"eu-west-1", HOME}) if one.regions is None else one.regions
        nowhere = key in ("api:iam_ListUsers", "iam:CreateUser")
        for account in one.accounts:
            home = key == "iam:CreateUser" and HOME in _asked_in(looks, account)
            for region in {HOME if home else GLOBAL_REGION} if nowhere else wide - {GLOBAL_REGION}:
                place = (account, region, question)
                served.setdefault(place, set()).add((key, one.reason.control))
                last = _latest(one.every, one.opens_at, today)
                if question.scheduled and last is not None:
                    days.setdefault(place, set()).add(last)
    found = {(a, r, d.question): d for a, r, d in plan.questions()}
    assert found.keys() == served.keys()
    for place, duty in found.items():
        assert duty.match_keys == {key for key, _ in served[place]}
        assert {r.control for r in duty.reasons} == {control for _, control in served[place]}
        if place[2].scheduled:
            assert set(duty.slots_due(None, today)) == days.get(place, set())


def _asked_in(looks: list[Look], account: str) -> set[str]:
    """The regions that anything is asked in of an account."""
    found: set[str] = set()
    for one in looks:
        if account in one.accounts:
            found |= {"eu-west-1", HOME} if one.regions is None else one.regions
    return found


def _latest(every: Every, opened: Instant, today: Day) -> Day | None:
    """By walking there from the first slot."""
    day = slots.first(opened)
    if day > today:
        return None
    while (after := slots.following(every, opened, day)) <= today:
        day = after
    return day
