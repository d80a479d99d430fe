"""A worker: runs jobs beside the server, from the same database; any number of them may.

Only on PostgreSQL, where leases fence one process from another across machines. Workers need the
same settings, keys and objects as the server, and leave the log and what is due to it.
"""

import signal
import sys
import threading

from auditkeep.app.collecting import Collecting
from auditkeep.app.compacting import Compacting
from auditkeep.app.parts import Parts
from auditkeep.app.stores import proven
from auditkeep.app.trail_turns import TrailTurns
from auditkeep.errors import SetupError
from auditkeep.reports.model import JOB
from auditkeep.work.pump import Pump
from auditkeep.workflows.notify import Delivery, Post
from auditkeep.workflows.report import report_handler


class Worker:
    """Started once, on this thread."""

    def __init__(self, parts: Parts) -> None:
        if parts.db.embedded:
            raise SetupError(
                "A worker shares the server's database, which takes PostgreSQL "
                "(AUDITKEEP_DATABASE_URL). The embedded one is worked by `auditkeep serve` alone."
            )
        proven(parts.lake.objects)
        parts.require_signing()
        self._parts = parts
        self._stop = threading.Event()
        handlers = {JOB: report_handler(parts.deps, parts.report_key, parts.clock)}
        self._pump = Pump(parts.jobs, handlers, parts.clock)
        self._delivery = Delivery(Post.of(parts.db, parts.settings, parts.clock), parts.jobs)
        self._collecting = Collecting(parts, finds=False)
        self._compacting = Compacting(parts)
        self._trails = TrailTurns(parts, finds=False)

    def run(self) -> None:
        """Until told to end; what was begun is finished."""
        signal.signal(signal.SIGTERM, lambda *_: self._stop.set())
        self._pump.start()
        self._delivery.start()
        self._collecting.start()
        self._compacting.start()
        self._trails.start()
        sys.stderr.write("auditkeep: working.\n")
        try:
            self._stop.wait()
        except KeyboardInterrupt:
            sys.stderr.write("auditkeep: ending.\n")
        finally:
            self._trails.stop()
            self._compacting.stop()
            self._collecting.stop()
            self._pump.stop()
            self._delivery.stop()
            self._parts.db.close()
        sys.stderr.write("auditkeep: ended.\n")
