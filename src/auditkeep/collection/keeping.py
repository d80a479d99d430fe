"""Which facts are kept where only what an open lens sees is (`lake.keeping.Keeper`).

The windows are those of metering: all intervals that are not frozen, closed ones too, for what
happened while they were open may arrive later. The baseline looks as a lens does: what is asked
for it would otherwise be asked for nothing. What tells of the collecting is kept always.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from auditkeep.clock import Instant
from auditkeep.collection import baseline, trails
from auditkeep.db.schema import buckets, rollups, tenants
from auditkeep.db.tx import Tx
from auditkeep.evidence.lens import FOREVER
from auditkeep.evidence.memo import Memo
from auditkeep.evidence.metering import TENANTS, LensMeter, Window, Windows, read_windows
from auditkeep.frameworks.model import Shelf
from auditkeep.lake.keeping import FACTS, Sight
from auditkeep.observations import Observation
from auditkeep.settings import Settings

_ALWAYS = ("run:", "digest:", "pinned:")
"""Match keys of runs, of broken digests, and of what is pinned to a control."""


def _memo() -> Memo[Windows]:
    return Memo(TENANTS)


def wanted_since(tx: Tx, version: int) -> Instant | None:
    """From when on events of CloudTrail are wanted that were not at an earlier version; None: none.

    The baseline does not say at which version it began to look: it is taken for new.
    """
    base = baseline.find(tx)
    openings = [trails.looked_at_since(tx, version), base.since if base.frameworks else None]
    return min((at for at in openings if at is not None), default=None)


def seen_now(tx: Tx) -> int:
    """How many of the facts that are kept assessments look at, INACTIVE ones too.

    By roll-ups, for a figure: what is alike on a day that a lens sees a part of is counted whole.
    """
    windows = read_windows(tx, frozen=True)
    r, b = rollups.c, buckets.c
    facts = tx.select(b.id).where(b["class"] == FACTS, b.destroyed_at.is_(None))
    columns = (r.match_key, r.origin_account, r.origin_region, r.first_time, r.last_time)
    query = tx.select(*columns, r["items"].label("number")).where(r.bucket_id.in_(facts))
    found = 0
    for row in tx.stream(query):
        found += row.number * any(
            w.touches(row.origin_account, row.origin_region, row.first_time, row.last_time)
            for w in windows.get(row.match_key, ())
        )
    return found


@dataclass(frozen=True, slots=True)
class WindowSight:
    """`lake.keeping.Sight` over windows; `always` begins match keys that count as seen."""

    windows: Sequence[Windows]
    always: tuple[str, ...] = ()

    def touches(
        self, match_key: str, account: str, region: str, first: Instant, last: Instant
    ) -> bool:
        return match_key.startswith(self.always) or any(
            w.touches(account, region, first, last)
            for some in self.windows
            for w in some.get(match_key, ())
        )

    def borders(self, match_key: str) -> Sequence[Instant]:
        each = [w for some in self.windows for w in some.get(match_key, ())]
        return sorted({at for w in each for at in (w.opens_at, w.closes_at)})


@dataclass(frozen=True, slots=True)
class LensKeeper:
    """The lake's keeper: asks the lenses and the baseline. Safe to share between threads."""

    meter: LensMeter
    library: Shelf
    settings: Settings
    _known: Memo[Windows] = field(default_factory=_memo)

    def wanted(
        self, tx: Tx, lens_version: int, observations: Sequence[Observation]
    ) -> Sequence[bool]:
        """See `lake.keeping.Keeper`."""
        seen = self.meter.windows(tx, lens_version)
        based = self._baseline(tx, lens_version)
        return [
            o.match_key.startswith(_ALWAYS)
            or any(w.sees(o) for w in seen.get(o.match_key, ()))
            or any(w.sees(o) for w in based.get(o.match_key, ()))
            for o in observations
        ]

    def sight(self, tx: Tx) -> Sight:
        """See `lake.keeping.Keeper`."""
        version = int(tx.scalar(tx.select(tenants.c.lens_version)) or 0)
        seen = read_windows(tx, frozen=True)
        return WindowSight((seen, self._baseline(tx, version)), _ALWAYS)

    def lenses(self, tx: Tx, wanted_version: int) -> Sight:
        """See `lake.keeping.Keeper`."""
        return WindowSight((read_windows(tx, frozen=True, version=wanted_version),))

    def _baseline(self, tx: Tx, lens_version: int) -> Windows:
        """Where the baseline looks: as long as it does, on every day."""
        key = (tx.tenant, lens_version)
        windows = self._known.get(key)
        if windows is None:
            found: dict[str, list[Window]] = {}
            for look in baseline.looks(tx, self.library, self.settings):
                window = Window(look.accounts, look.regions, look.opens_at, Instant(FOREVER))
                for match_key in look.match_keys:
                    if window not in found.setdefault(match_key, []):
                        found[match_key].append(window)
            windows = found
            self._known.put(key, windows)
        return windows
