"""Pieces of work that threads do at the same moment."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def at_once(works: Sequence[Callable[[], T]]) -> list[T]:
    """What each of them gives, in their order; none begins before all can. Raises what one did."""
    together = threading.Barrier(len(works))

    def begin(work: Callable[[], T]) -> T:
        together.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(begin, works))
