"""`auditkeep access explain`: which statement of which policy, and which layer, decides."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import DEFAULT_REGION, Data, Json, Region, report

if TYPE_CHECKING:
    from auditkeep.access.policy import Considered
    from auditkeep.operations.explain import Verdict

CANNOT_TELL = 2


def explain(
    *,
    data: Data,
    user: Annotated[str, Parameter(help="The user's name or ARN, or a role's ARN.")],
    action: Annotated[str, Parameter(help="`auditmanager:GetControl`, or `GetControl`.")],
    resource: Annotated[str, Parameter(help="The ARN that a request would name, or `*`.")] = "*",
    account: Annotated[
        str | None, Parameter(help="The user's account, if several have one.")
    ] = None,
    key: Annotated[str | None, Parameter(help="One key, if the user's keys differ.")] = None,
    context: Annotated[
        list[str] | None,
        Parameter(help="`aws:SourceIp=203.0.113.9`: what the request would hold; repeatable."),
    ] = None,
    region: Region = DEFAULT_REGION,
    json: Json = False,
) -> int:
    """Why a user may do something, or may not. Exit code 0 allowed, 1 denied, 2 cannot tell."""
    from auditkeep.app import access
    from auditkeep.errors import AuditkeepError

    try:
        given = _given(context or [])
        with deployment(data) as parts:
            verdict = access.explain_access(
                parts,
                user=user,
                account=account,
                key=key,
                action=action,
                resource=resource,
                region=region,
                given=given,
            )
    except AuditkeepError as error:
        print(f"auditkeep: {error}", file=sys.stderr)
        return CANNOT_TELL
    if json:
        report(_document(verdict), as_json=True)
    else:
        _print(verdict)
    return 0 if verdict.allowed else 1


def _given(words: list[str]) -> dict[str, tuple[str, ...]]:
    """`key=value`, a key named twice having several values."""
    from auditkeep.errors import SetupError

    found: dict[str, tuple[str, ...]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or ":" not in key:
            raise SetupError(f"--context {word} is not understood: write aws:SourceIp=203.0.113.9")
        found[key.lower()] = (*found.get(key.lower(), ()), value)
    return found


def _document(verdict: Verdict) -> dict[str, Any]:
    return {
        "allowed": verdict.allowed,
        "principal": verdict.principal,
        "action": verdict.action,
        "resource": verdict.resource,
        "decidedBy": verdict.decided_by.name,
        "why": verdict.decided_by.why,
        "policy": verdict.deciding.policy,
        "statement": verdict.deciding.statement,
        "layers": [
            {"layer": layer.name, "allowed": layer.allowed, "why": layer.why}
            for layer in verdict.layers
        ],
        "statements": [
            {
                "policy": s.policy,
                "statement": s.statement,
                "effect": s.effect,
                "outcome": s.outcome,
                "condition": None if s.test is None else str(s.test),
                "given": list(s.given),
            }
            for s in verdict.statements
        ],
        "notGiven": list(verdict.absent),
        "note": verdict.note,
    }


def _print(verdict: Verdict) -> None:
    decided = verdict.decided_by
    word = "allowed" if verdict.allowed else "denied"
    print(f"{word}: {verdict.action} on {verdict.resource} for {verdict.principal}")
    print(f"decided by {decided.name}: {decided.why}\n")
    for layer in verdict.layers:
        print(f"  {'allows' if layer.allowed else 'denies':<7} {layer.name}: {layer.why}")
    print()
    for s in verdict.statements:
        print(f"  {s.effect:<5} {s.statement} of {s.policy} {_outcome(s)}")
    for key in verdict.absent:
        print(f"\nNothing is known of {key}; say it with --context {key}=VALUE.")
    if verdict.note:
        print(f"\n{verdict.note}")


def _outcome(statement: Considered) -> str:
    if statement.outcome == "applies":
        return "applies"
    if statement.test is None:
        return f"does not apply: {statement.outcome}"
    held = ", ".join(f"'{value}'" for value in statement.given) or "no such key"
    return f"does not apply: it wants {statement.test}, and the request has {held}"
