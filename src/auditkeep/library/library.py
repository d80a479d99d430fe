"""The shipped library: standard frameworks and controls, read once at start, the same for all.

Ids follow from a framework's slug and a requirement's id, so they never change between releases.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from auditkeep.frameworks import keys
from auditkeep.frameworks.model import Control, Framework, MappingType
from auditkeep.library import reading
from auditkeep.library.content import (
    CatalogueText,
    Content,
    ServiceText,
    controls_of,
    framework_of,
)
from auditkeep.library.domains import Catalogue


@dataclass(frozen=True, slots=True)
class Library:
    """Frozen content, safe to share between threads and tenants."""

    frameworks: Mapping[str, Framework]
    controls: Mapping[str, Control]
    match_keys: frozenset[str]
    """Every match key that some shipped control could use: what `library` retention keeps."""
    services: tuple[ServiceText, ...] = ()
    catalogue: Catalogue = field(default_factory=Catalogue.empty)
    """Domains, objectives and common controls."""

    @classmethod
    def load(cls) -> "Library":
        """The packaged content."""
        return cls.of(reading.read_frameworks(), reading.read_services(), reading.read_catalogue())

    @classmethod
    def of(
        cls,
        contents: Iterable[Content],
        services: Iterable[ServiceText] = (),
        catalogue: CatalogueText | None = None,
    ) -> "Library":
        kept = list(contents)
        known = Catalogue.empty() if catalogue is None else Catalogue.of(catalogue)
        objectives = {slug: o.arn for slug, o in known.objectives_by_slug.items()}
        frameworks = {f.id: f for f in map(framework_of, kept)}
        controls = {c.id: c for content in kept for c in controls_of(content, objectives)}
        bare = cls(frameworks, controls, frozenset(), tuple(services), known)
        common = (known.control(c.id) for c in known.common_controls)
        usable = [*controls.values(), *(c for c in common if c is not None)]
        found = frozenset[str]().union(*(keys.match_keys_of(c, bare.group) for c in usable))
        return cls(frameworks, controls, found, tuple(services), known)

    def group(self, kind: MappingType, name: str) -> Control | None:
        """What a source of type Core_Control (an id) or Common_Control (an ARN or id) stands for;
        None for what is no such control, and for sources of all other types.
        """
        if kind == "Common_Control":
            return self.catalogue.control(name)
        control = self.controls.get(name) if kind == "Core_Control" else None
        return control if control is not None and control.type == "Core" else None

    def domains_of(self, control: Control) -> tuple[str, ...]:
        """ARNs of the control domains that a control belongs to; none: it is uncategorized."""
        return self.catalogue.domains_of(keys.objectives_of(control, self.group))

    def belongs(self, control: Control, entry: str) -> bool:
        """Whether a control belongs to an entry of the catalogue, or to UNCATEGORIZED."""
        objectives = keys.objectives_of(control, self.group)
        return self.catalogue.admits(entry, objectives, keys.common_controls_of(control))
