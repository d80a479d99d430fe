"""One day's evidence in numbers, by control: what dashboards and insights are made of (spec 7).

The day is the UTC day of the events, as in folders. One query gives the day's rollups for all
assessments at once; each assessment's lenses are then laid over them in memory. Both the lenses
and what they showed are kept under the assessment's version, so that thirty assessments over the
same day cost about what one does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from auditkeep.clock import Day, day_start
from auditkeep.db.tx import Tx
from auditkeep.evidence.counts import Counts, count
from auditkeep.evidence.lens import Lens, load
from auditkeep.evidence.memo import Memo
from auditkeep.evidence.progress import last_batch_no
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Rollup
from auditkeep.lake.read import rollups


@dataclass(frozen=True, slots=True)
class Shown:
    """What one assessment sees of one day; never changed once made, for it is shared."""

    by_control: Mapping[int, Counts]
    """Of the controls that saw anything, by ordinal."""
    total: Counts
    failing: int
    """Controls with non-compliant evidence."""

    @classmethod
    def of(cls, by_control: Mapping[int, Counts]) -> "Shown":
        total = Counts()
        for counts in by_control.values():
            total.merge(counts)
        return cls(by_control, total, sum(1 for c in by_control.values() if c.noncompliant))


@dataclass(frozen=True, slots=True)
class Watched:
    """An assessment as far as this room needs it."""

    id: str
    version: int
    next_ordinal: int
    frozen_at_batch: int | None


def _lenses() -> Memo[list[Lens]]:
    return Memo(256)


def _shown() -> Memo[Shown]:
    return Memo(256)


@dataclass(frozen=True, slots=True)
class InsightsMemo:
    """Lenses, and what they showed, of the assessments that are asked about."""

    lenses: Memo[list[Lens]] = field(default_factory=_lenses)
    shown: Memo[Shown] = field(default_factory=_shown)


def of_day(
    tx: Tx, lake: Lake, memo: InsightsMemo, watched: Sequence[Watched], day: Day
) -> dict[str, Shown]:
    """What each of some assessments sees of one day, by assessment id."""
    reached = last_batch_no(tx)
    found: dict[str, Shown] = {}
    missing: list[tuple[Watched, list[Lens]]] = []
    for one in watched:
        known = memo.shown.get((tx.tenant, one.id, one.version, day, reached))
        if known is None:
            missing.append((one, _lenses_of(tx, memo, one, day)))
        else:
            found[one.id] = known
    if missing:
        by_key = _rollups_by_key(tx, (lens for _, lenses in missing for lens in lenses), day)
        for one, lenses in missing:
            keys = frozenset[str]().union(*(lens.match_keys for lens in lenses))
            rows = [row for key, some in by_key.items() if key in keys for row in some]
            seen = count(tx, lake, lenses, rows)
            shown = Shown.of({ordinal: c for (ordinal, _), c in seen.items() if c.total})
            memo.shown.put((tx.tenant, one.id, one.version, day, reached), shown)
            found[one.id] = shown
    return found


def _lenses_of(tx: Tx, memo: InsightsMemo, one: Watched, day: Day) -> list[Lens]:
    key = (tx.tenant, one.id, one.version, day)
    lenses = memo.lenses.get(key)
    if lenses is None:
        lenses = load(
            tx, one.id, range(1, one.next_ordinal), one.frozen_at_batch, since=day_start(day)
        )
        memo.lenses.put(key, lenses)
    return lenses


def _rollups_by_key(tx: Tx, lenses: Iterable[Lens], day: Day) -> dict[str, list[Rollup]]:
    keys = frozenset[str]().union(*(lens.match_keys for lens in lenses))
    found: dict[str, list[Rollup]] = {}
    for row in rollups(tx, match_keys=keys, first_day=day, last_day=day):
        found.setdefault(row.match_key, []).append(row)
    return found
