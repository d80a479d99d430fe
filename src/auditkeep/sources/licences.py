"""License Manager's summary: one observation for each licence configuration (spec 3.5).

ListLicenseConfigurations, and for each configuration that the keyword is about what uses it and
what is associated with it, every page: three calls' answers make one observation, because only
together they say whether a licence is kept to. Natural key, event time and first looks are those
of API calls, of which this is one.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from auditkeep.mapping import licences
from auditkeep.observations import Observation, Resource
from auditkeep.sources.answers import Exchange, body_of, exchanges_of
from auditkeep.sources.occasion import occasion, time_of
from auditkeep.sources.pull import Ask, Clients, Page, unit_of
from auditkeep.sources.records import NO_CONTROL, UNREADABLE, Context, Parsed, Tally, unreadable
from auditkeep.sources.turning import Turned, pages

READER = "licences/1"


_LISTING = "ListLicenseConfigurations"
_DETAILS = {
    "ListUsageForLicenseConfiguration": "LicenseConfigurationUsageList",
    "ListAssociationsForLicenseConfiguration": "LicenseConfigurationAssociations",
}

ACTIONS = frozenset(f"license-manager:{name}" for name in (_LISTING, *_DETAILS))


class _Filter(msgspec.Struct, gc=False):
    values: list[str] = msgspec.field(name="ProductInformationFilterValue", default_factory=list)


class _Information(msgspec.Struct, gc=False):
    filters: list[_Filter] = msgspec.field(
        name="ProductInformationFilterList", default_factory=list
    )


class _Configuration(msgspec.Struct, gc=False):
    arn: str = msgspec.field(name="LicenseConfigurationArn")
    name: str = msgspec.field(name="Name", default="")
    description: str = msgspec.field(name="Description", default="")
    information: list[_Information] = msgspec.field(
        name="ProductInformationList", default_factory=list
    )

    @property
    def keyword(self) -> str:
        told = [v for i in self.information for f in i.filters for v in f.values]
        return licences.keyword_of(told, (self.name, self.description))


class _Listing(msgspec.Struct):
    configurations: list[msgspec.Raw] = msgspec.field(
        name="LicenseConfigurations", default_factory=list
    )


_CONFIGURATION = msgspec.json.Decoder(_Configuration)
_ANSWER = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_LISTED = msgspec.json.Decoder(_Listing)


def get(clients: Clients, ask: Ask, resume: str | None) -> Iterator[Page]:
    """One page for each page of configurations, with all that belongs to them."""
    client = clients.client("license-manager", ask.region)
    for listing in pages(client, _LISTING, {}, token=resume):
        turned = [listing]
        for found in listing.response.get("LicenseConfigurations", []):
            if _concerns(ask.what, msgspec.convert(found, _Configuration)):
                turned += _details(client, found["LicenseConfigurationArn"])
        body = body_of([one.exchange() for one in turned])
        requests = tuple(one.request for one in turned)
        yield Page(ask, unit_of(ask, READER, body), body, requests, listing.following)


def _details(client: Any, arn: str) -> Iterator[Turned]:
    for operation in _DETAILS:
        yield from pages(client, operation, {"LicenseConfigurationArn": arn})


def _concerns(keyword: str, configuration: _Configuration) -> bool:
    return keyword in (licences.EVERYTHING, configuration.keyword)


def parse(page: Page, context: Context, tally: Tally) -> Parsed:
    """One observation for each configuration of a page that its keyword is about."""
    try:
        made = exchanges_of(page.body)
        listed = [
            (bytes(raw), _CONFIGURATION.decode(raw))
            for one in made
            if one.operation == _LISTING
            for raw in _LISTED.decode(one.answer).configurations
        ]
    except UNREADABLE as error:
        yield unreadable("", error)
        return
    for number, (raw, configuration) in enumerate(listed):
        if not _concerns(page.ask.what, configuration):
            continue
        tally.records += 1
        position = f"LicenseConfigurations[{number}]"
        if not context.interest.wants(f"api:{page.ask.what}"):
            tally.unmatched[NO_CONTROL] += 1
            continue
        try:
            parts = {member: _parts(made, op, configuration.arn) for op, member in _DETAILS.items()}
        except UNREADABLE as error:
            yield unreadable(position, error)
            continue
        yield _observation(page.ask, configuration, raw, parts, position, context)


def _parts(made: list[Exchange], operation: str, arn: str) -> list[msgspec.Raw]:
    """What all pages of one call said about one configuration, as it was written."""
    found: list[msgspec.Raw] = []
    for one in made:
        if one.operation == operation and one.parameters.get("LicenseConfigurationArn") == arn:
            answer = _ANSWER.decode(one.answer)
            found += _RAWS.decode(answer.get(_DETAILS[operation], b"[]"))
    return found


def _observation(
    ask: Ask,
    configuration: _Configuration,
    raw: bytes,
    parts: dict[str, list[msgspec.Raw]],
    position: str,
    context: Context,
) -> Observation:
    told = {"LicenseConfiguration": msgspec.Raw(raw), **parts}
    kept, cuts = context.cutter.cut(msgspec.json.encode(told, order="sorted"))
    return Observation(
        source="AWS_API_Call",
        natural_key=(ask.account, ask.region, ask.what, configuration.arn, occasion(ask)),
        event_time=time_of(ask),
        match_key=f"api:{ask.what}",
        account=ask.account,
        region=ask.region,
        raw=kept,
        reader=READER,
        position=position,
        resources=(Resource(value=configuration.arn, arn=configuration.arn),),
        event_name="GetLicenseManagerSummary",
        event_source="license-manager.amazonaws.com",
        cuts=cuts,
    )
