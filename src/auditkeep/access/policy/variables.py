"""Policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'none'}`, `${*}`, `${?}`, `${$}`.

Source: AWS IAM User Guide, "Variables and tags". They exist in documents of version 2012-10-17;
in older ones `${` is text. Rules kept here:

- a key that is absent, or that has several values, gives no text: the pattern then matches nothing;
- a default in single quotes stands in for a key that is absent;
- a value stands for itself: a `*` in it is a star.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from auditkeep.access.policy.context import Context
from auditkeep.access.policy.patterns import Atom, Glob, Wild, atoms_of
from auditkeep.errors import InputError

_OPEN = re.compile(r"\$\{([^{}]*)(\}?)")
_VARIABLE = re.compile(r"""([^\s,:'"{}$*?]+:[^\s,'"{}$*?]+)(?:\s*,\s*'([^']*)')?""")


@dataclass(frozen=True, slots=True)
class Variable:
    """The value of a key of the context, or a default where the key is absent."""

    key: str
    default: str | None = None

    def resolve(self, context: Context) -> str | None:
        values = context.values(self.key)
        if not values:
            return self.default
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True)
class Template:
    """A text of a policy that may hold wildcards and variables."""

    written: str
    pieces: tuple[Atom | Variable, ...]
    """In a plain comparison a wildcard is the character it is written as."""

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The keys that its variables ask for."""
        return tuple(p.key for p in self.pieces if isinstance(p, Variable))

    @cached_property
    def fixed(self) -> list[Atom] | None:
        """The atoms, where no variable is left to resolve."""
        return None if self.keys else [p for p in self.pieces if not isinstance(p, Variable)]

    def atoms(self, context: Context) -> list[Atom] | None:
        """The pattern for one request; None when a variable has no value."""
        if self.fixed is not None:
            return self.fixed
        found: list[Atom] = []
        for piece in self.pieces:
            value = piece.resolve(context) if isinstance(piece, Variable) else piece
            if value is None:
                return None
            found.append(value)
        return found

    def text(self, context: Context) -> str | None:
        """The same with wildcards as plain characters."""
        atoms = self.atoms(context)
        return None if atoms is None else text_of(atoms)

    def glob(self, context: Context) -> Glob | None:
        atoms = self.atoms(context)
        return None if atoms is None else Glob(atoms)


def text_of(atoms: Iterable[Atom]) -> str:
    return "".join(a.value if isinstance(a, Wild) else a for a in atoms)


def template(text: str, *, variables: bool) -> Template:
    """The template that `text` writes; InputError completes "…, which": what is wrong with it."""
    if not variables:
        return Template(text, tuple(atoms_of(text)))
    pieces: list[Atom | Variable] = []
    at = 0
    for found in _OPEN.finditer(text):
        pieces += atoms_of(text[at : found.start()])
        at = found.end()
        inside, close = found.groups()
        if not close:
            raise InputError("has a policy variable without its closing brace")
        if inside in ("*", "?", "$"):
            pieces.append(inside)
            continue
        named = _VARIABLE.fullmatch(inside)
        if named is None:
            raise InputError(
                f"has the policy variable ${{{inside}}}; "
                "write ${prefix:key} or ${prefix:key, 'default'}"
            )
        pieces.append(Variable(named.group(1), named.group(2)))
    pieces += atoms_of(text[at:])
    return Template(text, tuple(pieces))
