"""API calls that controls may name: how each is asked, paged through and taken apart (spec 3.5).

The documented calls are data (`data/calls.json`, written by `tools/make_calls.py`). Any other
read-only operation of botocore's models may be named as `service_Operation`; `readonly` judges it
and says in a sentence why one is refused. Nothing here asks anybody anything.
"""

from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

from auditkeep.ids import GLOBAL_REGION
from auditkeep.mapping import licences

PREFIX = "api:"
"""How match keys of API calls begin; the keyword follows."""


class Feed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a parameter comes from that is needed: each value another call of the service lists.

    `path` leads to one value in each element of the list, "" to the element itself. `named`: the
    parameter is a list of names, and each of the answers names its resource itself.
    """

    parameter: str
    operation: str
    path: str = ""
    named: bool = False


class Paging(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which output goes on as which input; `more` says whether it does, where a service has it."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    more: str = ""


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """One operation.

    `lists` are the paths of the lists of resources in an answer (`a|b`: the first that holds any),
    each with the member that names a resource ("" where elements are its names themselves) and
    the one that holds its ARN; none where the answer is about the account or about the resource
    it was fed. `digested` are those of the paths whose elements may share a name: their content is
    part of it. `secrets` are the paths below an element (or below the answer) of what is cut.
    `everywhere`: its service has no regions; `within` is the parameter that takes a region where
    a service of one region answers for all of them; `given` are parameters that are always sent.
    """

    service: str
    operation: str
    action: str
    everywhere: bool = False
    within: str = ""
    given: dict[str, Any] = {}
    lists: tuple[tuple[str, str, str], ...] = ()
    digested: tuple[str, ...] = ()
    paging: Paging | None = None
    feed: Feed | None = None
    secrets: tuple[str, ...] = ()

    def origin(self, region: str) -> str:
        """The region its answers belong to when it is asked in `region`."""
        return GLOBAL_REGION if self.everywhere else region


class Refusal(msgspec.Struct, frozen=True):
    """Why a keyword names no call that can be asked, as a sentence."""

    reason: Literal["unknown", "not read-only", "secret", "parameters", "pages"]
    sentence: str


@cache
def documented() -> dict[str, Call]:
    """The calls AWS documents, by keyword as AWS spells it."""
    data = (files("auditkeep.mapping") / "data" / "calls.json").read_bytes()
    return msgspec.json.decode(data, type=dict[str, Call])


def find(keyword: str) -> Call | Refusal:
    """The call that a keyword names, or why there is none."""
    known = documented().get(keyword)
    if known is None and licences.is_keyword(keyword):
        # a summary of several calls, which begins with this one
        known = documented()["license-manager_ListLicenseConfigurations"]
    if known is not None:
        return known
    from auditkeep.mapping import readonly  # noqa: PLC0415 - brings botocore with it

    return readonly.judge(keyword)


def keyword_of(match_key: str) -> str | None:
    """The keyword of an API call's match key; None for other keys."""
    return match_key.removeprefix(PREFIX) if match_key.startswith(PREFIX) else None
