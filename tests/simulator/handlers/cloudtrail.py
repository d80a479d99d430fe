"""CloudTrail: looking events up, querying CloudTrail Lake, and the public keys of digest files."""

import json
import re
import uuid
from datetime import UTC, datetime

from tests.simulator.asking import Ask, Handler, Output
from tests.simulator.encoding import Refusal
from tests.simulator.estate import Event

from auditkeep.clock import DAY, Instant, from_datetime

_KEPT = 90 * DAY
_STATEMENT = re.compile(
    r"SELECT eventJson FROM (?P<store>[\w-]+) WHERE eventTime >= '(?P<begin>[^']+)' AND eventTime < "
    r"'(?P<end>[^']+)' AND eventCategory = 'Management' AND recipientAccountId = '(?P<account>\d+)' "
    r"AND awsRegion = '(?P<region>[\w-]+)'"
    r"(?P<writes> AND \(?readOnly = false(?: OR eventName IN \((?P<names>[^)]*)\))?"
    r"(?: OR eventSource IN \((?P<sources>[^)]*)\))?\)?)?"
)
"""All of SQL that is understood here."""


def _lookup(ask: Ask) -> Output:
    start, end = ask.params.get("StartTime"), ask.params.get("EndTime")
    attributes = ask.params.get("LookupAttributes", [])

    def events(at: Instant) -> list[Event]:
        seen = at - ask.world.trail_delay
        first = max(at - _KEPT, int(float(start) * 1_000_000) if start is not None else 0)
        last = min(seen, int(float(end) * 1_000_000) if end is not None else seen)
        found = [e for e in ask.estate.events(ask.account, ask.region) if first <= e.at <= last]
        return [e for e in reversed(found) if all(_fits(e, a) for a in attributes)]

    page, more = ask.page(events, ask.params.get("NextToken"), most=50)
    return {"Events": [_event(e) for e in page], "NextToken": more}


def _fits(event: Event, attribute: Output) -> bool:
    record, value = event.record, attribute["AttributeValue"]
    held = {
        "EventId": record["eventID"],
        "EventName": record["eventName"],
        "EventSource": record["eventSource"],
        "ReadOnly": str(record["readOnly"]).lower(),
        "Username": record["userIdentity"].get("userName"),
    }
    return bool(held.get(attribute["AttributeKey"]) == value)


def _event(event: Event) -> Output:
    record = event.record
    return {
        "EventId": record["eventID"],
        "EventName": record["eventName"],
        "ReadOnly": str(record["readOnly"]).lower(),
        "EventTime": event.at,
        "EventSource": record["eventSource"],
        "Username": record["userIdentity"].get("userName"),
        "Resources": [],
        "CloudTrailEvent": json.dumps(record),
    }


def _public_keys(ask: Ask) -> Output:
    return {"PublicKeyList": list(ask.world.public_keys)}


def _start_query(ask: Ask) -> Output:
    statement = ask.params["QueryStatement"]
    asked = _STATEMENT.fullmatch(statement)
    if asked is None:
        raise Refusal("InvalidQueryStatementException", "The statement is not understood.")
    if (ask.account, ask.region, asked["store"]) not in ask.world.event_stores:
        raise Refusal("EventDataStoreNotFoundException", "There is no such event data store.")
    query = str(uuid.uuid4())
    ask.world.queries[query] = statement
    return {"QueryId": query}


def _query_results(ask: Ask) -> Output:
    asked = _STATEMENT.fullmatch(ask.world.queries.get(ask.params["QueryId"], ""))
    if asked is None:
        raise Refusal("QueryIdNotFoundException", "There is no such query.")
    begin, end = _time(asked["begin"]), _time(asked["end"])

    def rows(at: Instant) -> list[list[dict[str, str]]]:
        return [
            [{"eventJson": json.dumps(e.record)}]
            for e in ask.estate.events(asked["account"], asked["region"])
            if begin <= e.at < min(end, at) and _selected(asked, e.record)
        ]

    page, more = ask.page(rows, ask.params.get("NextToken"), limit=ask.params["MaxQueryResults"])
    return {
        "QueryStatus": "FINISHED",
        "QueryResultRows": page,
        "QueryStatistics": {"TotalResultsCount": len(rows(ask.at))},
        "NextToken": more,
    }


def _selected(asked: re.Match[str], record: Output) -> bool:
    if not asked["writes"] or not record["readOnly"]:
        return True
    told = (("names", "eventName"), ("sources", "eventSource"))
    return any(f"'{record[member]}'" in (asked[part] or "").split(", ") for part, member in told)


def _time(text: str) -> Instant:
    return from_datetime(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC))


HANDLERS: dict[str, Handler] = {
    "cloudtrail:StartQuery": _start_query,
    "cloudtrail:GetQueryResults": _query_results,
    "cloudtrail:LookupEvents": _lookup,
    "cloudtrail:ListPublicKeys": _public_keys,
}
