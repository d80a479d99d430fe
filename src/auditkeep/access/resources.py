"""Which resource an operation acts on, as an identity policy names it.

Derived from where the operation's members travel, after AWS's authorization reference for Audit
Manager: `assessment/ID`, `assessment/ID/controlSet/SET`, `control/ID`, `assessmentFramework/ID`,
an ARN that the request itself names (tags), or `*` where there is no single one. A shipped
control or framework is named under the caller's own account: which it is, is known only after
it was read.
"""

from collections.abc import Callable
from functools import cache
from operator import attrgetter

import msgspec

from auditkeep.ids import Tenant
from auditkeep.wire.model import AnyOperation, Shape

ANY = "*"

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


@cache
def _namer(operation: AnyOperation) -> _Namer:
    attributes = {f.encode_name: f.name for f in msgspec.structs.fields(operation.request)}
    outside = {b.member: attrgetter(attributes[b.member]) for b in operation.bindings}
    in_path = {b.member for b in operation.bindings if b.location == "uri"}
    if "resourceArn" in in_path:
        return lambda _tenant, ask: str(outside["resourceArn"](ask))
    if {"assessmentId", "controlSetId"} <= in_path:
        assessment, control_set = outside["assessmentId"], outside["controlSetId"]
        return lambda tenant, ask: tenant.arn(
            "assessment", f"{assessment(ask)}/controlSet/{control_set(ask)}"
        )
    for member, kind in (
        ("assessmentId", "assessment"),
        ("frameworkId", "assessmentFramework"),
        ("controlId", "control"),
    ):
        if member in outside:
            return _by_id(kind, outside[member])
    return lambda _tenant, _ask: ANY


def _by_id(kind: str, get: Callable[[Shape], str]) -> _Namer:
    return lambda tenant, ask: tenant.arn(kind, get(ask))
