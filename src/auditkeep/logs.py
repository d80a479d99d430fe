"""What this program says of itself on stderr: a line for each event, and never what a URL hides.

User, password and the values of a query string are cut from every URL, in whatever says it: our own
words, those of a library, the traceback of a defect. Tokens stand there more often than not, and
which parameter is one cannot be known.

Invariant: all that goes to stderr on its own goes through here; `begin` is called before anything
else has something to say.
"""

import logging
import re
import sys
import threading
import traceback
from types import TracebackType

HIDDEN = "***"

_USER = re.compile(r"(?<=://)[^\s/?#@'\"\\<>]+@")
_VALUE = re.compile(r"([?&](?:amp;)?[\w.~%\[\]-]+=)[^\s&#'\"\\<>)]+")


def redacted(text: str) -> str:
    """The same text; of each URL in it only what names a place."""
    if "://" in text:
        text = _USER.sub(f"{HIDDEN}@", text)
    if "?" in text:
        text = _VALUE.sub(rf"\1{HIDDEN}", text)
    return text


class Line(logging.Formatter):
    """One event, with its traceback if it has one."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


def begin() -> None:
    """From now on, whatever this process logs or dies of is told in this way.

    Unless somebody listens already, as whoever runs this within a program of their own.
    """
    if logging.root.handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(Line())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    sys.excepthook = _died
    threading.excepthook = _thread_died


def _died(kind: type[BaseException], error: BaseException, place: TracebackType | None) -> None:
    sys.stderr.write(redacted("".join(traceback.format_exception(kind, error, place))))


def _thread_died(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None and not isinstance(told.exc_value, SystemExit):
        _died(told.exc_type, told.exc_value, told.exc_traceback)
