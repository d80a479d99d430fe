"""Each quota in the operation that uses it up; two at the last free place; and on the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.operations.in_process import Api
from tests.operations.making import OWNER, ask_for, assessment, framework_of
from tests.threads import at_once

from auditkeep.access.grants import ADMINISTRATOR
from auditkeep.access.principals import Principal
from auditkeep.accounts import quotas
from auditkeep.accounts import store as accounts
from auditkeep.assessments import store as assessment_store
from auditkeep.clock import DAY, SECOND, FixedClock
from auditkeep.db.database import Database
from auditkeep.db.tx import Tx
from auditkeep.errors import AuditkeepError, InvalidRequest, QuotaExceeded
from auditkeep.frameworks import store as library_store
from auditkeep.ids import Tenant, new_id
from auditkeep.operations.auditmanager import assessments, controls, frameworks, manual, sharing
from auditkeep.operations.auditmanager import tags as tag_operations
from auditkeep.operations.call import Call, Deps
from auditkeep.wire.models import auditmanager as am

SOURCE = am.CreateControlMappingSource(
    source_name="trail",
    source_type="AWS_Cloudtrail",
    source_keyword=am.SourceKeyword(keyword_value="iam_CreateUser"),
)


def control(call: Call, *sources: am.CreateControlMappingSource, **members: Any) -> Any:
    ask = am.CreateControlRequest(name="c", control_mapping_sources=sources or (SOURCE,), **members)
    return controls.create_control(call, ask).control


def framework(call: Call) -> Any:
    known = library_store.list_controls(call.tx, call.deps.library, "Custom", limit=1)
    own = known[0].id if known else control(call).id
    ask = am.CreateAssessmentFrameworkRequest(
        name="f",
        control_sets=(
            am.CreateAssessmentFrameworkControlSet(
                name="A", controls=(am.CreateAssessmentFrameworkControl(id=own),)
            ),
        ),
    )
    return frameworks.create_assessment_framework(call, ask).framework


def assess(call: Call) -> Any:
    return assessments.create_assessment(call, ask_for(framework_of(call, {"One": ["a"]})))


PLACES: list[tuple[str, Callable[[Call], Any]]] = [
    ("active-assessments", assess),
    ("custom-controls", control),
    ("custom-frameworks", framework),
]


@pytest.mark.both_databases
@pytest.mark.parametrize(("name", "take"), PLACES, ids=[name for name, _ in PLACES])
def test_of_two_at_the_last_free_place_exactly_one_wins(
    name: str,
    take: Callable[[Call], Any],
    db: Database,
    deps: Deps,
    clock: FixedClock,
    tenant: Tenant,
) -> None:
    who = Principal(
        tenant.account, "alice", f"arn:aws:iam::{tenant.account}:user/alice", (ADMINISTRATOR,), "A"
    )
    with db.write(tenant) as tx:
        accounts.register(tx, None, clock.now())
        call = Call(tx, tenant, who, clock.now(), new_id(), "http://x", deps)
        take(call)
        quotas.save(tx, name, _used(call, name) + 1)
    refused: list[AuditkeepError] = []
    taken: list[Any] = []

    def go() -> None:
        try:
            with db.write(tenant) as tx:
                taken.append(take(Call(tx, tenant, who, clock.now(), new_id(), "http://x", deps)))
        except AuditkeepError as error:
            refused.append(error)

    at_once([go] * 6)
    assert [type(e) for e in refused] == [QuotaExceeded] * 5
    assert len(taken) == 1


def _used(call: Call, name: str) -> int:
    counts: dict[str, Callable[[Tx], int]] = {
        "active-assessments": assessment_store.count_active,
        "custom-controls": library_store.count_controls,
        "custom-frameworks": library_store.count_frameworks,
    }
    return counts[name](call.tx)


def test_one_assessment_may_name_so_many_accounts(call: Call) -> None:
    quotas.save(call.tx, "accounts-per-assessment", 1)
    with pytest.raises(InvalidRequest, match="names 2 accounts; one assessment may have 1") as told:
        assessment(call, accounts=["111122223333", "222222222222"])
    assert [f.name for f in told.value.fields] == ["scope"]
    made = assessment(call)
    with pytest.raises(InvalidRequest, match="names 2 accounts"):
        assessments.update_assessment(
            call,
            am.UpdateAssessmentRequest(
                assessment_id=made["metadata"]["id"],
                scope=am.Scope(
                    aws_accounts=tuple(am.AWSAccount(id=a) for a in ("1" * 12, "2" * 12))
                ),
            ),
        )


def test_an_update_counts_its_accounts_with_those_of_the_others(call: Call) -> None:
    quotas.save(call.tx, "member-accounts", 2)
    assessment(call, accounts=["222222222222"])
    made = assessment(call)
    with pytest.raises(QuotaExceeded, match="3 different accounts"):
        assessments.update_assessment(
            call,
            am.UpdateAssessmentRequest(
                assessment_id=made["metadata"]["id"],
                scope=am.Scope(
                    aws_accounts=tuple(am.AWSAccount(id=a) for a in ("1" * 12, "3" * 12))
                ),
            ),
        )


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("sources-per-control", "AWS_Cloudtrail", "iam_CreateUser"),
        ("common-controls", "Common_Control", "1ukpmkewk4i92tjmhsvewi4y7"),
    ],
)
def test_a_control_may_have_so_many_sources(call: Call, name: str, kind: Any, value: str) -> None:
    quotas.save(call.tx, name, 1)
    source = am.CreateControlMappingSource(
        source_type=kind, source_keyword=am.SourceKeyword(keyword_value=value)
    )
    control(call, source)
    with pytest.raises(InvalidRequest, match="a control may have 1"):
        control(call, source, source)


def test_a_control_takes_so_many_manual_items_a_day(call: Call) -> None:
    quotas.save(call.tx, "manual-items-per-day", 2)
    made = assessment(call)
    answer = manual.batch_import_evidence(
        call,
        am.BatchImportEvidenceToAssessmentControlRequest(
            assessment_id=made["metadata"]["id"],
            control_set_id="Access",
            control_id=made["framework"]["controlSets"][0]["controls"][0]["id"],
            manual_evidence=tuple(am.ManualEvidence(text_response=t) for t in "abc"),
        ),
    )
    (error,) = answer.errors or ()
    assert (error.error_code, "2 manual items" in (error.error_message or "")) == ("429", True)


def test_a_share_request_stays_open_for_so_long(call: Call, elsewhere: Call) -> None:
    quotas.save(call.tx, "share-days", 7)
    ask = am.StartAssessmentFrameworkShareRequest(
        framework_id=framework(call).id,
        destination_account=elsewhere.tenant.account,
        destination_region=elsewhere.tenant.region,
    )
    sent = sharing.start_assessment_framework_share(call, ask).assessment_framework_share_request
    assert sent is not None
    assert sent.expiration_time == (call.now + 7 * DAY) / SECOND


def test_a_resource_has_so_many_tags(call: Call) -> None:
    quotas.save(call.tx, "tags", 1)
    arn = control(call, tags={"a": "1"}).arn
    with pytest.raises(InvalidRequest, match="it may have 1"):
        tag_operations.tag_resource(call, am.TagResourceRequest(resource_arn=arn, tags={"b": "2"}))
    with pytest.raises(InvalidRequest, match="it may have 1"):
        control(call, tags={"a": "1", "b": "2"})


def test_what_is_there_stays_when_a_quota_is_lowered(call: Call) -> None:
    made = assessment(call)
    assessment(call)
    quotas.save(call.tx, "active-assessments", 1)
    with pytest.raises(QuotaExceeded, match="2 ACTIVE assessments, which is the quota of 1"):
        assessment(call)
    ask = am.UpdateAssessmentRequest(
        assessment_id=made["metadata"]["id"],
        assessment_name="renamed",
        scope=am.Scope(aws_accounts=(am.AWSAccount(id=call.tenant.account),)),
    )
    assert assessments.update_assessment(call, ask).assessment is not None


@pytest.mark.parametrize("quota", ["custom-controls", "custom-frameworks", "active-assessments"])
def test_a_client_is_answered_402_with_a_message_alone(
    quota: str, db: Database, deps: Deps, clock: FixedClock, tenant: Tenant
) -> None:
    api = Api(db, deps, clock)
    client = api.client()
    api.call(client.register_account)
    shipped = min(deps.library.frameworks)
    with db.write(tenant) as tx:
        quotas.save(tx, quota, 0)
    asks: dict[str, Callable[[], Any]] = {
        "custom-controls": lambda: api.call(
            client.create_control,
            name="c",
            controlMappingSources=[
                {
                    "sourceName": "s",
                    "sourceSetUpOption": "Procedural_Controls_Mapping",
                    "sourceType": "MANUAL",
                }
            ],
        ),
        "custom-frameworks": lambda: api.call(
            client.create_assessment_framework,
            name="f",
            controlSets=[{"name": "A", "controls": [{"id": min(deps.library.controls)}]}],
        ),
        "active-assessments": lambda: api.call(
            client.create_assessment,
            name="a",
            frameworkId=shipped,
            assessmentReportsDestination={
                "destinationType": "S3",
                "destination": "s3://audit-reports/here",
            },
            scope={"awsAccounts": [{"id": tenant.account}]},
            roles=[{"roleType": "PROCESS_OWNER", "roleArn": OWNER}],
        ),
    }
    with pytest.raises(ClientError) as caught:
        asks[quota]()
    answer = caught.value.response
    assert answer["Error"]["Code"] == "ServiceQuotaExceededException"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 402
    assert "quota of 0" in answer["Error"]["Message"]
    assert isinstance(caught.value, client.exceptions.ServiceQuotaExceededException)
