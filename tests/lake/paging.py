"""Someone who reads a tenant's observations page by page, again and again, while others work."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from tests.lake.making import EVERYTHING, TENANT

from auditkeep.clock import Instant
from auditkeep.db.database import Database
from auditkeep.lake.buckets import fetching
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Stored
from auditkeep.lake.read import observations


@contextmanager
def paging(
    lake: Lake, db: Database, fault: Callable[[list[Stored]], str | None]
) -> Iterator[Callable[[], None]]:
    """A reader in a thread; `fault` says what is wrong with all that it read from end to end.

    Yields what waits until another page was read. Nothing may have been wrong at the end.
    """
    ended, turn = threading.Event(), threading.Semaphore(0)
    wrong: list[str] = []

    def page(after: tuple[Instant, bytes] | None) -> list[Stored]:
        with db.read(TENANT) as tx:
            return observations(tx, lake, [EVERYTHING], after=after, limit=7)

    def read_on() -> None:
        while not ended.is_set():
            pages: list[Stored] = []
            after = None
            while found := fetching(partial(page, after)):
                pages += found
                after = found[-1].event_time, found[-1].id
                turn.release()
            if (told := fault(pages)) is not None:
                wrong.append(told)

    def another_page() -> None:
        while turn.acquire(blocking=False):
            pass
        assert turn.acquire(timeout=60), "the reader stands still"

    reader = threading.Thread(target=read_on)
    reader.start()
    try:
        yield another_page
    finally:
        ended.set()
        reader.join()
    assert wrong == []
