"""The thread that has checkpoints vouched for, beside the sequencer and never in its way.

Every authority is on its own: one that is down holds up no other. A failure is told once when it
begins and once when it ends; in between the authority is asked again, ever more seldom.
"""

import logging
from collections.abc import Sequence

from auditkeep.anchoring import store
from auditkeep.anchoring.authorities import Authority
from auditkeep.clock import DAY, MINUTE, SECOND, Clock, Instant, iso
from auditkeep.errors import DeliveryError
from auditkeep.lake.lake import Lake
from auditkeep.lake.sequencer import Row, log_tiles, newest_row
from auditkeep.repeating import Repeating

LONGEST = 60 * MINUTE
"""Between two attempts with an authority that does not answer."""
FIRST = 10 * SECOND

_LOG = logging.getLogger("auditkeep.anchoring")


class Anchoring:
    """Shows the newest checkpoint to each authority when it is due."""

    def __init__(
        self, lake: Lake, authorities: Sequence[Authority], clock: Clock, late: int = DAY
    ) -> None:
        """`late` is how long an authority may fail before that is told a second time."""
        self._late = late
        self._overdue: set[str] = set()
        self._lake = lake
        self._authorities = authorities
        self._clock = clock
        self._due: dict[str, Instant] = {}
        self._failures: dict[str, int] = {}

    @property
    def anybody(self) -> bool:
        """Whether there is anybody to ask."""
        return bool(self._authorities)

    def step(self) -> int:
        """Ask whoever is due; how many vouched."""
        return sum(self._turn(authority) for authority in self._authorities)

    def _turn(self, authority: Authority) -> bool:
        now = self._clock.now()
        if now < self._due.get(authority.name, Instant(0)):
            return False
        with self._lake.db.system_read() as tx:
            row = newest_row(tx, signed=True)
            last = store.newest(tx, self._lake.origin, authority.name)
        known = last.size if last is not None else 0
        if row is None or row.note is None or row.size <= known:
            return False
        try:
            anchor = self._ask(authority, row, row.note, known)
        except DeliveryError as error:
            self._failed(authority, str(error))
            return False
        with self._lake.db.system_write() as tx:
            store.keep(tx, anchor, self._clock.now())
        self._overdue.discard(authority.name)
        if self._failures.pop(authority.name, 0):
            _LOG.warning("%s vouches for checkpoints again.", authority.name)
        self._due[authority.name] = Instant(now + authority.every)
        return True

    def _ask(self, authority: Authority, row: Row, note: str, known: int) -> store.Anchor:
        tiles = log_tiles(self._lake, row.size)

        def consistency(old: int) -> Sequence[bytes]:
            return tiles.consistency(old)

        return authority.vouch(note, row.size, known, consistency)

    def _failed(self, authority: Authority, error: str) -> None:
        now = self._clock.now()
        times = self._failures.get(authority.name, 0) + 1
        self._failures[authority.name] = times
        self._due[authority.name] = Instant(now + min(LONGEST, FIRST << min(times - 1, 12)))
        with self._lake.db.system_write() as tx:
            first = store.failed(tx, authority.name, authority.kind, error, now)
            since = store.failing_since(tx, authority.name)
        if first or times == 1:
            _LOG.error("Checkpoints are not vouched for: %s It is asked again.", error)
        if since is not None and now - since >= self._late and authority.name not in self._overdue:
            self._overdue.add(authority.name)
            _LOG.error(
                "%s has vouched for nothing since %s: records will be anchored late. %s",
                authority.name,
                iso(since),
                error,
            )


class AnchoringThread:
    """Looks every few seconds, for as long as the server runs."""

    def __init__(self, anchoring: Anchoring, seconds: float = 1.0) -> None:
        self._anchoring = anchoring
        self._turns = Repeating(
            "anchoring",
            anchoring.step,
            seconds,
            log=_LOG,
            put_off="Anchoring is put off",
            at_once=False,
        )

    def start(self) -> None:
        if self._anchoring.anybody:
            self._turns.start()

    def stop(self) -> None:
        """End; a request under way is not waited for long, for what it brings is asked again."""
        self._turns.stop(patience=3)
