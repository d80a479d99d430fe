"""How an answer goes on over pages, which of its lists hold resources, and what names each one.

All of it follows botocore's models, and no table of operations.

Pages. First what botocore's own paginators say. Else tokens, in the answer or in the one structure
it is wrapped in: an input goes on with the output that is its next one (`NextMarker`,
`nextPageToken`, `NextContinuationToken`), that was evaluated last (`ExclusiveStartTableName`:
`LastEvaluatedTableName`), that is called alike, or, where the answer only says that there is more,
with the last name listed. `unread` names the tokens that none of this explains: such an operation
is not asked, for nobody could tell that its answer broke off.

Lists. What a paginator names, or every list of the answer; the answer as a whole where it tells
more than a list does and is no page of one.

Names. An ARN, id or name is trusted to be of one element only where it is called after what is
listed and nothing beside it tells that there are several of one. Elsewhere the element's content is
part of its name (`Listed.digested`): two elements are one only if they are equal.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from auditkeep.mapping import withheld
from auditkeep.mapping.calls import Paging
from auditkeep.mapping.models import session

_VERB = re.compile(r"(?:Batch)?(?:Describe|Get|List|Search|Lookup|Check|View)(?=[A-Z0-9])")
_LISTS = re.compile(r"(?:Batch)?(?:List|Search)(?=[A-Z0-9])")

_TOKEN = re.compile(
    r"token$|marker$|cursor$|^position$|^offset$|^page(?:number)?$|^startingafter$|^start(?:at|index)$"
    r"|^exclusivestart|^lastevaluated.*(?:name|arn|id|key)$|^next.*(?:name|id|code|type|key|arn)$"
)
_NO_TOKEN = re.compile(
    r"(?:client|clientrequest|request|idempotency|creation|update|lock|version|sequence|grant|result"
    r"|session|access|auth|authentication|security|secret|refresh|identity|id|activation|registration)token$"
)
"""Tokens that do not page: they number a change or a request, or are somebody's."""

_NO_RESOURCES = re.compile(r"failures|errors|unprocessed|warnings|responsemetadata", re.IGNORECASE)

_SEVERAL = re.compile(
    r"(?:version|revision|history|event|activity|record|statistic|usage|statuse?)(?:item|entry)?$"
)
"""What is listed several times for one thing, if it is what is listed."""

_ONE_OF_SEVERAL = re.compile(
    r"(?:version|revision|stage|generation|language|locale)(?:id|number|name|label|code)?"
)
"""Members which tell that one thing may be listed several times."""

_FOREIGN = re.compile(r"(?:id|identifier|arn|name)$")
_SOMEBODY = re.compile(
    r"(?:owner|account|customeraws|registry|zone|vpc|user)(?:id|identifier|name)$"
)
"""Whose or where a thing is: no name of it."""

_FOREIGN_ARN = re.compile(r"(?<!role)(?<!key)arn$")
_OWN = frozenset({"arn", "awsaccountid", "displayname", "id", "name", "owneraccountid", "ownerid"})
"""Members that are no name of another thing, which this one may only be told beside."""

Lists = tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """`lists` as a `Call` has them; `digested` are the paths of those whose elements' names are
    not certainly their own.
    """

    lists: Lists
    digested: tuple[str, ...]


# --- pages ------------------------------------------------------------------------------------


@cache
def _paginators(service: str) -> dict[str, Any]:
    from botocore.exceptions import UnknownServiceError  # noqa: PLC0415 - heavy

    try:
        found = session().get_component("data_loader").load_service_model(service, "paginators-1")
    except UnknownServiceError:
        return {}
    pagination: dict[str, Any] = found["pagination"]
    return pagination


def paging_of(shape: Any) -> Paging | None:
    """How an operation goes on; None where it answers at once, or does not say how."""
    known = _paginators(shape.service_model.service_name).get(shape.name)
    if known is not None:
        return Paging(
            _many(known["input_token"]), _many(known["output_token"]), known.get("more_results", "")
        )
    inputs = [name for name in _inputs(shape) if _is_token(name) or _starts(name)]
    wrapper, members = _inside(shape)
    more = _more(members)
    goes_on = [(name, _next_of(name, members, more)) for name in inputs]
    # a place to begin at that no output goes on from is a filter
    goes_on = [(name, found) for name, found in goes_on if found or _is_token(name)]
    if not goes_on:
        goes_on = _next_names(shape, members)
    if not goes_on or not all(found for _, found in goes_on):
        return None
    before = f"{wrapper}." if wrapper else ""
    return Paging(
        tuple(name for name, _ in goes_on),
        tuple(before + found for _, found in goes_on),
        before + more if more else "",
    )


