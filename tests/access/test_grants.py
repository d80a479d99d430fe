"""What being owner or delegate grants, and which resource an operation acts on."""

import pytest
from tests.wire.model_cases import UUID, request_of, send

from auditkeep.access.grants import (
    ADMINISTRATOR,
    DELEGATE_ACTIONS,
    OWNER_ACTIONS,
    Role,
    allows,
    require,
)
from auditkeep.access.principals import Principal
from auditkeep.access.resources import action_of, resource_of
from auditkeep.errors import AccessDenied
from auditkeep.ids import Tenant
from auditkeep.wire.codec import decode
from auditkeep.wire.model import AnyOperation
from auditkeep.wire.models import auditmanager as am
from auditkeep.wire.router import Router

ALICE = Principal("111122223333", "a", "arn:aws:iam::111122223333:user/a", (), "AKIA")
TENANT = Tenant("111122223333", "us-east-1")
ROUTER = Router(am.OPERATIONS)
ASSESSMENT = f"arn:aws:auditmanager:us-east-1:111122223333:assessment/{UUID}"


def test_the_grants_are_those_of_the_specification() -> None:
    names = {o.name for o in am.OPERATIONS}
    assert len(OWNER_ACTIONS) == 22
    assert len(DELEGATE_ACTIONS) == 7
    assert DELEGATE_ACTIONS < OWNER_ACTIONS < names


@pytest.mark.parametrize(
    ("role", "action", "granted"),
    [
        ("PROCESS_OWNER", "DeleteAssessment", True),
        ("PROCESS_OWNER", "GetControl", False),
        ("RESOURCE_OWNER", "GetEvidence", True),
        ("RESOURCE_OWNER", "GetAssessment", False),
        ("RESOURCE_OWNER", "BatchAssociateAssessmentReportEvidence", False),
        (None, "GetEvidence", False),
    ],
)
def test_a_role_grants_its_actions_only(role: Role | None, action: str, granted: bool) -> None:
    assert allows(role, action) is granted
    if granted:
        require(ALICE, role, action, ASSESSMENT)
    else:
        with pytest.raises(AccessDenied) as denied:
            require(ALICE, role, action, ASSESSMENT)
        assert f"perform: auditmanager:{action} on resource: {ASSESSMENT}, because" in str(
            denied.value
        )


def test_the_administrator_needs_no_role() -> None:
    admin = Principal(ALICE.account, "r", "arn:aws:iam::111122223333:user/r", (ADMINISTRATOR,), "A")
    require(admin, None, "DeleteAssessment", ASSESSMENT)


RESOURCES = {
    am.GET_ASSESSMENT: ASSESSMENT,
    am.GET_CHANGE_LOGS: ASSESSMENT,
    am.DELETE_ASSESSMENT_REPORT: ASSESSMENT,
    am.GET_INSIGHTS_BY_ASSESSMENT: ASSESSMENT,
    am.GET_EVIDENCE: f"{ASSESSMENT}/controlSet/Some text",
    am.UPDATE_ASSESSMENT_CONTROL: f"{ASSESSMENT}/controlSet/Some text",
    am.GET_EVIDENCE_FOLDERS_BY_ASSESSMENT_CONTROL: f"{ASSESSMENT}/controlSet/Some text",
    am.UPDATE_CONTROL: f"arn:aws:auditmanager:us-east-1:111122223333:control/{UUID}",
    am.DELETE_ASSESSMENT_FRAMEWORK: f"arn:aws:auditmanager:us-east-1:111122223333:assessmentFramework/{UUID}",
    am.TAG_RESOURCE: f"arn:aws:auditmanager:us-east-1:111122223333:control/{UUID}",
    am.CREATE_CONTROL: "*",
    am.CREATE_ASSESSMENT: "*",
    am.LIST_CONTROLS: "*",
    am.UPDATE_SETTINGS: "*",
}


@pytest.mark.parametrize("operation", RESOURCES, ids=lambda o: o.name)
def test_an_operation_acts_on_its_resource(operation: AnyOperation) -> None:
    sent = send(operation, request_of(operation.name))
    match = ROUTER.find(sent.method, sent.path)
    ask = decode(operation, match.labels, sent.query, sent.body)
    assert resource_of(operation, TENANT, ask) == RESOURCES[operation]
    assert action_of(operation) == f"auditmanager:{operation.name}"
