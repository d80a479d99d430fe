"""CloudTrail Lake: events by SQL, from an event data store (`StartQuery`, `GetQueryResults`).

Source: AWS CloudTrail user guide, "CloudTrail Lake queries". The column `eventJson` holds an event
as CloudTrail wrote it, so that it is the same observation as from a log file. Asked for are events
that change something, and those that are evidence though their flag says that they only read
(`mapping.event_flags`), as far as somebody looks at them. One store, in one
account and region, has the events of many: the clients are its account's, and the account and
region of an `Ask` choose among them. The time asked for is cut into days, one query each. A query
that is still running is looked at again, more and more seldom; its results are paged by token for
as long as AWS keeps them, and afterwards the day is asked anew.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from auditkeep.clock import DAY, MINUTE, Clock, Instant, to_datetime
from auditkeep.errors import SetupError
from auditkeep.ids import GLOBAL_REGION
from auditkeep.mapping.event_flags import ByName, asked_by_name
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

MOST_NAMES = 150
"""Names in one query, whose text AWS bounds; where there are more, all events are asked for."""

HOME = "us-east-1"
"""Whose events those of services without a region are."""

_STORE = re.compile(
    r"arn:aws[a-z-]*:cloudtrail:([a-z0-9-]{5,30}):(\d{12}):eventdatastore/([a-zA-Z0-9-]{3,64})"
)
_RUNNING = frozenset({"QUEUED", "RUNNING"})


@dataclass(frozen=True, slots=True)
class EventStore:
    """Where an event data store lies, and its id."""

    region: str
    account: str
    id: str

    @classmethod
    def of(cls, arn: str) -> "EventStore":
        """SetupError for what is no event data store's ARN."""
        found = _STORE.fullmatch(arn)
        if found is None:
            raise SetupError(
                f"'{arn}' is no event data store: arn:aws:cloudtrail:REGION:ACCOUNT:"
                "eventdatastore/ID."
            )
        return cls(*found.groups())


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
    """A `sources.pull.Puller` for what one event data store has."""

    source: SourceType = "AWS_Cloudtrail"
    reader = cloudtrail.READER

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        *,
        reads: bool = False,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.store = store
        self._clock = clock
        self._reads = reads
        self._pause = pause

    def actions(self, what: str) -> frozenset[str]:  # noqa: ARG002 - the same for every store
        return ACTIONS

    def get(self, clients: Clients, ask: Ask, resume: str | None = None) -> Iterator[Page]:
        """Pages from `ask.since` on up to `ask.until`, or now; Refused without a beginning."""
        if ask.since is None:
            raise Refused("CloudTrail Lake is asked from some time on: a query needs bounds.")
        until = self._clock.now() if ask.until is None else ask.until
        client = clients.client(SERVICE, self.store.region)
        at = _PLACE.decode(resume) if resume else None
        start = Instant(ask.since - LATE)
        while start < until:
            end = Instant(min(start + WINDOW, until))
            if at is None or at.start <= start:
                inside = at if at is not None and at.start == start else _Place(start)
                at = None
                yield from self._query(client, ask, inside, end, last=end >= until)
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
        region = HOME if ask.region == GLOBAL_REGION else ask.region
        begin, until = (f"{to_datetime(at):%Y-%m-%d %H:%M:%S}" for at in (start, end))
        only = "" if self._reads else _only(asked_by_name(ask.wanted.keys))
        return (
            f"SELECT eventJson FROM {self.store.id} WHERE eventTime >= '{begin}' AND eventTime < "
            f"'{until}' AND eventCategory = 'Management' AND recipientAccountId = '{ask.account}' "
            f"AND awsRegion = '{region}'{only}"
        )

    def _query(
        self, client: Any, ask: Ask, place: _Place, end: Instant, *, last: bool
    ) -> Iterator[Page]:
        query, token = place.query, place.token
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


def _only(besides: ByName) -> str:
    """Which events a query asks for: those that change something, and some by name."""
    if len(besides.names) + len(besides.sources) > MOST_NAMES:
        return ""
    parts = ["readOnly = false"]
    for column, values in (("eventName", besides.names), ("eventSource", besides.sources)):
        if values:
            listed = ", ".join(f"'{value}'" for value in values)
            parts.append(f"{column} IN ({listed})")
    return f" AND {parts[0]}" if len(parts) == 1 else f" AND ({' OR '.join(parts)})"
