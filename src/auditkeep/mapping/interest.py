"""What is worth keeping: the match keys that some control could use (design section 1)."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interest:
    """A set of match keys, or everything (`keys` is None: the tenant keeps `all`)."""

    keys: frozenset[str] | None

    @classmethod
    def of(cls, keys: Iterable[str]) -> "Interest":
        return cls(frozenset(keys))

    @classmethod
    def everything(cls) -> "Interest":
        return cls(None)

    def wants(self, match_key: str) -> bool:
        return self.keys is None or match_key in self.keys
