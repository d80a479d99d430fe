"""One audit from beginning to end; interrupted, it goes on where it stood.

The log is gone through anew each time, because everything else is held to it; tenants are walked
from where the state file says. The file tells nothing but numbers, names of segments and what was
found; whoever distrusts the disk it lies on starts afresh.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
from sqlalchemy import select

from auditkeep.clock import Instant, iso
from auditkeep.crypto import durable
from auditkeep.db.hold import FileHold
from auditkeep.db.schema import batches, log_entries, tenants
from auditkeep.db.tx import SystemTx
from auditkeep.errors import InputError
from auditkeep.ids import Tenant
from auditkeep.lake.audit.findings import Counts, Position, State
from auditkeep.lake.audit.log import check_key, check_log, require_held
from auditkeep.lake.audit.tenant import TenantAudit
from auditkeep.lake.governance import ranges
from auditkeep.lake.lake import Lake
from auditkeep.tlog.note import Verifier

STATE = "audit.state"
SAVE_EVERY = 2.0
"""Seconds between two notes of where the audit stands."""
ORPHANS_NAMED = 100_000

Progress = Callable[[str, Counts], None]
"""Told what is being checked, and what was."""


@dataclass(frozen=True, slots=True)
class Audited:
    """The answer: `problems` make it unsound, `notices` are to be read all the same."""

    origin: str
    size: int
    problems: tuple[str, ...]
    notices: tuple[str, ...]
    counts: Counts
    started_at: Instant
    resumed: bool

    @property
    def sound(self) -> bool:
        return not self.problems

    def summary(self) -> dict[str, Any]:
        """The answer as a JSON object for people and scripts."""
        counted = [name for name in Counts.__struct_fields__ if name != "entries"]
        return {
            "state": "sound" if self.sound else "not sound",
            "problems": list(self.problems),
            "notices": list(self.notices),
            "log": self.origin,
            "logEntries": self.size,
            "startedAt": iso(self.started_at),
            "resumed": self.resumed,
            **{name: getattr(self.counts, name) for name in counted},
        }


def audit(
    lake: Lake,
    *,
    now: Instant,
    held: str | None = None,
    key: str | None = None,
    state_file: Path | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> Audited:
    """Check all that is stored against the log, and the log against itself and `held`.

    `key` is the log's public key (vkey) as an auditor knows it, `held` a checkpoint they have kept.

    Interrupted (by an exception of whatever kind, KeyboardInterrupt included), it leaves its state
    in `state_file` and goes on from there the next time; `fresh` forgets it. LogError if `held` is
    no checkpoint of this log; KeyUnusable if `key` is none; Busy if another audit of this state is
    under way.
    """
    known = None if key is None else Verifier.parse(key)
    if held is not None:
        require_held(lake, held, known)
    file = state_file or lake.data / STATE
    hold = FileHold(file.with_name(f"{file.name}.lock"), "audit")
    try:
        state, resumed = (None, False) if fresh else _load(file, lake.origin)
        run = _Run(lake, file, state or State(lake.origin, now), progress, now)
        return run.whole(held, known, resumed=resumed)
    finally:
        hold.release()


class _Run:
    def __init__(
        self, lake: Lake, file: Path, state: State, progress: Progress | None, now: Instant
    ) -> None:
        self._now = now
        self._lake = lake
        self._file = file
        self._state = state
        self._progress = progress
        self._saved = monotonic()
        self._doing = ""

    def whole(self, held: str | None, known: Verifier | None, *, resumed: bool) -> Audited:
        state = self._state
        log = State(state.origin, state.started_at, counts=state.counts)
        state.counts.entries = state.counts.checkpoints = 0
        self._doing = "the log"
        if known is not None:
            check_key(self._lake, known, log)
        if self._lake.restored is not None:
            log.notice(
                f"This is what the backup of {self._lake.restored.taken_at} holds: nothing is "
                "appended to it until `auditkeep log recover` was run."
            )
        covered = check_log(self._lake, held, log, self._tick)
        try:
            for tenant in self._tenants():
                if (tenant.account, tenant.region) in state.done:
                    continue
                self._doing = f"{tenant.account} in {tenant.region}"
                if state.at is None or (state.at.account, state.at.region) != (
                    tenant.account,
                    tenant.region,
                ):
                    state.at = Position(tenant.account, tenant.region)
                TenantAudit(
                    self._lake, tenant, covered, state, state.at, self._tick, self._now
                ).check()
                state.done.append((tenant.account, tenant.region))
                state.at = None
                self._save()
        except BaseException:
            self._save()
            raise
        self._orphans(covered.size, log)
        self._file.unlink(missing_ok=True)
        more = (f"… and {state.more + log.more} more.",) if state.more + log.more else ()
        return Audited(
            origin=state.origin,
            size=covered.size,
            problems=(*log.problems, *state.problems, *more),
            notices=(*log.notices, *state.notices),
            counts=state.counts,
            started_at=state.started_at,
            resumed=resumed,
        )

    def _tenants(self) -> list[Tenant]:
        """Every tenant that is, or ever left a batch."""
        with self._lake.db.system_read() as tx:
            found = {
                Tenant(row.account, row.region)
                for table in (tenants, batches)
                for row in tx.all(tx.select(table.c.account, table.c.region).distinct())
            }
        return sorted(found, key=lambda t: (t.account, t.region))

    def _orphans(self, size: int, found: State) -> None:
        """Entries of the log that no batch accounts for."""
        with self._lake.db.system_read() as tx:
            lone = _lone(tx, size)
        lost = self._state.lost
        lone = [i for i in lone if not any(low <= i <= high for low, high in lost)]
        for low, high in ranges(lone):
            named = f"Entry {low}" if low == high else f"Entries {low} to {high}"
            found.problem(
                f"{named} of the log: no batch stands behind it any more; what was logged there "
                "was removed from the database."
            )

    def _tick(self) -> None:
        if self._progress is not None:
            self._progress(self._doing, self._state.counts)
        if monotonic() - self._saved > SAVE_EVERY:
            self._save()

    def _save(self) -> None:
        durable.replace(self._file, msgspec.json.encode(self._state))
        self._saved = monotonic()


def _lone(tx: SystemTx, size: int) -> list[int]:
    e = log_entries.c
    taken = select(batches.c.log_position)
    query = (
        tx.select(e.log_index)
        .where(e.log_index < size, e.position.not_in(taken))
        .order_by(e.log_index)
        .limit(ORPHANS_NAMED)
    )
    return [row.log_index for row in tx.all(query)]


def _load(file: Path, origin: str) -> tuple[State | None, bool]:
    try:
        state = msgspec.json.decode(file.read_bytes(), type=State)
    except FileNotFoundError:
        return None, False
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError(
            f"The state of an interrupted audit in {file} cannot be read ({error}). Start afresh "
            "with --fresh."
        ) from error
    if state.origin != origin or state.v != 1:
        raise InputError(
            f"The state in {file} is that of an audit of {state.origin}. Start afresh with --fresh."
        )
    return state, True


def standing(file: Path, origin: str) -> str | None:
    """A sentence about an interrupted audit, if there is one."""
    state, _ = _load(file, origin)
    if state is None:
        return None
    return (
        f"Going on with the audit that began at {iso(state.started_at)}: "
        f"{state.counts.batches:,} batches and {state.counts.files:,} files were checked then. "
        "--fresh begins anew."
    )
