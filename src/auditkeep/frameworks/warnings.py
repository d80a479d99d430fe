"""Keywords that no list knows, told to whoever can still mend them (spec section 12, point 19).

AWS accepts any text of the allowed letters and then collects nothing for it, in silence. So do we,
because a rule or an event may be newer than the lists, but not in silence: such a keyword is
logged when its control is saved and listed by `auditkeep warnings`, and where the operator asks
for strictness the control is refused. Names of custom rules (`Custom_…`) are never doubted, nor
are API calls beyond AWS's list that Auditkeep can make; of one that it never makes, the reason is
told.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from auditkeep.errors import InvalidRequest
from auditkeep.frameworks.model import Control, MappingSource
from auditkeep.mapping import calls, config, keywords

_LISTED = frozenset({"AWS_API_Call", "AWS_Cloudtrail", "AWS_Config", "AWS_Security_Hub"})
"""The source types whose keywords AWS publishes a list of."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A keyword of one source that will probably never find anything."""

    control_id: str
    control_name: str
    source_type: str
    keyword: str
    suggestions: tuple[str, ...]
    reason: str = ""
    """Why an API call is never made, as a sentence."""


def unknown_keywords(sources: Iterable[MappingSource]) -> Iterator[tuple[str, str]]:
    """Source type and keyword of each source whose keyword no list knows."""
    for source in sources:
        word = source.keyword.value if source.keyword else None
        if source.type not in _LISTED or word is None or word.startswith(config.CUSTOM):
            continue
        if keywords.is_listed(source.type, word):
            continue
        if source.type != "AWS_API_Call" or isinstance(calls.find(word), calls.Refusal):
            yield source.type, word


def reason(source_type: str, word: str) -> str:
    """Why an API call is never made, as a sentence; nothing for other keywords."""
    found = calls.find(word) if source_type == "AWS_API_Call" else None
    return found.sentence if isinstance(found, calls.Refusal) else ""


def refuse_unknown(sources: Iterable[MappingSource]) -> None:
    """InvalidRequest on the first keyword that no list knows, saying what may have been meant."""
    for source_type, word in unknown_keywords(sources):
        near = keywords.suggest(source_type, word)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        why = reason(source_type, word)
        meant = (f" {why}" if why else "") + meant
        raise InvalidRequest.of_field(
            "controlMappingSources",
            f"hold the keyword '{word}', which the list of {source_type} does not know.{meant}",
        )


def doubts(controls: Iterable[Control]) -> list[Doubt]:
    """Every doubtful keyword of some controls, with at most three that are close to it."""
    return [
        Doubt(
            c.id,
            c.name,
            source_type,
            word,
            tuple(keywords.suggest(source_type, word)),
            reason(source_type, word),
        )
        for c in controls
        for source_type, word in unknown_keywords(c.sources)
    ]
