"""Reading a policy document strictly: what is not understood is refused with a sentence.

Besides IAM's grammar two traps are closed: a member that stands twice (of which JSON readers keep
one, silently), and two statements under one Sid.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from auditkeep.access.policy.conditions import Test, read_conditions
from auditkeep.access.policy.patterns import Glob, atoms_of
from auditkeep.access.policy.statement import Place, Policy, Statement, one_spelling
from auditkeep.access.policy.variables import Template, Variable, template
from auditkeep.errors import InputError

LARGEST = 6144
"""Characters of a document but for white space: IAM's quota for a managed policy."""
_LONGEST = 16 * LARGEST
"""Characters of any kind that are looked at."""

_NEWEST = "2012-10-17"
_VERSIONS = (_NEWEST, "2008-10-17")
_MEMBERS = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
_ACTION = re.compile(r"\*|[a-zA-Z0-9*?-]+:[a-zA-Z0-9*?]+")
_FIELDS_BEFORE_VARIABLES = 5


class _Twice(ValueError):
    """An object of the document has a member twice."""


def read(name: str, document: str | bytes) -> Policy:
    """The policy of a JSON document; InputError says what in it cannot be honoured."""
    if len(document) > LARGEST and not _fits(document):
        raise _refused(name, f"is larger than {LARGEST} characters without white space")
    value = _json(name, document)
    if not isinstance(value, dict):
        raise _refused(name, "must be a JSON object")
    version = value.get("Version", _VERSIONS[-1])  # as IAM takes a document that names none
    if version not in _VERSIONS:
        raise _refused(name, f"must be an object whose Version is {' or '.join(_VERSIONS)}")
    if unknown := set(value) - {"Version", "Id", "Statement"}:
        raise _refused(name, f"holds {_listed(unknown)}, which is not understood")
    given = value.get("Statement")
    if isinstance(given, dict):
        given = [given]
    if not isinstance(given, list) or not given:
        raise _refused(name, "must hold at least one Statement")
    newest = version == _NEWEST
    statements = tuple(
        _statement(name, s, number, variables=newest) for number, s in enumerate(given, 1)
    )
    labels = [s.name for s in statements]
    if twice := {label for label in labels if labels.count(label) > 1}:
        raise _refused(name, f"has several statements with the Sid {_listed(twice)}")
    return Policy.of(name, statements)


def _fits(document: str | bytes) -> bool:
    return len(document) <= _LONGEST and sum(map(len, document.split())) <= LARGEST


def _json(name: str, document: str | bytes) -> Any:
    try:
        return json.loads(document, object_pairs_hook=_members, parse_constant=_no_constant)
    except _Twice as error:
        raise _refused(name, f"has an object with two members '{error}'") from error
    except (ValueError, RecursionError) as error:
        raise _refused(name, "is not JSON") from error


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _statement(policy: str, value: Any, number: int, *, variables: bool) -> Statement:
    if not isinstance(value, dict):
        raise _refused(policy, f"has a statement {number} that is not an object")
    label = value.get("Sid") or f"statement {number}"
    if not isinstance(label, str):
        raise _refused(policy, f"has a statement {number} whose Sid is not a string")
    where = f"in {label} "
    if "Principal" in value or "NotPrincipal" in value:
        raise _refused(policy, where + "has a Principal, which identity policies do not")
    if unknown := set(value) - _MEMBERS:
        raise _refused(policy, where + f"has {_listed(unknown)}, which is not understood")
    effect = value.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise _refused(policy, where + "must have the Effect Allow or Deny")
    actions, except_actions = _either(policy, where, value, "Action")
    resources, except_resources = _either(policy, where, value, "Resource")
    for action in actions:
        if not _ACTION.fullmatch(action):
            raise _refused(policy, where + f"names the action '{action}': write SERVICE:Name")
    try:
        places = tuple(Place(_resource(r, variables=variables)) for r in resources)
        conditions: tuple[Test, ...] = ()
        if "Condition" in value:
            conditions = read_conditions(value["Condition"], variables=variables)
    except InputError as error:
        raise _refused(policy, where + str(error)) from error
    return Statement(
        label,
        "Allow" if effect == "Allow" else "Deny",
        tuple(Glob(atoms_of(a.lower())) for a in actions),
        except_actions,
        places,
        except_resources,
        conditions,
    )


def _resource(text: str, *, variables: bool) -> Template:
    if not text.startswith("arn:") and "*" not in text:
        raise InputError(f"names the resource '{text}': write an ARN, or * for all")
    found = template(one_spelling(text), variables=variables)
    colons = 0
    for piece in found.pieces:
        if isinstance(piece, Variable) and colons < _FIELDS_BEFORE_VARIABLES:
            raise InputError(
                f"names the resource '{text}': a policy variable may stand only in the last "
                "part of an ARN, after the fifth colon"
            )
        colons += piece.count(":") if isinstance(piece, str) else 0
    return found


def _either(
    policy: str, where: str, value: dict[str, Any], member: str
) -> tuple[Sequence[str], bool]:
    """`Action` or `NotAction` (likewise Resource): its texts, and whether they are exceptions."""
    names = [n for n in (member, f"Not{member}") if n in value]
    if len(names) != 1:
        raise _refused(policy, where + f"must have either {member} or Not{member}")
    given = value[names[0]]
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) and t for t in texts):
        raise _refused(policy, where + f"must have strings for {names[0]}")
    return texts, names[0] != member


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _refused(name: str, what: str) -> InputError:
    return InputError(f"The policy {name} {what}.")
