"""Volumes: listings drawn beside the writing of evidence, each in its own process.

At most `AT_ONCE` are drawn at a time and their PDFs wait sealed on disk, so that a report of any
size needs the memory of a few volumes.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from auditkeep.reports.model import Listing, Summary
from auditkeep.reports.spool import Spool

Draw = Callable[[Summary | Listing], bytes]

AT_ONCE = 2


class Volumes:
    """Draws listings in the order given and gives their PDFs back in that order."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="report-volume")
        self._under_way: deque[Future[bytes]] = deque()
        self._spool = Spool()
        self._names: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._spool.__exit__(*error)

    def add(self, name: str, listing: Listing) -> None:
        """Begin to draw a volume; waits while enough are under way."""
        while len(self._under_way) >= AT_ONCE:
            self._spool.append(self._under_way.popleft().result())
        self._names.append(name)
        self._under_way.append(self._pool.submit(self._draw, listing))

    def drawn(self) -> Iterator[tuple[str, bytes]]:
        """All volumes by name, once the last was added; ReportError if one cannot be drawn."""
        while self._under_way:
            self._spool.append(self._under_way.popleft().result())
        yield from zip(self._names, self._spool, strict=True)
