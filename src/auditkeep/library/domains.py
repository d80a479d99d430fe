"""The catalogue of common controls: domain → objective → common control (spec section 1.6).

`content/catalogue.yaml` is the one list of them, for insights, for `ListControls`, for mapping
sources of type Common_Control and for the operations of `controlcatalog`. AWS publishes few of its
catalogue's ids; those are kept, and every other id follows from the entry's slug, in the same form
(25 lower-case letters and digits), so that it never changes while its text may be improved.

A common control is named by its ARN or by its bare id. It is a control in all but its lists: what
it stands for are its sources, and one without any asks for documents only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from auditkeep import clock, ids
from auditkeep.clock import Instant
from auditkeep.frameworks.model import Control, MappingSource
from auditkeep.library.content import CatalogueText, EntryText, SourceText, sources_of

UNCATEGORIZED = "UNCATEGORIZED"
"""The domain of controls that no entry of the catalogue stands behind, as the API names it."""

_PREFIX = "arn:aws:controlcatalog:::"
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LENGTH = 25


@dataclass(frozen=True, slots=True)
class Domain:
    """A field of controls, the widest grouping."""

    arn: str
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Objective:
    """What some common controls are for; it lies in one domain."""

    arn: str
    name: str
    description: str
    domain: Domain


@dataclass(frozen=True, slots=True)
class CommonControl:
    """A requirement that many standards share; it serves one objective."""

    id: str
    arn: str
    name: str
    description: str
    objective: Objective
    sources: tuple[MappingSource, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All entries, in the order they are listed; `released` is when they were made."""

    released: Instant
    domains: tuple[Domain, ...]
    objectives: tuple[Objective, ...]
    common_controls: tuple[CommonControl, ...]
    objectives_by_slug: Mapping[str, Objective]
    _by_arn: Mapping[str, Domain | Objective | CommonControl]

    @classmethod
    def of(cls, text: CatalogueText) -> "Catalogue":
        domains: list[Domain] = []
        objectives: dict[str, Objective] = {}
        common: list[CommonControl] = []
        for one in text.domains:
            domain = Domain(_arn("domain", one), one.name, one.description)
            domains.append(domain)
            for aim in one.objectives:
                objective = Objective(_arn("objective", aim), aim.name, aim.description, domain)
                objectives[aim.slug] = objective
                for control in aim.controls:
                    arn = _arn("common-control", control)
                    own_id = arn.rpartition("/")[2]
                    common.append(
                        CommonControl(
                            id=own_id,
                            arn=arn,
                            name=control.name,
                            description=control.description,
                            objective=objective,
                            sources=tuple(sources_of(own_id, control.sources or _papers(control))),
                        )
                    )
        entries: Iterable[Domain | Objective | CommonControl] = (
            *domains,
            *objectives.values(),
            *common,
        )
        return cls(
            released=clock.parse(text.released),
            domains=tuple(domains),
            objectives=tuple(objectives.values()),
            common_controls=tuple(common),
            objectives_by_slug=objectives,
            _by_arn={e.arn: e for e in entries},
        )

    @classmethod
    def empty(cls) -> "Catalogue":
        """A catalogue without entries: every control is uncategorized."""
        return cls(Instant(0), (), (), (), {}, {})

    def domain(self, arn: str) -> Domain | None:
        found = self._by_arn.get(arn)
        return found if isinstance(found, Domain) else None

    def objective(self, arn: str) -> Objective | None:
        found = self._by_arn.get(arn)
        return found if isinstance(found, Objective) else None

    def common_control(self, name: str) -> CommonControl | None:
        """By ARN or bare id."""
        arn = name if name.startswith(_PREFIX) else f"{_PREFIX}common-control/{name}"
        found = self._by_arn.get(arn)
        return found if isinstance(found, CommonControl) else None

    def domains_of(self, objectives: Iterable[str]) -> tuple[str, ...]:
        """The ARNs of the domains that some objectives, named by ARN, lie in; in their order."""
        found = {o.domain.arn for arn in objectives if (o := self.objective(arn)) is not None}
        return tuple(d.arn for d in self.domains if d.arn in found)

    def control(self, name: str) -> Control | None:
        """A common control as the control that its sources make."""
        found = self.common_control(name)
        if found is None:
            return None
        return Control(
            id=found.id,
            name=found.name,
            type="Core",
            sources=found.sources,
            created_at=self.released,
            updated_at=self.released,
            description=found.description,
            objectives=(found.objective.arn,),
        )

    def admits(self, entry: str, objectives: Iterable[str], common_controls: Iterable[str]) -> bool:
        """Whether a control belongs to an entry, named by ARN, or to UNCATEGORIZED.

        `objectives` are the control's, `common_controls` those that its sources name.
        """
        mine = frozenset(objectives)
        if entry == UNCATEGORIZED:
            return not mine
        found = self._by_arn.get(entry)
        if isinstance(found, Domain):
            return entry in self.domains_of(mine)
        if isinstance(found, Objective):
            return entry in mine
        return isinstance(found, CommonControl) and any(
            self.common_control(name) is found for name in common_controls
        )


def _papers(text: EntryText) -> tuple[SourceText, ...]:
    return (SourceText(type="MANUAL", name=f"Documents for {text.name}"),)


def _arn(kind: str, text: EntryText) -> str:
    return f"{_PREFIX}{kind}/{text.id or _made_id(kind, text.slug)}"


def _made_id(kind: str, slug: str) -> str:
    """25 letters and digits that follow from the slug, as the published ids look."""
    number = int.from_bytes(sha256(ids.named_id("library/catalogue", kind, slug).encode()).digest())
    letters = []
    for _ in range(_LENGTH):
        number, letter = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return "".join(letters)
