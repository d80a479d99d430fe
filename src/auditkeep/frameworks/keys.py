"""From a control to what it looks at: primitive sources, match keys, display labels.

A control may point at core controls, which group concrete sources; following them gives the
*primitive* sources (rule, finding, event, API call, manual). Keywords become match keys in
`mapping`, as sets, so that two sources of one control never count an observation twice.
"""

from collections.abc import Callable, Iterator

from auditkeep.frameworks.model import Control, MappingSource
from auditkeep.mapping import keywords

ResolveCore = Callable[[str], Control | None]
"""A core control by its id; None when there is none (any more)."""

_LABELS = {
    "AWS_API_Call": "AWS API calls",
    "AWS_Cloudtrail": "AWS CloudTrail",
    "AWS_Config": "AWS Config",
    "AWS_Security_Hub": "AWS Security Hub",
    "MANUAL": "Manual",
}


def primitive_sources(control: Control, resolve_core: ResolveCore) -> Iterator[MappingSource]:
    """The control's own sources and those of the core controls it names, each control once."""
    seen = {control.id}
    waiting = [control]
    while waiting:
        for source in waiting.pop().sources:
            if source.type in _LABELS:
                yield source
            elif source.type == "Core_Control" and source.keyword and source.keyword.value:
                core = resolve_core(source.keyword.value)
                if core is not None and core.id not in seen:
                    seen.add(core.id)
                    waiting.append(core)


def match_keys_of(control: Control, resolve_core: ResolveCore) -> frozenset[str]:
    """Every match key whose observations are this control's evidence."""
    found: set[str] = set()
    for source in primitive_sources(control, resolve_core):
        if source.type != "MANUAL" and source.keyword and source.keyword.value:
            found |= keywords.match_keys(source.type, source.keyword.value)
    return frozenset(found)


def labels_of(control: Control, resolve_core: ResolveCore) -> str | None:
    """`controlSources`: the sources' display labels, sorted, comma and space between (spec 1.3)."""
    labels = {_LABELS[s.type] for s in primitive_sources(control, resolve_core)}
    return ", ".join(sorted(labels)) or None
