"""Progress lines of long work: what was done and the rate, on a terminal only."""

import sys
import time
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from auditkeep.lake.audit.findings import Counts as Audited
from auditkeep.lake.rotation import Rotated
from auditkeep.workflows.ingest import Counts
from auditkeep.workflows.trail_counts import TrailCounts


class _Line:
    """One line on a terminal, drawn at most ten times a second."""

    def __init__(self, *, quiet: bool) -> None:
        self._live = None if quiet else Live(console=Console(stderr=True), refresh_per_second=10)
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def _rate(self, done: int) -> float:
        return done / max(time.monotonic() - self._started, 0.001)

    def _show(self, text: str) -> None:
        if self._live is not None:
            self._live.update(Text(text))


class IngestProgress(_Line):
    """Called with the running counts of an ingest."""

    def __init__(self, source: str, *, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self._source = source

    def __call__(self, counts: Counts) -> None:
        self._show(
            f"{self._source}: {counts.files:,} files, {counts.records:,} records, "
            f"{counts.observations:,} observations, {len(counts.rejected):,} rejected, "
            f"{self._rate(counts.records):,.0f} records/s"
        )


class TrailLine(_Line):
    """Called with the running counts of reading a trail."""

    def __call__(self, counts: TrailCounts) -> None:
        read = counts.read
        done = f"{counts.places_done:,} of {counts.places:,}" if counts.places else "-"
        self._show(
            f"cloudtrail: {done} places, {counts.objects + counts.digests:,} objects seen, "
            f"{read.files:,} read, {read.verified_files:,} verified, "
            f"{read.observations:,} observations, {len(counts.broken):,} findings, "
            f"{self._rate(read.records):,.0f} records/s"
        )


class AuditProgress(_Line):
    """Called with what is being audited and the running counts."""

    def __call__(self, doing: str, counts: Audited) -> None:
        self._show(
            f"{doing}: {counts.entries:,} log entries, {counts.batches:,} batches, "
            f"{counts.observations:,} observations, {counts.files:,} files, "
            f"{self._rate(counts.observations):,.0f} observations/s"
        )


class RotationProgress(_Line):
    """Called with what a rotation has done so far."""

    def __call__(self, done: Rotated) -> None:
        self._show(
            f"to {done.master}: {done.keys:,} keys wrapped anew, {done.unchanged:,} were already, "
            f"{self._rate(done.keys):,.0f} keys/s"
        )


class BackupProgress(_Line):
    """Called with what is being done of a backup, how many of it, and how many bytes.

    On a terminal one line that changes; elsewhere, as in a nightly log, one line for each thing.
    """

    def __init__(self) -> None:
        super().__init__(quiet=not sys.stderr.isatty())
        self._doing = ""

    def __call__(self, doing: str, count: int, size: int = 0) -> None:
        bytes_ = f", {size / 1e6:,.1f} MB" if size else ""
        self._show(f"{doing}: {count:,}{bytes_}")
        if self._live is None and doing != self._doing:
            print(f"auditkeep: {doing}", file=sys.stderr)
        self._doing = doing
