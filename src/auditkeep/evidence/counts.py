"""What a lens sees, counted: from rollups where they suffice, from headers where they do not.

A rollup says how many observations of one day, match key, origin account, region, source and raw
verdict there are, when the first and last of them happened and in which batch the last one came.
A *group* is all rollups of one (day, match key, account, region). For each lens a group is

    whole     some interval holds its first and its last event time, and no batch is too late
    unseen    no interval admits it, or none touches its times
    partial   anything else: an interval begins or ends within it, or it grew after a freeze

Whole groups are added up as they are; partial ones are counted observation by observation, each
once however many intervals see it. How many *distinct* resources a folder holds is not in the
rollups either; where that is asked for, every group with more than one resource is read.
Spec sections 1.8, 3.6 and 7 say what the counts mean.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from auditkeep.clock import Day, Instant, day_of, day_start
from auditkeep.db.tx import Tx
from auditkeep.evidence.lens import BEGINNING, FOREVER, Lens
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Header, Rollup, View
from auditkeep.lake.read import headers
from auditkeep.observations import verdict_of

Place = tuple[int, Day]
"""Which folder: a control's ordinal and a day."""


def is_check(source: str, verdict: str | None) -> bool:
    """Whether evidence is a compliance check: of sources that judge, and what CloudTrail's digests
    gave (`sources.digest_findings`), the only evidence of CloudTrail with a verdict.
    """
    if source == "AWS_Cloudtrail":
        return bool(verdict)
    return source in ("AWS_Config", "AWS_Security_Hub", "SCANNER")


_Group = tuple[Day, str, str, str]


@dataclass(slots=True)
class Counts:
    """One folder's, or one control's, evidence in numbers."""

    total: int = 0
    compliance: int = 0
    issues: int = 0
    """Compliance checks that found something."""
    activity: int = 0
    configuration: int = 0
    manual: int = 0
    compliant: int = 0
    noncompliant: int = 0
    inconclusive: int = 0
    resources: int = 0
    """Resources included, each as often as it is."""
    first_time: Instant = FOREVER
    first_source: str = ""
    distinct: int = 0
    """Different resources; only where asked for."""

    @property
    def system(self) -> int:
        return self.total - self.manual

    def add(
        self, source: str, verdict: str | None, items: int, resources: int, first: Instant
    ) -> None:
        """Count observations of one source and raw verdict."""
        self.total += items
        self.resources += resources
        kind = verdict_of(verdict)
        if kind == "compliant":
            self.compliant += items
        elif kind == "non-compliant":
            self.noncompliant += items
        else:
            self.inconclusive += items
        if is_check(source, verdict):
            self.compliance += items
            if kind == "non-compliant":
                self.issues += items
        elif source == "AWS_Cloudtrail":
            self.activity += items
        elif source == "AWS_API_Call":
            self.configuration += items
        elif source == "MANUAL":
            self.manual += items
        earliest = min((self.first_time, self.first_source), (first, source))
        self.first_time, self.first_source = earliest

    def merge(self, other: "Counts", times: int = 1) -> None:
        """Take in what another one counted, or several alike; distinct resources do not add up
        and stay.
        """
        self.total += other.total * times
        self.compliance += other.compliance * times
        self.issues += other.issues * times
        self.activity += other.activity * times
        self.configuration += other.configuration * times
        self.manual += other.manual * times
        self.compliant += other.compliant * times
        self.noncompliant += other.noncompliant * times
        self.inconclusive += other.inconclusive * times
        self.resources += other.resources * times
        earlier = (other.first_time, other.first_source)
        self.first_time, self.first_source = min((self.first_time, self.first_source), earlier)


@dataclass(slots=True)
class _Rolled:
    """The rollups of one group."""

    rows: list[Rollup] = field(default_factory=list)
    first: Instant = FOREVER
    last: Instant = BEGINNING
    last_batch: int = 0
    resources: int = 0

    def take(self, row: Rollup) -> None:
        self.rows.append(row)
        self.first = min(self.first, row.first_time)
        self.last = max(self.last, row.last_time)
        self.last_batch = max(self.last_batch, row.last_batch)
        self.resources += row.resources


