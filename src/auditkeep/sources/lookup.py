"""CloudTrail's event history: `LookupEvents`, for accounts whose trail cannot be read.

Source: AWS CloudTrail API reference, LookupEvents: management events of one region of the last 90
days, newest first, at most 50 a call and two calls a second. Each event is in the answer as
CloudTrail wrote it (`CloudTrailEvent`, JSON in a string), so that it is the same observation as
from a log file and is kept once.

Asked for are events that change something, and then those that are evidence though their flag says
that they only read (`mapping.event_flags`): by their names, as far as somebody looks at them, or,
where that would be `MOST_NAMES` and more, by asking for all there is. A call takes one condition.

The time asked for is cut into windows, oldest first. A page is what some calls answered, of one
window or of several that follow each other; after it one goes on by the service's token, or, where
that is no longer good, at the window's beginning. Events appear late and in no order: each look
begins `LATE` before the last one.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from auditkeep.clock import DAY, MINUTE, Instant, to_datetime
from auditkeep.mapping.event_flags import asked_by_name
from auditkeep.mapping.interest import Interest
from auditkeep.observations import Observation, SourceType
from auditkeep.sources import cloudtrail
from auditkeep.sources.answers import answer_of, body_of, canonical, exchange, exchanges_of
from auditkeep.sources.pull import Ask, Clients, Page, Refused, Request, unit_of
from auditkeep.sources.records import Context, Parsed, Tally
from auditkeep.sources.refusals import asking

SERVICE = "cloudtrail"
OPERATION = "LookupEvents"
ACTION = "cloudtrail:LookupEvents"

KEPT = 90 * DAY
LATE = 30 * MINUTE
WINDOW = 6 * 60 * MINUTE
WINDOW_BY_NAME = 10 * DAY
"""Of what is asked by name: events of one name are few."""
MOST_NAMES = 40
"""So many calls more, at two a second, are not worth what they save."""
AT_ONCE = 50
CALLS = 20
"""Calls of one page: a thousand events, a few megabytes."""
PAUSE_SECONDS = 0.5

_STALE = frozenset({"InvalidNextTokenException", "InvalidNextToken"})


class _Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where to go on: a window (its end is 0 while it is open) and a token in it.

    `by` is the condition its events are asked by, as `EventName/Encrypt`; "" stands for the first
    thing that is asked for, and sorts before all others.
    """

    start: Instant
    end: Instant
    token: str = ""
    by: str = ""


_PLACE = msgspec.json.Decoder(_Place)


