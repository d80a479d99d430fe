"""One piece of work on a thread of its own, turn after turn, for as long as the server runs.

Invariants: what one turn meets never ends the thread, and is told; `stop` ends a pause at once, and
waits for the turn that is under way.
"""

import logging
import threading
from collections.abc import Callable

from auditkeep.errors import AuditkeepError


class Repeating:
    """Takes turns until it is stopped; made stopped, and started once."""

    def __init__(
        self,
        name: str,
        turn: Callable[[], object],
        seconds: float,
        *,
        log: logging.Logger,
        put_off: str,
        after_failure: float | None = None,
        at_once: bool = True,
    ) -> None:
        """`seconds` between turns, `after_failure` of them after one that failed; `put_off` is what
        a failure means to an operator. Without `at_once` the first turn waits as the others do.
        """
        self._turn = turn
        self._seconds = seconds
        self._after_failure = seconds if after_failure is None else after_failure
        self._log = log
        self._put_off = put_off
        self._at_once = at_once
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def stopping(self) -> bool:
        """Whether a turn that is long should end where it is."""
        return self._stopping.is_set()

    def start(self) -> None:
        self._thread.start()

    def stop(self, patience: float | None = None) -> None:
        """Take no further turn; wait for the one under way, `patience` seconds at most."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(patience)

    def _run(self) -> None:
        pause = 0.0 if self._at_once else self._seconds
        while not self._stopping.wait(pause):
            pause = self._after_failure
            try:
                self._turn()
                pause = self._seconds
            except AuditkeepError as error:
                self._log.error("%s: %s", self._put_off, error)
            except Exception:  # noqa: BLE001  # the thread goes on, whatever one turn meets
                self._log.exception("A turn of the thread '%s' met a defect.", self._thread.name)
