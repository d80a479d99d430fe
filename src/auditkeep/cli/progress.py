"""The progress line of a long read: records, observations and the rate, on a terminal only."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from auditkeep.workflows.ingest import Counts


class IngestProgress:
    """Called with running counts; draws at most ten times a second."""

    def __init__(self, source: str, *, quiet: bool) -> None:
        self._source = source
        self._live = None if quiet else Live(console=Console(stderr=True), refresh_per_second=10)
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, counts: Counts) -> None:
        if self._live is None:
            return
        rate = counts.records / max(time.monotonic() - self._started, 0.001)
        self._live.update(
            Text(
                f"{self._source}: {counts.files:,} files, {counts.records:,} records, "
                f"{counts.observations:,} observations, {len(counts.rejected):,} rejected, "
                f"{rate:,.0f} records/s"
            )
        )
