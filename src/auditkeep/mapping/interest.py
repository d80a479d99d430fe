"""What is worth keeping: the match keys that some control could use (design section 1).

Under the policy `all` that is every record, also those that AWS leaves out: such a one has a match
key of its own (`mapping.leftout`). Under `matched`, which of them are seen is decided later
(`lake.keeping`); `version` says under which state of the lenses a source is read, so that it is
read again, not passed over, when more is seen.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from auditkeep.mapping.cloudtrail import EXCLUDED


@dataclass(frozen=True)
class Interest:
    """A set of match keys, or every one (`keys` is None); see above for the rest."""

    keys: frozenset[str] | None
    left_out: bool = False
    version: int | None = None

    @classmethod
    def of(cls, keys: Iterable[str], version: int | None = None) -> "Interest":
        return cls(frozenset(keys), version=version)

    @classmethod
    def every_record(cls) -> "Interest":
        return cls(None, left_out=True)

    @classmethod
    def everything(cls) -> "Interest":
        return cls(None)

    @property
    def fingerprint(self) -> object:
        """All that decides what is read for it, as JSON can say it."""
        keys = None if self.keys is None else sorted(self.keys)
        return (
            keys
            if not self.left_out and self.version is None
            else (keys, self.left_out, self.version)
        )

    def wants(self, match_key: str) -> bool:
        return self.keys is None or match_key in self.keys

    @cached_property
    def event_names(self) -> frozenset[str]:
        """CloudTrail event names worth a closer look: enough to pass over most quickly."""
        usable = (self.keys or frozenset()) - EXCLUDED
        return frozenset(key.partition(":")[2] for key in usable)
