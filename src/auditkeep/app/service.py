"""The server: API and worker in one process. One `serve` per data directory."""

import faulthandler
import logging
import signal
import socket
import sys
import threading
import time
from types import FrameType

import uvicorn
from sqlalchemy import func

from auditkeep.accounts import erasure
from auditkeep.activity.batcher import ActivityThread, Batcher
from auditkeep.anchoring.authorities import of_settings
from auditkeep.anchoring.thread import Anchoring, AnchoringThread
from auditkeep.app import backups
from auditkeep.app.collecting import Collecting
from auditkeep.app.compacting import Compacting
from auditkeep.app.door import Door
from auditkeep.app.http import Protocol
from auditkeep.app.mailed import mail_checkpoints
from auditkeep.app.members import MembersThread
from auditkeep.app.parts import Parts
from auditkeep.app.places import Places
from auditkeep.app.stores import proven
from auditkeep.app.trail_turns import TrailTurns
from auditkeep.app.web import Web
from auditkeep.clock import MINUTE, Instant
from auditkeep.db.schema import log_entries
from auditkeep.errors import AuditkeepError, Busy, LogError, SetupError
from auditkeep.ids import Tenant
from auditkeep.lake import keeping
from auditkeep.lake.lake import Lake
from auditkeep.lake.seal import seal
from auditkeep.lake.sequencer import Sequencer, SequencerThread, newest_row
from auditkeep.lake.sweep import purge, sweep
from auditkeep.notifications import outgoing
from auditkeep.reports.model import JOB
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.work.ended import prune
from auditkeep.work.pump import Pump
from auditkeep.workflows.erase import erase_handler
from auditkeep.workflows.expire import drop_snapshots, expire
from auditkeep.workflows.notify import Delivery, Post
from auditkeep.workflows.report import report_handler
from auditkeep.workflows.unseen import unseen_handler

BACKLOG = 2048
SEAL_EVERY_SECONDS = 15.0
SWEEP_EVERY = 60 * MINUTE
PATIENCE_SECONDS = 10.0
"""How long a start waits for the log, which a command beside it may hold for a moment."""
_log = logging.getLogger("auditkeep.serve")


