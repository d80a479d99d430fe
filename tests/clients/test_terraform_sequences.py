"""Terraform's provider, request by request, against a served process (spec section 11).

The provider itself is written in Go and cannot be had here, so each resource below sends what its
create, read, update and delete send, and takes from the answers what the provider takes. What the
provider would call drift or an inconsistent result is an assertion: a plan after an apply is empty,
ids stay, one delegation per role and set, and the texts and error types that it matches on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.e2e.conftest import ACCOUNT, Running, auditkeep

pytestmark = pytest.mark.server

DESTINATION = {"destinationType": "S3", "destination": f"s3://tf-reports-{ACCOUNT}"}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/terraform-owner"
EXPERT = f"arn:aws:iam::{ACCOUNT}:role/terraform-expert"
OTHER = "999988887777"
MISSING = "00000000-0000-4000-8000-000000000000"
MANUAL = {
    "sourceName": "Example",
    "sourceSetUpOption": "Procedural_Controls_Mapping",
    "sourceType": "MANUAL",
}
CONFIG = {
    "sourceName": "Rule",
    "sourceSetUpOption": "System_Controls_Mapping",
    "sourceType": "AWS_Config",
    "sourceKeyword": {
        "keywordInputType": "SELECT_FROM_LIST",
        "keywordValue": "IAM_PASSWORD_POLICY",
    },
}
Config = dict[str, Any]


@pytest.fixture(scope="module")
def am(server: Running) -> Any:
    client = server.client()
    client.register_account()
    return client


def error_of(call: Callable[..., Any], /, **ask: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**ask)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def gone(call: Callable[..., Any], /, **ask: Any) -> bool:
    """A delete of what is not there: the provider takes exactly this for success."""
    return error_of(call, **ask)[0] == "ResourceNotFoundException"


def everything(call: Callable[..., Any], member: str, /, **ask: Any) -> Iterator[Any]:
    """All pages of a list, one entry a page: what the provider's paginators do, at its worst."""
    token: dict[str, str] = {}
    while True:
        answer = call(maxResults=1, **ask, **token)
        yield from answer[member]
        if "nextToken" not in answer:
            return
        token = {"nextToken": answer["nextToken"]}


