"""CloudTrail Lake: events by SQL, from an event data store (`StartQuery`, `GetQueryResults`).

Source: AWS CloudTrail user guide, "CloudTrail Lake queries". The column `eventJson` holds an event
as CloudTrail wrote it, so that it is the same observation as from a log file. `Ask.what` is the
store's id; the time asked for is cut into days, one query each. A query that is still running is
looked at again, more and more seldom; its results are paged by token for as long as AWS keeps them,
and afterwards the day is asked anew.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from auditkeep.clock import DAY, MINUTE, Instant, to_datetime
from auditkeep.observations import Observation, SourceType
from auditkeep.sources import cloudtrail
from auditkeep.sources.answers import answer_of, body_of, canonical, exchange, exchanges_of
from auditkeep.sources.pull import Ask, Clients, Page, Refused, Request, Unreachable, unit_of
from auditkeep.sources.records import UNREADABLE, Context, Parsed, Rejected, Tally, unreadable
from auditkeep.sources.refusals import asking

SERVICE = "cloudtrail"
ACTIONS = frozenset({"cloudtrail:StartQuery", "cloudtrail:GetQueryResults"})

LATE = 30 * MINUTE
WINDOW = DAY
ROWS = 1000
"""Rows of one answer, the most there may be."""
PATIENCE_SECONDS = 15 * 60.0
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 15.0

_STORE = re.compile(r"[a-zA-Z0-9-]{3,64}")
_RUNNING = frozenset({"QUEUED", "RUNNING"})


class _Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where to go on: a window, and perhaps the next page of its query."""

    start: Instant
    query: str = ""
    token: str = ""


class _Answer(msgspec.Struct, gc=False):
    rows: list[list[dict[str, str]]] = msgspec.field(name="QueryResultRows", default_factory=list)


_PLACE = msgspec.json.Decoder(_Place)
_ANSWER = msgspec.json.Decoder(_Answer)


class EventLake:
    """A `sources.pull.Puller` for one event data store an `Ask`."""

    source: SourceType = "AWS_Cloudtrail"
    reader = cloudtrail.READER

    def __init__(self, *, reads: bool = False, pause: Callable[[float], None] = time.sleep) -> None:
        self._reads = reads
        self._pause = pause

    def actions(self, what: str) -> frozenset[str]:  # noqa: ARG002 - the same for every store
        return ACTIONS

    def get(self, clients: Clients, ask: Ask, resume: str | None = None) -> Iterator[Page]:
        """Pages of [`ask.since`, `ask.until`); Refused without both: a query needs bounds."""
        if ask.since is None or ask.until is None or not _STORE.fullmatch(ask.what):
            raise Refused("CloudTrail Lake is asked for a store's id and between two times.")
        client = clients.client(SERVICE, ask.region)
        at = _PLACE.decode(resume) if resume else None
        start = Instant(ask.since - LATE)
        while start < ask.until:
            end = Instant(min(start + WINDOW, ask.until))
            if at is None or at.start <= start:
                inside = at if at is not None and at.start == start else _Place(start)
                at = None
                yield from self._query(client, ask, inside, end)
            start = end

    def parse(self, page: Page, context: Context, tally: Tally) -> Parsed:
        for number, call in enumerate(exchanges_of(page.body)):
            try:
                rows = _ANSWER.decode(call.answer).rows
            except UNREADABLE as error:
                yield unreadable(f"QueryResultRows[{number}]", error)
                continue
            for index, row in enumerate(rows):
                position = f"QueryResultRows[{number}][{index}]"
                told = {name: value for column in row for name, value in column.items()}
                event = next((v for n, v in told.items() if n.lower() == "eventjson"), None)
                if event is None:
                    tally.records += 1
                    yield Rejected(position, "it has no eventJson")
                    continue
                for found in cloudtrail.parse(iter([event.encode()]), context, tally):
                    yield (
                        msgspec.structs.replace(found, position=position)
                        if isinstance(found, Observation)
                        else Rejected(position, found.reason)
                    )

    def statement(self, ask: Ask, start: Instant, end: Instant) -> str:
        """The query of one window; all in it is made of numbers and checked names."""
        begin, until = (f"{to_datetime(at):%Y-%m-%d %H:%M:%S}" for at in (start, end))
        only = "" if self._reads else " AND readOnly = false"
        return (
            f"SELECT eventJson FROM {ask.what} WHERE eventTime >= '{begin}' AND eventTime < "
            f"'{until}' AND eventCategory = 'Management' AND recipientAccountId = '{ask.account}' "
            f"AND awsRegion = '{ask.region}'{only}"
        )

    def _query(self, client: Any, ask: Ask, place: _Place, end: Instant) -> Iterator[Page]:
        query, token = place.query, place.token
        last = ask.until is not None and end >= ask.until
        if query and not self._still(client, query):
            query = token = ""
        statement = self.statement(ask, place.start, end)
        started = Request(SERVICE, "StartQuery", {"QueryStatement": statement})
        if not query:
            with asking(client, "StartQuery"):
                query = client.start_query(QueryStatement=statement)["QueryId"]
        while True:
            request, answer = self._results(client, query, token)
            token = answer.get("NextToken") or ""
            following = _Place(place.start, query, token) if token else None
            if following is None and not last:
                following = _Place(end)
            body = body_of([exchange(request, canonical(answer_of(answer)))])
            statistics = answer.get("QueryStatistics") or {}
            yield Page(
                ask,
                unit_of(ask, self.reader, body),
                body,
                (started, request),
                None if following is None else msgspec.json.encode(following).decode(),
                statistics.get("TotalResultsCount"),
            )
            if not token:
                return

    def _still(self, client: Any, query: str) -> bool:
        """Whether AWS still has a query's results."""
        try:
            self._results(client, query, "")
        except Refused:
            return False
        return True

    def _results(self, client: Any, query: str, token: str) -> tuple[Request, dict[str, Any]]:
        """A page of a query that has finished; waits for that, but not for ever."""
        asked: dict[str, Any] = {"QueryId": query, "MaxQueryResults": ROWS}
        if token:
            asked["NextToken"] = token
        waited, pause = 0.0, FIRST_PAUSE
        while True:
            with asking(client, "GetQueryResults"):
                answer: dict[str, Any] = client.get_query_results(**asked)
            status = answer.get("QueryStatus")
            if status == "FINISHED":
                return Request(SERVICE, "GetQueryResults", asked), answer
            if status not in _RUNNING:
                said = answer.get("ErrorMessage") or "no reason"
                raise Refused(f"CloudTrail Lake ended a query as {status}: {said}", service=SERVICE)
            if waited >= PATIENCE_SECONDS:
                raise Unreachable(
                    "CloudTrail Lake did not finish a query in time.", service=SERVICE
                )
            self._pause(pause)
            waited += pause
            pause = min(pause * 2, LONGEST_PAUSE)
