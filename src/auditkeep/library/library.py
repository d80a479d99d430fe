"""The shipped library: standard frameworks and controls, read once at start, the same for all.

Ids follow from a framework's slug and a requirement's id, so they never change between releases.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auditkeep.frameworks import keys
from auditkeep.frameworks.model import Control, Framework
from auditkeep.library import reading
from auditkeep.library.content import Content, ServiceText, controls_of, framework_of


@dataclass(frozen=True, slots=True)
class Library:
    """Frozen content, safe to share between threads and tenants."""

    frameworks: Mapping[str, Framework]
    controls: Mapping[str, Control]
    match_keys: frozenset[str]
    """Every match key that some shipped control could use: what `library` retention keeps."""
    services: tuple[ServiceText, ...] = ()

    @classmethod
    def load(cls) -> "Library":
        """The packaged content."""
        return cls.of(reading.read_frameworks(), reading.read_services())

    @classmethod
    def of(cls, contents: Iterable[Content], services: Iterable[ServiceText] = ()) -> "Library":
        kept = list(contents)
        frameworks = {f.id: f for f in map(framework_of, kept)}
        controls = {c.id: c for content in kept for c in controls_of(content)}
        found = frozenset[str]().union(
            *(keys.match_keys_of(c, controls.get) for c in controls.values())
        )
        return cls(frameworks, controls, found, tuple(services))

    def core(self, control_id: str) -> Control | None:
        """The core control of that id; None for ids of other controls."""
        control = self.controls.get(control_id)
        return control if control is not None and control.type == "Core" else None
