"""Texts with wildcards: `*` is any text, `?` one character.

A pattern is a row of *atoms*: texts that stand for themselves, and wildcards. So the value of a
policy variable, whatever it holds, never acts as a wildcard. Invariant: matching never takes more
than (text × pattern) steps.
"""

import re
from collections.abc import Iterable, Sequence
from enum import Enum


class Wild(Enum):
    ANY = "*"
    ONE = "?"


Atom = str | Wild

_WILD = re.compile(r"([*?])")


def atoms_of(text: str) -> list[Atom]:
    """A text of a policy with its wildcards told apart."""
    return [Wild(t) if t in ("*", "?") else t for t in _WILD.split(text) if t]


def folded(atoms: Iterable[Atom]) -> list[Atom]:
    """The same pattern in lower case."""
    return [a if isinstance(a, Wild) else a.lower() for a in atoms]


class Glob:
    """A pattern, ready to be matched against whole texts."""

    __slots__ = ("_anything", "_exact", "_parts", "_tail")

    def __init__(self, atoms: Sequence[Atom]) -> None:
        self._anything = list(atoms) == [Wild.ANY]
        parts: list[list[Atom]] = [[]]
        for atom in atoms:
            if atom is Wild.ANY:
                parts.append([])
            else:
                parts[-1].append(atom)
        self._exact: str | None = None
        if len(parts) == 1 and Wild.ONE not in parts[0]:
            self._exact = "".join(a for a in parts[0] if isinstance(a, str))
        # between two stars no part has a repetition, so none can run away
        self._parts = [
            re.compile("".join("." if a is Wild.ONE else re.escape(str(a)) for a in p), re.DOTALL)
            for p in parts
        ]
        self._tail = sum(1 if isinstance(a, Wild) else len(a) for a in parts[-1])

    @classmethod
    def of(cls, text: str) -> "Glob":
        """The pattern that a policy writes as `text`."""
        return cls(atoms_of(text))

    def matches(self, text: str) -> bool:
        if self._anything:
            return True
        if self._exact is not None:
            return text == self._exact
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
        begin = len(text) - self._tail
        return begin >= at and last.fullmatch(text, begin) is not None


class ArnGlob:
    """A pattern for ARNs: each of the six fields between colons matches by itself."""

    __slots__ = ("_fields",)

    FIELDS = 6

    def __init__(self, atoms: Sequence[Atom]) -> None:
        fields = _split(atoms, self.FIELDS)
        self._fields = [Glob(f) for f in fields] if len(fields) == self.FIELDS else None

    @property
    def whole(self) -> bool:
        """Whether the pattern has the six fields; one that has not matches nothing."""
        return self._fields is not None

    def matches(self, text: str) -> bool:
        given = text.split(":", self.FIELDS - 1)
        if self._fields is None or len(given) != self.FIELDS:
            return False
        return all(g.matches(t) for g, t in zip(self._fields, given, strict=True))


def _split(atoms: Sequence[Atom], most: int) -> list[list[Atom]]:
    """The atoms between colons, the last field with all colons that are left."""
    fields: list[list[Atom]] = [[]]
    for atom in atoms:
        if isinstance(atom, Wild):
            fields[-1].append(atom)
            continue
        first, *rest = atom.split(":", most - len(fields))
        fields[-1].append(first)
        fields += [[text] for text in rest]
    return fields
