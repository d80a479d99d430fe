"""Which resource an operation acts on, as an identity policy names it.

Derived from where the operation's members travel, after AWS's authorization reference for Audit
Manager: `assessment/ID`, `assessment/ID/controlSet/SET`, `control/ID`, `assessmentFramework/ID`,
an ARN that the request itself names (tags), or `*` where there is no single one. A shipped
control or framework is named under the caller's own account: which it is, is known only after
it was read.
"""

import re
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Final, Literal

import msgspec

from auditkeep.ids import Tenant
from auditkeep.wire.model import AnyOperation, Shape

ANY = "*"

Form = Literal[
    "*",
    "the ARN in the request",
    "assessment/ID",
    "assessment/ID/controlSet/SET",
    "assessmentFramework/ID",
    "control/ID",
]

_OWN: Final = r"arn:[^:]*:auditmanager:[^:]*:[^:]*:"
_PATTERNS: Final[dict[Form, str]] = {
    "*": r"\*",
    "the ARN in the request": r"arn:.+",
    "assessment/ID": _OWN + "assessment/[^/]+",
    "assessment/ID/controlSet/SET": _OWN + "assessment/[^/]+/controlSet/.+",
    "assessmentFramework/ID": _OWN + "assessmentFramework/[^/]+",
    "control/ID": _OWN + "control/[^/]+",
}
_Namer = Callable[[Tenant, Shape], str]


def resource_of(operation: AnyOperation, tenant: Tenant, ask: Shape) -> str:
    """The ARN of what `ask` acts on, or `*`."""
    return _namer(operation)(tenant, ask)


@cache
def action_of(operation: AnyOperation) -> str:
    """What an identity policy calls the operation: `auditmanager:GetControl`."""
    return f"{operation.service}:{operation.name}"


def tagged(resource: str) -> str | None:
    """The ARN under which the tags of `resource` are kept; None where it can have none.

    A control set is part of its assessment and goes by the assessment's tags.
    """
    if resource == ANY:
        return None
    return resource.partition("/controlSet/")[0]


def fits(operation: AnyOperation, resource: str) -> bool:
    """Whether requests for the operation could name that resource."""
    return re.fullmatch(_PATTERNS[form_of(operation)], resource, re.DOTALL) is not None


@cache
def form_of(operation: AnyOperation) -> Form:
    """What resources the operation's requests name."""
    outside = {b.member for b in operation.bindings}
    in_path = {b.member for b in operation.bindings if b.location == "uri"}
    if "resourceArn" in in_path:
        return "the ARN in the request"
    if {"assessmentId", "controlSetId"} <= in_path:
        return "assessment/ID/controlSet/SET"
    if "assessmentId" in outside:
        return "assessment/ID"
    if "frameworkId" in outside:
        return "assessmentFramework/ID"
    return "control/ID" if "controlId" in outside else "*"


@cache
def _namer(operation: AnyOperation) -> _Namer:
    attributes = {f.encode_name: f.name for f in msgspec.structs.fields(operation.request)}
    get = {b.member: attrgetter(attributes[b.member]) for b in operation.bindings}
    form = form_of(operation)
    if form == "the ARN in the request":
        return lambda _tenant, ask: str(get["resourceArn"](ask))
    if form == "assessment/ID/controlSet/SET":
        assessment, control_set = get["assessmentId"], get["controlSetId"]
        return lambda tenant, ask: tenant.arn(
            "assessment", f"{assessment(ask)}/controlSet/{control_set(ask)}"
        )
    if form == "assessment/ID":
        return _by_id("assessment", get["assessmentId"])
    if form == "assessmentFramework/ID":
        return _by_id("assessmentFramework", get["frameworkId"])
    if form == "control/ID":
        return _by_id("control", get["controlId"])
    return lambda _tenant, _ask: ANY


def _by_id(kind: str, get: Callable[[Shape], str]) -> _Namer:
    return lambda tenant, ask: tenant.arn(kind, get(ask))
