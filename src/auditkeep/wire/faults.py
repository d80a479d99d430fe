"""What is wrong with a value, said to the person who sent it.

msgspec decides whether a value fits a shape; this module is asked only when it does not, and
walks value and shape side by side to name *every* member at fault as the client knows it
(`controlMappingSources[2].sourceName`), with the model's own limits. Values are never repeated in
a message: they may be sensitive.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from auditkeep.errors import Field

MOST_FAULTS = 20
"""Fields one answer names; a client with more has other worries."""

_NAMES: dict[type, str] = {
    msgspec.inspect.StrType: "a string",
    msgspec.inspect.IntType: "an integer",
    msgspec.inspect.FloatType: "a number",
    msgspec.inspect.BoolType: "true or false",
}


def faults(shape: type, value: object) -> list[Field]:
    """The members of `value` that do not fit `shape`, at most MOST_FAULTS of them."""
    found = []
    for fault in _walk(_inspect(shape), value, ""):
        found.append(fault)
        if len(found) == MOST_FAULTS:
            break
    return found


def sentence(fields: list[Field]) -> str:
    """One message over all fields: `name is required; roles must hold at least 1 item`."""
    return "; ".join(f"{field.name} {field.message}" for field in fields)


@cache
def _inspect(shape: type) -> msgspec.inspect.Type:
    return msgspec.inspect.type_info(shape)


def _walk(kind: msgspec.inspect.Type, value: Any, path: str) -> Iterator[Field]:
    if isinstance(kind, msgspec.inspect.UnionType):  # generated shapes: `X | None`
        if value is not None:
            inner = next(t for t in kind.types if not isinstance(t, msgspec.inspect.NoneType))
            yield from _walk(inner, value, path)
    elif isinstance(kind, msgspec.inspect.StructType):
        yield from _structure(kind, value, path)
    elif isinstance(kind, msgspec.inspect.VarTupleType):
        yield from _list(kind, value, path)
    elif isinstance(kind, msgspec.inspect.DictType):
        yield from _map(kind, value, path)
    elif isinstance(kind, msgspec.inspect.LiteralType):
        if not isinstance(value, str) or value not in kind.values:
            names = [str(v) for v in kind.values]
            yield Field(
                path, f"must be one of {', '.join(names)}" if names[1:] else f"must be {names[0]}"
            )
    elif isinstance(kind, msgspec.inspect.StrType):
        yield from _string(kind, value, path)
    elif isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        yield from _number(kind, value, path)
    elif isinstance(kind, msgspec.inspect.BoolType) and not isinstance(value, bool):
        yield Field(path, "must be true or false")


def _structure(kind: msgspec.inspect.StructType, value: Any, path: str) -> Iterator[Field]:
    if not isinstance(value, dict):
        yield Field(path or "The request", "must be a JSON object")
        return
    prefix = f"{path}." if path else ""
    for member in kind.fields:
        name = prefix + member.encode_name
        if value.get(member.encode_name) is not None:
            yield from _walk(member.type, value[member.encode_name], name)
        elif member.required:
            yield Field(name, "is required")


def _list(kind: msgspec.inspect.VarTupleType, value: Any, path: str) -> Iterator[Field]:
    if not isinstance(value, list | tuple):
        yield Field(path, "must be a list")
        return
    yield from _size(kind.min_length, kind.max_length, len(value), path, "hold", "item")
    for index, item in enumerate(value):
        yield from _walk(kind.item_type, item, f"{path}[{index}]")


def _map(kind: msgspec.inspect.DictType, value: Any, path: str) -> Iterator[Field]:
    if not isinstance(value, dict):
        yield Field(path, "must be a JSON object")
        return
    yield from _size(kind.min_length, kind.max_length, len(value), path, "hold", "entry")
    for key, item in value.items():
        for fault in _walk(kind.key_type, key, path):
            yield Field(path, f"has a key that {fault.message}")
        yield from _walk(kind.value_type, item, f"{path}.{_short(key)}")


def _string(kind: msgspec.inspect.StrType, value: Any, path: str) -> Iterator[Field]:
    if not isinstance(value, str):
        yield Field(path, "must be a string")
        return
    yield from _size(kind.min_length, kind.max_length, len(value), path, "be", "character")
    if "\0" in value:
        yield Field(path, "must not contain the character U+0000")
    elif kind.pattern is not None and not _fits(kind.pattern, value):
        yield Field(path, f"must match the pattern {_shown(kind.pattern)}")


def _number(kind: Any, value: Any, path: str) -> Iterator[Field]:
    wanted = (int,) if isinstance(kind, msgspec.inspect.IntType) else (int, float)
    if not isinstance(value, wanted) or isinstance(value, bool):
        yield Field(path, f"must be {_NAMES[type(kind)]}")
    elif kind.ge is not None and value < kind.ge:
        yield Field(path, f"must be at least {kind.ge}")
    elif kind.le is not None and value > kind.le:
        yield Field(path, f"must be at most {kind.le}")


def _size(
    low: int | None, high: int | None, size: int, path: str, verb: str, unit: str
) -> Iterator[Field]:
    tail = " long" if verb == "be" else ""
    if low is not None and low == high and size != low:
        yield Field(path, f"must {verb} exactly {_count(low, unit)}{tail}")
    elif low is not None and size < low:
        yield Field(path, f"must {verb} at least {_count(low, unit)}{tail}")
    elif high is not None and size > high:
        yield Field(path, f"must {verb} at most {_count(high, unit)}{tail}")


def _count(number: int, unit: str) -> str:
    plural = {"entry": "entries"}.get(unit, f"{unit}s")
    return f"{number} {unit if number == 1 else plural}"


def _fits(pattern: str, value: str) -> bool:
    return re.search(pattern, value) is not None


def _shown(pattern: str) -> str:
    """The model's pattern, without what made it Python's."""
    body = pattern.removeprefix("(?a)").removeprefix("^(?:").removesuffix(r")\Z")
    return f"^{body}$"


def _short(key: str) -> str:
    return key if len(key) <= 40 else f"{key[:40]}…"
