"""From a method and a raw path to the operation meant, and the values its path carries.

Routing works on the path as sent, split on `/` before anything is decoded: control-set ids and
ARNs travel in one segment and may hold `%2F` (specification section 10.1). Literal segments win
over labels. What matches nothing answers as AWS's REST-JSON front ends do: an unknown path 404,
a known path with another method 405, both `UnknownOperationException`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from auditkeep.errors import InvalidRequest, MethodNotAllowed, UnknownOperation
from auditkeep.wire.model import AnyOperation

_NO_VALUES = frozenset({b"", b".", b".."})
"""Segments that are no value: none at all, and those a signature does not cover as they stand."""


@dataclass(frozen=True, slots=True)
class Match:
    """An operation, and the decoded values of its path's labels by label name."""

    operation: AnyOperation
    labels: dict[str, str]


@dataclass(slots=True)
class _Node:
    literals: dict[bytes, "_Node"] = field(default_factory=dict)
    label: "_Node | None" = None
    operations: dict[str, tuple[AnyOperation, tuple[str, ...]]] = field(default_factory=dict)


class Router:
    """A tree of path segments, built once; safe to share between threads."""

    def __init__(self, operations: Iterable[AnyOperation]) -> None:
        self._root = _Node()
        for operation in operations:
            self._add(operation)

    def _add(self, operation: AnyOperation) -> None:
        node, labels = self._root, []
        for segment in operation.path.strip("/").split("/"):
            if segment.startswith("{"):
                labels.append(segment[1:-1])
                node.label = node.label or _Node()
                node = node.label
            else:
                node = node.literals.setdefault(segment.encode(), _Node())
        if operation.method in node.operations:
            raise ValueError(f"two operations answer {operation.method} {operation.path}")
        node.operations[operation.method] = (operation, tuple(labels))

    def find(self, method: str, path: bytes) -> Match:
        """The operation behind `method` and the raw `path`.

        UnknownOperation or MethodNotAllowed when there is none; InvalidRequest when a label is
        not percent-encoded UTF-8.
        """
        found = self._walk(self._root, path.removeprefix(b"/").split(b"/"), ())
        if found is None:
            raise UnknownOperation(f"No operation has the path {_shown(path)}.")
        node, values = found
        if method not in node.operations:
            allowed = tuple(sorted(node.operations))
            raise MethodNotAllowed(
                f"The path {_shown(path)} is asked with {' or '.join(allowed)}, not {method[:16]}.",
                allowed,
            )
        operation, labels = node.operations[method]
        return Match(
            operation,
            {label: _decode(label, value) for label, value in zip(labels, values, strict=True)},
        )

    def _walk(
        self, node: _Node, segments: list[bytes], values: tuple[bytes, ...]
    ) -> tuple[_Node, tuple[bytes, ...]] | None:
        if not segments:
            return (node, values) if node.operations else None
        head, rest = segments[0], segments[1:]
        literal = node.literals.get(head)
        if literal is not None:
            found = self._walk(literal, rest, values)
            if found is not None:
                return found
        if node.label is not None and head not in _NO_VALUES:
            return self._walk(node.label, rest, (*values, head))
        return None


def _decode(label: str, value: bytes) -> str:
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest.of_field(label, "must be percent-encoded UTF-8") from error


def _shown(path: bytes) -> str:
    """A path as a message may repeat it: printable and short."""
    text = path[:100].decode("ascii", errors="replace")
    return "".join(c if c.isprintable() else "?" for c in text)
