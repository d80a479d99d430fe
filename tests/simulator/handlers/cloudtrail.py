"""CloudTrail: looking events up, and the public keys of digest files."""

import json

from tests.simulator.asking import Ask, Handler, Output
from tests.simulator.estate import Event

from auditkeep.clock import DAY, Instant

_KEPT = 90 * DAY


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


HANDLERS: dict[str, Handler] = {
    "cloudtrail:LookupEvents": _lookup,
    "cloudtrail:ListPublicKeys": _public_keys,
}
