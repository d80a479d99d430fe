"""API calls asked on a slot -> observations, one for each resource an answer names (spec 3.5).

Which calls there are, and how an answer is taken apart, is `mapping.calls`. `get` follows every
page. A call that needs a parameter is fed: it is made once for each value that another call lists,
some of them to a page of ours. A resource that cannot be asked about is a fault of its page and
stops no other; where nobody may be asked about, the call is denied. An answer "there is none"
(no password policy, no encryption of one's own) is evidence like any other.

The natural key is (account, region, keyword, resource, slot), the event time the beginning of the
slot's day, whenever it was asked; of a first look, that moment. Where nothing names a resource that
is certainly its own, what is kept of it is part of its name, so that two elements of a run are one
only if they are equal. Secrets are cut (`mapping.withheld`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

import msgspec

from auditkeep.mapping import calls, licences
from auditkeep.mapping.calls import PREFIX, Call, Feed, Refusal
from auditkeep.observations import Observation, Resource, SourceType
from auditkeep.sources import licences as summaries
from auditkeep.sources import own_counts, paths
from auditkeep.sources.answers import (
    Exchange,
    answer_of,
    body_of,
    canonical,
    exchange,
    exchanges_of,
    in_order,
)
from auditkeep.sources.occasion import occasion, time_of
from auditkeep.sources.pull import Ask, Clients, Denied, Fault, Page, Refused, Request, unit_of
from auditkeep.sources.records import (
    NO_CONTROL,
    UNREADABLE,
    Context,
    Parsed,
    Rejected,
    Tally,
    unreadable,
)
from auditkeep.sources.refusals import asking
from auditkeep.sources.secrets import Span

READER = "apicalls/1"

FED = 50
"""Resources asked about for one page of a fed call: what a failure makes us ask again."""

ELSEWHERE = "in another region"

_NOTHING = frozenset(
    {
        "NoSuchBucketPolicy",
        "NoSuchCORSConfiguration",
        "NoSuchLifecycleConfiguration",
        "NoSuchPublicAccessBlockConfiguration",
        "NoSuchTagSet",
        "NoSuchWebsiteConfiguration",
        "ObjectLockConfigurationNotFoundError",
        "OwnershipControlsNotFoundError",
        "ReplicationConfigurationNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
        "NoSuchEntity",
        "LifecyclePolicyNotFoundException",
        "RepositoryPolicyNotFoundException",
        "PolicyNotFound",
        "UnsupportedOperationException",
        "KMSInvalidStateException",
    }
)
"""Refusals that answer the question: nothing of that kind is set, or it cannot be."""

_VANISHED = frozenset(
    {
        "NoSuchBucket",
        "NotFoundException",
        "ResourceNotFound",
        "ResourceNotFoundException",
        "TableNotFoundException",
    }
)
"""Refusals of a fed call: what was listed a moment ago is not there any more."""


class ApiCalls:
    """The puller of one API call for one account, region and slot."""

    source: Final[SourceType] = "AWS_API_Call"
    reader: Final = READER

    def actions(self, what: str) -> frozenset[str]:
        if licences.is_keyword(what):
            return summaries.ACTIONS
        call = calls.find(what)
        if isinstance(call, Refusal):
            return frozenset()
        fed = {_feeding(call, call.feed).action} if call.feed else set()
        return frozenset({call.action, *fed, *own_counts.actions(call)})

    def get(self, clients: Clients, ask: Ask, resume: str | None = None) -> Iterator[Page]:
        if licences.is_keyword(ask.what):
            yield from summaries.get(clients, ask, resume)
            return
        call = calls.find(ask.what)
        if isinstance(call, Refusal):
            raise Refused(call.sentence, service=ask.what, operation=ask.what)
        client = clients.client(call.service, call.origin(ask.region))
        start = _decoded(resume)
        if call.feed is None:
            for answer in _pages(client, call, ask, start.get("token")):
                after = None if answer.following is None else {"token": answer.following}
                page = _page(ask, [answer], after)
                own = own_counts.counted(client, call) if after is None else None
                if own is not None:
                    page = replace(page, counted=own[0], requests=(*page.requests, own[1]))
                yield page
        else:
            yield from _fed(client, call, call.feed, ask, start)

    def parse(self, page: Page, context: Context, tally: Tally) -> Parsed:
        if licences.is_keyword(page.ask.what):
            yield from summaries.parse(page, context, tally)
            return
        call = calls.find(page.ask.what)
        if isinstance(call, Refusal):
            yield Rejected("", call.sentence)
            return
        try:
            made = exchanges_of(page.body)
        except UNREADABLE as error:
            yield unreadable("", error)
            return
        for number, one in enumerate(made):
            if one.operation == call.operation:
                yield from _exchange(one, f"[{number}]", page.ask, call, context, tally)


def _decoded(resume: str | None) -> dict[str, Any]:
    return {} if resume is None else msgspec.json.decode(resume, type=dict[str, Any])


def _feeding(call: Call, feed: Feed) -> Call:
    """The call that lists what another one is fed."""
    for known in calls.documented().values():
        if (known.service, known.operation, known.feed) == (call.service, feed.operation, None):
            return known
    from auditkeep.mapping.readonly import call_of  # noqa: PLC0415 - brings botocore with it

    return call_of(call.service, feed.operation)


# --- asking -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Answer:
    """One call made: what came back, and with what the next one goes on."""

    request: Request
    response: dict[str, Any]
    refused: bool
    following: dict[str, Any] | None

    def exchange(self) -> Exchange:
        return exchange(self.request, canonical(self.response), refused=self.refused)


def _page(
    ask: Ask,
    answers: Sequence[_Answer],
    resume: dict[str, Any] | None,
    faults: tuple[Fault, ...] = (),
) -> Page:
    body = body_of([answer.exchange() for answer in answers])
    after = None if resume is None else msgspec.json.encode(resume).decode()
    requests = tuple(answer.request for answer in answers)
    return Page(ask, unit_of(ask, READER, body), body, requests, after, None, faults)


def _pages(
    client: Any,
    call: Call,
    ask: Ask,
    token: dict[str, Any] | None,
    extra: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[_Answer]:
    """Every page of a call, from a token on."""
    given = {**call.given, **extra}
    if call.within:
        given[call.within] = ask.region
    while True:
        parameters = {**given, **(token or {})}
        response, refused = _once(client, call, parameters)
        following = None if refused else _following(call, response)
        if following is not None and following == token:
            raise Refused(
                f"{call.service}:{call.operation} goes round in circles: its next page is itself.",
                service=call.service,
                operation=call.operation,
            )
        request = Request(call.service, call.operation, parameters)
        yield _Answer(request, response, refused, following)
        if following is None:
            return
        token = following


def _once(client: Any, call: Call, parameters: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """What one call was answered, and whether it is a refusal that says there is nothing."""
    from botocore import xform_name  # noqa: PLC0415 - heavy
    from botocore.exceptions import ClientError  # noqa: PLC0415 - heavy

    with asking(client, call.operation, action=call.action):
        try:
            return answer_of(getattr(client, xform_name(call.operation))(**parameters)), False
        except ClientError as error:
            said = error.response.get("Error", {})
            if said.get("Code") not in _NOTHING:
                raise
            return {"Error": {n: said.get(n, "") for n in ("Code", "Message")}}, True


def _following(call: Call, response: dict[str, Any]) -> dict[str, Any] | None:
    """The parameters of the next page, None if there is none."""
    paging = call.paging
    if paging is None or (paging.more and not paths.member(response, paging.more)):
        return None
    found = {
        name: paths.member(response, path)
        for name, path in zip(paging.inputs, paging.outputs, strict=False)
    }
    return {name: token for name, token in found.items() if token} or None


def _fed(client: Any, call: Call, feed: Feed, ask: Ask, start: dict[str, Any]) -> Iterator[Page]:
    """A call made once for each value that another lists, `FED` of them to a page.

    A page goes on behind its last value in the listing's own page or, where that is done, with
    the listing's next one.
    """
    token, after = start.get("token"), start.get("after")
    for listing in _pages(client, _feeding(call, feed), ask, token):
        values = _values(call, feed, ask, listing.response)
        if after in values:
            values = values[values.index(after) + 1 :]
        after = None
        done = None if listing.following is None else {"token": listing.following}
        for begin in range(0, max(len(values), 1), FED):
            some = values[begin : begin + FED]
            last = begin + FED >= len(values)
            answers, faults = _each(client, call, feed, ask, some)
            resume = done if last else {"token": token, "after": some[-1]}
            yield _page(ask, [listing, *answers], resume, faults)
        token = listing.following


def _values(call: Call, feed: Feed, ask: Ask, response: dict[str, Any]) -> list[str]:
    """What a listing feeds: of one that answers for all regions only what is in ours."""
    feeding = _feeding(call, feed)
    found: list[str] = []
    for path, _, _ in feeding.lists:
        for element in paths.listed(response, path):
            value = paths.name_of(element, feed.path)
            if value and not _elsewhere(element, feeding, ask):
                found.append(value)
    return found


def _elsewhere(element: object, call: Call, ask: Ask) -> bool:
    """Whether an element says that it is in another region than was asked for."""
    if not call.within or not isinstance(element, dict):
        return False
    return bool(element.get(call.within, ask.region) != ask.region)


def _each(
    client: Any, call: Call, feed: Feed, ask: Ask, values: Sequence[str]
) -> tuple[list[_Answer], tuple[Fault, ...]]:
    """The answers about some resources, and those that could not be asked about.

    What has nothing to do with one resource is raised, and so is a denial that holds for all.
    """
    answers: list[_Answer] = []
    faults: list[Fault] = []
    denial: Denied | None = None
    for value in values:
        try:
            given = [value] if feed.named else value
            answers += _pages(client, call, ask, None, {feed.parameter: given})
        except Denied as error:
            denial = error
            faults.append(Fault(value, error.reason, str(error), error.action))
        except Refused as error:
            if error.code not in _VANISHED:
                faults.append(Fault(value, error.reason, str(error)))
    if denial is not None and len(faults) == len(values):
        raise denial
    return answers, tuple(faults)


# --- reading ----------------------------------------------------------------------------------


def _exchange(
    one: Exchange, position: str, ask: Ask, call: Call, context: Context, tally: Tally
) -> Parsed:
    """The observations of one call."""
    key = f"{PREFIX}{ask.what}"
    try:
        answer = msgspec.json.decode(one.answer)
    except UNREADABLE as error:
        tally.records += 1
        yield unreadable(position, error)
        return
    made: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for found in _resources(one, answer, ask, call):
        tally.records += 1
        if not context.interest.wants(key):
            tally.unmatched[NO_CONTROL] += 1
        elif _elsewhere(found.element, call, ask):
            tally.unmatched[ELSEWHERE] += 1
        elif ask.at is None and ask.slot is None:
            yield Rejected(position + found.place, "it was asked for no slot")
        else:
            observation = _observation(found, position + found.place, key, ask, call, context)
            yield _told_apart(observation, made) if found.digested else observation


@dataclass(frozen=True, slots=True)
class _Found:
    """One resource of an answer: `shown` is what is kept of it; `digested`: its content is part
    of its name.
    """

    element: Any
    shown: Any
    place: str
    name: str
    arn: str
    digested: bool = False


def _resources(one: Exchange, answer: Any, ask: Ask, call: Call) -> Iterator[_Found]:
    fed = ""
    if call.feed is not None and not call.feed.named:
        fed = str(one.parameters.get(call.feed.parameter, ""))
    if one.refused or not call.lists:
        shown = {"answer": answer, "parameters": one.parameters} if fed else answer
        name = fed or ask.account
        # a later page of an answer without lists is another part of it
        later = call.paging is not None and not one.parameters.keys().isdisjoint(call.paging.inputs)
        arn = name if name.startswith("arn:") else ""
        yield _Found(answer, shown, "", name, arn, digested=later)
        return
    for path, member, arn_member in call.lists:
        label = path.split("|")[0]
        for index, element in enumerate(paths.listed(answer, path)):
            shown = element if isinstance(element, dict) else {label: element}
            if fed:
                shown = {"answer": shown, "parameters": one.parameters}
            arn = paths.name_of(element, arn_member) if isinstance(element, dict) else ""
            name = paths.name_of(element, member)
            digested = path in call.digested or not name
            name = name or arn
            if not arn and name.startswith("arn:"):
                arn = name
            whole = "/".join(part for part in (fed, name) if part)
            yield _Found(element, shown, f".{label}[{index}]", whole, arn, digested=digested)


def _named(found: _Found, kept: bytes) -> str:
    """What a resource is called; one that may not be alone with its name, by what is kept of it."""
    if not found.digested:
        return found.name
    digest = sha256(kept).hexdigest()[:32]
    return f"{found.name}#{digest}" if found.name else digest


def _told_apart(
    observation: Observation, made: dict[tuple[str, ...], list[tuple[str, ...]]]
) -> Observation:
    """The observation, numbered where another of the answer differs from it by its secrets only."""
    cut = tuple(one.mac for one in observation.cuts)
    others = made.setdefault(observation.natural_key, [])
    if cut not in others:
        others.append(cut)
    number = others.index(cut)
    if number == 0:
        return observation
    account, region, what, name, when = observation.natural_key
    name = f"{name}-{number + 1}"
    first, *rest = observation.resources
    return msgspec.structs.replace(
        observation,
        natural_key=(account, region, what, name, when),
        resources=(msgspec.structs.replace(first, value=name), *rest),
    )


def _observation(
    found: _Found, position: str, key: str, ask: Ask, call: Call, context: Context
) -> Observation:
    raw = in_order(found.shown)
    kept, cuts = context.cutter.cut(raw, _secrets(raw, found.element, call))
    region = call.origin(ask.region)
    service = call.action.partition(":")[0]
    name = _named(found, kept)
    return Observation(
        source="AWS_API_Call",
        natural_key=(ask.account, region, ask.what, name, occasion(ask)),
        event_time=time_of(ask),
        match_key=key,
        account=ask.account,
        region=region,
        raw=kept,
        reader=READER,
        position=position,
        resources=(Resource(value=name, arn=found.arn or None),),
        event_name=call.operation,
        event_source=f"{service}.amazonaws.com",
        cuts=cuts,
    )


def _secrets(raw: bytes, element: object, call: Call) -> list[Span]:
    """Where the texts stand that are withheld; see `mapping.withheld`."""
    spans: list[Span] = []
    for path in call.secrets:
        for under, text in paths.texts(element, path):
            quoted = msgspec.json.encode(text)
            for before in (msgspec.json.encode(under) + b":",) if under else (b"[", b","):
                needle = before + quoted
                at = raw.find(needle)
                while at >= 0:
                    end = at + len(needle)
                    spans.append((at + len(before) + 1, end - 1, "sensitive"))
                    at = raw.find(needle, end)
    return spans
