"""The condition operators of IAM, and what a value of each is.

Source: AWS IAM User Guide, "Condition operators". Each operator reads a policy's value once into a
*matcher*, which then answers whether one value of the request matches it. Operators that negate
are the complement of another and have no matcher of their own. A value of a request that is not of
an operator's kind (a text where a number is asked for) matches nothing.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from ipaddress import ip_network
from operator import eq, ge, gt, le, lt
from typing import Any, Final, Protocol

from auditkeep.access.policy.context import Context
from auditkeep.access.policy.patterns import ArnGlob, Atom, Glob, folded
from auditkeep.access.policy.variables import Template, text_of
from auditkeep.clock import SECOND, Instant, from_datetime
from auditkeep.errors import InputError
from auditkeep.wire.peers import plain_address


class Matcher(Protocol):
    """One value of a policy."""

    def matches(self, value: str, context: Context) -> bool:
        """Whether a value of the request matches it."""
        ...


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator: how it reads a policy's values, and whether it is met when none matches."""

    name: str
    read: Callable[[Template], Matcher]
    """InputError completes a sentence: "…, which has no date"."""
    negated: bool = False
    variables: bool = False
    """Whether its values may hold policy variables."""


class _Compiled:
    """A matcher over a pattern, made once where the pattern holds no variable."""

    __slots__ = ("_compile", "_fixed", "_template")

    def __init__(
        self, template: Template, compiled: Callable[[list[Atom]], Callable[[str], bool]]
    ) -> None:
        self._template = template
        self._compile = compiled
        self._fixed = None if template.fixed is None else compiled(template.fixed)

    def matches(self, value: str, context: Context) -> bool:
        if self._fixed is not None:
            return self._fixed(value)
        atoms = self._template.atoms(context)
        return atoms is not None and self._compile(atoms)(value)


class _Test:
    """A matcher that needs no context."""

    __slots__ = ("_test",)

    def __init__(self, test: Callable[[str], bool]) -> None:
        self._test = test

    def matches(self, value: str, _context: Context) -> bool:
        return self._test(value)


def _equal(template: Template) -> Matcher:
    return _Compiled(template, lambda atoms: text_of(atoms).__eq__)


def _equal_in_any_case(template: Template) -> Matcher:
    def compiled(atoms: list[Atom]) -> Callable[[str], bool]:
        wanted = text_of(folded(atoms))
        return lambda value: value.lower() == wanted

    return _Compiled(template, compiled)


def _like(template: Template) -> Matcher:
    return _Compiled(template, lambda atoms: Glob(atoms).matches)


def _arn(template: Template) -> Matcher:
    if template.fixed is not None and not ArnGlob(template.fixed).whole:
        raise InputError("is no ARN; write its six parts, arn:PARTITION:SERVICE:REGION:ACCOUNT:…")
    return _Compiled(template, lambda atoms: ArnGlob(atoms).matches)


def _bool(template: Template) -> Matcher:
    if template.fixed is not None and template.written.lower() not in ("true", "false"):
        raise InputError("is neither true nor false")
    return _equal_in_any_case(template)


def _binary(template: Template) -> Matcher:
    wanted = _bytes(template.written)
    if wanted is None:
        raise InputError("is not base64")
    return _Test(lambda value: _bytes(value) == wanted)


def _bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None


def _ip(template: Template) -> Matcher:
    try:
        network = ip_network(template.written, strict=False)
    except ValueError as error:
        raise InputError("is no IP address and no CIDR range") from error

    def test(value: str) -> bool:
        address = plain_address(value)
        return address is not None and address in network

    return _Test(test)


_NUMBER = re.compile(r"[+-]?[0-9]{1,64}(\.[0-9]{1,64})?")


def _number(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


_DATE = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(Z|[+-][0-9]{2}:[0-9]{2}))?)?)?"
)
_EPOCH = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?")


def instant_of(text: str) -> Instant | None:
    """The instant of a W3C date (year alone, to fractions of a second) or of seconds since 1970.

    Four digits are a year.
    """
    dated = _DATE.fullmatch(text)
    if dated is None:
        counted = _EPOCH.fullmatch(text)
        if counted is None:
            return None
        return Instant(int(counted.group(1)) * SECOND + _micros(counted.group(2)))
    year, month, day, hour, minute, second, fraction, zone = dated.groups()
    text = f"{year}-{month or '01'}-{day or '01'}T{hour or '00'}:{minute or '00'}:{second or '00'}"
    try:
        at = from_datetime(datetime.fromisoformat(f"{text}{zone or 'Z'}"))
    except ValueError:
        return None
    return Instant(at + _micros(fraction))


def _micros(fraction: str | None) -> int:
    return int((fraction or "0")[:6].ljust(6, "0"))


def _comparing(
    parse: Callable[[str], Any], compare: Callable[[Any, Any], bool], kind: str
) -> Callable[[Template], Matcher]:
    def reader(template: Template) -> Matcher:
        bound = parse(template.written)
        if bound is None:
            raise InputError(f"is no {kind}")

        def test(value: str) -> bool:
            given = parse(value)
            return given is not None and compare(given, bound)

        return _Test(test)

    return reader


_COMPARISONS: Final = (
    ("Equals", eq),
    ("LessThan", lt),
    ("LessThanEquals", le),
    ("GreaterThan", gt),
    ("GreaterThanEquals", ge),
)
_DATE_KIND: Final = "date; write 2026-05-01, 2026-05-01T10:00:00Z or seconds since 1970"


def _operators() -> Mapping[str, Operator]:
    found = [
        Operator("StringEquals", _equal, variables=True),
        Operator("StringNotEquals", _equal, negated=True, variables=True),
        Operator("StringEqualsIgnoreCase", _equal_in_any_case, variables=True),
        Operator("StringNotEqualsIgnoreCase", _equal_in_any_case, negated=True, variables=True),
        Operator("StringLike", _like, variables=True),
        Operator("StringNotLike", _like, negated=True, variables=True),
        Operator("ArnEquals", _arn, variables=True),
        Operator("ArnLike", _arn, variables=True),
        Operator("ArnNotEquals", _arn, negated=True, variables=True),
        Operator("ArnNotLike", _arn, negated=True, variables=True),
        Operator("Bool", _bool, variables=True),
        Operator("BinaryEquals", _binary),
        Operator("IpAddress", _ip),
        Operator("NotIpAddress", _ip, negated=True),
    ]
    for family, parse, kind in (
        ("Numeric", _number, "number"),
        ("Date", instant_of, _DATE_KIND),
    ):
        found += [
            Operator(f"{family}{name}", _comparing(parse, compare, kind))
            for name, compare in _COMPARISONS
        ]
        found.append(Operator(f"{family}NotEquals", _comparing(parse, eq, kind), negated=True))
    return {operator.name.lower(): operator for operator in found}


OPERATORS: Final = _operators()
"""Every operator but `Null`, by its name in lower case."""
