"""The vocabulary generated models are written in: shapes, operations and where members travel.

A *shape* is a msgspec struct whose constraints (length, pattern, range, enum) come from the
service model. Unset optional members are None and are never sent (spec section 10.1).
"""

from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import msgspec


class Shape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every generated structure."""


class Encoded(Shape, frozen=True):
    """An answer whose bytes are known already, instead of the shape they were encoded from."""

    body: bytes


Req = TypeVar("Req", bound=Shape)
Res = TypeVar("Res", bound=Shape)

Location = Literal["uri", "querystring"]
Kind = Literal["string", "integer", "boolean", "list"]


@dataclass(frozen=True, slots=True)
class Binding:
    """A request member that travels outside the body."""

    member: str
    name: str
    location: Location
    kind: Kind = "string"


@dataclass(frozen=True, slots=True, eq=False)
class Operation(Generic[Req, Res]):
    """One operation of a service model: how it is asked, with what, and what it answers."""

    service: str
    name: str
    method: str
    path: str
    request: type[Req]
    response: type[Res]
    bindings: tuple[Binding, ...] = ()
    errors: tuple[str, ...] = ()


AnyOperation = Operation[Any, Any]
