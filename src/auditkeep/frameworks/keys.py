"""From a control to what it looks at: primitive sources, match keys, display labels.

A control may point at core and common controls, which group sources; following them gives the
*primitive* sources (rule, finding, event, API call, manual). Keywords become match keys in
`mapping`, as sets, so that two sources of one control never count an observation twice.
"""

from collections.abc import Callable, Iterator

from auditkeep.frameworks.model import Control, Frequency, MappingSource, MappingType
from auditkeep.mapping import keywords

ResolveGroup = Callable[[MappingType, str], Control | None]
"""The core or common control that a source names; None when there is none (any more)."""

_LABELS = {
    "AWS_API_Call": "AWS API calls",
    "AWS_Cloudtrail": "AWS CloudTrail",
    "AWS_Config": "AWS Config",
    "AWS_Security_Hub": "AWS Security Hub",
    "MANUAL": "Manual",
}


def primitive_sources(control: Control, group: ResolveGroup) -> Iterator[MappingSource]:
    """The control's own sources and those of the controls it names, each control once."""
    for one in _with_groups(control, group):
        yield from (source for source in one.sources if source.type in _LABELS)


def objectives_of(control: Control, group: ResolveGroup) -> frozenset[str]:
    """ARNs of the objectives it serves: its own, or those of the controls it names (spec 7)."""
    if control.objectives:
        return frozenset(control.objectives)
    return frozenset(arn for one in _with_groups(control, group) for arn in one.objectives)


def common_controls_of(control: Control) -> Iterator[str]:
    """The common controls that its sources name, by ARN or id."""
    for source in control.sources:
        if source.type == "Common_Control" and source.keyword and source.keyword.value:
            yield source.keyword.value


def match_keys_of(control: Control, group: ResolveGroup) -> frozenset[str]:
    """Every match key whose observations are this control's evidence."""
    found: set[str] = set()
    for source in primitive_sources(control, group):
        if source.type != "MANUAL" and source.keyword and source.keyword.value:
            found |= keywords.match_keys(source.type, source.keyword.value)
    return frozenset(found)


def rhythms_of(control: Control, group: ResolveGroup) -> dict[str, tuple[Frequency, ...]]:
    """Those match keys of API calls that it wants less often than every day, with how often."""
    found: dict[str, set[Frequency]] = {}
    for source in primitive_sources(control, group):
        if source.type == "AWS_API_Call" and source.keyword and source.keyword.value:
            for key in keywords.match_keys(source.type, source.keyword.value):
                found.setdefault(key, set()).add(source.frequency or "DAILY")
    return {key: tuple(sorted(often)) for key, often in found.items() if "DAILY" not in often}


def labels_of(control: Control, group: ResolveGroup) -> str | None:
    """`controlSources`: the sources' display labels, sorted, comma and space between (spec 1.3)."""
    labels = {_LABELS[s.type] for s in primitive_sources(control, group)}
    return ", ".join(sorted(labels)) or None


def _with_groups(control: Control, group: ResolveGroup) -> Iterator[Control]:
    """The control, and those whose sources its own stand for."""
    seen = {control.id}
    waiting = [control]
    while waiting:
        one = waiting.pop()
        yield one
        for source in one.sources:
            if source.type not in _LABELS and source.keyword and source.keyword.value:
                named = group(source.type, source.keyword.value)
                if named is not None and named.id not in seen:
                    seen.add(named.id)
                    waiting.append(named)
