"""Collectors as processes of their own, each of which runs due jobs until it is killed.

    python -m tests.e2e.collecting_process DATA CLOCK

Every line that is read makes a collector, whose process id is written: forked, because what a new
interpreter imports would cost more than what it collects. The present is what the file CLOCK says,
so that many processes share one simulated time.
"""

import os
import signal
import sys
from pathlib import Path

from tests.e2e.collecting import collector, settings

from auditkeep.app.parts import open_parts
from auditkeep.clock import Instant
from auditkeep.work.pump import Pump
from auditkeep.workflows.asking import Asking
from auditkeep.workflows.collect import KIND


class FileClock:
    """The present that a file says."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> Instant:
        return Instant(int(self._file.read_text()))


def collect(data: Path, clock: FileClock) -> None:
    parts = open_parts(settings(data), clock)
    Pump(parts.jobs, {KIND: Asking(collector(parts)).handler()}, clock, threads=2).start()
    signal.pause()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever is killed leaves nothing behind
    for _ in sys.stdin:
        process = os.fork()
        if process == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            collect(Path(sys.argv[1]), FileClock(Path(sys.argv[2])))
        print(process, flush=True)


if __name__ == "__main__":
    main()
