"""Which observations of a unit can be kept, and which of them say the same twice.

Pure. What cannot be kept is refused with its position and a sentence, and never stops the rest.
"""

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from auditkeep.clock import DAY, Instant
from auditkeep.lake.encoding import LAST_EVENT, EnvelopeWriter
from auditkeep.observations import Observation

FUTURE = DAY
"""How far ahead of now an event may claim to have happened: clocks differ, but not by more."""

MAX_NAMES = 1_000
"""Characters of match key, account, region and verdict together: they are keys of a rollup, which
an index of PostgreSQL takes up to about 2,700 bytes; real ones have less than 150."""

CONTENT_SIZE = 16
"""Bytes of the SHA-256 of an observation's content that are kept beside its id."""

Refused = tuple[str, str]
"""Position, and why what is there cannot be kept."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """An observation that can be kept."""

    id: bytes
    observation: Observation
    envelope: bytes
    raw_hash: bytes

    @property
    def content(self) -> bytes:
        told = self.observation.content
        return (self.raw_hash if told is None else sha256(told).digest())[:CONTENT_SIZE]


def admit(
    observations: Sequence[Observation], writer: EnvelopeWriter, now: Instant
) -> tuple[list[Row], list[Refused]]:
    """Those that can be kept, with their ids and envelopes; and the others."""
    latest = min(now + FUTURE, LAST_EVENT)
    rows: list[Row] = []
    refused: list[Refused] = []
    for o in observations:
        names = f"{o.match_key}{o.account}{o.region}{o.verdict}"
        if not 0 <= o.event_time <= latest:
            when = "before 1970" if o.event_time < 0 else "more than 24 hours in the future"
            refused.append((o.position, f"It claims to have happened {when}."))
        elif "\0" in names or "\0" in o.position or len(names) > MAX_NAMES:
            refused.append((o.position, "Its names are too long or hold a zero character."))
        else:
            try:
                id_ = writer.id(o)
                envelope = writer.write(o, id_)
            except UnicodeEncodeError:
                refused.append((ascii(o.position), "Its text is not valid Unicode."))
            else:
                rows.append(Row(id_, o, envelope, sha256(o.raw).digest()))
    return rows, refused


def without_copies(rows: Sequence[Row]) -> tuple[list[Row], int, list[Row]]:
    """The first row of each id; how many others say the same; and those that contradict it."""
    first: dict[bytes, Row] = {}
    copies = 0
    clashes: list[Row] = []
    for row in rows:
        earlier = first.setdefault(row.id, row)
        if earlier is row:
            continue
        if earlier.content == row.content or same(earlier.observation.raw, row.observation.raw):
            copies += 1
        else:
            clashes.append(row)
    return list(first.values()), copies, clashes


def same(one: bytes, other: bytes) -> bool:
    """Whether two sources' bytes say the same: one fact comes compact here, pretty-printed there.

    Bytes that are not JSON are the same only when they are equal.
    """
    if one == other:
        return True
    try:
        return _equal(msgspec.json.decode(one), msgspec.json.decode(other))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _equal(one: object, other: object) -> bool:
    """Equality of JSON values: 1 is 1.0, but, unlike in Python, true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)
