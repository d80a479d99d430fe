"""What an assessment would see of the past and was not kept when it arrived: named, not silent.

Where only what an open lens sees is kept, `lake.keeping` notes the kinds of what it passes over. Of
those, a backfill names what its assessment looks at, unless it was brought since: by a fetch that
is complete, or by a trail that was read again for all that is wanted now. Files that were read
again by hand are not known here, and stay named.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from auditkeep.clock import Day, Instant, day_of
from auditkeep.collection import backfills, trails
from auditkeep.collection.backfills import Fetch
from auditkeep.collection.plan import HOME
from auditkeep.collection.trails import Progress
from auditkeep.db.tx import Tx
from auditkeep.evidence.lens import Interval, Lens
from auditkeep.ids import GLOBAL_REGION
from auditkeep.lake import keeping
from auditkeep.lake.keeping import Unkept
from auditkeep.sources.trail_layout import aimed


@dataclass(frozen=True, slots=True)
class NotKept:
    """What is not there of one source and origin; `read_again`: it may still be brought."""

    source: str
    origin_account: str
    origin_region: str
    match_keys: int
    first_day: Day
    last_day: Day
    last_at: Instant
    read_again: bool


@dataclass(frozen=True, slots=True)
class _Again:
    """Who may bring something again."""

    fetches: Sequence[Fetch]
    places: Sequence[tuple[str, str, Progress]]
    """Account, region and progress of the places of trails."""
    version: int

    def brought(self, one: Unkept) -> bool:
        done = any(f.state == "COMPLETE" for f in self._fetches(one))
        read = self._read(one)
        return done or (bool(read) and all(self._past(p, one) for p in read))

    def may_come(self, one: Unkept) -> bool:
        under_way = any(f.state == "RUNNING" for f in self._fetches(one))
        return under_way or any(not self._past(p, one) for p in self._read(one))

    def _fetches(self, one: Unkept) -> Iterable[Fetch]:
        place = (one.account, one.region, one.source)
        for f in self.fetches:
            if (f.place.account, f.place.region, f.place.source) == place and (
                f.start <= one.first and one.last < f.end and f.created_at >= one.last_at
            ):
                yield f

    def _read(self, one: Unkept) -> list[Progress]:
        if one.source != "AWS_Cloudtrail":
            return []
        region = HOME if one.region == GLOBAL_REGION else one.region
        return [p for account, place, p in self.places if (account, place) == (one.account, region)]

    def _past(self, progress: Progress, one: Unkept) -> bool:
        return progress.version >= self.version and 0 < progress.read_from <= one.first


def of_assessment(tx: Tx, assessment_id: str, lenses: Iterable[Lens]) -> list[NotKept]:
    """What the lenses of an assessment would see and was passed over, by source and origin."""
    places = [
        (aim.account, aim.region, progress)
        for trail in trails.listed(tx)
        for folder, progress in trails.progress_of(tx, trail.name).items()
        if (aim := aimed(folder)) is not None
    ]
    version = keeping.of(tx).wanted_version
    again = _Again(backfills.listed(tx, assessment_id), places, version)
    found: dict[tuple[str, str, str, bool], set[Unkept]] = {}
    for lens in lenses:
        for interval in lens.intervals:
            for one in _missing(tx, interval):
                if not again.brought(one):
                    key = (one.source, one.account, one.region, again.may_come(one))
                    found.setdefault(key, set()).add(one)
    return [
        NotKept(
            source=source,
            origin_account=account,
            origin_region=region,
            match_keys=len({one.match_key for one in some}),
            first_day=day_of(min(one.first for one in some)),
            last_day=day_of(max(one.last for one in some)),
            last_at=max(one.last_at for one in some),
            read_again=read_again,
        )
        for (source, account, region, read_again), some in sorted(found.items())
    ]


def _missing(tx: Tx, interval: Interval) -> Iterable[Unkept]:
    if interval.pinned:
        return
    days = day_of(interval.opens_at), day_of(interval.closes_at)
    for one in keeping.passed_over(tx, sorted(interval.match_keys), *days):
        if (
            interval.admits(one.match_key, one.account, one.region)
            and interval.opens_at <= one.last
            and one.first < interval.closes_at
            and interval.looks_on(day_of(one.first))
        ):
            yield one