class Service:
    """Started once: on this thread with `serve`, beside it with `start`."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        parts.require_signing()
        authorities = of_settings(parts.settings)
        self._told = proven(parts.lake.objects)
        self._hold = parts.db.hold("serve", Places.of(parts.settings).serve_lock)
        try:
            self._sequencer = SequencerThread(parts.lake, _sequencer(parts.lake))
        except BaseException:
            self._hold.release()
            raise
        making = report_handler(parts.deps, parts.report_key, parts.clock)
        erasing = erase_handler(parts.deps, parts.clock, parts.deps.caches.clear)
        unseen = unseen_handler(parts.lake, parts.clock, parts.deps.caches.clear)
        handlers = {JOB: making, erasure.JOB: erasing, keeping.FORGOTTEN: unseen}
        self._pump = Pump(parts.jobs, handlers, parts.clock)
        post = Post.of(parts.db, parts.settings, parts.clock)
        self._delivery = Delivery(post, parts.jobs)
        self._web = Web.over(parts)
        batcher = Batcher(parts.lake, parts.deps.heard, parts.clock)
        self._activity = ActivityThread(batcher, parts.clock)
        self._stopping = threading.Event()
        self._sealer = threading.Thread(target=self._tend, name="sealer", daemon=True)
        self._members = _members(parts)
        self._collecting = Collecting(parts, finds=True)
        self._compacting = Compacting(parts)
        self._trails = TrailTurns(parts, finds=True)
        late = parts.settings.anchor_late_hours * 60 * MINUTE
        self._anchoring = AnchoringThread(Anchoring(parts.lake, authorities, parts.clock, late))
        self._door = Door()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self, host: str, port: int) -> str:
        """Serve on a thread of its own; the URL. Port 0 takes a free one."""
        bound = self._bind(host, port)
        server = self._begin()
        self._thread = threading.Thread(
            target=server.run, kwargs={"sockets": [bound]}, name="http", daemon=True
        )
        self._thread.start()
        return self._url(host, bound)

    def serve(self, host: str, port: int) -> None:
        """Serve on this thread until interrupted or told to end."""
        bound = self._bind(host, port)
        for line in [*self._told, *self._door.told]:
            sys.stderr.write(f"auditkeep: {line}\n")
        sys.stderr.write(f"auditkeep: serving on {self._url(host, bound)}\n")
        # Without a handler of ours the HTTP server would end the process by the signal itself, and
        # nothing below would be let go of in order.
        signal.signal(signal.SIGTERM, _told)
        faulthandler.enable()  # a fault in native code says where it was
        try:
            self._begin().run(sockets=[bound])
        except BaseException as error:
            if not isinstance(error, KeyboardInterrupt):
                _log.exception("The server ends: %s", type(error).__name__)
            raise
        finally:
            self.stop()
        sys.stderr.write("auditkeep: ended.\n")

    def wait(self) -> None:
        """Until Ctrl-C."""
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        try:
            stop.wait()
        except KeyboardInterrupt:
            return

    def stop(self) -> None:
        """Answer what was asked, finish what was begun, and let go of the data directory."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(30)
        self._web.close()
        self._pump.stop()
        self._delivery.stop()
        self._collecting.stop()
        if self._sealer.ident is not None:
            self._sealer.join()
        self._compacting.stop()
        if self._members is not None:
            self._members.stop()
        self._trails.stop()
        self._anchoring.stop()
        self._activity.stop()
        self._sequencer.stop()
        self._tell_uses()
        self._hold.release()
        self.parts.db.close()

    def settle(self, tenant: Tenant) -> tuple[Checkpoint, int]:
        """Seal everything of a tenant and log everything pending: the checkpoint, and segments."""
        segments = self.parts.seal_now(tenant)
        self._sequencer.wake()
        for _ in range(600):
            with self.parts.db.system_read() as tx:
                t = log_entries.c
                pending = tx.first(tx.select(t.position).where(t.log_index.is_(None)).limit(1))
                size = tx.scalar(tx.select(func.max(t.log_index)))
                row = newest_row(tx, signed=True)
            if pending is None and row is not None and row.size == size + 1:
                return Checkpoint(self.parts.lake.origin, row.size, row.root), segments
            time.sleep(0.05)
        raise LogError("The log did not take in what was appended within thirty seconds.")

    def _tell_uses(self) -> None:
        """The last signatures of the log, among others; they come into it with the next start."""
        try:
            self.parts.tell_uses()
        except AuditkeepError as error:
            _log.warning("Which keys were used last could not be written down: %s", error)

    def _url(self, host: str, bound: socket.socket) -> str:
        name = f"[{host}]" if ":" in host else host
        return f"{self._door.scheme}://{name}:{bound.getsockname()[1]}"

    def _bind(self, host: str, port: int) -> socket.socket:
        self._door = Door.of(self.parts.settings, host, self.parts.clock.now())
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
            bound.listen(BACKLOG)  # from here on clients wait instead of being turned away
        except OSError as error:
            bound.close()
            self.stop()
            raise SetupError(
                f"Port {port} on {host} cannot be used: {error.strerror}. Name another with --port."
            ) from error
        return bound

    def _begin(self) -> uvicorn.Server:
        config = uvicorn.Config(
            self._door.guarded(self._web.app),
            http=Protocol,
            log_config=None,  # as everything here: auditkeep.logs
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=20,
        )
        config.load()
        config.ssl = self._door.context
        self._server = uvicorn.Server(config)
        self._sequencer.start()
        self._pump.start()
        self._delivery.start()
        self._collecting.start()
        self._sealer.start()
        self._compacting.start()
        if self._members is not None:
            self._members.start()
        self._trails.start()
        self._activity.start()
        self._anchoring.start()
        return self._server

    def _tend(self) -> None:
        """Seal what is due, and now and then sweep; and say when the log cannot go on."""
        swept, told = Instant(0), ""
        while not self._stopping.wait(SEAL_EVERY_SECONDS):
            error = self._sequencer.error
            if error is not None and str(error) != told:
                _log.error("The log cannot take in what was appended: %s", error)
            told = "" if error is None else str(error)
            now = self.parts.clock.now()
            sweeping = now - swept > SWEEP_EVERY
            for tenant in self._tenants():
                self._tend_one(tenant)
            if sweeping:
                self._sweep(now)
                self._forget(now)
                self._mail_checkpoints()
                self._prune_key_backups(now)
                swept = now

    def _mail_checkpoints(self) -> None:
        try:
            mail_checkpoints(self.parts)
        except AuditkeepError as error:
            _log.warning("The month's checkpoint is mailed later: %s", error)

    def _prune_key_backups(self, now: Instant) -> None:
        """Certificates say how long one is kept at most: nobody has to remember it."""
        settings = self.parts.settings
        place = settings.key_backups
        if place is None or not place.is_dir():
            return
        try:
            backups.prune_keys(self.parts.db, settings, place, now)
        except Busy:
            return  # one is being made, which prunes too
        except AuditkeepError as error:
            _log.error("Backups of keys that are too old could not be taken away: %s", error)

    def _forget(self, now: Instant) -> None:
        """Take out of the outbox what was over long ago, and the messages that went with it."""
        try:
            while not self._stopping.is_set():
                with self.parts.db.system_write() as tx:
                    forgotten = prune(tx, now) + outgoing.prune(tx, now)
                forgotten += drop_snapshots(self.parts.lake, now)
                if forgotten == 0:
                    break
        except AuditkeepError as error:
            _log.warning("Old jobs and messages are kept for another hour: %s", error)

    def _tenants(self) -> list[Tenant]:
        try:
            return self.parts.tenants()
        except AuditkeepError as error:
            _log.warning("Sealing is put off: %s", error)
            return []

    def _sweep(self, now: Instant) -> None:
        """Retention, and what was left over, of every tenant; a failure holds no other."""
        try:
            for tenant in self.parts.every_tenant():
                try:
                    self._expire(tenant, now)
                    sweep(self.parts.lake, tenant, now)
                    purge(self.parts.lake, tenant, now)
                except AuditkeepError as error:
                    where = f"{tenant.account} in {tenant.region}"
                    _log.warning("Sweeping of %s is put off: %s", where, error)
        except Exception:  # noqa: BLE001  # the thread is the only one that would notice
            _log.exception("Sweeping met a defect.")

    def _expire(self, tenant: Tenant, now: Instant) -> None:
        """What retention no longer keeps; and nothing computed from it is remembered."""
        if expire(self.parts.lake, self.parts.settings, tenant, now).gone:
            self.parts.deps.caches.clear()

    def _tend_one(self, tenant: Tenant) -> None:
        """One tenant's turn; what fails is told and tried again, and holds no other tenant."""
        try:
            while seal(self.parts.lake, tenant, now=self.parts.clock.now()) is not None:
                continue
        except AuditkeepError as error:
            # the tail keeps what could not be sealed
            _log.warning("Sealing of %s in %s is put off: %s", tenant.account, tenant.region, error)
        except Exception:  # noqa: BLE001  # the thread is the only one that would notice
            _log.exception("Sealing of %s in %s met a defect.", tenant.account, tenant.region)


def _members(parts: Parts) -> MembersThread | None:
    """Who reads the organisation's members; nobody, unless AWS Organizations is to be asked."""
    if parts.settings.organizations != "aws":
        return None
    from auditkeep.sources import organizations  # noqa: PLC0415  # boto3 need not be loaded always

    return MembersThread(parts.db, parts.deps, parts.clock, organizations.read)


def _told(number: int, _frame: FrameType | None) -> None:
    """Somebody asked the process to end; the HTTP server has answered what it had begun."""
    sys.stderr.write(f"auditkeep: ending, as {signal.Signals(number).name} asks.\n")


def _sequencer(lake: Lake) -> Sequencer:
    """The log's writer; waits for a command or a report that holds the log for a moment."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return Sequencer(lake)
        except Busy:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
