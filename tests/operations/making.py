"""What the operations' tests are about: frameworks, assessments, people, observations."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import func
from tests.evidence.making import fact, keep

from auditkeep.access.principals import Principal
from auditkeep.clock import SECOND, Instant
from auditkeep.db import schema
from auditkeep.frameworks import store as frameworks
from auditkeep.frameworks.model import Control, ControlSet, Framework, Keyword, MappingSource
from auditkeep.ids import new_id
from auditkeep.operations.auditmanager import assessments, evidence, selection
from auditkeep.operations.call import Call
from auditkeep.wire import codec
from auditkeep.wire.model import Shape
from auditkeep.wire.models import auditmanager as am

OWNER = "arn:aws:iam::111122223333:role/Owner"
ACCOUNT = "111122223333"
DESTINATION = am.AssessmentReportsDestination(
    destination_type="S3", destination="s3://audit-reports/here"
)
KEYWORDS = {"a": "iam_CreateUser", "b": "s3_CreateBucket", "c": "kms_DisableKey"}
KEYS = {"a": "iam:CreateUser", "b": "s3:CreateBucket", "c": "kms:DisableKey"}
"""The one match key of each control that tests name by a letter."""


def shown(answer: Shape) -> Any:
    """An answer as a client sees it."""
    return msgspec.json.decode(codec.encode(answer))


def by(
    call: Call, user: str, *, arn: str | None = None, admin: bool = False, later: int = 0
) -> Call:
    """The same call, made by somebody else, `later` seconds later."""
    principal = Principal(
        account=call.tenant.account,
        user=user,
        arn=arn or f"arn:aws:iam::{call.tenant.account}:user/{user}",
        policies=("AWSAuditManagerAdministratorAccess",) if admin else (),
        access_key_id="AKIATEST",
    )
    return dataclasses.replace(call, principal=principal, now=Instant(call.now + later * SECOND))


def at(call: Call, now: Instant) -> Call:
    return dataclasses.replace(call, now=now)


def control_of(call: Call, name: str) -> Control:
    """A custom control that looks at one CloudTrail event; the same one for the same name."""
    for known in frameworks.list_controls(call.tx, call.deps.library, "Custom", limit=100):
        if known.name == name:
            return known
    source = MappingSource(
        id=new_id(),
        type="AWS_Cloudtrail",
        set_up_option="System_Controls_Mapping",
        name="trail",
        keyword=Keyword(KEYWORDS[name], "SELECT_FROM_LIST"),
    )
    control = Control(
        id=new_id(),
        name=name,
        type="Custom",
        sources=(source,),
        created_at=call.now,
        updated_at=call.now,
    )
    frameworks.save_control(call.tx, control)
    return control


def framework_of(call: Call, sets: Mapping[str, Sequence[str]]) -> str:
    """The id of a framework with these controls in its sets."""
    framework = Framework(
        id=new_id(),
        name="framework",
        type="Custom",
        sets=tuple(
            ControlSet(
                id=name,
                name=name,
                control_ids=tuple(control_of(call, c).id for c in controls),
            )
            for name, controls in sets.items()
        ),
        created_at=call.now,
        updated_at=call.now,
        compliance_type="TEST",
    )
    frameworks.save_framework(call.tx, framework)
    return framework.id


def ask_for(framework_id: str, **members: Any) -> am.CreateAssessmentRequest:
    asked: dict[str, Any] = {
        "name": "assessment",
        "framework_id": framework_id,
        "assessment_reports_destination": DESTINATION,
        "scope": am.Scope(aws_accounts=(am.AWSAccount(id=ACCOUNT),)),
        "roles": (am.Role(role_type="PROCESS_OWNER", role_arn=OWNER),),
    }
    return am.CreateAssessmentRequest(**{**asked, **members})


def assessment(
    call: Call,
    *,
    sets: Mapping[str, Sequence[str]] | None = None,
    accounts: Sequence[str] = (ACCOUNT,),
    owners: Sequence[str] = (OWNER,),
    **members: Any,
) -> Any:
    """A new assessment over a framework of its own, as a client sees it."""
    framework = framework_of(call, sets or {"Access": ["a"]})
    ask = ask_for(
        framework,
        scope=am.Scope(aws_accounts=tuple(am.AWSAccount(id=a) for a in accounts)),
        roles=tuple(am.Role(role_type="PROCESS_OWNER", role_arn=o) for o in owners),
        **members,
    )
    return shown(assessments.create_assessment(call, ask))["assessment"]


def observe(
    call: Call,
    *times: Instant,
    match_key: str = "iam:CreateUser",
    account: str = ACCOUNT,
    region: str = "us-east-1",
    source: Any = "AWS_Cloudtrail",
    verdict: str | None = None,
    resources: Sequence[str] = (),
) -> None:
    """Keep one observation of each of these event times."""
    observations = [
        fact(
            time,
            match_key=match_key,
            account=account,
            region=region,
            source=source,
            verdict=verdict,
            resources=resources,
            raw=b'{"eventID":"%d"}' % number,
            position=str(number),
            actor=f"arn:aws:sts::{account}:assumed-role/Admin/jane",
        )
        for number, time in enumerate(times)
    ]
    keep(call.tx, call.deps.lake, observations, now=call.now)


def again(call: Call, made: Any) -> Any:
    """An assessment as it is shown now."""
    ask = am.GetAssessmentRequest(assessment_id=made["metadata"]["id"])
    return shown(assessments.get_assessment(call, ask))["assessment"]


def folders_of(call: Call, made: Any) -> Any:
    """An assessment's evidence folders."""
    ask = am.GetEvidenceFoldersByAssessmentRequest(assessment_id=made["metadata"]["id"])
    return shown(evidence.get_evidence_folders_by_assessment(call, ask))["evidenceFolders"]


def items_of(call: Call, folder: Any) -> Any:
    """What lies in an evidence folder."""
    ask = am.GetEvidenceByEvidenceFolderRequest(
        assessment_id=folder["assessmentId"],
        control_set_id=folder["controlSetId"],
        evidence_folder_id=folder["id"],
    )
    return shown(evidence.get_evidence_by_evidence_folder(call, ask))["evidence"]


def select_all(call: Call, assessment_id: str) -> None:
    """Put all that an assessment sees into its reports."""
    ask = am.GetEvidenceFoldersByAssessmentRequest(assessment_id=assessment_id)
    found = evidence.get_evidence_folders_by_assessment(call, ask).evidence_folders
    assert found
    for folder in found:
        assert folder.id
        chosen = am.AssociateAssessmentReportEvidenceFolderRequest(
            assessment_id=assessment_id, evidence_folder_id=folder.id
        )
        selection.associate_folder(call, chosen)


def rows_of(call: Call, table: str) -> int:
    """How many rows the tenant has in a table."""
    found = schema.metadata.tables[table]
    return int(call.tx.scalar(call.tx.select(func.count(found.c.account))))
