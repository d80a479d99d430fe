"""Keywords of control mapping sources -> match keys (spec sections 3.2-3.5 and 4).

A keyword always resolves: the service accepts any text of the allowed letters without a word, so
one that no list knows becomes the key it would be if it were right, and `suggest` says what may
have been meant. Only primitive source types have keywords of their own; `MANUAL` has none, and
core and common controls are followed by whoever knows controls.
"""

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache

from auditkeep.mapping import catalogue, cloudtrail, config, scanners, securityhub


def _api_keys(keyword: str) -> frozenset[str]:
    return frozenset({f"api:{keyword}"})


def _api_keywords() -> list[str]:
    return catalogue.api().keywords


_KEYS: dict[str, Callable[[str], frozenset[str]]] = {
    "AWS_Cloudtrail": cloudtrail.keyword_keys,
    "AWS_Config": config.keyword_keys,
    "AWS_Security_Hub": securityhub.keyword_keys,
    "AWS_API_Call": _api_keys,
}

_LISTS: dict[str, Callable[[], list[str]]] = {
    "AWS_Cloudtrail": cloudtrail.keywords,
    "AWS_Config": config.keywords,
    "AWS_Security_Hub": securityhub.keywords,
    "AWS_API_Call": _api_keywords,
}


OWN: dict[str, frozenset[str]] = {"AWS_Cloudtrail": frozenset({"digest_cloudtrail"})}
"""Keywords that AWS does not have: what the checking of CloudTrail's digests found."""


def match_keys(source_type: str, keyword: str) -> frozenset[str]:
    """The match keys a keyword means; empty for source types that have no keywords.

    Case counts. As a courtesy a keyword that differs from exactly one listed one only in case is
    taken as that (spec 4: operation names are spelled irregularly); `Custom_` rules never are.
    """
    resolve = _KEYS.get(source_type)
    return resolve(_as_listed(source_type, keyword)) if resolve else frozenset()


def keywords(source_type: str) -> list[str]:
    """What ListKeywordsForDataSource answers, sorted; empty for `MANUAL` and unknown types."""
    return list(_listed(source_type))


def is_listed(source_type: str, keyword: str) -> bool:
    """Whether AWS lists the keyword, or it is one of ours beside AWS's."""
    if source_type == "AWS_Security_Hub" and scanners.is_ours(keyword):
        return True
    return keyword in _known(source_type) or keyword in OWN.get(source_type, ())


def suggest(source_type: str, keyword: str) -> list[str]:
    """At most three listed keywords close to one that is not listed; none for one that is."""
    if is_listed(source_type, keyword) or keyword.startswith(config.CUSTOM):
        return []
    listed = _as_listed(source_type, keyword)
    if listed != keyword:
        return [listed]
    if source_type == "AWS_Config":
        # the rule's name instead of its identifier, which often is spelled otherwise
        named = catalogue.config().names.get(keyword.lower().replace("_", "-"))
        if named:
            return [named]
    if source_type == "AWS_Cloudtrail":
        # 11,000 keywords: compare with those of the same service first
        prefix = cloudtrail.prefix_of(keyword.partition("_")[0])
        near = [k for k in _listed(source_type) if cloudtrail.prefix_of(k.split("_")[0]) == prefix]
        return get_close_matches(keyword, near or _listed(source_type), n=3, cutoff=0.7)
    return get_close_matches(keyword, _listed(source_type), n=3, cutoff=0.7)


@cache
def _listed(source_type: str) -> tuple[str, ...]:
    return tuple(_LISTS[source_type]()) if source_type in _LISTS else ()


@cache
def _known(source_type: str) -> frozenset[str]:
    return frozenset(_listed(source_type))


@cache
def _folded(source_type: str) -> dict[str, str | None]:
    """Lower-case keyword -> the listed one; None where two differ only in case."""
    result: dict[str, str | None] = {}
    for keyword in _listed(source_type):
        folded = keyword.lower()
        result[folded] = None if folded in result else keyword
    return result


def _as_listed(source_type: str, keyword: str) -> str:
    if keyword in _known(source_type) or keyword.startswith(config.CUSTOM):
        return keyword
    return _folded(source_type).get(keyword.lower()) or keyword
