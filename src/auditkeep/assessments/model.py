"""Assessments as values (spec sections 1.7-1.10): a framework's copy, with scope and owners.

A framework is copied when an assessment is made from it: sets, control texts and the match keys
their sources resolved to. What a control says later reaches the copy only through an edit of a
custom control. Ordinals number the controls of one assessment, are never reused, and are what
evidence, selections and ids refer to; this room knows nothing of evidence.
"""

from typing import Literal

import msgspec

from auditkeep.clock import Instant
from auditkeep.ids import Tenant

AssessmentStatus = Literal["ACTIVE", "INACTIVE"]
ControlStatus = Literal["UNDER_REVIEW", "REVIEWED", "INACTIVE"]
SetStatus = Literal["ACTIVE", "UNDER_REVIEW", "REVIEWED"]
DelegationStatus = Literal["IN_PROGRESS", "UNDER_REVIEW", "COMPLETE"]
Rhythm = Literal["DAILY", "WEEKLY", "MONTHLY"]
ChangedObject = Literal["ASSESSMENT", "CONTROL_SET", "CONTROL", "DELEGATION", "ASSESSMENT_REPORT"]
Action = Literal[
    "CREATE",
    "UPDATE_METADATA",
    "ACTIVE",
    "INACTIVE",
    "DELETE",
    "UNDER_REVIEW",
    "REVIEWED",
    "IMPORT_EVIDENCE",
]


class ScopedAccount(msgspec.Struct, frozen=True, omit_defaults=True):
    """An account whose observations an assessment looks at; the rest is echoed as sent."""

    id: str
    email: str | None = None
    name: str | None = None


class FrameworkCopy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an assessment remembers of the framework it was made from."""

    id: str
    arn: str
    name: str
    description: str | None = None
    logo: str | None = None
    compliance_type: str | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The members of an assessment without a column of their own, as kept in JSON."""

    framework: FrameworkCopy
    accounts: tuple[ScopedAccount, ...]
    destination: str
    owners: tuple[str, ...]
    created_by: str
    description: str | None = None
    services: tuple[str, ...] = ()
    """Names of services that the scope was sent with, where echoed; they narrow nothing."""

    @property
    def account_ids(self) -> frozenset[str]:
        return frozenset(a.id for a in self.accounts)


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """One assessment without its controls; `version` rises with every change of any part."""

    id: str
    name: str
    status: AssessmentStatus
    document: Document
    created_at: Instant
    updated_at: Instant
    version: int
    next_ordinal: int
    dormant: bool
    frozen_at_batch: int | None
    """The tenant's last batch when it became INACTIVE: what came later is not its evidence."""

    def arn(self, tenant: Tenant) -> str:
        return tenant.arn("assessment", self.id)

    @property
    def active(self) -> bool:
        return self.status == "ACTIVE"


class SourceCopy(msgspec.Struct, frozen=True, omit_defaults=True):
    """One mapping source of a copied control: its type and keyword, for readers of reports."""

    type: str
    keyword: str | None = None
    name: str | None = None
    frequency: str | None = None


class ControlCopy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A control as one assessment has it: texts, sources, and the match keys they resolved to.

    `labels` are the display labels of its sources, sorted (`AWS CloudTrail`, `Manual`, …);
    `domains` the ARNs of the control domains it belongs to, none of them: UNCATEGORIZED. `rhythms`
    are the match keys that are not looked at every day, each with how often they are: WEEKLY,
    MONTHLY, or both.
    """

    name: str
    type: str
    labels: tuple[str, ...]
    match_keys: tuple[str, ...] = ()
    sources: tuple[SourceCopy, ...] = ()
    description: str | None = None
    testing_information: str | None = None
    action_plan_title: str | None = None
    action_plan_instructions: str | None = None
    domains: tuple[str, ...] = ()
    rhythms: dict[str, tuple[Rhythm, ...]] = {}

    def by_rhythm(self) -> dict[Rhythm, frozenset[str]]:
        """Its match keys by how often each is looked at."""
        found: dict[Rhythm, set[str]] = {}
        for key in self.match_keys:
            for rhythm in self.rhythms.get(key, ("DAILY",)):
                found.setdefault(rhythm, set()).add(key)
        return {rhythm: frozenset(keys) for rhythm, keys in found.items()}


class AssessedControl(msgspec.Struct, frozen=True, kw_only=True):
    """A control in its place: `removed` once its custom control was deleted from the library."""

    ordinal: int
    set_id: str
    control_id: str
    position: int
    status: ControlStatus
    removed: bool
    copy: ControlCopy


class ControlSet(msgspec.Struct, frozen=True):
    """A control set: its id is its name (spec section 1.7)."""

    id: str
    position: int
    status: SetStatus


class Comment(msgspec.Struct, frozen=True):
    """A remark on a control; never changed once posted."""

    ordinal: int
    number: int
    author: str
    body: str
    posted_at: Instant


class Delegation(msgspec.Struct, frozen=True, kw_only=True):
    """One control set handed to one delegate."""

    id: str
    assessment_id: str
    set_id: str
    role_arn: str
    status: DelegationStatus
    comment: str | None
    created_by: str
    created_at: Instant
    updated_at: Instant


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an assessment's change log; `created_by` is an IAM ARN."""

    id: str
    object_type: ChangedObject
    object_name: str
    action: Action
    created_at: Instant
    created_by: str
    set_id: str | None = None
    control_id: str | None = None


class Roles(msgspec.Struct, frozen=True):
    """What one principal is in one assessment: its owner, and delegate of which sets."""

    owner: bool
    delegate_of: frozenset[str]
