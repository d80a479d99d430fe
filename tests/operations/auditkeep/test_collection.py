"""Coverage, gaps, plan, baseline and backfill, by the boto3 client of Auditkeep's own service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.operations.auditkeep.keeping import Keep
from tests.operations.in_process import Api

from auditkeep.clock import MINUTE, FixedClock, Instant, day_of
from auditkeep.collection import backfills, baseline, gaps, targets
from auditkeep.collection.knowing import Knowing
from auditkeep.collection.looks import Plans
from auditkeep.collection.targets import Missed, Place, Target, Trouble
from auditkeep.db.database import Database
from auditkeep.ids import GLOBAL_REGION, Tenant
from auditkeep.operations.call import Deps

HERE = Place("111122223333", "us-east-1", "AWS_Config")
USERS = {"keywordInputType": "SELECT_FROM_LIST", "keywordValue": "iam_ListUsers"}
MISTYPED = {"keywordInputType": "SELECT_FROM_LIST", "keywordValue": "iam_ListUserz"}


def source(keyword: dict[str, str], kind: str = "AWS_API_Call") -> dict[str, Any]:
    return {"sourceName": keyword["keywordValue"], "sourceType": kind, "sourceKeyword": keyword}


@pytest.fixture
def made(api: Keep) -> str:
    """An assessment of one control that calls, mistypes and reads a trail."""
    client = Api.client(api)
    trail = {"keywordInputType": "SELECT_FROM_LIST", "keywordValue": "ec2_RunInstances"}
    control = api.call(
        client.create_control,
        name="Users",
        controlMappingSources=[source(USERS), source(MISTYPED), source(trail, "AWS_Cloudtrail")],
    )["control"]["id"]
    framework = api.call(
        client.create_assessment_framework,
        name="Ours",
        controlSets=[{"name": "Access", "controls": [{"id": control}]}],
    )["framework"]["id"]
    answer = api.call(
        client.create_assessment,
        name="First",
        assessmentReportsDestination={"destinationType": "S3", "destination": "s3://reports/x"},
        scope={"awsAccounts": [{"id": "111122223333"}]},
        roles=[{"roleType": "PROCESS_OWNER", "roleArn": "arn:aws:iam::111122223333:role/Owner"}],
        frameworkId=framework,
    )
    return str(answer["assessment"]["metadata"]["id"])


def test_coverage_says_why_nothing_arrives_and_what_was_mistyped(api: Keep, made: str) -> None:
    (one,) = api.call(api.client().get_coverage, assessmentId=made)["controls"]
    assert (one["controlName"], one["state"]) == ("Users", "nobody-asks")
    assert (one["expected"], one["answered"]) == (3, 0)
    assert {lack["reason"] for lack in one["lacks"]} == {"nobody-asks"}
    (doubt,) = one["doubts"]
    assert (doubt["keyword"], doubt["suggestions"][0]) == ("iam_ListUserz", "iam_ListUsers")


def test_the_plan_is_what_assessments_and_the_baseline_look_at(
    api: Keep, made: str, deps: Deps
) -> None:
    del made
    client = api.client()
    plan = api.call(client.get_collection_plan)
    assert not plan["asks"]
    assert [(p["source"], p.get("what"), p["frequencies"]) for p in plan["plan"]] == [
        ("AWS_API_Call", "iam_ListUsers", ["DAILY"]),
        ("AWS_API_Call", "iam_ListUserz", ["DAILY"]),
        ("AWS_Cloudtrail", None, []),
    ]
    framework = next(f for f in deps.library.frameworks.values() if "Sample" in f.name)
    kept = api.call(client.put_baseline, frameworkIds=[framework.id], accounts=["444455556666"])
    assert kept["accounts"] == ["444455556666"]
    assert api.call(client.get_baseline)["frameworkIds"] == [framework.id]
    assert api.call(client.get_collection_plan)["questions"] > plan["questions"]
    with pytest.raises(ClientError, match="ResourceNotFound"):
        api.call(client.put_baseline, frameworkIds=["a0000000-0000-4000-8000-000000000000"])


def test_coverage_answers_for_the_baseline_whether_an_assessment_looks_or_not(
    api: Keep, made: str, db: Database, tenant: Tenant, clock: FixedClock
) -> None:
    aws, keep = Api.client(api), api.client()
    framework = api.call(aws.get_assessment, assessmentId=made)["assessment"]["framework"]["id"]
    with pytest.raises(ClientError, match="No framework of the baseline"):
        api.call(keep.get_baseline_coverage, frameworkId=framework)
    api.call(keep.put_baseline, frameworkIds=[framework], accounts=["444455556666"])
    (one,) = api.call(keep.get_baseline_coverage, frameworkId=framework)["controls"]
    assert (one["controlName"], one["state"], one["expected"]) == ("Users", "nobody-asks", 3)
    assert [lack["examples"][0][:12] for lack in one["lacks"]] == ["444455556666"] * 3
    assert [doubt["keyword"] for doubt in one["doubts"]] == ["iam_ListUserz"]
    (seen,) = api.call(keep.get_coverage, assessmentId=made)["controls"]
    assert all(lack["examples"][0][:12] == "111122223333" for lack in seen["lacks"])

    asked = Place("444455556666", GLOBAL_REGION, "AWS_API_Call")
    with db.write(tenant) as tx:
        done = Target(slot=day_of(clock.now()), done_at=clock.now())
        targets.save(tx, asked, {"iam_ListUsers": done})
        (framework_of_it,) = baseline.frameworks(tx, api.deps.library)
        asking = api.deps.settings.model_copy(update={"collect": "aws"})
        knowing = Knowing(tx, Plans(api.deps.library, asking), clock.now())
        (covered,) = knowing.of_framework(framework_of_it)
    assert (covered.expected, covered.answered, covered.last_answer) == (3, 1, clock.now())


def test_the_baseline_s_controls_are_told_in_their_framework_s_order(api: Keep, deps: Deps) -> None:
    keep = api.client()
    framework = next(f for f in deps.library.frameworks.values() if "Sample" in f.name)
    api.call(keep.put_baseline, frameworkIds=[framework.id])
    told = api.call(keep.get_baseline_coverage, frameworkId=framework.id)["controls"]
    listed = [deps.library.controls[c].name for s in framework.sets for c in s.control_ids]
    assert [one["controlName"] for one in told] == listed


def test_a_plan_that_is_remembered_follows_the_controls_and_frameworks_of_the_baseline(
    api: Keep, deps: Deps, db: Database, tenant: Tenant, clock: FixedClock
) -> None:
    aws, keep = Api.client(api), api.client()
    plans = Plans(deps.library, deps.settings)

    def asked() -> list[str]:
        with db.read(tenant) as tx:
            asks = plans.of(tx, clock.now()).questions()
            return sorted({duty.question.what for _, _, duty in asks})

    def control(name: str, keyword: str) -> str:
        sources = [source(USERS | {"keywordValue": keyword})]
        made = api.call(aws.create_control, name=name, controlMappingSources=sources)
        return str(made["control"]["id"])

    users, roles = control("Users", "iam_ListUsers"), control("Roles", "iam_ListRoles")
    sets: list[dict[str, Any]] = [{"name": "Access", "controls": [{"id": users}, {"id": roles}]}]
    ours = api.call(aws.create_assessment_framework, name="Ours", controlSets=sets)["framework"]
    api.call(keep.put_baseline, frameworkIds=[ours["id"]])
    assert asked() == ["iam_ListRoles", "iam_ListUsers"]
    (kept,) = api.call(aws.get_control, controlId=users)["control"]["controlMappingSources"]
    kept["sourceKeyword"]["keywordValue"] = "iam_ListGroups"
    api.call(aws.update_control, controlId=users, name="Groups", controlMappingSources=[kept])
    assert asked() == ["iam_ListGroups", "iam_ListRoles"]
    api.call(aws.delete_control, controlId=roles)
    assert asked() == ["iam_ListGroups"]
    sets[0]["controls"] = [{"id": control("Policies", "iam_ListPolicies")}]
    api.call(aws.update_assessment_framework, frameworkId=ours["id"], name="Ours", controlSets=sets)
    assert asked() == ["iam_ListPolicies"]
    api.call(aws.delete_assessment_framework, frameworkId=ours["id"])
    assert asked() == []


def test_gaps_are_listed_page_by_page(api: Keep, db: Database, tenant: Tenant) -> None:
    with db.write(tenant) as tx:
        for number in range(3):
            missed = Missed(Instant(number * MINUTE), Trouble("denied", "iam:ListUsers", "No."))
            gap = gaps.planned(tenant, HERE, f"config:R{number}", missed, Instant(0))
            gaps.begin(tx, gap)
            if number == 0:
                gaps.close(tx, gap, targets.Ended(Instant(MINUTE), filled=True))
    client = api.client()
    first = api.call(client.list_gaps, maxResults=2)
    rest = api.call(client.list_gaps, maxResults=2, nextToken=first["nextToken"])
    assert [g["what"] for g in (*first["gaps"], *rest["gaps"])] == [
        "config:R0", "config:R1", "config:R2",
    ]  # fmt: skip
    assert first["gaps"][0]["filled"]
    assert "closesAt" not in first["gaps"][1]
    assert [g["what"] for g in api.call(client.list_gaps, open=True)["gaps"]] == [
        "config:R1", "config:R2",
    ]  # fmt: skip


def test_a_backfill_opens_the_lens_and_fetches_where_aws_is_asked(
    api: Keep, made: str, db: Database, tenant: Tenant, clock: FixedClock, deps: Deps
) -> None:
    client = api.client()
    start = datetime(2026, 4, 1, tzinfo=UTC)
    done = api.call(client.start_backfill, assessmentId=made, start=start)
    assert done["controls"] == 1
    assert done["fetches"] == 0
    del clock, deps
    with db.write(tenant) as tx:
        fetch = backfills.Fetch(
            "f", made, HERE, Instant(0), Instant(1), "FAILED", None, 7, "Denied.", Instant(0)
        )
        backfills.save(tx, [fetch])
    (told,) = api.call(client.get_backfill, assessmentId=made)["fetches"]
    assert (told["state"], told["observations"], told["message"]) == ("FAILED", 7, "Denied.")
