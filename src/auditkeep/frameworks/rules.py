"""What a control or framework must be before it is kept (spec sections 1.3-1.5, 9.3, 10.3).

The wire's codec has held names, lengths, patterns and enums to the model already; these are the
rules between members. Keywords are not checked for existence: AWS accepts unknown ones, and a
rule may be made after the control that waits for it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from auditkeep.errors import InvalidRequest, NotFound, QuotaExceeded
from auditkeep.frameworks.model import (
    Control,
    ControlSet,
    Framework,
    MappingSource,
    MappingType,
    SetUpOption,
)

_GROUPS: dict[MappingType, str] = {"Core_Control": "control", "Common_Control": "commonControl"}
"""Source types that name another control, and what that is called where there is none."""

MOST_SOURCES = 100
"""Sources of one control that are no core or common controls, with AWS (spec 1.3)."""


@dataclass(frozen=True, slots=True)
class MostSources:
    """How many sources of each kind one control may have; AWS's numbers (spec 1.3)."""

    own: int = MOST_SOURCES
    core: int = 50
    common: int = 5

    def of(self, kind: str) -> tuple[int, str]:
        """The number, and what is counted."""
        if kind == "Common_Control":
            return self.common, "common controls"
        if kind == "Core_Control":
            return self.core, "core controls"
        return self.own, "data sources of your own"


def set_up_option(kind: MappingType, asked: SetUpOption | None) -> SetUpOption:
    """How a source is set up: manual ones by procedure, all others by the system (spec 1.4)."""
    meant: SetUpOption = (
        "Procedural_Controls_Mapping" if kind == "MANUAL" else "System_Controls_Mapping"
    )
    if asked not in {None, meant}:
        raise InvalidRequest.of_field(
            "controlMappingSources",
            f"hold a source of type {kind} with the set-up option {asked}; it must be {meant}.",
        )
    return meant


def check_sources(
    sources: Sequence[MappingSource],
    group: Callable[[MappingType, str], Control | None],
    limits: MostSources = MostSources(),  # frozen
) -> None:
    """Keywords where evidence is collected, controls that exist, and not too many of each."""
    for source_id in _repeated(s.id for s in sources):
        raise InvalidRequest.of_field(
            "controlMappingSources", f"hold the source id '{source_id}' twice."
        )
    counts = Counter(s.type if s.type in _GROUPS else "other" for s in sources)
    for kind, count in counts.items():
        most, words = limits.of(kind)
        if count > most:
            raise InvalidRequest.of_field(
                "controlMappingSources", f"hold {count} {words}; a control may have {most}."
            )
    for source in sources:
        value = source.keyword.value if source.keyword else None
        if source.type != "MANUAL" and value is None:
            raise InvalidRequest.of_field(
                "controlMappingSources",
                f"hold a source of type {source.type} without sourceKeyword.keywordValue.",
            )
        named = _GROUPS.get(source.type)
        if named is not None and value is not None and group(source.type, value) is None:
            raise NotFound(named, value)


def check_sets(sets: Sequence[ControlSet], known: Collection[str]) -> None:
    """Each set once by name and id, each control once in its set, and all of them known."""
    for name in _repeated(s.name for s in sets):
        raise InvalidRequest.of_field("controlSets", f"hold two control sets named '{name}'.")
    for set_id in _repeated(s.id for s in sets):
        raise InvalidRequest.of_field(
            "controlSets", f"hold two control sets with the id '{set_id}'."
        )
    for one in sets:
        for control_id in _repeated(one.control_ids):
            raise InvalidRequest.of_field(
                "controlSets",
                f"hold the control '{control_id}' twice in the control set '{one.name}'.",
            )
        for control_id in one.control_ids:
            if control_id not in known:
                raise NotFound("control", control_id)


def set_ids(framework: Framework, asked: Iterable[tuple[str | None, str]]) -> list[str]:
    """Ids for the sets of an edited framework, given as (id or None, name).

    A known id stays, whatever its set is called now; a set sent without one keeps the id it had
    under that name; any other gets its name as id, as at creation.
    """
    known = {s.id for s in framework.sets}
    pairs = [(i if i in known else None, name) for i, name in asked]
    sent = {i for i, _ in pairs}
    by_name = {s.name: s.id for s in framework.sets if s.id not in sent}
    return [i if i is not None else by_name.get(name, name) for i, name in pairs]


def check_custom(kind: str, thing: Control | Framework) -> None:
    """Only what a tenant made can be changed or deleted by it."""
    if thing.type != "Custom":
        raise InvalidRequest(
            f"The {kind} '{thing.name}' is shipped with Auditkeep and cannot be changed or "
            f"deleted. Make a {kind} of your own from it instead."
        )


def check_quota(kind: str, existing: int, quota: int, adding: int = 1) -> None:
    if existing + adding > quota:
        full = f", which is the quota of {quota}"
        short = f" and would get {adding} more; the quota is {quota}"
        raise QuotaExceeded(
            f"This account has {existing} custom {kind}s in this region"
            f"{full if existing >= quota else short}. Delete what is not used any more."
        )


def _repeated(values: Iterable[str]) -> Iterator[str]:
    return (value for value, n in Counter(values).items() if n > 1)
