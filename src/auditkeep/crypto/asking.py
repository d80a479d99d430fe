"""Who may wait for a key that is held elsewhere, in AWS KMS or an HSM: nobody whom others wait for.

Asking for such a key takes time, or for ever. On SQLite all writers wait for the one that writes,
on PostgreSQL those of the same tenant. So `db` is `patient` for as long as a transaction may write,
and whoever then needs a distant key raises KeyNotAtHand: the transaction ends, the key is fetched,
and the work begins again (`with_keys`).

Invariant: what asks outside (`providers.guard`, `providers.kept`) refuses to while patient.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from typing import ParamSpec, TypeVar

from auditkeep.errors import KeyNotAtHand, StorageError

P = ParamSpec("P")
T = TypeVar("T")

TRIES = 1_000
"""Distant keys that one piece of work may ask for, one after the other."""

_patient: ContextVar[bool] = ContextVar("patient", default=False)


@contextmanager
def patient() -> Iterator[None]:
    """Within, others wait: nobody asks for a distant key."""
    token = _patient.set(True)
    try:
        yield
    finally:
        _patient.reset(token)


def require_free(key_id: str) -> None:
    """StorageError while others wait: the last guard, behind whoever forgot to look."""
    if _patient.get():
        raise StorageError(
            f"The key {key_id} was to be asked for while others wait for this transaction. "
            "Nothing was done; please report this, it is a defect."
        )


def at_hand(key_id: str, fetch: Callable[[], object]) -> None:
    """KeyNotAtHand while others wait: the key is fetched when the transaction has ended."""
    if _patient.get():
        raise KeyNotAtHand(
            f"The key {key_id} has to be asked for first. Try again in a moment.", fetch
        )


def with_keys(work: Callable[[], T]) -> T:
    """Do a piece of work that opens transactions of its own, and can be begun again.

    Distant keys that it needs are fetched in between, while no transaction is open. Within work
    that is itself done like this, whoever is outermost fetches.
    """
    for _ in range(TRIES):
        try:
            return work()
        except KeyNotAtHand as error:
            if _patient.get():
                raise
            error.fetch()
    raise StorageError(f"One piece of work needs more than {TRIES:,} keys: do it in parts.")


def begun_again(work: Callable[P, T]) -> Callable[P, T]:
    """The same around each call of a function."""

    @wraps(work)
    def called(*given: P.args, **named: P.kwargs) -> T:
        return with_keys(partial(work, *given, **named))

    return called
