"""What a condition may ask about a request: keys such as `aws:SourceIp`, each with its values.

Keys are compared without regard to case. A key that is not there has no values; one with an empty
set of values is the same as one that is not there.
"""

from collections.abc import Mapping
from typing import Final, Protocol


class Context(Protocol):
    """The facts of one request; a look-up may be lazy and is made only when a policy asks."""

    def values(self, key: str) -> tuple[str, ...]:
        """The values of a key, as a policy spells it; none where the key is absent."""
        ...


class Facts:
    """A context that is known beforehand: tests, and explanations made by hand."""

    __slots__ = ("_values",)

    def __init__(self, facts: Mapping[str, str | tuple[str, ...]]) -> None:
        self._values = {
            key.lower(): (value,) if isinstance(value, str) else value
            for key, value in facts.items()
        }

    def values(self, key: str) -> tuple[str, ...]:
        return self._values.get(key.lower(), ())


NOTHING: Final = Facts({})
"""A context in which every key is absent."""
