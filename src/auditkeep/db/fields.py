"""Which columns are sealed, how their values are bound to their rows, and how rows are opened.

A column is declared `Sealed` in the schema, and nothing else is to be remembered: transactions seal
what they insert and open what they read (`db.tx`). A digest column beside it is what equal values
are looked for by. To open a value takes the key of its row, so a query that names a sealed column
reads the key too, behind the columns that were asked for.

Invariants: no text reaches a sealed column in clear (the type refuses it); what is read without
being opened is bytes, never the text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Column, Label, LargeBinary, Table, TypeDecorator, select
from sqlalchemy.engine import Dialect

from auditkeep.crypto.fields import is_sealed
from auditkeep.errors import StorageError

DIGEST_OF = "digest_of"
"""In a column's `info`: the sealed column whose values it tells apart."""
_OWNER = ("account", "region")

Open = Callable[[str, str, tuple[object, ...], bytes], str]
"""Opens a value by table, column and the key of its row."""


class Sealed(TypeDecorator[Any]):
    """Text that lies in the database encrypted; see `crypto.fields`."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> object:  # noqa: ARG002
        """Refuse what is not sealed: in a value to write, and in a comparison."""
        if value is None or is_sealed(value):
            return value
        raise StorageError(
            "A sealed column is written by insert, upsert and set, and looked for by its digest."
        )


@dataclass(frozen=True, slots=True)
class Binding:
    """A table that has sealed columns."""

    table: str
    sealed: frozenset[str]
    digests: tuple[tuple[str, str], ...]
    """Digest columns, each with the column it stands for."""
    key: tuple[str, ...]
    """The columns of its primary key, the owner's among them."""


@cache
def binding(table: Table) -> Binding | None:
    """None for a table without sealed columns."""
    # SQLAlchemy's names are of a kind of their own, which no encoder knows
    sealed = frozenset(str(c.name) for c in table.c if isinstance(c.type, Sealed))
    if not sealed:
        return None
    key = tuple(str(c.name) for c in table.primary_key.columns)
    if sealed & set(key):
        raise StorageError(f"A column of the primary key of '{table.name}' cannot be sealed.")
    digests = tuple((str(c.name), c.info[DIGEST_OF]) for c in table.c if DIGEST_OF in c.info)
    return Binding(str(table.name), sealed, digests, key)


@dataclass(frozen=True, slots=True)
class _Cell:
    """A sealed value among the columns of a result, and where the key of its row is."""

    at: int
    table: str
    column: str
    key: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Opening:
    """What a query reads beside what was asked for, and how its rows are opened."""

    names: tuple[str, ...]
    hidden: tuple[Any, ...]
    cells: tuple[_Cell, ...]

    def row(self, row: Sequence[Any], owner: tuple[object, ...], open_: Open) -> list[Any]:
        """The columns that were asked for, in clear. `owner` is whose rows they are, if known."""
        values = list(row[: len(self.names)])
        for cell in self.cells:
            sealed = values[cell.at]
            if sealed is not None:
                key = (*owner, *(row[at] for at in cell.key))
                values[cell.at] = open_(cell.table, cell.column, key, sealed)
        return values


def opening(columns: Sequence[Any], *, owned: bool) -> Opening | None:
    """How to read `columns` (or whole tables); None where nothing of them is sealed.

    `owned`: the query is held to one tenant, so that the key of a row need not tell whose it is.
    """
    if not any(map(_has_sealed, columns)):
        return None
    if all(isinstance(c, Column | Table) for c in columns):
        return _known(tuple(columns), owned)
    return _build(columns, owned)


def _has_sealed(part: Any) -> bool:
    if isinstance(part, Table):
        return binding(part) is not None
    return isinstance(getattr(part, "type", None), Sealed)


@cache
def _known(columns: tuple[Any, ...], owned: bool) -> Opening:
    """There are as many of these as there are places in the code."""
    return _build(columns, owned)


def _build(columns: Sequence[Any], owned: bool) -> Opening:
    asked = list(select(*columns).selected_columns)
    hidden: dict[Any, int] = {}
    cells: list[_Cell] = []
    for at, shown in enumerate(asked):
        column = shown.element if isinstance(shown, Label) else shown
        if not isinstance(column.type, Sealed):
            continue
        bound = binding(column.table) if isinstance(column, Column) else None
        if bound is None:
            raise StorageError(f"'{shown}' is made of sealed values and cannot be computed.")
        named = [n for n in bound.key if not (owned and n in _OWNER)]
        keys = [column.table.c[name] for name in named]
        where = tuple(hidden.setdefault(key, len(asked) + len(hidden)) for key in keys)
        cells.append(_Cell(at, bound.table, str(column.name), where))
    # labels: the same columns may have been asked for under their own names
    labelled = tuple(key.label(f"_key_{at}") for key, at in hidden.items())
    return Opening(tuple(str(c.key) for c in asked), labelled, tuple(cells))
