"""Assessments in the API's shapes (spec sections 1.7 and 1.10): the one place they are built.

A control set's `id` and `description` are its name, and its roles repeat the assessment's. Control
descriptions and `response`, both abandoned by AWS, are left out, as are all members without a
value. `awsServices` is an empty list unless services are echoed: they have not been part of a scope
since 2024.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from auditkeep import clock
from auditkeep.assessments.model import (
    AssessedControl,
    Assessment,
    Change,
    Comment,
    ControlSet,
    Delegation,
    Document,
)
from auditkeep.ids import Tenant, iam_arn
from auditkeep.wire.models import auditmanager as am


@dataclass(frozen=True, slots=True)
class Tally:
    """How much evidence a control has: found by itself, put there by people, and selected."""

    system: int = 0
    manual: int = 0
    selected: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """All that an assessment's answer is made of, besides its tags."""

    assessment: Assessment
    sets: Sequence[ControlSet]
    controls: Sequence[AssessedControl]
    comments: Sequence[Comment] = ()
    delegations: Sequence[Delegation] = ()
    tallies: Mapping[int, Tally] = field(default_factory=dict)


def to_assessment(parts: Parts, tenant: Tenant, tags: Mapping[str, str]) -> am.Assessment:
    assessment = parts.assessment
    copy = assessment.document.framework
    return am.Assessment(
        arn=assessment.arn(tenant),
        aws_account=am.AWSAccount(id=tenant.account),
        metadata=_metadata(assessment, parts.delegations),
        framework=am.AssessmentFramework(
            id=copy.id,
            arn=copy.arn,
            metadata=am.FrameworkMetadata(
                name=copy.name,
                description=copy.description[:200] if copy.description else None,
                logo=copy.logo,
                compliance_type=copy.compliance_type,
            ),
            control_sets=tuple(_control_sets(parts)),
        ),
        tags=dict(tags),
    )


def to_item(assessment: Assessment, delegations: Iterable[Delegation]) -> am.AssessmentMetadataItem:
    return am.AssessmentMetadataItem(
        name=assessment.name,
        id=assessment.id,
        compliance_type=assessment.document.framework.compliance_type,
        status=assessment.status,
        roles=roles(assessment.document),
        delegations=tuple(to_delegation(d, assessment.name) for d in delegations),
        creation_time=clock.wire(assessment.created_at),
        last_updated=clock.wire(assessment.updated_at),
    )


def to_control_set(
    one: ControlSet,
    controls: Iterable[AssessedControl],
    comments: Sequence[Comment],
    delegations: Iterable[Delegation],
    tallies: Mapping[int, Tally],
    assessment: Assessment,
) -> am.AssessmentControlSet:
    members = list(controls)
    counted = [tallies[c.ordinal] for c in members if c.ordinal in tallies]
    return am.AssessmentControlSet(
        id=one.id,
        description=one.id,
        status=one.status,
        roles=roles(assessment.document),
        controls=tuple(to_control(c, comments, tallies.get(c.ordinal, Tally())) for c in members),
        delegations=tuple(
            to_delegation(d, assessment.name) for d in delegations if d.set_id == one.id
        ),
        system_evidence_count=sum(t.system for t in counted),
        manual_evidence_count=sum(t.manual for t in counted),
    )


def to_control(
    control: AssessedControl, comments: Iterable[Comment], tally: Tally
) -> am.AssessmentControl:
    mine = (c for c in comments if c.ordinal == control.ordinal)
    return am.AssessmentControl(
        id=control.control_id,
        name=control.copy.name,
        status=control.status,
        comments=tuple(_comment(c) for c in mine),
        evidence_sources=control.copy.labels,
        evidence_count=tally.system + tally.manual,
        assessment_report_evidence_count=tally.selected,
    )


def to_delegation(one: Delegation, assessment_name: str) -> am.Delegation:
    return am.Delegation(
        id=one.id,
        assessment_name=assessment_name,
        assessment_id=one.assessment_id,
        status=one.status,
        role_arn=one.role_arn,
        role_type="RESOURCE_OWNER",
        creation_time=clock.wire(one.created_at),
        last_updated=clock.wire(one.updated_at),
        control_set_id=one.set_id,
        comment=one.comment,
        created_by=one.created_by,
    )


def to_delegation_metadata(one: Delegation, assessment_name: str) -> am.DelegationMetadata:
    return am.DelegationMetadata(
        id=one.id,
        assessment_name=assessment_name,
        assessment_id=one.assessment_id,
        status=one.status,
        role_arn=one.role_arn,
        creation_time=clock.wire(one.created_at),
        control_set_name=one.set_id,
    )


def to_change(change: Change) -> am.ChangeLog:
    return am.ChangeLog(
        object_type=change.object_type,
        object_name=change.object_name,
        action=change.action,
        created_at=clock.wire(change.created_at),
        created_by=iam_arn(change.created_by),
    )


def roles(document: Document) -> tuple[am.Role, ...]:
    """Audit owners, in the order they were named."""
    return tuple(am.Role(role_type="PROCESS_OWNER", role_arn=arn) for arn in document.owners)


def _metadata(assessment: Assessment, delegations: Iterable[Delegation]) -> am.AssessmentMetadata:
    document = assessment.document
    return am.AssessmentMetadata(
        name=assessment.name,
        id=assessment.id,
        description=document.description,
        compliance_type=document.framework.compliance_type,
        status=assessment.status,
        assessment_reports_destination=am.AssessmentReportsDestination(
            destination_type="S3", destination=document.destination
        ),
        scope=am.Scope(
            aws_accounts=tuple(
                am.AWSAccount(id=a.id, email_address=a.email, name=a.name)
                for a in document.accounts
            ),
            aws_services=tuple(am.AWSService(service_name=name) for name in document.services),
        ),
        roles=roles(document),
        delegations=tuple(to_delegation(d, assessment.name) for d in delegations),
        creation_time=clock.wire(assessment.created_at),
        last_updated=clock.wire(assessment.updated_at),
    )


def _control_sets(parts: Parts) -> Iterable[am.AssessmentControlSet]:
    comments: dict[int, list[Comment]] = {}
    for comment in parts.comments:
        comments.setdefault(comment.ordinal, []).append(comment)
    members: dict[str, list[AssessedControl]] = {}
    for control in parts.controls:
        members.setdefault(control.set_id, []).append(control)
    for one in parts.sets:
        mine = members.get(one.id, [])
        said = [c for control in mine for c in comments.get(control.ordinal, ())]
        yield to_control_set(one, mine, said, parts.delegations, parts.tallies, parts.assessment)


def _comment(comment: Comment) -> am.ControlComment:
    return am.ControlComment(
        author_name=re.sub(r"[^a-zA-Z0-9\-_()\s+=,.@]", "-", comment.author)[:128],
        comment_body=comment.body,
        posted_date=clock.wire(comment.posted_at),
    )