def unread(shape: Any) -> list[str]:
    """The members that look like tokens of pages where `paging_of` knows no way on."""
    if paging_of(shape) is not None:
        return []
    _, members = _inside(shape)
    outputs = {**shape.output_shape.members, **members}
    found = [name for name in _inputs(shape) if _is_token(name)]
    found += [n for n, m in outputs.items() if m.type_name == "string" and _pages_on(n)]
    return sorted(set(found))


def _pages_on(name: str) -> bool:
    """Whether an output is a token with which an answer goes on, as far as its name tells."""
    return _is_token(name) and not re.search(r"^token$|(?<!next)pagetoken$", withheld.plain(name))


def _many(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _inputs(shape: Any) -> list[str]:
    if shape.input_shape is None:
        return []
    plain = ("string", "integer", "long")
    return [name for name, m in shape.input_shape.members.items() if m.type_name in plain]


def _is_token(name: str) -> bool:
    plain = withheld.plain(name)
    return bool(_TOKEN.search(plain)) and not _NO_TOKEN.search(plain)


def _starts(name: str) -> bool:
    """Whether an input says where to begin: `StartCountryCode`."""
    return bool(re.match(r"[Ss]tart[A-Z]", name))


def _inside(shape: Any) -> tuple[str, dict[str, Any]]:
    """The structure that all of an answer is wrapped in ("" where there is none), its members."""
    members = shape.output_shape.members
    if len(members) == 1:
        ((name, inner),) = members.items()
        if inner.type_name == "structure":
            return name, dict(inner.members)
    return "", dict(members)


def _more(members: dict[str, Any]) -> str:
    """The member that says whether there is more, where there is one."""
    for name, member in members.items():
        if member.type_name == "boolean" and re.match(r"(?:is_?truncated|has_?more)", name.lower()):
            return name
    return ""


def _next_of(name: str, members: dict[str, Any], more: str) -> str:
    """The output with which an input goes on; "" where none is known."""
    plain = withheld.plain(name)
    rest = re.sub(r"^(?:exclusive)?start", "", plain)
    wanted = [f"next{plain}", f"next{rest}", f"lastevaluated{rest}"]
    # what is only called alike may be an echo of what was asked
    wanted += [plain] if _is_token(name) else []
    tokens = {
        withheld.plain(n): n for n, m in members.items() if m.type_name in ("string", "integer")
    }
    found = next((tokens[one] for one in wanted if one in tokens), "")
    if found or not more or not plain.startswith("exclusivestart"):
        return found
    return _last_of(rest, members)


def _last_of(rest: str, members: dict[str, Any]) -> str:
    """The last name of the only list there is."""
    lists = [(n, m) for n, m in members.items() if m.type_name == "list"]
    if len(lists) != 1:
        return ""
    name, listed = lists[0]
    if listed.member.type_name == "string":
        return f"{name}[-1]"
    for member in getattr(listed.member, "members", {}):
        if rest.endswith(withheld.plain(member)):
            return f"{name}[-1].{member}"
    return ""


def _next_names(shape: Any, members: dict[str, Any]) -> list[tuple[str, str]]:
    """Inputs that outputs are the next ones of: `DNSName` of `NextDNSName`."""
    outputs = {withheld.plain(n): n for n, m in members.items() if m.type_name == "string"}
    pairs = [(name, outputs.get(f"next{withheld.plain(name)}", "")) for name in _inputs(shape)]
    return [(name, found) for name, found in pairs if found]


# --- lists ------------------------------------------------------------------------------------


def listed_of(shape: Any, *, fed: bool) -> Listed:
    """The lists of an answer whose elements are resources; none where the answer is one."""
    found = _lists(shape, fed=fed)
    lists = []
    digested = []
    for path, element in found:
        member, arn, certain = _identity(shape, path.rsplit(".", 1)[-1], element)
        lists.append((path, member, arn))
        # of two lists, each may hold what the other does
        if (element.type_name == "structure" and not certain) or len(found) > 1:
            digested.append(path)
    return Listed(tuple(lists), tuple(digested))


def _lists(shape: Any, *, fed: bool) -> list[tuple[str, Any]]:
    known = _paginators(shape.service_model.service_name).get(shape.name)
    if known is not None:
        named = [(path, _at(shape, path)) for path in _many(known["result_key"])]
        some = [(path, found.member) for path, found in named if found is not None]
        if some:
            return [] if fed and _is_about_one(shape, [path for path, _ in some]) else some
    paging = paging_of(shape)
    wrapper, members = _inside(shape)
    if wrapper and not (_LISTS.match(shape.name) or (paging and _unwrapped(paging))):
        wrapper, members = "", dict(shape.output_shape.members)
    before = f"{wrapper}." if wrapper else ""
    some = [
        (before + name, member.member)
        for name, member in members.items()
        if member.type_name == "list" and not _NO_RESOURCES.search(name)
    ]
    whole = not _LISTS.match(shape.name) and _tells_more(members)
    if (paging is None and (fed or whole)) or (fed and whole):
        return []
    return some


def _is_about_one(shape: Any, paths: list[str]) -> bool:
    """Whether an answer describes the thing it was asked about, beside what it lists of it."""
    tops = {path.partition(".")[0] for path in paths}
    described = [
        name
        for name, member in shape.output_shape.members.items()
        if member.type_name in ("structure", "map") and not _NO_RESOURCES.search(name)
    ]
    nested = any("." in path for path in paths)
    return not _LISTS.match(shape.name) and bool(nested or set(described) - tops)


def _at(shape: Any, path: str) -> Any:
    """The list at a path of an answer; None where there is none."""
    found = shape.output_shape
    for name in path.split("."):
        found = found.members.get(name) if found.type_name == "structure" else None
        if found is None:
            return None
    return found if found.type_name == "list" else None


def _unwrapped(paging: Paging) -> bool:
    """Whether a page of an answer is nothing but a list and its token."""
    return not any(output.partition("[")[0] != output for output in paging.outputs)


def _tells_more(members: dict[str, Any]) -> bool:
    """Whether an answer says anything beside its lists."""
    return any(
        member.type_name != "list" and not _NO_RESOURCES.search(name) and not _is_token(name)
        for name, member in members.items()
    )


# --- names ------------------------------------------------------------------------------------

_ENDS = ("id", "identifier", "arn", "name", "url", "key")


def _identity(shape: Any, list_name: str, element: Any) -> tuple[str, str, bool]:
    """The members of an element that name it and hold its ARN ("" where there is none), and
    whether no other element can have the same name.
    """
    if element.type_name != "structure":
        return "", "", False
    hidden = withheld.paths_of(shape.service_model.service_name, element)
    plain = {
        name.lower(): name
        for name, member in element.members.items()
        if member.type_name == "string" and name not in hidden
    }
    things = [_singular(t) for t in (list_name, _VERB.sub("", shape.name), element.name)]
    arn = _first(plain, [f"{t}arn" for t in things] + ["arn", "resourcearn"])
    named = [f"{t}{end}" for end in _ENDS for t in things]
    free = [n for n in plain if not _SOMEBODY.search(n)]
    tail = [n for n in free if n.endswith(_ENDS[:2])] + [n for n in free if n.endswith("name")]
    also = [f"{form}{end}" for end in _ENDS for t in things for form in _forms(t)]
    wanted = [*named, *also, "id", "identifier", "arn", "name", "serialnumber", *tail]
    certain = _first(plain, [n for n in wanted if n in plain and _certain(n, things, element)])
    return certain or _first(plain, wanted) or arn, arn, bool(certain)


def _certain(name: str, things: list[str], element: Any) -> bool:
    """Whether a member is of one element only, as far as names tell."""
    called = {form for thing in things for form in _forms(thing)}
    own = {f"{t}{end}" for t in called for end in ("id", "identifier", "arn", "name")}
    if any(_SEVERAL.search(t) for t in things) or name not in own | {"arn", "id", "identifier"}:
        return False
    if name in own and name.endswith("arn"):
        return True
    others = {withheld.plain(member) for member in element.members} - {name}
    if any(_ONE_OF_SEVERAL.fullmatch(other) for other in others):
        return False
    if name in own and not name.endswith("name"):
        return True
    # beside the ids of other things, it may be told of each of them
    foreign = _FOREIGN if name != "arn" else _FOREIGN_ARN
    return not any(foreign.search(other) for other in others - own - _OWN)


def _singular(name: str) -> str:
    name = re.sub(r"(?:Summary)?List$|Summaries$|Summary$|Info$|Set$", "", name).lower()
    if name.endswith("ies"):
        return name[:-3] + "y"
    if name.endswith(("sses", "xes")):
        return name[:-2]
    return name.removesuffix("s")


def _forms(thing: str) -> list[str]:
    """What members may call a thing: `aliase` is an alias, `DhcpOptions` has no singular."""
    bare = re.sub(r"(?:listentry|entry|details?|description|metadata|information)$", "", thing)
    plural = [f"{thing}s"] if thing.endswith("option") else []
    return [thing, bare, *plural, *([thing[:-1]] if thing.endswith("se") else [])]


def _first(members: dict[str, str], wanted: list[str]) -> str:
    return next((members[name] for name in wanted if name in members), "")
