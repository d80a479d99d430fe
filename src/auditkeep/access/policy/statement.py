"""A policy ready to be asked: statements over actions, resources and conditions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from auditkeep.access.policy.conditions import Test
from auditkeep.access.policy.context import Context
from auditkeep.access.policy.patterns import Glob
from auditkeep.access.policy.variables import Template

Effect = Literal["Allow", "Deny"]

RESOURCE_TAG: Final = "aws:resourcetag/"
"""How keys begin, in lower case, for which somebody has to look at the resource itself."""

_REMEMBERED = 256
"""Actions whose statements a policy remembers: more than all services have operations."""

_CONTROL_SET = re.compile("/ControlSet/", re.IGNORECASE)


def one_spelling(resource: str) -> str:
    """Control sets are written `/controlSet/` and `/ControlSet/` in AWS's own tables."""
    if "/controlset/" not in resource.lower():  # most have none, and this is what costs least
        return resource
    return _CONTROL_SET.sub("/controlSet/", resource)


class Place:
    """One entry of `Resource`."""

    __slots__ = ("_fixed", "_template")

    def __init__(self, template: Template) -> None:
        self._template = template
        self._fixed = None if template.fixed is None else Glob(template.fixed)

    @property
    def keys(self) -> tuple[str, ...]:
        return self._template.keys

    def holds(self, resource: str, context: Context) -> bool:
        glob = self._fixed or self._template.glob(context)
        return glob is not None and glob.matches(resource)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; `name` is how an explanation calls it."""

    name: str
    effect: Effect
    actions: tuple[Glob, ...]
    except_actions: bool
    resources: tuple[Place, ...]
    except_resources: bool
    conditions: tuple[Test, ...] = ()

    @property
    def keys(self) -> Iterator[str]:
        """Every key of the context it may look up."""
        for place in self.resources:
            yield from place.keys
        for test in self.conditions:
            yield from test.keys

    def speaks_of(self, action: str) -> bool:
        """Whether it is about `action`, given in lower case."""
        return any(glob.matches(action) for glob in self.actions) is not self.except_actions

    def reaches(self, resource: str, context: Context) -> bool:
        """Whether it is about `resource`, given in one spelling."""
        return any(p.holds(resource, context) for p in self.resources) is not self.except_resources

    def failing(self, context: Context) -> Test | None:
        """The first test of its condition that does not hold."""
        return next((test for test in self.conditions if not test.holds(context)), None)

    def applies(self, resource: str, context: Context) -> bool:
        """Whether it decides about `resource`, for an action it speaks of."""
        return self.reaches(resource, context) and self.failing(context) is None


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    statements: tuple[Statement, ...]
    asks: bool = False
    """Whether a statement needs any fact of the request but its action and resource."""
    asks_resource: bool = False
    """Whether a statement needs tags of the resource, which only its own room knows."""
    _about: dict[str, tuple[Statement, ...]] = field(
        default_factory=dict, compare=False, repr=False
    )

    @classmethod
    def of(cls, name: str, statements: tuple[Statement, ...]) -> "Policy":
        keys = {key.lower() for statement in statements for key in statement.keys}
        asks_resource = any(key.startswith(RESOURCE_TAG) for key in keys)
        return cls(name, statements, bool(keys), asks_resource)

    def about(self, action: str) -> tuple[Statement, ...]:
        """The statements that speak of `action`, given in lower case; remembered."""
        found = self._about.get(action)
        if found is None:
            found = tuple(s for s in self.statements if s.speaks_of(action))
            if len(self._about) < _REMEMBERED:
                self._about[action] = found
        return found
