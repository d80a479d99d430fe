"""CloudTrail's event history: `LookupEvents`, for accounts whose trail cannot be read.

Source: AWS CloudTrail API reference, LookupEvents: management events of one region of the last 90
days, newest first, at most 50 a call and two calls a second. Each event is in the answer as
CloudTrail wrote it (`CloudTrailEvent`, JSON in a string), so that it is the same observation as
from a log file and is kept once.

The time asked for is cut into windows, oldest first. A page is what some calls of one window
answered; after it one goes on by the service's token, or, where that is no longer good, at the
window's beginning. Events appear late and in no order: each look begins `LATE` before the last one.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from auditkeep.clock import DAY, MINUTE, Instant, to_datetime
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
AT_ONCE = 50
CALLS = 20
"""Calls of one page: a thousand events, a few megabytes."""
PAUSE_SECONDS = 0.5

_STALE = frozenset({"InvalidNextTokenException", "InvalidNextToken"})


class _Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where to go on: a window (its end is 0 while it is open) and a token in it."""

    start: Instant
    end: Instant
    token: str = ""


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
        if ask.since is None:
            yield next(
                self._window(client, ask, _Place(Instant(0), ask.until or Instant(0)), last=True)
            )
            return
        at: _Place | None = _PLACE.decode(resume) if resume else None
        for place, last in _windows(ask.since, ask.until, at):
            yield from self._window(client, ask, place, last=last)

    def parse(self, page: Page, context: Context, tally: Tally) -> Parsed:
        for number, call in enumerate(exchanges_of(page.body)):
            for found in cloudtrail.parse(iter([bytes(call.answer)]), context, tally):
                position = f"{OPERATION}[{number}].{found.position}"
                yield (
                    msgspec.structs.replace(found, position=position)
                    if isinstance(found, Observation)
                    else type(found)(position, found.reason)
                )

    def _window(self, client: Any, ask: Ask, place: _Place, *, last: bool) -> Iterator[Page]:
        calls: list[tuple[Request, bytes]] = []
        token = place.token
        while True:
            request = Request(SERVICE, OPERATION, self._parameters(place, token))
            answer = self._call(client, request)
            if answer is None:
                # the token is over: what was kept of the window is kept, the rest is asked anew
                calls, token = [], ""
                continue
            token = answer.get("NextToken") or ""
            calls.append((request, canonical(answer_of(answer))))
            if not token or len(calls) >= CALLS:
                following = _Place(place.start, place.end, token) if token else None
                yield _page(ask, self.reader, calls, place, following, last=last)
                if following is None:
                    return
                calls = []
            self._pause(PAUSE_SECONDS)

    def _parameters(self, place: _Place, token: str) -> dict[str, Any]:
        asked: dict[str, Any] = {"MaxResults": AT_ONCE}
        if place.start:
            asked["StartTime"] = place.start
        if place.end:
            asked["EndTime"] = place.end
        if not self._reads:
            asked["LookupAttributes"] = [{"AttributeKey": "ReadOnly", "AttributeValue": "false"}]
        if token:
            asked["NextToken"] = token
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


def windows(since: Instant, until: Instant | None) -> list[tuple[Instant, Instant]]:
    """What will be asked for, oldest first: for whoever counts how much there is to do."""
    return [(p.start, p.end) for p, _ in _windows(since, until, None)]


def _windows(
    since: Instant, until: Instant | None, at: _Place | None
) -> Iterator[tuple[_Place, bool]]:
    """Each window, and whether it is the last; from `at` on, if something is known already."""
    start = Instant(max(0, since - LATE))
    if until is None:
        yield at if at is not None else _Place(start, Instant(0)), True
        return
    while start < until:
        end = Instant(min(start + WINDOW, until))
        if at is None or at.start == start:
            yield _Place(start, end, at.token if at else ""), end >= until
            at = None
        start = end


def _page(
    ask: Ask,
    reader: str,
    calls: list[tuple[Request, bytes]],
    place: _Place,
    following: _Place | None,
    *,
    last: bool,
) -> Page:
    body = body_of([exchange(request, answer) for request, answer in calls])
    if following is None and not last:
        following = _Place(place.end, Instant(0))
    resume = None if following is None else msgspec.json.encode(following).decode()
    requests = tuple(request for request, _ in calls)
    return Page(ask, unit_of(ask, reader, body), body, requests, resume)
