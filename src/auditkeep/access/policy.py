"""Identity policies: IAM's JSON documents, read strictly and evaluated as IAM does.

Source: AWS IAM User Guide, "Grammar of the IAM JSON policy language" and "Policy evaluation
logic". Rules kept here:

- nothing is allowed unless a statement allows it; a statement that denies wins over all others;
- actions match without regard to case, resources with it; `*` is any text, `?` one character;
- what is not understood is refused when the policy is read, never ignored: a condition that is
  skipped would grant more than its author meant.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from auditkeep.errors import InputError

Effect = Literal["Allow", "Deny"]

LARGEST = 6144
"""Characters of a document: IAM's quota for a managed policy."""

_VERSIONS = ("2012-10-17", "2008-10-17")
_MEMBERS = frozenset({"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource"})
_ACTION = re.compile(r"\*|[a-zA-Z0-9*?-]+:[a-zA-Z0-9*?]+")
_CONTROL_SET = re.compile("/ControlSet/", re.IGNORECASE)


class Glob:
    """A text with wildcards; matching never takes more than (text × pattern) steps."""

    __slots__ = ("_parts", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        # between two stars no part has a repetition, so none can run away
        self._parts = [
            re.compile("".join("." if c == "?" else re.escape(c) for c in part), re.DOTALL)
            for part in text.split("*")
        ]

    def matches(self, text: str) -> bool:
        if self._text == "*":
            return True
        first, *rest = self._parts
        if not rest:
            return first.fullmatch(text) is not None
        start = first.match(text)
        if start is None:
            return False
        at = start.end()
        *middle, last = rest
        for part in middle:  # the leftmost place leaves most room for what follows
            found = part.search(text, at)
            if found is None:
                return False
            at = found.end()
        tail = len(self._text) - self._text.rfind("*") - 1
        return len(text) - tail >= at and last.fullmatch(text, len(text) - tail) is not None


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, ready to be asked; `name` is how an explanation calls it."""

    name: str
    effect: Effect
    actions: tuple[Glob, ...]
    except_actions: bool
    resources: tuple[Glob, ...]
    except_resources: bool

    def covers(self, action: str, resource: str) -> bool:
        """Whether it speaks of `action` (lower case) on `resource`."""
        return (
            any(glob.matches(action) for glob in self.actions) is not self.except_actions
            and any(glob.matches(resource) for glob in self.resources) is not self.except_resources
        )


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and by what: `policy` and `statement` are None where nothing spoke."""

    allowed: bool
    policy: str | None = None
    statement: str | None = None

    @property
    def why(self) -> str:
        """The end of a sentence that begins with what was asked."""
        if self.policy is None:
            return "no identity-based policy allows it"
        verb = "allows" if self.allowed else "explicitly denies"
        return f"{self.statement} of the policy {self.policy} {verb} it"


def decide(policies: Iterable[Policy], action: str, resource: str) -> Decision:
    """IAM's answer for `action` (`auditmanager:GetControl`) on `resource` (an ARN, or `*`)."""
    action, resource = action.lower(), _resource(resource)
    decision = Decision(allowed=False)
    for policy in policies:
        for statement in policy.statements:
            if statement.effect == "Allow" and decision.allowed:
                continue
            if statement.covers(action, resource):
                if statement.effect == "Deny":
                    return Decision(False, policy.name, statement.name)
                decision = Decision(True, policy.name, statement.name)
    return decision


def read(name: str, document: str | bytes) -> Policy:
    """The policy of a JSON document; InputError says what in it cannot be honoured."""
    if len(document) > LARGEST:
        raise _refused(name, f"is larger than {LARGEST} characters")
    try:
        value = msgspec.json.decode(document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(name, "is not JSON") from error
    if not isinstance(value, dict) or value.get("Version") not in _VERSIONS:
        raise _refused(name, f"must be an object whose Version is {' or '.join(_VERSIONS)}")
    if unknown := set(value) - {"Version", "Id", "Statement"}:
        raise _refused(name, f"holds {_listed(unknown)}, which is not understood")
    statements = value.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise _refused(name, "must hold at least one Statement")
    return Policy(name, tuple(_statement(name, s, n + 1) for n, s in enumerate(statements)))


def _statement(policy: str, value: Any, number: int) -> Statement:
    if not isinstance(value, dict):
        raise _refused(policy, f"has a statement {number} that is not an object")
    label = value.get("Sid") or f"statement {number}"
    if not isinstance(label, str):
        raise _refused(policy, f"has a statement {number} whose Sid is not a string")
    where = f"in {label} "
    if "Condition" in value:
        raise _refused(policy, where + "has a Condition; conditions are not evaluated yet")
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
    for resource in resources:
        if "${" in resource:
            raise _refused(policy, where + "uses a policy variable; they are not evaluated yet")
    return Statement(
        label,
        "Allow" if effect == "Allow" else "Deny",
        tuple(Glob(a.lower()) for a in actions),
        except_actions,
        tuple(Glob(_resource(r)) for r in resources),
        except_resources,
    )


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


def _resource(text: str) -> str:
    """Control sets are written `/controlSet/` and `/ControlSet/` in AWS's own tables."""
    return _CONTROL_SET.sub("/controlSet/", text)


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _refused(name: str, what: str) -> InputError:
    return InputError(f"The policy {name} {what}.")
