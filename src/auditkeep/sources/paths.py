"""Small paths into answers: `DistributionList.Items`, `Reservations.Instances`, `Names[-1]`.

A path goes through lists element by element, so that what lies below is one flat list. `a|b` is
the first of two that is there, `a+b` both values as one text, `*` any member or element.
"""

import re
from collections.abc import Iterator
from typing import Any

_LAST = re.compile(r"(.+)\[-1\]")


def listed(value: Any, path: str) -> list[Any]:
    """The elements of the list at a path, those of nested lists in one; empty if it is absent."""
    for one in path.split("|"):
        found = [value]
        for name in one.split("."):
            found = [
                inner
                for holder in found
                if isinstance(holder, dict)
                for inner in _elements(holder.get(name))
            ]
        if found:
            return found
    return []


def _elements(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def member(value: Any, path: str) -> Any:
    """What lies at a path of members, the last element where it says so; None if it is absent."""
    for one in path.split("||"):
        found = value
        for name in one.strip().split("."):
            last = _LAST.fullmatch(name)
            found = found.get(last[1] if last else name) if isinstance(found, dict) else None
            if last:
                found = found[-1] if isinstance(found, list) and found else None
        if found is not None:
            return found
    return None


def name_of(element: Any, path: str) -> str:
    """The text that names an element: itself, one member, the first of some, or several."""
    if not isinstance(element, dict):
        return element if isinstance(element, str) else ""
    if not path:
        return ""
    for one in path.split("|"):
        found = [element.get(name) for name in one.split("+")]
        parts = [part for part in found if isinstance(part, str) and part]
        if len(parts) == len(found):
            return "/".join(parts)
    return ""


def texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """The texts at a path with `*`: the member each stands under ("" in a list), and its value."""
    yield from _texts(value, path.split("."), "")


def _texts(value: Any, names: list[str], under: str) -> Iterator[tuple[str, str]]:
    if not names:
        if isinstance(value, str) and value:
            yield under, value
        return
    name, rest = names[0], names[1:]
    if isinstance(value, list) and name == "*":
        for element in value:
            yield from _texts(element, rest, "")
    elif isinstance(value, dict):
        for key in value if name == "*" else (name,):
            if key in value:
                yield from _texts(value[key], rest, key)
