"""What the lake gives back, and how one asks for it: values only.

An observation as kept has a heavy side (the source's bytes, envelope and nonce, which proofs and
reports need) and a light one (what counting and listing need); `Stored` has both, `Header` the
light one.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from auditkeep.clock import Day, Instant


class Header(msgspec.Struct, frozen=True, gc=False):
    """The light side of one observation; a resource's verdict is "" where its source gave none."""

    id: bytes
    batch_no: int
    event_time: Instant
    source: str
    match_key: str
    account: str
    region: str
    verdict: str | None
    resources: tuple[str, ...]
    resource_verdicts: tuple[str, ...]


class Stored(msgspec.Struct, frozen=True, gc=False):
    """One observation as kept: `index` is its place in its batch, `envelope` and `raw` the bytes
    that its leaf covers together with `nonce`.
    """

    id: bytes
    batch_no: int
    index: int
    event_time: Instant
    collected_at: Instant
    source: str
    match_key: str
    account: str
    region: str
    verdict: str | None
    envelope: bytes
    raw: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True)
class View:
    """What one interval of a lens sees: match keys × accounts × regions × event time in
    [start, end), and no batch later than `up_to_batch`. None in accounts or regions means all;
    global services are seen where `ids.GLOBAL_REGION` is among the regions.
    """

    match_keys: frozenset[str]
    accounts: frozenset[str] | None
    regions: frozenset[str] | None
    start: Instant
    end: Instant
    up_to_batch: int | None = None

    def admits(
        self, match_key: str, account: str, region: str, event_time: int, batch_no: int
    ) -> bool:
        """Whether an observation with these members is seen."""
        return (
            self.start <= event_time < self.end
            and match_key in self.match_keys
            and (self.accounts is None or account in self.accounts)
            and (self.regions is None or region in self.regions)
            and (self.up_to_batch is None or batch_no <= self.up_to_batch)
        )


class Rollup(msgspec.Struct, frozen=True, gc=False):
    """Counts of one day, match key, origin, source and raw verdict ("": none) in one bucket.

    `resources` counts resources with repetition; `issues` those of them that are non-compliant, or
    the non-compliant observations where a source names no resources.
    """

    day: Day
    match_key: str
    origin_account: str
    origin_region: str
    source: str
    verdict: str
    bucket_id: str
    items: int
    resources: int
    issues: int
    first_time: Instant
    last_time: Instant
    last_batch: int


def count_gone(told: str | None) -> int:
    """How many observations a batch's `gone` names."""
    return size_of(gone_of(told))


def size_of(ranges: Iterable[tuple[int, int]]) -> int:
    """How many numbers lie in ranges, both ends included."""
    return sum(high - low + 1 for low, high in ranges)


def gone_of(told: str | None) -> list[tuple[int, int]]:
    """The ranges of a batch's `gone`, both ends included."""
    return [] if told is None else msgspec.json.decode(told, type=list[tuple[int, int]])
