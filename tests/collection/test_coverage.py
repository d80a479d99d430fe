"""Coverage: what arrives for a control, what does not, and why not."""

from __future__ import annotations

from msgspec.structs import replace
from tests.collection.test_plan import ONE, REACH, TWO, look

from auditkeep.clock import DAY, MINUTE, Instant, day_from_name, parse
from auditkeep.collection import coverage
from auditkeep.collection.coverage import Coverage, Looking
from auditkeep.collection.plan import Look, Reason, make
from auditkeep.collection.targets import Place, PutOff, Target

REASON = Reason("assessment", "a", "1")
HOUR = 60 * MINUTE
NOW = parse("2026-05-03T10:00:00Z")
HERE = "eu-west-1"
VPCS, RULE = "api:ec2_DescribeVpcs", "config:X"
DONE = Target(slot=day_from_name("2026-05-03"), done_at=parse("2026-05-03T00:00:00Z"))
POLLED = Target(done_at=Instant(NOW - HOUR), since=Instant(NOW - HOUR))


def covered(
    looks: list[Look],
    known: dict[tuple[Place, str], Target],
    *,
    now: Instant = NOW,
    asks: bool = True,
) -> Coverage:
    keys = frozenset[str]().union(*(one.match_keys for one in looks))
    control = Looking(REASON, "Ours", keys, ())
    (found,) = coverage.of(
        [control], make(looks, REACH), known, {RULE: NOW}, now, asks=asks, every=HOUR
    )
    return found


def calls(account: str = ONE) -> tuple[Place, str]:
    return Place(account, HERE, "AWS_API_Call"), "ec2_DescribeVpcs"


def rules(account: str = ONE) -> tuple[Place, str]:
    return Place(account, HERE, "AWS_Config"), ""


def test_what_was_answered_lately_enough_is_collecting() -> None:
    found = covered([look(VPCS, RULE)], {calls(): DONE, rules(): POLLED})
    assert (found.state, found.expected, found.answered) == ("collecting", 2, 2)
    assert (found.last_answer, found.last_evidence) == (POLLED.done_at, NOW)
    assert found.lacks == ()


def test_a_denied_account_leaves_the_rest_and_names_the_action() -> None:
    denied = Target(reason="denied", detail="ec2:DescribeVpcs", message="No.", tries=1)
    found = covered([look(VPCS, accounts=(ONE, TWO))], {calls(): DONE, calls(TWO): denied})
    assert (found.state, found.expected, found.answered) == ("partly", 2, 1)
    (lack,) = found.lacks
    assert (lack.reason, lack.detail, lack.what) == (
        "denied",
        "ec2:DescribeVpcs",
        "ec2_DescribeVpcs",
    )
    assert lack.places == (Place(TWO, HERE, "AWS_API_Call"),)


def test_an_account_that_throttles_is_told_as_throttled_in_all_it_would_be_asked() -> None:
    aside = Target(put_off=PutOff("throttled", "", "Too often.", Instant(NOW - MINUTE)))
    opened = Instant(NOW - 5 * MINUTE)
    looking = [look(VPCS, RULE, accounts=(ONE, TWO), opens_at=opened)]
    found = covered(looking, {rules(): aside})
    told = {(lack.reason, place.account) for lack in found.lacks for place in lack.places}
    # the API call is not due before midnight, and the other account is not throttled
    assert told == {("throttled", ONE), ("not-yet", ONE), ("not-yet", TWO)}
    (throttled,) = (lack for lack in found.lacks if lack.reason == "throttled")
    assert (throttled.places, throttled.message) == ((rules()[0],), "Too often.")
    # what was answered lately is answered; what it met long ago is no news
    assert covered([look(RULE)], {rules(): replace(POLLED, put_off=aside.put_off)}).lacks == ()
    (late,) = covered([look(RULE)], {rules(): aside}, now=Instant(NOW + DAY)).lacks
    assert late.reason == "not-running"


def test_what_waits_behind_a_throttled_question_is_told_as_throttled_too() -> None:
    aside = Target(put_off=PutOff("throttled", "", "Too often.", Instant(NOW - MINUTE)))
    unreachable = Target(put_off=PutOff("unreachable", "", "No answer.", Instant(NOW - MINUTE)))
    opened = Instant(NOW - 5 * MINUTE)
    looking = [look("securityhub:IAM.4", RULE, opens_at=opened)]
    assert {lack.reason for lack in covered(looking, {rules(): aside}).lacks} == {"throttled"}
    # another trouble is of one place
    reasons = {lack.reason for lack in covered(looking, {rules(): unreachable}).lacks}
    assert reasons == {"unreachable", "not-yet"}


def test_a_rule_that_is_not_there_is_the_lack_of_controls_that_look_at_it() -> None:
    missing = ("switched-off", "", "No rule is Y.")
    state = Target(done_at=Instant(NOW - HOUR), faults={"config:Y": missing})
    theirs = look("config:Y", reason=Reason("assessment", "a", "2"))
    plan = make([look(RULE), theirs], REACH)
    controls = [
        Looking(REASON, "X", frozenset({RULE}), ()),
        Looking(theirs.reason, "Y", theirs.match_keys, ()),
    ]
    other, found = coverage.of(controls, plan, {rules(): state}, {}, NOW, asks=True, every=HOUR)
    assert other.state == "collecting"
    assert (found.state, found.lacks[0].reason, found.lacks[0].what) == (
        "silent", "switched-off", "config:Y",
    )  # fmt: skip


def test_a_match_key_that_only_stands_in_for_another_lacks_for_who_names_it_alone() -> None:
    own, other = "config:Custom_OrgConfigRule-restricted-ssh", "config:INCOMING_SSH_DISABLED"
    named = look(own, other)
    (duty,) = (d for *_, d in make([named], REACH).questions())
    assert duty.spare == {other}
    alone = look(other, reason=Reason("assessment", "a", "2"))
    plan = make([named, alone], REACH)
    (duty,) = (d for *_, d in plan.questions())
    assert duty.spare == frozenset()
    missing = ("switched-off", "", "No rule is INCOMING_SSH_DISABLED.")
    state = Target(done_at=Instant(NOW - HOUR), faults={other: missing})
    controls = [
        Looking(REASON, "X", named.match_keys, ()),
        Looking(alone.reason, "Y", alone.match_keys, ()),
    ]
    first, second = coverage.of(controls, plan, {rules(): state}, {}, NOW, asks=True, every=HOUR)
    assert (first.state, second.state) == ("collecting", "silent")


def test_a_slot_that_passed_unasked_is_nobody_s_work() -> None:
    old = Target(slot=day_from_name("2026-05-02"), done_at=parse("2026-05-02T00:00:00Z"))
    found = covered([look(VPCS)], {calls(): old})
    assert (found.state, found.lacks[0].reason) == ("silent", "not-running")
    at_once = covered([look(VPCS)], {calls(): old}, now=parse("2026-05-03T00:30:00Z"))
    assert at_once.state == "collecting"


def test_what_is_not_due_yet_waits() -> None:
    opened = look(VPCS, opens_at=Instant(NOW - MINUTE))
    assert covered([opened], {}).state == "waiting"
    assert covered([opened], {}, now=Instant(NOW + DAY)).state == "silent"


def test_who_asks_nobody_is_told_so() -> None:
    found = covered([look(VPCS)], {}, asks=False)
    assert (found.state, found.lacks[0].reason) == ("nobody-asks", "nobody-asks")
    assert covered([look("pinned:a/1")], {}).state == "by-hand"