class LookupEvents:
    """A `sources.pull.Puller`. `reads` asks for events that change nothing, too."""

    source: SourceType = "AWS_Cloudtrail"
    reader = cloudtrail.READER

    def __init__(self, *, reads: bool = False, pause: Callable[[float], None] = time.sleep) -> None:
        self._reads = reads
        self._pause = pause

    def actions(self, what: str) -> frozenset[str]:  # noqa: ARG002 - there is one question only
        return frozenset({ACTION})

    def get(self, clients: Clients, ask: Ask, resume: str | None = None) -> Iterator[Page]:
        """Pages from `ask.since` on (None: the newest page only) up to `ask.until`, or now."""
        client = clients.client(SERVICE, ask.region)
        names = [] if self._reads or ask.since is None else _conditions(ask.wanted)
        changes = not self._reads and len(names) < MOST_NAMES
        if ask.since is None:
            newest = _Place(Instant(0), ask.until or Instant(0))
            yield next(self._pages(client, ask, [newest], changes=changes))
            return
        at: _Place | None = _PLACE.decode(resume) if resume else None
        places = list(_places(ask.since, ask.until, ["", *names] if changes else [""], at))
        yield from self._pages(client, ask, places, changes=changes)

    def parse(self, page: Page, context: Context, tally: Tally) -> Parsed:
        for number, call in enumerate(exchanges_of(page.body)):
            for found in cloudtrail.parse(iter([bytes(call.answer)]), context, tally):
                position = f"{OPERATION}[{number}].{found.position}"
                yield (
                    msgspec.structs.replace(found, position=position)
                    if isinstance(found, Observation)
                    else type(found)(position, found.reason)
                )

    def _pages(
        self, client: Any, ask: Ask, places: list[_Place], *, changes: bool
    ) -> Iterator[Page]:
        calls: list[tuple[Request, bytes]] = []
        for number, place in enumerate(places):
            following: _Place | None = place
            begun = len(calls)
            while following is not None:
                if number or following is not place:
                    self._pause(PAUSE_SECONDS)
                asked = self._parameters(following, changes=changes)
                request = Request(SERVICE, OPERATION, asked)
                answer = self._call(client, request)
                if answer is None:
                    # the token is over: what was kept of the window is kept, the rest is asked anew
                    del calls[begun:]
                    following = msgspec.structs.replace(place, token="")
                    continue
                calls.append((request, canonical(answer_of(answer))))
                token = answer.get("NextToken")
                following = msgspec.structs.replace(place, token=token) if token else None
                then = following or next(iter(places[number + 1 :]), None)
                if then is None or len(calls) >= CALLS:
                    yield _page(ask, self.reader, calls, then)
                    calls, begun = [], 0

    def _parameters(self, place: _Place, *, changes: bool) -> dict[str, Any]:
        asked: dict[str, Any] = {"MaxResults": AT_ONCE}
        if place.start:
            asked["StartTime"] = place.start
        if place.end:
            asked["EndTime"] = place.end
        by = place.by or ("ReadOnly/false" if changes else "")
        if by:
            key, _, value = by.partition("/")
            asked["LookupAttributes"] = [{"AttributeKey": key, "AttributeValue": value}]
        if place.token:
            asked["NextToken"] = place.token
        return asked

    def _call(self, client: Any, request: Request) -> dict[str, Any] | None:
        """None if the token is not good any more."""
        asked = dict(request.parameters)
        for name in ("StartTime", "EndTime"):
            if name in asked:
                asked[name] = to_datetime(asked[name])
        try:
            with asking(client, OPERATION, action=ACTION):
                answer: dict[str, Any] = client.lookup_events(**asked)
        except Refused as error:
            if error.code in _STALE and "NextToken" in asked:
                return None
            raise
        return answer


def _conditions(wanted: Interest) -> list[str]:
    """What is asked for besides events that change something, in order."""
    found = asked_by_name(wanted.keys)
    return [
        *(f"EventName/{name}" for name in found.names),
        *(f"EventSource/{source}" for source in found.sources),
    ]


def windows(since: Instant, until: Instant | None) -> list[tuple[Instant, Instant]]:
    """What will be asked for, oldest first: for whoever counts how much there is to do."""
    return [(p.start, p.end) for p in _places(since, until, [""], None)]


def _places(
    since: Instant, until: Instant | None, conditions: Iterable[str], at: _Place | None
) -> Iterator[_Place]:
    """Each window of each condition; from `at` on, if something is known already."""
    begin = Instant(max(0, since - LATE))
    for by in conditions:
        if at is not None and by < at.by:
            continue
        inside = at if at is not None and by == at.by else None
        if until is None:
            yield inside or _Place(begin, Instant(0), by=by)
            continue
        start = begin
        while start < until:
            end = Instant(min(start + (WINDOW_BY_NAME if by else WINDOW), until))
            if inside is None or inside.start <= start:
                token = inside.token if inside is not None and inside.start == start else ""
                yield _Place(start, end, token, by)
            start = end


def _page(
    ask: Ask, reader: str, calls: list[tuple[Request, bytes]], following: _Place | None
) -> Page:
    body = body_of([exchange(request, answer) for request, answer in calls])
    resume = None if following is None else msgspec.json.encode(following).decode()
    requests = tuple(request for request, _ in calls)
    return Page(ask, unit_of(ask, reader, body), body, requests, resume)
