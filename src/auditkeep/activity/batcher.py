"""The thread that writes the activity log: from memory to sealed rows, from rows into the lake.

    every fifth of a second   what was heard is written down as records, in memory
    every second              they become durable: one transaction, sealed rows (`pending`)
    within fifteen seconds    rows become observations of the owner's lake, and so of its log

Invariants: a record that is durable comes into the lake exactly once, for its row goes in the
transaction that appends it; what cannot be written now waits, bounded, and is tried again; losses
are counted and the count is itself a record. Several processes may do this on one database.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from auditkeep.activity import pending, record
from auditkeep.activity.heard import MOST, Buffer, Heard
from auditkeep.activity.model import Noted, provenance, together
from auditkeep.activity.pending import Rows
from auditkeep.activity.used import is_last_word, records
from auditkeep.clock import MINUTE, SECOND, Clock, Instant
from auditkeep.crypto.asking import begun_again
from auditkeep.crypto.uses import KeyUse
from auditkeep.db.pieces import in_pieces
from auditkeep.db.tx import Tx
from auditkeep.errors import AuditkeepError, Throttled
from auditkeep.ids import Tenant, new_id
from auditkeep.lake.append import Unit, append
from auditkeep.lake.buckets import ACTIVITY
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.lake import Lake

LISTEN_SECONDS = 0.2
"""Short, so that much that was heard is written down in pieces that hold nobody up."""
KEEP_EVERY = SECOND
GATHER_EVERY = 15 * SECOND
"""How long records wait before they make a batch, unless they are many: each batch is an entry of
the log for ever."""
SLICE = 50
"""Calls written down before other threads have their turn."""
MANY = 250
"""Records that make a batch at once, and the most that one batch takes, about: whoever wants to
write waits for no longer."""
BREATH = 0.01
"""Seconds between two such batches, in which those who wait to write come first."""
FILE_RECORDS = 500
"""Records that one observation of reads may hold."""

_log = logging.getLogger("auditkeep.activity")


class Batcher:
    """Writes the activity log for one process. One thread at a time calls it."""

    def __init__(self, lake: Lake, buffer: Buffer, clock: Clock) -> None:
        self._lake = lake
        self._buffer = buffer
        self._clock = clock
        self._provenance = provenance(new_id())
        self._reads: dict[tuple[Tenant, int], list[Noted]] = {}
        self._noted: list[tuple[Tenant, Noted]] = []
        self._uses: list[KeyUse] = []
        self._lost = 0

    def flush(self) -> None:
        """Take everything heard so far into the lake."""
        self.listen(end=True)
        self.keep()
        self.gather(now=True)

    def listen(self, *, end: bool = False) -> None:
        """Write down what was heard."""
        while self._held() < MOST:
            taken = self._buffer.take(self._clock.now(), SLICE, end=end)
            self._lost += taken.lost
            for call in taken.calls:
                self._note(call)
            if taken.strangers and (home := self._home()) is not None:
                now = self._clock.now()
                for counted in taken.strangers:
                    self._noted.append((home, record.of_strangers(counted, home, now)))
            if len(taken.calls) < SLICE:
                return
            time.sleep(0)  # those who answer come first

    @begun_again
    def keep(self) -> None:
        """Make what was written down durable."""
        self._tell_losses()
        self._take_uses()
        if not self._reads and not self._noted and all(map(is_last_word, self._uses)):
            return
        now = self._clock.now()
        with self._lake.db.system_write() as tx:
            erased = pending.erased(tx)
            owned = self._by_tenant(erased)
            home = pending.home_of(tx)
            for tenant, noted in records(self._uses, home) if home else ():
                if noted.at > erased.get(tenant, -1):
                    owned.setdefault(tenant, []).append(noted)
            # in one order for every process: a new month's bucket takes its owner's lock
            for tenant in sorted(owned):
                pending.keep(pending.owner(tx.of(tenant)), self._lake.keys, owned[tenant], now)
        reach("activity.kept")
        self._reads.clear()
        self._noted.clear()
        self._uses.clear()

    def gather(self, *, now: bool = False) -> None:
        """Take rows that are due into the lake; with `now`, all rows there are."""
        with self._lake.db.system_read() as tx:
            found = pending.waiting(tx)
        due = self._clock.now() - GATHER_EVERY
        for one in found:
            if now or one.records >= MANY or one.oldest <= due:
                while self._gather_some(one.owner):
                    time.sleep(BREATH)

    @begun_again
    def _gather_some(self, owner: Tenant) -> bool:
        """One batch of an owner's oldest rows; whether there may be more."""
        with self._lake.db.write(owner) as tx:
            tx.lock_tenant()
            rows = pending.oldest(tx, self._lake.keys, MANY)
            if not rows.ids:
                return False
            refused = self._append(tx, rows)
            pending.remove(tx, rows.ids)
            reach("activity.before-gathered")
        reach("activity.gathered")
        self._lost += refused
        return len(rows.noted) >= MANY

    def _append(self, tx: Tx, rows: Rows) -> int:
        """Add opened rows to the owner's lake; how many records it could not take."""
        if not rows.noted:
            return 0
        appended = append(
            tx,
            self._lake,
            unit=Unit(f"activity/{rows.ids[0]}", "activity"),
            klass=ACTIVITY,
            observations=[noted.observation() for noted in rows.noted],
            provenance=self._provenance,
            now=self._clock.now(),
        )
        return len(appended.refused)

    def _note(self, call: Heard) -> None:
        tenant = call.tenant
        if tenant is None:
            raise ValueError("a call without a tenant is counted, not buffered")
        noted = record.of_call(call)
        if (call.reads and not call.code) or call.code == Throttled.code:
            self._reads.setdefault((tenant, call.at // MINUTE), []).append(noted)
        else:
            self._noted.append((tenant, noted))

    def _by_tenant(self, erased: Mapping[Tenant, Instant]) -> dict[Tenant, list[Noted]]:
        """What was written down; nothing of before the moment at which a tenant was erased."""
        owned: dict[Tenant, list[Noted]] = {}
        for tenant, noted in self._noted:
            if noted.at > erased.get(tenant, -1):
                owned.setdefault(tenant, []).append(noted)
        for (tenant, _), heard in self._reads.items():
            some = [noted for noted in heard if noted.at > erased.get(tenant, -1)]
            for piece in in_pieces(some, FILE_RECORDS):
                owned.setdefault(tenant, []).append(together(piece))
        return owned

    def _tell_losses(self) -> None:
        if self._lost and (home := self._home()) is not None:
            self._noted.append((home, record.of_loss(self._lost, home, self._clock.now())))
            _log.warning("%d records of the activity log were lost.", self._lost)
            self._lost = 0

    def _take_uses(self) -> None:
        """Hold uses of keys until they are written down, as many as there is room for."""
        held, lost = self._lake.uses.take()
        room = MOST - len(self._uses)
        self._uses += held[:room]
        self._lost += lost + len(held[room:])

    def _held(self) -> int:
        return len(self._noted) + sum(map(len, self._reads.values()))

    def _home(self) -> Tenant | None:
        with self._lake.db.system_read() as tx:
            return pending.home_of(tx)


class ActivityThread:
    """Runs a batcher beside the server, and to the end of what was heard when it stops."""

    def __init__(self, batcher: Batcher, clock: Clock) -> None:
        self._batcher = batcher
        self._clock = clock
        self._stopping = threading.Event()
        self._told = ""
        self._thread = threading.Thread(target=self._run, name="activity", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write everything that was heard, and end. Call when no more requests are answered."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._attempt([lambda: self._batcher.listen(end=True), self._batcher.keep])
        self._attempt([lambda: self._batcher.gather(now=True)])

    def _run(self) -> None:
        kept = gathered = Instant(0)
        while not self._stopping.wait(LISTEN_SECONDS):
            now = self._clock.now()
            steps: list[Callable[[], None]] = [self._batcher.listen]
            if not 0 <= now - kept < KEEP_EVERY:
                steps.append(self._batcher.keep)
                kept = now
            if not 0 <= now - gathered < KEEP_EVERY:
                steps.append(self._batcher.gather)
                gathered = now
            self._attempt(steps)

    def _attempt(self, steps: Iterable[Callable[[], None]]) -> None:
        """One turn; what fails is told once, waits, and is tried again in the next."""
        try:
            for step in steps:
                step()
            self._told = ""
        except AuditkeepError as error:
            if str(error) != self._told:
                _log.warning("The activity log has to wait: %s", error)
            self._told = str(error)
        except Exception:  # noqa: BLE001  # the thread is the only one that would notice
            _log.exception("The activity log met a defect.")
