"""AWS Security Hub, asked: findings by the time of their update (spec 3.3).

    GetFindings       findings in AWS's format, as `sources.securityhub` reads them from files
    GetFindingsV2     in OCSF, as `sources.ocsf` reads them; asked only where the former is not on

Asked is for active findings of Security Hub's own controls in one account and region, oldest
update first, so that what is updated meanwhile comes at the end. A finding becomes visible a while
after its update, so each look begins `OVERLAP` before the last one did; what comes twice is one
fact, and so is what was also pushed, because the natural key is that of the file parsers. Of a
first look the key holds its moment too.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import msgspec
from msgspec.structs import replace as with_changes

from auditkeep.clock import MINUTE, Instant, iso
from auditkeep.errors import NotCollected
from auditkeep.ids import Tenant
from auditkeep.observations import Observation, SourceType
from auditkeep.sources import ocsf, securityhub
from auditkeep.sources.answers import body_of, exchanges_of
from auditkeep.sources.pull import Ask, Clients, Page, SwitchedOff, unit_of
from auditkeep.sources.records import UNREADABLE, Context, Parsed, Rejected, Tally, unreadable
from auditkeep.sources.turning import Turned, pages

READER = "securityhub-pull/1"

OVERLAP = 30 * MINUTE
"""How far a look goes back before the last one: Security Hub tells updates within minutes."""

_ASFF, _OCSF = "GetFindings", "GetFindingsV2"


class SecurityHubFindings:
    """The puller of Security Hub for one account and region."""

    source: Final[SourceType] = "AWS_Security_Hub"
    reader: Final = READER

    def actions(self, what: str) -> frozenset[str]:  # noqa: ARG002 - it has one question only
        return frozenset({f"securityhub:{_ASFF}", f"securityhub:{_OCSF}"})

    def get(self, clients: Clients, ask: Ask, resume: str | None = None) -> Iterator[Page]:
        client = clients.client("securityhub", ask.region)
        start = {} if resume is None else msgspec.json.decode(resume, type=dict[str, str])
        if _OCSF in start:
            yield from _newer(client, ask, start[_OCSF])
            return
        try:
            for turned in pages(client, _ASFF, _asked(ask), token=start.get(_ASFF)):
                yield _page(ask, turned)
        except SwitchedOff as off:
            yield from _instead(client, ask, off)

    def parse(self, page: Page, context: Context, tally: Tally) -> Parsed:
        ask = page.ask
        local = replace(context, tenant=Tenant(ask.account, ask.region))
        try:
            made = exchanges_of(page.body)
        except UNREADABLE as error:
            yield unreadable("", error)
            return
        for one in made:
            read = ocsf.parse if one.operation == _OCSF else securityhub.parse
            for found in read(iter([bytes(one.answer)]), local, tally):
                yield found if isinstance(found, Rejected) else _dated(found, ask)


def _page(ask: Ask, turned: Turned) -> Page:
    body = body_of([turned.exchange()])
    after = None
    if turned.following is not None:
        after = msgspec.json.encode({turned.request.operation: turned.following}).decode()
    return Page(ask, unit_of(ask, READER, body), body, (turned.request,), after)


def _instead(client: Any, ask: Ask, off: SwitchedOff) -> Iterator[Page]:
    """What the newer Security Hub knows where the older one is not on, if that is."""
    found = _newer(client, ask, None)
    try:
        first = next(found)
    except NotCollected as error:
        if error.again:
            raise
        raise off from None
    yield first
    yield from found


def _newer(client: Any, ask: Ask, token: str | None) -> Iterator[Page]:
    for turned in pages(client, _OCSF, _asked_newer(ask), token=token):
        yield _page(ask, turned)


def _asked(ask: Ask) -> dict[str, Any]:
    filters: dict[str, list[dict[str, str]]] = {
        "AwsAccountId": [{"Value": ask.account, "Comparison": "EQUALS"}],
        "Region": [{"Value": ask.region, "Comparison": "EQUALS"}],
        "ProductName": [{"Value": "Security Hub", "Comparison": "EQUALS"}],
        "RecordState": [{"Value": "ACTIVE", "Comparison": "EQUALS"}],
    }
    if span := _span(ask):
        filters["UpdatedAt"] = [span]
    order = [{"Field": "UpdatedAt", "SortOrder": "asc"}]
    return {"Filters": filters, "SortCriteria": order, "MaxResults": 100}


def _asked_newer(ask: Ask) -> dict[str, Any]:
    equal = {
        "cloud.account.uid": ask.account,
        "cloud.region": ask.region,
        "class_name": "Compliance Finding",
    }
    texts = [
        {"FieldName": name, "Filter": {"Value": value, "Comparison": "EQUALS"}}
        for name, value in equal.items()
    ]
    composite: dict[str, Any] = {"StringFilters": texts, "Operator": "AND"}
    if span := _span(ask):
        composite["DateFilters"] = [{"FieldName": "finding_info.modified_time_dt", "Filter": span}]
    order = [{"Field": "finding_info.modified_time_dt", "SortOrder": "asc"}]
    return {"Filters": {"CompositeFilters": [composite]}, "SortCriteria": order, "MaxResults": 100}


def _span(ask: Ask) -> dict[str, str]:
    """From a little before the last look, up to where a look into the past ends."""
    if ask.since is None and ask.until is None:
        return {}
    since = Instant(max(0, (ask.since or 0) - OVERLAP))
    return {"Start": _text(since)} | ({} if ask.until is None else {"End": _text(ask.until)})


def _text(at: Instant) -> str:
    """As Security Hub takes times: with milliseconds."""
    return f"{iso(at)[:23]}Z"


def _dated(found: Observation, ask: Ask) -> Observation:
    if ask.at is None:
        return found
    key = (*found.natural_key, iso(ask.at))
    return with_changes(found, natural_key=key, event_time=ask.at)
