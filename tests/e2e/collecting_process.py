"""A collector as a process of its own, which runs due jobs until it is killed.

    python -m tests.e2e.collecting_process DATA CLOCK

The present is what the file CLOCK says, so that many processes share one simulated time.
"""

import signal
import sys
from pathlib import Path

from tests.e2e.collecting import collector, settings

from auditkeep.app.parts import open_parts
from auditkeep.clock import Instant
from auditkeep.work.pump import Pump
from auditkeep.workflows.collect import KIND


class FileClock:
    """The present that a file says."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> Instant:
        return Instant(int(self._file.read_text()))


def main() -> None:
    clock = FileClock(Path(sys.argv[2]))
    parts = open_parts(settings(Path(sys.argv[1])), clock)
    Pump(parts.jobs, {KIND: collector(parts).handler()}, clock, threads=2).start()
    signal.pause()


if __name__ == "__main__":
    main()
