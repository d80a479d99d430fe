"""The shipped library: standard frameworks and controls, read once at start, the same for all.

Ids follow from a framework's slug and a requirement's id, so they never change between releases.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from auditkeep.frameworks.model import Control, Framework


@dataclass(frozen=True, slots=True)
class Library:
    """Frozen content, safe to share between threads and tenants."""

    frameworks: Mapping[str, Framework]
    controls: Mapping[str, Control]
    match_keys: frozenset[str]
    """Every match key that some shipped control could use: what `library` retention keeps."""

    @classmethod
    def load(cls) -> "Library":
        """The packaged content."""
        return cls({}, {}, frozenset())
