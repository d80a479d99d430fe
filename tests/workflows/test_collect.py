"""Collecting: what is due is asked once, kept once, and told when it was not."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.workflows.collect_house import HERE, ONE, TWO, A, House

from auditkeep.clock import DAY, MINUTE, Instant, day_name, iso, parse
from auditkeep.collection import accounts, baseline, coverage, targets, trails
from auditkeep.collection.accounts import Asked
from auditkeep.collection.coverage import Looking
from auditkeep.collection.plan import Reason
from auditkeep.collection.targets import Place
from auditkeep.collection.trails import Progress, Trail
from auditkeep.errors import Overtaken
from auditkeep.evidence import lens
from auditkeep.ids import Tenant
from auditkeep.lake.append import append
from auditkeep.lake.lake import Lake
from auditkeep.sources.pull import (
    Denied,
    Expired,
    Fault,
    Gone,
    Page,
    SwitchedOff,
    Throttled,
    Unreachable,
)
from auditkeep.work.pump import Pump
from auditkeep.workflows.asking import Asking
from auditkeep.workflows.collect import KIND, job_key
from auditkeep.workflows.rounds import Rounds

pytestmark = pytest.mark.keys_elsewhere

USERS, VPCS = "api:iam_ListUsers", "api:ec2_DescribeVpcs"
RULE = "config:RULE"
THREE = "777788889999"
HOUR = 60 * MINUTE


@pytest.fixture
def house(lake: Lake, tenant: Tenant, tmp_path: Path) -> House:
    made = House(lake, tenant, tmp_path)
    made.api.resources = {
        (ONE, "iam_ListUsers"): ["ada", "bob", "eve"],
        (TWO, "iam_ListUsers"): ["zoe"],
        (ONE, "ec2_DescribeVpcs"): ["vpc-1"],
    }
    made.config.resources = {(ONE, ""): ["bucket-1", "bucket-2"], (TWO, ""): ["bucket-9"]}
    return made


def denied(**members: Any) -> Denied:
    return Denied("The role lacks iam:ListUsers.", action="iam:ListUsers", **members)


def spans(house: House) -> list[tuple[str, str, str | None, str, bool]]:
    """The ledger: what, from, to, why, filled."""
    return [
        (
            g.what,
            _at(g.opens_at),
            None if g.closes_at is None else _at(g.closes_at),
            g.reason,
            g.filled,
        )
        for g in house.gaps()
    ]


def slots_asked(house: House) -> list[tuple[str, str]]:
    """Account and day of every slot that was asked for, in that order of days."""
    asked = [(a.account, day_name(a.slot)) for a in house.api.asked if a.slot is not None]
    return sorted(asked, key=lambda one: (one[1], one[0]))


def _at(at: Instant) -> str:
    return iso(at)[5:16]


@pytest.mark.both_databases
def test_a_daily_call_is_made_once_each_midnight_and_is_evidence_of_that_day(house: House) -> None:
    house.look(USERS)
    assert house.collect() == 0
    house.days(3)
    days = ["2026-05-02", "2026-05-03", "2026-05-04"]
    assert house.kept(USERS) == sorted((ONE, n, d) for n in ("ada", "bob", "eve") for d in days)
    assert house.evidence() == days
    assert [a.slot is not None for a in house.api.asked] == [True] * 3
    assert house.gaps() == []


def test_a_second_framework_over_the_same_sources_causes_no_further_call(house: House) -> None:
    house.look(USERS, RULE)
    house.days(1)
    before = (len(house.api.asked), len(house.config.asked))
    house.days(1)
    a_day = (len(house.api.asked) - before[0], len(house.config.asked) - before[1])
    house.look(USERS, RULE, assessment=A.replace("a", "b"), ordinal=7)
    house.collect()
    house.days(1)
    after = (before[0] + 2 * a_day[0], before[1] + 2 * a_day[1])
    assert (len(house.api.asked), len(house.config.asked)) == after


def test_calls_of_several_rhythms_share_their_days(house: House) -> None:
    house.look(USERS, every="WEEKLY")
    house.look(VPCS, every="MONTHLY", ordinal=2)
    house.days(2)
    house.look(USERS, ordinal=3)
    house.days(14)
    slots = [a.slot for a in house.api.asked if a.what == "iam_ListUsers"]
    assert len(slots) == len(set(slots))
    assert house.evidence(1) == ["2026-05-02", "2026-05-09", "2026-05-16"]
    assert house.evidence(2) == ["2026-05-02"]
    assert len(house.evidence(3)) == 14


def test_the_first_look_at_a_state_is_evidence_of_the_moment_a_lens_opens(house: House) -> None:
    house.look(RULE)
    house.collect()
    assert house.evidence() == ["2026-05-01"]
    assert [a.at for a in house.config.asked] == [house.clock.now()]
    house.until(Instant(house.clock.now() + 3 * HOUR))
    assert [a.at for a in house.config.asked[1:]] == [None] * 3
    assert [a.since for a in house.config.asked[1:3]] == [
        a.at or a.since for a in house.config.asked[:1]
    ] + [parse("2026-05-01T13:00:00Z")]
    house.look(RULE, ordinal=2)
    house.until(Instant(house.clock.now() + HOUR))
    assert house.config.asked[-1].at == house.clock.now()
    assert house.evidence(2) == ["2026-05-01"]


def test_events_are_asked_for_from_the_moment_the_first_lens_opened(house: House) -> None:
    house.look("ec2:RunInstances")
    opened = house.clock.now()
    house.clock.advance(5 * MINUTE)
    house.collect()
    house.until(Instant(opened + HOUR))
    assert [(a.at, a.since) for a in house.trail.asked] == [
        (None, opened),
        (None, Instant(opened + 5 * MINUTE)),
    ]


def test_a_missed_slot_is_caught_up_once_and_what_cannot_be_had_is_a_gap(house: House) -> None:
    house.look(USERS, every="WEEKLY")
    house.look(VPCS, ordinal=2)
    house.days(1)
    house.clock.at = parse("2026-05-11T09:30:00Z")
    house.restart()
    house.collect()
    house.collect()
    assert house.evidence(1) == ["2026-05-02", "2026-05-09"]
    assert house.evidence(2) == ["2026-05-02", "2026-05-11"]
    assert spans(house) == [
        ("ec2_DescribeVpcs", "05-03T00:00", "05-11T00:00", "not-running", False)
    ]


def test_an_account_that_leaves_before_the_day_s_jobs_costs_the_others_nothing(
    house: House,
) -> None:
    house.look(USERS, accounts=(ONE, TWO))
    house.days(1)
    house.clock.at = parse("2026-05-03T00:03:00Z")
    house.look_no_more()
    house.look(USERS, accounts=(ONE, THREE))
    house.collect()
    # not the one that left, and not the one that has come in: its first slot is tomorrow's
    assert slots_asked(house) == [(ONE, "2026-05-02"), (TWO, "2026-05-02"), (ONE, "2026-05-03")]
    assert house.gaps() == []
    assert house.evidence() == ["2026-05-02", "2026-05-03"]
    house.days(1)
    assert slots_asked(house)[3:] == [(ONE, "2026-05-04"), (THREE, "2026-05-04")]


def test_a_weekday_stays_what_it_was_when_a_scope_changes(house: House) -> None:
    opened = house.clock.now()
    house.look(USERS, every="WEEKLY")  # 1 May: the first slot is Saturday the 2nd
    house.days(5)
    house.look_no_more()
    house.look(USERS, every="WEEKLY", anchor=opened)
    house.days(16)
    days = ["2026-05-02", "2026-05-09", "2026-05-16"]
    assert slots_asked(house) == [(ONE, day) for day in days]
    assert house.evidence() == days
    assert house.gaps() == []


def test_a_slot_that_passed_while_nobody_looked_is_not_asked_for(house: House) -> None:
    opened = house.clock.now()
    house.look(USERS, every="WEEKLY")
    house.days(5)
    house.look_no_more()  # as a control that is INACTIVE over its slot
    house.days(5)
    house.look(USERS, every="WEEKLY", anchor=opened)
    house.days(6)
    assert slots_asked(house) == [(ONE, "2026-05-02"), (ONE, "2026-05-16")]
    assert house.gaps() == []


def test_a_slot_that_is_made_late_leaves_no_gap(house: House) -> None:
    house.look(USERS)
    house.clock.at = parse("2026-05-02T17:00:00Z")
    house.collect()
    assert house.evidence() == ["2026-05-02"]
    assert house.gaps() == []


def test_a_denied_call_is_a_gap_that_names_the_action_and_holds_nothing_else(house: House) -> None:
    house.look(USERS, VPCS, accounts=(ONE, TWO))
    house.api.troubles[ONE, "iam_ListUsers"] = [denied() for _ in range(26)]
    house.days(1)
    assert house.kept(VPCS, USERS) == [(ONE, "vpc-1", "2026-05-02"), (TWO, "zoe", "2026-05-02")]
    (gap,) = house.gaps()
    assert (gap.place.account, gap.reason, gap.detail) == (ONE, "denied", "iam:ListUsers")
    assert house.told == [("iam_ListUsers", True)]
    house.days(2)
    assert spans(house) == [("iam_ListUsers", "05-02T00:00", "05-03T00:00", "denied", False)]
    assert house.told == [("iam_ListUsers", True), ("iam_ListUsers", False)]
    assert house.evidence() == ["2026-05-02", "2026-05-03", "2026-05-04"]


def test_what_is_granted_the_same_day_fills_its_gap(house: House) -> None:
    house.look(USERS)
    house.api.troubles[ONE, "iam_ListUsers"] = [denied(), denied()]
    house.until(parse("2026-05-02T05:00:00Z"))
    assert spans(house) == [("iam_ListUsers", "05-02T00:00", "05-02T02:00", "denied", True)]
    assert house.evidence() == ["2026-05-02"]


def test_a_failure_goes_on_behind_the_pages_that_are_kept(house: House) -> None:
    house.look(USERS)
    house.api.troubles[ONE, "iam_ListUsers"] = [None, Unreachable("No answer.")]
    house.until(parse("2026-05-02T00:00:00Z"))
    assert [n for _, n, _ in house.kept(USERS)] == ["ada", "bob"]
    house.clock.advance(MINUTE)
    house.pump.drain()
    assert [n for _, n, _ in house.kept(USERS)] == ["ada", "bob", "eve"]
    assert house.api.pages == 2
    (run,) = house.runs()
    (asked,) = run["asked"]
    assert asked["counts"]["observations"] == asked["countedBySource"] == 3
    assert asked["counts"]["pages"] == 2
    assert house.gaps() == []


def test_an_account_that_throttles_waits_alone_and_is_a_gap_in_the_end(house: House) -> None:
    house.look(USERS, RULE, accounts=(ONE, TWO))
    house.api.troubles[ONE, "iam_ListUsers"] = [Throttled("Too often.") for _ in range(8)]
    house.until(parse("2026-05-02T00:00:00Z"))
    assert house.clients.slowed == 1
    assert (TWO, "zoe", "2026-05-02") in house.kept(USERS)
    for _ in range(40):
        house.clock.advance(MINUTE)
        house.pump.drain()
    assert house.clients.slowed == 8
    assert [(g.place.account, g.reason) for g in house.gaps()] == [(ONE, "throttled")]
    house.until(parse("2026-05-02T02:00:00Z"))
    assert [(g.reason, g.filled) for g in house.gaps()] == [("throttled", True)]
    assert len(house.kept(USERS)) == 4


def test_why_an_account_is_put_off_is_known_until_it_answers(house: House) -> None:
    house.look(USERS)
    house.api.troubles[ONE, "iam_ListUsers"] = [Throttled("Too often.")]
    house.until(parse("2026-05-02T00:00:00Z"))
    assert [why and (why.reason, why.message) for why in put_off(house)] == [
        ("throttled", "Too often.")
    ]
    house.clock.advance(MINUTE)
    house.pump.drain()
    assert put_off(house) == [None]
    assert len(house.kept(USERS)) == 3


def put_off(house: House) -> list[targets.PutOff | None]:
    with house.lake.db.read(house.tenant) as tx:
        return [state.put_off for state in targets.every(tx).values()]


def test_credentials_that_ended_are_renewed_once(house: House) -> None:
    house.look(USERS)
    house.api.troubles[ONE, "iam_ListUsers"] = [Expired("Over.")]
    house.days(1)
    assert house.clients.renewed == 1
    assert house.gaps() == []
    house.api.troubles[ONE, "iam_ListUsers"] = [Expired("Over.") for _ in range(2)]
    house.until(parse("2026-05-03T00:00:00Z"))
    assert [g.reason for g in house.gaps()] == ["expired"]


def test_an_account_that_is_gone_is_asked_nothing_more_that_round(house: House) -> None:
    house.look(USERS, "api:iam_ListRoles", accounts=(ONE, TWO))
    house.api.troubles[ONE, "iam_ListRoles"] = [Gone("Closed.")]
    house.until(parse("2026-05-02T00:00:00Z"))
    assert sorted((g.place.account, g.what) for g in house.gaps()) == [
        (ONE, "iam_ListRoles"),
        (ONE, "iam_ListUsers"),
    ]
    assert [a.what for a in house.api.asked if a.account == ONE] == ["iam_ListRoles"]


def test_an_account_that_leaves_ends_its_gaps(house: House) -> None:
    house.look(RULE, accounts=(ONE, TWO))
    off = SwitchedOff("No recorder.", feature="config-recorder")
    house.config.troubles[TWO, ""] = [off] * 100
    house.days(1)
    assert [(g.place.account, g.closes_at, g.detail) for g in house.gaps()] == [
        (TWO, None, "config-recorder")
    ]
    with house.lake.db.write(house.tenant) as tx:
        lens.close(tx, A, house.clock.now())
    house.look(RULE, ordinal=2)
    house.collect()
    assert [(g.place.account, g.closes_at) for g in house.gaps()] == [(TWO, house.clock.now())]


def test_a_resource_that_cannot_be_asked_about_is_a_gap_but_the_others_are_kept(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.look(USERS)
    house.api.faults["bob"] = Fault("bob", "denied", "bob is denied.", "iam:GetUser")
    house.until(parse("2026-05-02T00:00:00Z"))
    assert len(house.kept(USERS)) == 3
    assert [(g.reason, g.detail) for g in house.gaps()] == [("denied", "iam:GetUser")]
    (run,) = house.runs()
    assert run["outcome"] == "partial"
    assert run["asked"][0]["faults"][0]["resource"] == "bob"
    (warned,) = [one.getMessage() for one in caplog.records if one.name == "auditkeep.collect"]
    assert warned.endswith("/AWS_API_Call/iam_ListUsers: bob is denied.")


@pytest.mark.parametrize("other", ["bob", "eve"])
def test_two_resources_of_one_name_are_a_gap_and_never_pass_in_silence(
    house: House, other: str
) -> None:
    """Told on one page, or on two."""
    house.look(USERS)
    house.api.called[other] = "ada"
    house.until(parse("2026-05-02T00:00:00Z"))
    assert len(house.kept(USERS)) == 2
    assert [(g.reason, g.closes_at) for g in house.gaps()] == [("contradicted", None)]
    (run,) = house.runs()
    assert run["outcome"] == "partial"
    (asked,) = run["asked"]
    assert asked["counts"]["conflicts"] == 1
    assert asked["outcome"] == "partial"
    assert "say otherwise" in asked["faults"][0]["message"]
    now = house.clock.now()
    looking = Looking(Reason("assessment", A, "1"), "a", frozenset({USERS}), ())
    with house.lake.db.read(house.tenant) as tx:
        plan, known = house.collector.plans.of(tx, now), targets.every(tx)
    (told,) = coverage.of([looking], plan, known, {}, now, asks=True, every=house.collector.every)
    assert told.state == "silent"
    assert [lack.reason for lack in told.lacks] == ["contradicted"]
    house.api.called.clear()
    house.days(1)
    assert all(g.closes_at is not None for g in house.gaps())


def test_a_source_that_tells_one_fact_in_two_ways_makes_no_gap(house: House) -> None:
    house.look(RULE)
    house.config.called["bucket-2"] = "bucket-1"
    house.collect()
    assert len(house.kept(RULE)) == 1
    assert house.gaps() == []


def test_a_paused_account_is_asked_nothing(house: House) -> None:
    with house.lake.db.write(house.tenant) as tx:
        accounts.put(tx, Asked(account=ONE, paused=True))
    house.look(USERS)
    house.days(1)
    assert house.api.asked == []
    assert [g.reason for g in house.gaps()] == ["paused"]


def test_an_account_is_asked_as_the_role_that_was_chosen(house: House) -> None:
    with house.lake.db.write(house.tenant) as tx:
        accounts.put(tx, Asked(account=TWO, role="Other", external_id="abc"))
    house.look(USERS, accounts=(ONE, TWO))
    house.days(1)
    assert {(w.arn, w.external_id) for w in house.who} == {
        (f"arn:aws:iam::{ONE}:role/AuditkeepCollector", ""),
        (f"arn:aws:iam::{TWO}:role/Other", "abc"),
    }


def test_one_account_may_tell_of_all_accounts_events(house: House) -> None:
    house.trail.resources[ONE, ""] = ["e1"]
    house.trail.resources[TWO, ""] = ["e2"]
    house.collector = replace(house.collector, asked_elsewhere={"AWS_Cloudtrail": THREE})
    house.rounds = Rounds(house.collector)
    house.pump = Pump(house.jobs, {KIND: Asking(house.collector).handler()}, house.clock, threads=1)
    house.look("ec2:RunInstances", RULE, accounts=(ONE, TWO))
    house.collect()
    assert {(w.account, w.role) for w in house.who} == {
        (THREE, "AuditkeepCollector"), (ONE, "AuditkeepCollector"), (TWO, "AuditkeepCollector"),
    }  # fmt: skip
    assert [(a, n) for a, n, _ in house.kept("ec2:RunInstances")] == [(ONE, "e1"), (TWO, "e2")]
    told = {(r["caller"].split(":")[4], r["source"]) for r in house.runs()}
    assert told == {
        (THREE, "AWS_Cloudtrail"), (ONE, "AWS_Config"), (TWO, "AWS_Config"),
    }  # fmt: skip


def test_what_a_trail_brings_is_not_asked_for_until_it_fails(house: House) -> None:
    house.trail.resources[ONE, ""] = ["e1"]
    house.look("ec2:RunInstances", accounts=(ONE, TWO))
    tell = Trail(name="main", bucket="central-logs")
    place = f"AWSLogs/o-exampleorg/{TWO}/CloudTrail/{HERE}/"
    read = Progress(read_from=Instant(1), read_to=house.clock.now())
    with house.lake.db.write(house.tenant) as tx:
        trails.save(tx, tell, house.clock.now())
        trails.keep_progress(tx, "main", place, read, house.clock.now())
    house.collect()
    assert {a.account for a in house.trail.asked} == {ONE}
    assert covered(house) == ("collecting", 2, 2)
    house.clock.at = Instant(house.clock.at + 4 * HOUR)
    house.collect()
    # nobody has read it for four hours
    assert covered(house) == ("partly", 2, 1)
    with house.lake.db.write(house.tenant) as tx:
        trails.fail(tx, "main", "denied: The role lacks s3:ListBucket.", house.clock.now())
    house.collect()
    assert {a.account for a in house.trail.asked} == {ONE, TWO}
    assert covered(house) == ("collecting", 2, 2)
    with house.lake.db.write(house.tenant) as tx:
        trails.save(tx, msgspec.structs.replace(tell, partial=True), house.clock.now())
        trails.keep_progress(tx, "main", place, read, house.clock.now())
        assert trails.brought(tx) == frozenset()


def covered(house: House) -> tuple[str, int, int]:
    """The coverage of the one control that looks."""
    looking = Looking(Reason("assessment", A, "1"), "a", frozenset({"ec2:RunInstances"}), ())
    now = house.clock.now()
    with house.lake.db.read(house.tenant) as tx:
        plan = house.collector.plans.of(tx, now)
        known = {**targets.every(tx), **trails.states(tx, now)}
    (one,) = coverage.of([looking], plan, known, {}, now, asks=True, every=house.collector.every)
    return one.state, one.expected, one.answered


def test_a_baseline_is_asked_for_without_any_assessment(house: House) -> None:
    with house.lake.db.write(house.tenant) as tx:
        baseline.put(tx, house.library, [], [], house.clock.now())
    house.days(1)
    assert house.api.asked == []


def test_a_run_says_who_asked_whom_for_what(house: House) -> None:
    house.look(USERS)
    house.days(1)
    (run,) = house.runs()
    assert run["role"] == f"arn:aws:iam::{ONE}:role/AuditkeepCollector"
    assert run["caller"] == f"arn:aws:sts::{ONE}:assumed-role/AuditkeepCollector/auditkeep"
    assert (run["account"], run["region"], run["source"]) == (ONE, "aws-global", "AWS_API_Call")
    assert run["outcome"] == "completed"
    assert run["software"].startswith("auditkeep/")
    (asked,) = run["asked"]
    assert asked["calls"] == {"made:List": 2}
    assert asked["parameters"] == {"made:List": {"Max": 2}}
    assert asked["slot"] == "2026-05-02"


def test_every_account_s_first_job_is_due_before_anybody_s_second(house: House) -> None:
    house.look(USERS, VPCS, accounts=(ONE, TWO))
    house.clock.at = parse("2026-05-02T00:00:00Z")
    house.rounds.queue()
    order = []
    while (job := house.jobs.claim(["collect"], Instant(house.clock.now() + DAY))) is not None:
        order.append(job.key.split("/")[0])
        house.jobs.finish(job, house.clock.now())
    assert order == [ONE, TWO, ONE, TWO]


@pytest.mark.both_databases
def test_whoever_takes_over_from_a_dead_worker_keeps_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.look(USERS, VPCS, RULE, accounts=(ONE, TWO))
    house.clock.at = parse("2026-05-02T00:00:00Z")
    deaths, left = 0, [0]

    def dying(*args: Any, **members: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise SystemExit
        return append(*args, **members)

    monkeypatch.setattr("auditkeep.workflows.pages.append", dying)
    for left[0] in [0, 1, 2, 1, 0, 3, 1000]:
        with contextlib.suppress(SystemExit):
            deaths += 1
            house.collect()
            deaths -= 1
        house.clock.advance(2 * MINUTE)  # until its lease is over
        house.restart()
    assert deaths == 6
    assert len(house.kept(USERS)) == 4
    assert len(house.kept(VPCS)) == 1
    assert len(house.kept(RULE)) == 3
    assert house.gaps() == []
    runs = house.runs()
    assert len({r["run"] for r in runs}) == len(runs)
    kept = sum(a["counts"]["observations"] for r in runs for a in r["asked"])
    assert kept == 8


@pytest.mark.both_databases
def test_a_run_that_was_overtaken_keeps_nothing_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.look(RULE)
    asking = Asking(house.collector)
    key = job_key(Place(ONE, HERE, "AWS_Config"), "2026-05-01T12:00Z")
    get = house.config.get
    stalled: list[Page] = []

    def stall(*asked: Any) -> Any:
        """The first to ask falls silent behind its first page, and another does all of it."""
        for number, page in enumerate(get(*asked)):
            if number and not stalled:
                stalled.append(page)
                house.clock.at = Instant(house.clock.at + 5 * MINUTE)
                asking.run(house.tenant, key)
            yield page

    monkeypatch.setattr(house.config, "get", stall)
    house.config.resources[ONE, ""] = ["bucket-1", "bucket-2", "bucket-3"]
    with pytest.raises(Overtaken):
        asking.run(house.tenant, key)
    assert [name for _, name, _ in house.kept(RULE)] == ["bucket-1", "bucket-2", "bucket-3"]
    asking.run(house.tenant, key)
    assert len(house.config.asked) == 2
