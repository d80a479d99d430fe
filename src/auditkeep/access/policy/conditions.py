"""Conditions: operators with keys of the context and the values a policy wants of them.

Source: AWS IAM User Guide, "Condition operators" and "Single-valued vs. multivalued context keys".
All tests of a condition must hold. One test, over the values of the request (`R`) and of the
policy (`P`), `~` being the operator's matching:

    operator               key present                        key absent
    plain                  some r of R, some p of P: r ~ p    no
    negated                not the same                       yes
    ForAnyValue:           some r of R meets the operator     no
    ForAllValues:          every r of R meets the operator    yes
    …IfExists              as without it                      yes
    Null                   P holds "false"                    P holds "true"

With a quantifier a set of nothing but empty texts counts as absent. A plain operator on a key with
several values asks for any of them, and a negated one stays its exact complement.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from auditkeep.access.policy.context import Context
from auditkeep.access.policy.operators import OPERATORS, Matcher, Operator
from auditkeep.access.policy.variables import Template, template
from auditkeep.errors import InputError

Quantifier = Literal["", "ForAnyValue:", "ForAllValues:"]

_NAME = re.compile(r"(forallvalues:|foranyvalue:)?(.+?)(ifexists)?", re.IGNORECASE)
_QUANTIFIERS: Final[dict[str, Quantifier]] = {
    "forallvalues:": "ForAllValues:",
    "foranyvalue:": "ForAnyValue:",
}


@dataclass(frozen=True, slots=True)
class Test(ABC):
    """One operator on one key."""

    operator: str
    """As the policy writes it."""
    key: str
    wanted: tuple[Template, ...]

    @property
    def keys(self) -> Iterator[str]:
        """Every key it may look up."""
        yield self.key
        for value in self.wanted:
            yield from value.keys

    @abstractmethod
    def holds(self, context: Context) -> bool:
        """Whether the request meets it."""

    def __str__(self) -> str:
        wanted = ", ".join(f"'{t.written}'" for t in self.wanted)
        return f"{self.operator} {self.key} {wanted}"


@dataclass(frozen=True, slots=True)
class Null(Test):
    """Whether the key is absent (`true`) or present (`false`)."""

    answers: frozenset[bool]
    """For which of absent and present it holds."""

    def holds(self, context: Context) -> bool:
        return (not context.values(self.key)) in self.answers


@dataclass(frozen=True, slots=True)
class Comparison(Test):
    """Any other operator."""

    matchers: tuple[Matcher, ...]
    negated: bool
    quantifier: Quantifier
    if_exists: bool

    def holds(self, context: Context) -> bool:
        given = context.values(self.key)
        if not given or (self.quantifier and not any(given)):
            return self.if_exists or self._on_nothing()
        if self.quantifier == "ForAllValues:":
            return all(self._meets(value, context) for value in given)
        if self.quantifier == "ForAnyValue:":
            return any(self._meets(value, context) for value in given)
        return any(self._matches(value, context) for value in given) is not self.negated

    def _on_nothing(self) -> bool:
        if self.quantifier:
            return self.quantifier == "ForAllValues:"
        return self.negated

    def _meets(self, value: str, context: Context) -> bool:
        return self._matches(value, context) is not self.negated

    def _matches(self, value: str, context: Context) -> bool:
        return any(matcher.matches(value, context) for matcher in self.matchers)


def read_conditions(block: Any, *, variables: bool) -> tuple[Test, ...]:
    """The tests of a `Condition`; InputError completes a sentence that begins with the statement.

    `variables`: whether the document's version knows policy variables.
    """
    if not isinstance(block, dict):
        raise InputError("has a Condition that is not an object")
    tests = []
    for operator, keys in block.items():
        if not isinstance(keys, dict):
            raise InputError(f"must give the operator {operator} an object of keys and values")
        tests += [_test(operator, key, given, variables=variables) for key, given in keys.items()]
    return tuple(tests)


def _test(operator: str, key: str, given: Any, *, variables: bool) -> Test:
    prefix, colon, rest = key.partition(":")
    if not (prefix and colon and rest):
        raise InputError(f"asks for the condition key '{key}': write PREFIX:Key")
    texts = [_text(operator, key, v) for v in (given if isinstance(given, list) else [given])]
    if not texts:
        raise InputError(f"must give {operator} of {key} at least one value")
    named = _NAME.fullmatch(operator)
    quantifier, name, if_exists = named.groups() if named else (None, "", None)
    if name.lower() == "null":
        if quantifier or if_exists:
            raise InputError(f"uses {operator}; Null takes no ForAnyValue, ForAllValues, IfExists")
        return _null(operator, key, texts)
    known = OPERATORS.get(name.lower())
    if known is None:
        raise InputError(f"uses the condition operator '{operator}', which is not known")
    wanted = tuple(_wanted(known, key, text, variables=variables) for text in texts)
    return Comparison(
        operator,
        key,
        wanted,
        tuple(_matcher(known, key, w) for w in wanted),
        known.negated,
        _QUANTIFIERS[quantifier.lower()] if quantifier else "",
        if_exists is not None,
    )


def _null(operator: str, key: str, texts: list[str]) -> Null:
    if wrong := [t for t in texts if t.lower() not in ("true", "false")]:
        raise InputError(f"wants '{wrong[0]}' of {key}, which is neither true nor false")
    wanted = tuple(template(t, variables=False) for t in texts)
    return Null(operator, key, wanted, frozenset(t.lower() == "true" for t in texts))


def _text(operator: str, key: str, value: Any) -> str:
    """A value as text: JSON's true, false and numbers are written as they are."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise InputError(f"must give {operator} of {key} texts, numbers, true or false")


def _wanted(operator: Operator, key: str, text: str, *, variables: bool) -> Template:
    if variables and "${" in text and not operator.variables:
        raise InputError(
            f"uses a policy variable with {operator.name} of {key}, which takes none: "
            "variables go with string and ARN operators and Bool"
        )
    return template(text, variables=variables)


def _matcher(operator: Operator, key: str, wanted: Template) -> Matcher:
    try:
        return operator.read(wanted)
    except InputError as error:
        raise InputError(f"wants '{wanted.written}' of {key}, which {error}") from error
