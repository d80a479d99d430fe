"""The shape of shipped content, and how it becomes frameworks and controls.

A file of `content/frameworks` is one framework: sets of controls, each with its texts and sources
in our own words. Ids are made from the slug and each control's key, never from texts, so
a name may be improved without anybody's assessment losing its control.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from auditkeep import clock, ids
from auditkeep.clock import Instant
from auditkeep.frameworks.model import (
    Control,
    ControlSet,
    ControlType,
    Framework,
    Frequency,
    Keyword,
    MappingSource,
    MappingType,
)


class _Text(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Content may hold nothing that is not read: a misspelt member is an error."""


class SourceText(_Text, frozen=True, kw_only=True):
    """One source for each keyword; a manual one has a name instead."""

    type: MappingType
    keywords: tuple[str, ...] = ()
    name: str | None = None
    description: str | None = None
    frequency: Frequency | None = None


class ControlText(_Text, frozen=True, kw_only=True):
    """A requirement: `key` is its id in the standard and must never change.

    `objective` is the slug of the catalogue's objective it serves; its set's where it has none.
    """

    key: str
    name: str
    description: str
    testing: str
    plan_title: str
    plan: str
    sources: tuple[SourceText, ...]
    type: ControlType = "Standard"
    objective: str | None = None


class SetText(_Text, frozen=True, kw_only=True):
    name: str
    controls: tuple[ControlText, ...]
    objective: str | None = None


class EntryText(_Text, frozen=True, kw_only=True):
    """An entry of the catalogue: `slug`, or the published `id`, must never change."""

    slug: str
    name: str
    description: str
    id: str | None = None


class CommonControlText(EntryText, frozen=True, kw_only=True):
    sources: tuple[SourceText, ...] = ()


class ObjectiveText(EntryText, frozen=True, kw_only=True):
    controls: tuple[CommonControlText, ...]


class DomainText(EntryText, frozen=True, kw_only=True):
    objectives: tuple[ObjectiveText, ...]


class CatalogueText(_Text, frozen=True, kw_only=True):
    """Domains of controls, with what lies in each; see `library.domains`."""

    released: str
    domains: tuple[DomainText, ...]


class Content(_Text, frozen=True, kw_only=True):
    """One shipped framework: `slug` and `released` (an ISO time) must never change."""

    slug: str
    name: str
    compliance_type: str
    description: str
    released: str
    sets: tuple[SetText, ...]
    logo: str | None = None


class ServiceText(_Text, frozen=True, kw_only=True):
    """A service in scope, as GetServicesInScope shows it."""

    name: str
    display_name: str
    category: str
    description: str


def framework_id(slug: str) -> str:
    return ids.named_id("library/framework", slug)


def control_id(slug: str, key: str) -> str:
    return ids.named_id("library/control", slug, key)


def framework_of(content: Content) -> Framework:
    released = clock.parse(content.released)
    return Framework(
        id=framework_id(content.slug),
        name=content.name,
        type="Standard",
        sets=tuple(
            ControlSet(
                id=s.name,
                name=s.name,
                control_ids=tuple(control_id(content.slug, c.key) for c in s.controls),
            )
            for s in content.sets
        ),
        created_at=released,
        updated_at=released,
        description=content.description,
        compliance_type=content.compliance_type,
        logo=content.logo,
    )


def controls_of(content: Content, objectives: Mapping[str, str]) -> Iterator[Control]:
    """Its controls; `objectives` are the ARNs of the catalogue's, by slug."""
    released = clock.parse(content.released)
    for one in content.sets:
        for text in one.controls:
            arn = objectives.get(text.objective or one.objective or "")
            yield _control(content.slug, text, released, (arn,) if arn else ())


def _control(
    slug: str, text: ControlText, released: Instant, objectives: tuple[str, ...]
) -> Control:
    own_id = control_id(slug, text.key)
    return Control(
        id=own_id,
        name=text.name,
        type=text.type,
        sources=tuple(sources_of(own_id, text.sources)),
        created_at=released,
        updated_at=released,
        description=text.description,
        testing_information=text.testing,
        action_plan_title=text.plan_title,
        action_plan_instructions=text.plan,
        objectives=objectives,
    )


def sources_of(own_id: str, texts: Iterable[SourceText]) -> Iterator[MappingSource]:
    """The mapping sources of one control, with ids that follow from the control's."""
    for text in texts:
        yield from _sources(own_id, text)


def _sources(own_id: str, text: SourceText) -> Iterator[MappingSource]:
    for keyword in text.keywords or (None,):
        yield MappingSource(
            id=ids.named_id("library/source", own_id, text.type, keyword or text.name or ""),
            type=text.type,
            set_up_option=(
                "Procedural_Controls_Mapping"
                if text.type == "MANUAL"
                else "System_Controls_Mapping"
            ),
            name=text.name,
            description=text.description,
            keyword=Keyword(keyword, "SELECT_FROM_LIST") if keyword else None,
            frequency=text.frequency,
        )
