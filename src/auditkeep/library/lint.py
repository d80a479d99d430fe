"""What shipped content must keep: `faults` names everything that would mislead a user.

Ids unique, texts within the model's limits, no empty set, every keyword one that the catalogues
list (a mistyped keyword collects nothing, silently), and words that claim no more than evidence
can: it supports a judgement and proves no compliance.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from auditkeep.frameworks.model import Control, MappingSource
from auditkeep.frameworks.rules import MOST_SOURCES
from auditkeep.frameworks.wire import to_wire_control, to_wire_framework
from auditkeep.ids import Tenant
from auditkeep.library.content import CatalogueText, Content
from auditkeep.library.domains import Catalogue
from auditkeep.library.library import Library
from auditkeep.mapping import keywords
from auditkeep.wire.models import auditmanager as am

_SOMEONE = Tenant("000000000000", "us-east-1")
_CLAIMS = re.compile(
    r"\b(prove[sn]?|guarantee[sd]?|ensures? compliance|(is|are|fully) compliant)\b", re.IGNORECASE
)


def faults(contents: Iterable[Content], catalogue: CatalogueText | None = None) -> list[str]:
    """One sentence for each fault; empty when the content may ship."""
    kept = list(contents)
    found = [*_repeated(kept), *_empty(kept), *_shapes(kept), *_words(kept)]
    return found if catalogue is None else [*found, *_catalogue(kept, catalogue)]


def _catalogue(contents: list[Content], text: CatalogueText) -> Iterator[str]:
    """Every entry is named once, and each control's objective is one of them."""
    known = Catalogue.of(text)
    aims = [o for d in text.domains for o in d.objectives]
    for entries in (text.domains, aims, [c for o in aims for c in o.controls]):
        for word in (*_twice(e.slug for e in entries), *_twice(e.name for e in entries)):
            yield f"The catalogue names '{word}' twice."
    for common in known.common_controls:
        control = known.control(common.id)
        if control is not None:
            yield from _unlisted(control)
    for content in contents:
        placed = {s.objective for s in content.sets if s.objective}
        placed |= {c.objective for s in content.sets for c in s.controls if c.objective}
        for slug in sorted(placed - known.objectives_by_slug.keys()):
            yield f"{content.slug} names the objective '{slug}', which the catalogue has not."


def _repeated(contents: list[Content]) -> Iterator[str]:
    for slug in _twice(c.slug for c in contents):
        yield f"Two frameworks have the slug '{slug}'."
    for content in contents:
        for name in _twice(s.name for s in content.sets):
            yield f"{content.slug}: two control sets are named '{name}'."
        for key in _twice(c.key for s in content.sets for c in s.controls):
            yield f"{content.slug}: two controls have the key '{key}'."
        for control in Library.of([content]).controls.values():
            for source in _twice(s.id for s in control.sources):
                yield f"{content.slug}: '{control.name}' has the source {source} twice."


def _empty(contents: list[Content]) -> Iterator[str]:
    for content in contents:
        if not content.sets:
            yield f"{content.slug} has no control set."
        for one in content.sets:
            if not one.controls:
                yield f"{content.slug}: the control set '{one.name}' is empty."
            for control in one.controls:
                if not control.sources:
                    yield f"{content.slug}: '{control.name}' has no source."


def _shapes(contents: list[Content]) -> Iterator[str]:
    library = Library.of(contents)
    for control in library.controls.values():
        yield from _unlisted(control)
        if len(control.sources) > MOST_SOURCES:
            yield f"'{control.name}' has more than {MOST_SOURCES} sources: nobody could copy it."
        shape = to_wire_control(control, _SOMEONE, {}, library)
        yield from _refused(control.name, shape, am.Control)
    for framework in library.frameworks.values():
        members = {
            i: to_wire_control(library.controls[i], _SOMEONE, {}, library)
            for i in framework.control_ids()
        }
        whole = to_wire_framework(framework, _SOMEONE, {}, members)
        # The model calls a set's id a UUID, but it is the set's name (spec 12, decision 11).
        sets = tuple(msgspec.structs.replace(s, id=None) for s in whole.control_sets or ())
        whole = msgspec.structs.replace(whole, control_sets=sets)
        yield from _refused(framework.name, whole, am.Framework)


def _unlisted(control: Control) -> Iterator[str]:
    for source in control.sources:
        word = source.keyword.value if source.keyword else None
        if source.type == "MANUAL":
            if source.name is None:
                yield f"'{control.name}' has a manual source without a name."
        elif word is None:
            yield f"'{control.name}' has a source of type {source.type} without a keyword."
        elif _automated(source) and not keywords.is_listed(source.type, word):
            yield f"'{control.name}' names {word}, which no list of {source.type} has."


def _automated(source: MappingSource) -> bool:
    return source.type not in {"MANUAL", "Core_Control", "Common_Control"}


def _refused(
    name: str, shape: am.Control | am.Framework, kind: type[am.Control | am.Framework]
) -> Iterator[str]:
    try:
        msgspec.json.decode(msgspec.json.encode(shape), type=kind)
    except msgspec.ValidationError as error:
        yield f"'{name}' does not fit the API's model: {error}."


def _words(contents: list[Content]) -> Iterator[str]:
    for content in contents:
        texts = [content.description]
        for control in (c for s in content.sets for c in s.controls):
            texts += [control.description, control.testing, control.plan_title, control.plan]
            texts += [s.description for s in control.sources if s.description]
        for text in texts:
            claim = _CLAIMS.search(text)
            if claim:
                yield f"{content.slug} says '{claim[0]}', which no evidence does: {text[:80]}…"


def _twice(values: Iterable[str]) -> list[str]:
    return [v for v, n in Counter(values).items() if n > 1]
