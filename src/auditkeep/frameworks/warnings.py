"""Keywords that will find nothing, told to whoever can still mend them (spec section 12, point 19).

AWS accepts any text of the allowed letters and then collects nothing for it, in silence. So do we,
because a rule or an event may be newer than the lists, but not in silence: a keyword that no list
knows, and one whose events are never evidence (`mapping.never_evidence`), is logged when its
control is saved and listed by `auditkeep warnings`, and where the operator asks for strictness the
control is refused. Names of custom rules (`Custom_…`) are never doubted, nor are API calls beyond
AWS's list that Auditkeep can make; of one that it never makes, the reason is told.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from auditkeep.errors import InvalidRequest
from auditkeep.frameworks.model import Control, MappingSource
from auditkeep.mapping import calls, config, keywords, never_evidence

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
    """Why it never finds anything, as a sentence, where that is known."""


def doubtful_keywords(sources: Iterable[MappingSource]) -> Iterator[tuple[str, str]]:
    """Source type and keyword of each source whose keyword will probably never find anything."""
    for source in sources:
        word = source.keyword.value if source.keyword else None
        if word is not None and is_doubtful(source.type, word):
            yield source.type, word


def is_doubtful(source_type: str, word: str) -> bool:
    """Whether a keyword will probably never find anything."""
    if source_type not in _LISTED or word.startswith(config.CUSTOM):
        return False
    if source_type == "AWS_API_Call" or keywords.is_listed(source_type, word):
        return bool(reason(source_type, word))
    return True


def reason(source_type: str, word: str) -> str:
    """Why an API call is never made, or an event never evidence; nothing for other keywords."""
    if source_type == "AWS_Cloudtrail":
        return never_evidence.why(word)
    found = calls.find(word) if source_type == "AWS_API_Call" else None
    return found.sentence if isinstance(found, calls.Refusal) else ""


def sentence(source_type: str, word: str) -> str:
    """What is wrong with a doubtful keyword, why if that is known, and what may have been meant."""
    near = keywords.suggest(source_type, word)
    listed = keywords.is_listed(source_type, word)
    parts = (
        f"the keyword '{word}', which the list of {source_type} "
        + ("has, but which never finds anything." if listed else "does not know."),
        reason(source_type, word),
        f"Did you mean {' or '.join(near)}?" if near else "",
    )
    return " ".join(filter(None, parts))


def refuse_doubtful(sources: Iterable[MappingSource]) -> None:
    """InvalidRequest on the first doubtful keyword, saying what may have been meant."""
    for source_type, word in doubtful_keywords(sources):
        raise InvalidRequest.of_field(
            "controlMappingSources", f"hold {sentence(source_type, word)}"
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
        for source_type, word in doubtful_keywords(c.sources)
    ]