def count(
    tx: Tx, lake: Lake, lenses: Sequence[Lens], rows: Iterable[Rollup], *, distinct: bool = False
) -> dict[Place, Counts]:
    """The folders that some lenses see in these rollups, with their counts.

    `rows` must hold all rollups of each group they hold any of; groups that no lens admits may
    be among them. With `distinct`, distinct resources are counted too.
    """
    rolled: dict[_Group, _Rolled] = {}
    for row in rows:
        key = (Day(row.day), row.match_key, row.origin_account, row.origin_region)
        rolled.setdefault(key, _Rolled()).take(row)
    lenses_of = by_match_key(lenses)
    found: dict[Place, Counts] = {}
    whole: dict[Place, list[_Group]] = {}
    partial: dict[_Group, list[Lens]] = {}
    for group, sums in rolled.items():
        for lens in lenses_of.get(group[1], ()):
            seen = _seen(lens, group, sums)
            if seen == "partial":
                partial.setdefault(group, []).append(lens)
            elif seen == "whole":
                place = (lens.ordinal, group[0])
                counts = found.setdefault(place, Counts())
                for row in sums.rows:
                    counts.add(row.source, row.verdict, row.items, row.resources, row.first_time)
                whole.setdefault(place, []).append(group)
    known: dict[_Group, list[int]] = {}
    if distinct:
        known = _unknown_resources(found, whole, partial)
    _count_headers(_read(tx, lake, {*partial, *known}), partial, known, found, distinct=distinct)
    return found


def _unknown_resources(
    found: Mapping[Place, Counts],
    whole: Mapping[Place, Sequence[_Group]],
    partial: Mapping[_Group, Sequence[Lens]],
) -> dict[_Group, list[int]]:
    """The whole groups whose resources must be read, each with the ordinals that count them.

    A folder without partial groups and with one resource at most needs no reading.
    """
    mixed = {(lens.ordinal, group[0]) for group, lenses in partial.items() for lens in lenses}
    wanted: dict[_Group, list[int]] = {}
    for place, groups in whole.items():
        counts = found[place]
        if counts.resources <= 1 and place not in mixed:
            counts.distinct = counts.resources
            continue
        for group in groups:
            wanted.setdefault(group, []).append(place[0])
    return wanted


def _count_headers(
    headers: Iterable[Header],
    partial: Mapping[_Group, Sequence[Lens]],
    whole: Mapping[_Group, Sequence[int]],
    found: dict[Place, Counts],
    *,
    distinct: bool,
) -> None:
    """Add what is seen of partial groups; with `distinct`, the resources of whole ones too."""
    resources: dict[Place, set[str]] = {}
    for header in headers:
        day = day_of(header.event_time)
        group = (day, header.match_key, header.account, header.region)
        for lens in partial.get(group, ()):
            if lens.sees(*group[1:], header.event_time, header.batch_no):
                place = (lens.ordinal, day)
                found.setdefault(place, Counts()).add(
                    header.source, header.verdict, 1, len(header.resources), header.event_time
                )
                resources.setdefault(place, set()).update(header.resources)
        for ordinal in whole.get(group, ()):
            resources.setdefault((ordinal, day), set()).update(header.resources)
    if distinct:
        for place, values in resources.items():
            found[place].distinct = len(values)


def _read(tx: Tx, lake: Lake, groups: Iterable[_Group]) -> Iterable[Header]:
    """The headers of some groups, and maybe of their neighbours in the same days."""
    days: dict[Day, tuple[set[str], set[str], set[str]]] = {}
    for day, match_key, account, region in groups:
        keys, accounts, regions = days.setdefault(day, (set(), set(), set()))
        keys.add(match_key)
        accounts.add(account)
        regions.add(region)
    views = [
        View(
            match_keys=frozenset(keys),
            accounts=frozenset(accounts),
            regions=frozenset(regions),
            start=day_start(day),
            end=day_start(Day(day + 1)),
        )
        for day, (keys, accounts, regions) in sorted(days.items())
    ]
    return headers(tx, lake, views) if views else ()


def by_match_key(lenses: Iterable[Lens]) -> dict[str, list[Lens]]:
    """The lenses that may see observations of each match key."""
    found: dict[str, list[Lens]] = {}
    for lens in lenses:
        for key in lens.match_keys:
            found.setdefault(key, []).append(lens)
    return found


def _seen(lens: Lens, group: _Group, sums: _Rolled) -> Literal["whole", "unseen", "partial"]:
    day, match_key, account, region = group
    touched = False
    for interval in lens.intervals:
        if interval.opens_at > sums.last or interval.closes_at <= sums.first:
            continue
        if not interval.admits(match_key, account, region) or not interval.looks_on(day):
            continue
        touched = True
        if interval.opens_at <= sums.first and sums.last < interval.closes_at:
            late = lens.up_to_batch is not None and sums.last_batch > lens.up_to_batch
            return "partial" if late else "whole"
    return "partial" if touched else "unseen"