def unchanged(config: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Whether a plan is empty: an optional argument that is not set must be absent when read."""
    return all(state.get(name) == value for name, value in config.items())


# --- aws_auditmanager_account_registration -----------------------------------------------------


def test_account_registration(server: Running) -> None:
    client = server.client(region="eu-central-1")
    assert client.get_account_status()["status"] == "INACTIVE"
    # sweepers and readers of other resources stop at this error and call the region not set up
    assert error_of(client.list_assessments)[0] == "AccessDeniedException"
    assert client.register_account()["status"] == "ACTIVE"
    assert client.get_account_status()["status"] == "ACTIVE"
    # an update is the same request once more, with what has changed
    key = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/{MISSING}"
    # nobody here has such a key
    assert error_of(client.register_account, kmsKey=key)[0] == "ValidationException"
    assert client.get_settings(attribute="ALL")["settings"]["kmsKey"] == "DEFAULT"
    assert client.register_account(kmsKey="DEFAULT")["status"] == "ACTIVE"
    assert client.deregister_account()["status"] == "INACTIVE"
    assert client.get_account_status()["status"] == "INACTIVE"


# --- aws_auditmanager_control ------------------------------------------------------------------


def create_control(am: Any, config: Config) -> Config:
    made = am.create_control(**config)["control"]
    # "planned set element does not correlate": nothing may have been invented
    for sent, kept in zip(
        config["controlMappingSources"], made["controlMappingSources"], strict=True
    ):
        assert kept == {**sent, "sourceId": kept["sourceId"]}
    return read_control(am, made["id"])


def read_control(am: Any, control_id: str) -> Config:
    found: Config = am.get_control(controlId=control_id)["control"]
    assert found["arn"].endswith(f":{ACCOUNT}:control/{control_id}")
    assert found["type"] == "Custom"
    return found


def without_ids(sources: list[Config]) -> list[Config]:
    return [{k: v for k, v in s.items() if k != "sourceId"} for s in sources]


OPTIONAL = ("description", "testingInformation", "actionPlanTitle", "actionPlanInstructions")


@pytest.mark.parametrize(
    "sources",
    [[MANUAL], [CONFIG], [CONFIG, MANUAL],
     [{**MANUAL, "sourceDescription": "d", "troubleshootingText": "t"}],
     [{"sourceName": "calls", "sourceSetUpOption": "System_Controls_Mapping",
       "sourceType": "AWS_API_Call", "sourceFrequency": "WEEKLY",
       "sourceKeyword": {"keywordInputType": "SELECT_FROM_LIST", "keywordValue": "iam_ListUsers"}}],
     ],
    ids=["manual", "config", "both", "all texts", "api call with a frequency"],
)  # fmt: skip
def test_control(am: Any, sources: list[Config]) -> None:
    config: Config = {"name": "tf control", "controlMappingSources": sources}
    state = create_control(am, config)
    assert not state.keys() & set(OPTIONAL)
    assert without_ids(state["controlMappingSources"]) == sources
    # an update sends each source with its id, and all texts that are set
    ids = [s["sourceId"] for s in state["controlMappingSources"]]
    am.update_control(
        controlId=state["id"], name="renamed", description="d",
        controlMappingSources=state["controlMappingSources"],
    )  # fmt: skip
    read = read_control(am, state["id"])
    assert (read["name"], read["description"]) == ("renamed", "d")
    assert [s["sourceId"] for s in read["controlMappingSources"]] == ids
    assert read["arn"] == state["arn"]
    # a text taken out of the configuration is not sent, and gone
    am.update_control(
        controlId=state["id"], name="renamed",
        controlMappingSources=read["controlMappingSources"],
    )  # fmt: skip
    assert not read_control(am, state["id"]).keys() & set(OPTIONAL)
    # the data source looks for the exact name, then reads
    (found,) = [
        c for c in everything(am.list_controls, "controlMetadataList", controlType="Custom")
        if c["id"] == state["id"]
    ]  # fmt: skip
    assert (found["name"], found["arn"]) == ("renamed", state["arn"])
    am.delete_control(controlId=state["id"])
    assert gone(am.delete_control, controlId=state["id"])
    assert gone(am.get_control, controlId=state["id"])


def test_tags_are_changed_in_two_requests(am: Any) -> None:
    config: Config = {
        "name": "tagged", "controlMappingSources": [MANUAL], "tags": {"a": "1", "b": "2"},
    }  # fmt: skip
    state = create_control(am, config)
    assert state["tags"] == config["tags"]
    wanted = {"b": "3", "c": "4"}
    am.untag_resource(resourceArn=state["arn"], tagKeys=["a"])
    am.tag_resource(resourceArn=state["arn"], tags={"b": "3", "c": "4"})
    assert read_control(am, state["id"])["tags"] == wanted
    assert am.list_tags_for_resource(resourceArn=state["arn"])["tags"] == wanted
    am.untag_resource(resourceArn=state["arn"], tagKeys=["b", "c"])
    assert "tags" not in read_control(am, state["id"])
    am.delete_control(controlId=state["id"])


# --- aws_auditmanager_framework ----------------------------------------------------------------


def made_framework(am: Any, *sets: str) -> tuple[Config, str]:
    control = create_control(am, {"name": "c", "controlMappingSources": [MANUAL]})
    chosen = [{"name": name, "controls": [{"id": control["id"]}]} for name in sets]
    framework = am.create_assessment_framework(name="tf framework", controlSets=chosen)["framework"]
    return framework, control["id"]


def test_framework(am: Any) -> None:
    made, control = made_framework(am, "Identity / people", "Storage")
    read = am.get_assessment_framework(frameworkId=made["id"])["framework"]
    assert read == made
    assert not read.keys() & {"description", "complianceType", "logo", "tags"}
    assert read["arn"].endswith(f":{ACCOUNT}:assessmentFramework/{made['id']}")
    ids = [s["id"] for s in read["controlSets"]]
    assert [[c["id"] for c in s["controls"]] for s in read["controlSets"]] == [[control]] * 2
    renamed = [
        {"id": ids[0], "name": "People", "controls": [{"id": control}]},
        {"id": ids[1], "name": "Storage", "controls": [{"id": control}]},
    ]
    am.update_assessment_framework(
        frameworkId=made["id"], name="renamed", complianceType="TF", controlSets=renamed
    )
    read = am.get_assessment_framework(frameworkId=made["id"])["framework"]
    assert [(s["id"], s["name"]) for s in read["controlSets"]] == [
        (ids[0], "People"), (ids[1], "Storage"),
    ]  # fmt: skip
    assert unchanged({"name": "renamed", "complianceType": "TF", "arn": made["arn"]}, read)
    (found,) = [
        f
        for f in everything(
            am.list_assessment_frameworks, "frameworkMetadataList", frameworkType="Custom"
        )
        if f["id"] == made["id"]
    ]
    assert (found["name"], found["controlSetsCount"]) == ("renamed", 2)
    am.delete_assessment_framework(frameworkId=made["id"])
    assert gone(am.delete_assessment_framework, frameworkId=made["id"])


# --- aws_auditmanager_assessment ---------------------------------------------------------------


def made_assessment(am: Any, **config: Any) -> Config:
    framework, _ = made_framework(am, "Access")
    ask: Config = {
        "name": "tf assessment",
        "assessmentReportsDestination": DESTINATION,
        "frameworkId": framework["id"],
        "roles": [{"roleArn": ROLE, "roleType": "PROCESS_OWNER"}],
        "scope": {"awsAccounts": [{"id": ACCOUNT}]},
    }
    made: Config = am.create_assessment(**{**ask, **config})["assessment"]
    return made


def read_assessment(am: Any, assessment_id: str) -> Config:
    found: Config = am.get_assessment(assessmentId=assessment_id)["assessment"]
    return found


def test_assessment(am: Any) -> None:
    # create is sent again for two minutes while it answers that something is not found
    assert gone(made_assessment, am=am, frameworkId=MISSING)
    made = made_assessment(am)
    assessment_id = made["metadata"]["id"]
    read = read_assessment(am, assessment_id)
    data = read["metadata"]
    assert read["arn"].endswith(f":{ACCOUNT}:assessment/{assessment_id}")
    assert data["status"] == "ACTIVE"
    assert "description" not in data
    # `roles` are those of the configuration; the caller is only in `roles_all`
    everybody = [r["roleArn"] for r in data["roles"]]
    assert everybody == [ROLE, f"arn:aws:iam::{ACCOUNT}:user/admin"]
    assert data["scope"] == {"awsAccounts": [{"id": ACCOUNT}], "awsServices": []}
    assert data["assessmentReportsDestination"] == DESTINATION
    # an update sends name, destination, roles and scope always
    for name in ("renamed", "renamed"):
        am.update_assessment(
            assessmentId=assessment_id, assessmentName=name,
            assessmentReportsDestination=DESTINATION, assessmentDescription="d",
            roles=[{"roleArn": ROLE, "roleType": "PROCESS_OWNER"}],
            scope={"awsAccounts": [{"id": ACCOUNT}]},
        )  # fmt: skip
    data = read_assessment(am, assessment_id)["metadata"]
    assert (data["name"], data["description"]) == ("renamed", "d")
    assert [r["roleArn"] for r in data["roles"]] == everybody
    am.delete_assessment(assessmentId=assessment_id)
    assert gone(am.delete_assessment, assessmentId=assessment_id)
    assert gone(am.get_assessment, assessmentId=assessment_id)


def test_tags_of_an_assessment_are_its_own(am: Any) -> None:
    made = made_assessment(am, tags={"a": "1"})
    assert made["tags"] == {"a": "1"}
    am.untag_resource(resourceArn=made["arn"], tagKeys=["a"])
    assert read_assessment(am, made["metadata"]["id"]).get("tags", {}) == {}
    am.delete_assessment(assessmentId=made["metadata"]["id"])


# --- aws_auditmanager_assessment_delegation ----------------------------------------------------


def create_delegation(am: Any, assessment_id: str, set_id: str) -> str:
    asked = {"controlSetId": set_id, "roleArn": EXPERT, "roleType": "RESOURCE_OWNER"}
    answer = am.batch_create_delegation_by_assessment(
        assessmentId=assessment_id, createDelegationRequests=[asked]
    )
    assert not answer["errors"], answer
    # AssertSingleValueResult, over all that the answer lists
    (mine,) = [
        d for d in answer["delegations"]
        if d["roleArn"].lower() == EXPERT.lower() and d["controlSetId"] == set_id
    ]  # fmt: skip
    return str(mine["id"])


def find_delegation(am: Any, assessment_id: str, set_id: str) -> Config | None:
    found = [
        d for d in everything(am.get_delegations, "delegations")
        if (d["assessmentId"], d["roleArn"], d["controlSetName"]) == (assessment_id, EXPERT, set_id)
    ]  # fmt: skip
    assert len(found) <= 1
    return found[0] if found else None


def test_delegation(am: Any) -> None:
    assert gone(create_delegation, am=am, assessment_id=MISSING, set_id="Access")
    made = made_assessment(am)
    assessment_id, set_id = made["metadata"]["id"], made["framework"]["controlSets"][0]["id"]
    delegation_id = create_delegation(am, assessment_id, set_id)
    for _ in range(2):
        found = find_delegation(am, assessment_id, set_id)
        assert found is not None
        assert found["id"] == delegation_id  # stable, unlike AWS's
        assert found["status"] == "IN_PROGRESS"
    # a second one for the same role and set never stands beside the first
    answer = am.batch_create_delegation_by_assessment(
        assessmentId=assessment_id,
        createDelegationRequests=[
            {"controlSetId": set_id, "roleArn": EXPERT, "roleType": "RESOURCE_OWNER"}
        ],
    )
    assert [e["errorCode"] for e in answer["errors"]] == ["400"]
    assert [d["id"] for d in answer["delegations"]] == [delegation_id]
    answer = am.batch_delete_delegation_by_assessment(
        assessmentId=assessment_id, delegationIds=[delegation_id]
    )
    assert answer["errors"] == []
    assert find_delegation(am, assessment_id, set_id) is None
    am.delete_assessment(assessmentId=assessment_id)


# --- aws_auditmanager_assessment_report --------------------------------------------------------


def test_assessment_report(am: Any) -> None:
    made = made_assessment(am)
    assessment_id, one = made["metadata"]["id"], made["framework"]["controlSets"][0]
    assert error_of(am.create_assessment_report, name="r", assessmentId=assessment_id)[0] == (
        "ValidationException"
    )
    am.batch_import_evidence_to_assessment_control(
        assessmentId=assessment_id, controlSetId=one["id"], controlId=one["controls"][0]["id"],
        manualEvidence=[{"textResponse": "we looked"}],
    )  # fmt: skip
    (folder,) = am.get_evidence_folders_by_assessment(assessmentId=assessment_id)["evidenceFolders"]
    am.associate_assessment_report_evidence_folder(
        assessmentId=assessment_id, evidenceFolderId=folder["id"]
    )
    report = am.create_assessment_report(name="tf-report", assessmentId=assessment_id)
    report_id = report["assessmentReport"]["id"]
    assert report["assessmentReport"]["author"] == "admin"
    # the only way to read one is the list of all
    (read,) = [r for r in everything(am.list_assessment_reports, "assessmentReports")
               if r["id"] == report_id]  # fmt: skip
    assert unchanged({"name": "tf-report", "assessmentId": assessment_id}, read)
    assert "description" not in read
    # delete is sent again for five minutes while it answers that the request is not valid
    for _ in range(300):
        try:
            am.delete_assessment_report(assessmentId=assessment_id, assessmentReportId=report_id)
            break
        except am.exceptions.ValidationException as error:
            assert "is being generated" in str(error)  # noqa: PT017  # most tries end otherwise
            time.sleep(0.2)
    assert gone(
        am.delete_assessment_report, assessmentId=assessment_id, assessmentReportId=report_id
    )
    am.delete_assessment(assessmentId=assessment_id)


# --- aws_auditmanager_framework_share ----------------------------------------------------------


def other_account(server: Running) -> Any:
    made = auditkeep(
        "keys", "create", "--data", str(server.data), "--account", OTHER, "--user", "admin",
        "--policy", "AWSAuditManagerAdministratorAccess", "--json",
    )  # fmt: skip
    key = json.loads(made.stdout)
    client = server.client(
        access_key=key["accessKeyId"], secret_key=key["secretAccessKey"], region="eu-west-1"
    )
    client.register_account()
    return client


ENDED = {"DECLINED", "EXPIRED", "FAILED", "REVOKED"}


def destroy_share(am: Any, request_id: str, status: str) -> None:
    if status not in ENDED:
        am.update_assessment_framework_share(
            requestId=request_id, requestType="SENT", action="REVOKE"
        )
    am.delete_assessment_framework_share(requestId=request_id, requestType="SENT")


def find_share(am: Any, request_id: str) -> Config:
    (found,) = [
        r for r in everything(
            am.list_assessment_framework_share_requests,
            "assessmentFrameworkShareRequests", requestType="SENT",
        )
        if r["id"] == request_id
    ]  # fmt: skip
    return dict(found)


@pytest.mark.parametrize("answer", [None, "DECLINE", "ACCEPT"])
def test_framework_share(am: Any, server: Running, answer: str | None) -> None:
    recipient = other_account(server)
    framework, _ = made_framework(am, "Access")
    request = am.start_assessment_framework_share(
        frameworkId=framework["id"], destinationAccount=OTHER, destinationRegion="eu-west-1"
    )["assessmentFrameworkShareRequest"]
    assert request["status"] == "ACTIVE"
    assert "comment" not in request
    if answer is not None:
        recipient.update_assessment_framework_share(
            requestId=request["id"], requestType="RECEIVED", action=answer
        )
    read = find_share(am, request["id"])
    same = ("frameworkId", "destinationAccount", "destinationRegion", "id")
    assert [read[name] for name in same] == [request[name] for name in same]
    assert read["status"] == {None: "ACTIVE", "DECLINE": "DECLINED", "ACCEPT": "SHARED"}[answer]
    if answer == "ACCEPT":
        # as at AWS the destroy fails, unless the operator has asked for leniency
        code, _ = error_of(destroy_share, am=am, request_id=request["id"], status=read["status"])
        assert code == "ValidationException"
        return
    destroy_share(am, request["id"], read["status"])
    assert gone(am.delete_assessment_framework_share, requestId=request["id"], requestType="SENT")


# --- aws_auditmanager_organization_admin_account_registration ----------------------------------


def test_organization_admin_account_registration(am: Any) -> None:
    assert gone(am.get_organization_admin_account)
    made = am.register_organization_admin_account(adminAccountId=OTHER)
    read = am.get_organization_admin_account()
    assert read["adminAccountId"] == made["adminAccountId"] == OTHER
    assert read["organizationId"] == made["organizationId"]
    am.deregister_organization_admin_account(adminAccountId=OTHER)
    code, message = error_of(am.deregister_organization_admin_account, adminAccountId=OTHER)
    assert code == "ResourceNotFoundException" or "Tenant is not in expected state" in message
    assert gone(am.get_organization_admin_account)
