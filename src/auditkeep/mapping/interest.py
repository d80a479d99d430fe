"""What is worth keeping: the match keys that some control could use (design section 1)."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from auditkeep.mapping.cloudtrail import EXCLUDED


@dataclass(frozen=True)
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

    @cached_property
    def event_names(self) -> frozenset[str]:
        """CloudTrail event names worth a closer look: enough to pass over most quickly."""
        usable = (self.keys or frozenset()) - EXCLUDED
        return frozenset(key.partition(":")[2] for key in usable)
