"""Warnings about words that commands are given, as the API warns of those in requests.

Names and reasons show in lists, logs and certificates. A command that keeps some warns on standard
error where one looks like an e-mail address, an access key or a card number, names the parameter
and never what stands in it, and does what it was told.
"""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

FREE = frozenset({"name", "why", "user", "title", "description", "comment"})
"""Parameters that hold what people write."""
KEEPING = frozenset({"add", "create", "place", "put", "release"})
"""The last words of commands that keep what they are given."""


def warning(words: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a command, with a warning before it where it keeps free words."""
    signature = inspect.signature(function)
    if words.rsplit(maxsplit=1)[-1] not in KEEPING or not FREE & signature.parameters.keys():
        return function

    @functools.wraps(function)
    def warned(*args: Any, **given: Any) -> Any:
        for name, text in signature.bind(*args, **given).arguments.items():
            if name in FREE and isinstance(text, str):
                _warn(name, text)
        return function(*args, **given)

    return warned


def _warn(name: str, text: str) -> None:
    from auditkeep.operations.hygiene import kinds

    for kind in kinds(text):
        print(
            f"auditkeep: warning: {name} looks like it holds {kind}. It is kept as it is, and "
            "shows in lists and logs.",
            file=sys.stderr,
        )
