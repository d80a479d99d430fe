"""The observation: one fact, from one source, about one account and region at one time.

The noun all rooms share, and pure. Its id follows from who owns it and its natural key, so
seeing the same fact twice is harmless. What is hashed and kept is in `docs/formats.md`.
"""

from typing import Literal

import msgspec

from auditkeep.clock import Instant

KeepPolicy = Literal["library", "matched", "all"]
"""Which of the facts that arrive a tenant keeps, see `lake.keeping`."""

SourceType = Literal[
    "AWS_Cloudtrail",
    "AWS_Config",
    "AWS_Security_Hub",
    "AWS_API_Call",
    "SCANNER",
    "MANUAL",
    "RUN",
    "ACTIVITY",
    "GOVERNANCE",
]
"""Where an observation comes from; SCANNER is any scanner or cloud beyond AWS, RUN Auditkeep's own
record of an ingest or collection, ACTIVITY of calls of its API, GOVERNANCE of a destruction and
who asked for it."""

Verdict = Literal["compliant", "non-compliant", "inconclusive"]
"""The three-way class of spec section 3.6, used by dashboard, insights and reports alike."""

How = Literal["pulled", "verified-log", "file", "pushed", "uploaded", "imported", "witnessed"]
"""How the bytes reached us (design section 5, provenance); `witnessed`: Auditkeep wrote them."""

_COMPLIANT = frozenset({"COMPLIANT", "PASSED"})
_NON_COMPLIANT = frozenset({"NON_COMPLIANT", "FAILED", "WARNING"})


def verdict_of(raw: str | None) -> Verdict:
    """The class of a source's own verdict (spec 3.6): WARNING is non-compliant, unknown is not."""
    if raw in _COMPLIANT:
        return "compliant"
    return "non-compliant" if raw in _NON_COMPLIANT else "inconclusive"


class Resource(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A resource that an observation is about; `verdict` is the source's own word."""

    value: str
    arn: str | None = None
    type: str | None = None
    verdict: str | None = None


class Cut(msgspec.Struct, frozen=True, gc=False):
    """A secret removed before hashing: where, how long it was, by which rule, and its HMAC."""

    length: int
    mac: str
    offset: int
    rule: str


class Observation(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a source's parser gives: everything but owner, id and collection time.

    `natural_key` are the parts that make this fact that fact (design section 5); `raw` are the
    source's bytes as kept, after cuts; `verdict` is the source's own word, or None where it gives
    none; `region` is `ids.GLOBAL_REGION` for services that have none. `content` is what two
    tellings of one fact must have in common, where a source tells it in more than one form; where
    it is None, all of `raw` is. It is neither kept nor hashed into anything.
    """

    source: SourceType
    natural_key: tuple[str, ...]
    event_time: Instant
    match_key: str
    account: str
    region: str
    raw: bytes
    reader: str
    position: str
    verdict: str | None = None
    resources: tuple[Resource, ...] = ()
    actor: str | None = None
    event_name: str = ""
    event_source: str = ""
    cuts: tuple[Cut, ...] = ()
    content: bytes | None = None


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """How a unit's observations reached us: shared by all of one append."""

    how: How
    collector: str
    run: str
    software: str
