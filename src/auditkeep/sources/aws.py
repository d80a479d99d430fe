"""botocore's sessions and clients as sources of evidence make them: patient, quick at what is many.

Two things that botocore does at each call cost more than the answer of a small one is worth, and
are done here by its own hooks: its name for itself is composed once, and times are read without
dateutil where they are written as nearly all are (`read_time`). botocore is imported when the
first session is made.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from weakref import WeakKeyDictionary

from auditkeep import __version__

_HOOKED: WeakKeyDictionary[Any, set[tuple[str, Callable[..., None]]]] = WeakKeyDictionary()
"""What clients were told already, for as long as they live."""

_IMF_FIXDATE = len("Sat, 21 Nov 2026 12:00:00 GMT")
_DATE = len("2026-11-21")
_SIGNS = ("+", "-")


def session() -> Any:
    """A new session of botocore's."""
    from botocore.session import Session  # noqa: PLC0415 - heavy

    made = Session()
    made.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=read_time)
    return made


def config(attempts: int, **more: Any) -> Any:
    """What clients are told: `attempts` is how often a request is made in all."""
    import botocore  # noqa: PLC0415 - heavy
    from botocore.config import Config  # noqa: PLC0415 - heavy

    return Config(
        connect_timeout=10,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": attempts},
        user_agent=f"auditkeep/{__version__} Botocore/{botocore.__version__}",
        **more,
    )


def hook(client: Any, event: str, heard: Callable[..., None]) -> None:
    """Call `heard` at an event of a client, once however often it is hooked.

    botocore knows that too, but looks at the function's signature each time before it does.
    """
    told = _HOOKED.setdefault(client, set())
    if (event, heard) not in told:
        client.meta.events.register(event, heard, unique_id=f"auditkeep-{heard.__name__}")
        told.add((event, heard))


def read_time(value: str | float) -> datetime:
    """As `botocore.utils.parse_timestamp`, but quick for what services write: numbers, ISO 8601,
    and RFC 9110's dates.
    ValueError or RuntimeError for what is no time.
    """
    # botocore reads, or refuses, what only looks like one of these
    with suppress(ValueError, OverflowError, OSError):
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        if value[_DATE : _DATE + 1] == "T" and (value.endswith("Z") or value[-6:-5] in _SIGNS):
            return datetime.fromisoformat(value)
        if len(value) == _IMF_FIXDATE and value.endswith(" GMT"):
            return parsedate_to_datetime(value).replace(tzinfo=UTC)
    from botocore.utils import parse_timestamp  # noqa: PLC0415 - heavy

    read: datetime = parse_timestamp(value)
    return read
