"""AWS Config, asked: what its rules judged, as `sources.config` reads it from files (spec 3.2).

    nothing named     the account's own rules: their definitions, then what each last judged
    an aggregator     the same of all accounts and regions that it sees, asked where it lies
    `until` is set    the history of compliance up to then, as far as Config keeps it

Asked is only about rules that somebody looks at. A rule that is looked at and not there is a fault
of the first page; without a recorder nothing is judged and all of it is switched off. A resource's
configuration item goes with its result where Config has one, except of types whose items may hold
secrets in clear. The natural key is that of `sources.config`, so what was pushed and what is
pulled are one fact; of a first look, with its moment.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from msgspec.structs import replace as with_changes

from auditkeep.clock import iso, to_datetime
from auditkeep.errors import NotCollected
from auditkeep.ids import Tenant
from auditkeep.mapping import config as mapping
from auditkeep.observations import Observation, SourceType
from auditkeep.sources import config
from auditkeep.sources.answers import Exchange, body_of, exchange, exchanges_of
from auditkeep.sources.pull import (
    Ask,
    Clients,
    Denied,
    Fault,
    Page,
    Request,
    SwitchedOff,
    unit_of,
)
from auditkeep.sources.records import UNREADABLE, Context, Parsed, Rejected, Tally, unreadable
from auditkeep.sources.rules import Rule, Rules
from auditkeep.sources.turning import Turned, once, pages

READER = "config-pull/1"

_RULES = "DescribeConfigRules"
_ITEMS = "BatchGetResourceConfig"
_AGGREGATE_ITEMS = "BatchGetAggregateResourceConfig"
_COMPLIANCE = "AWS::Config::ResourceCompliance"

OWN = frozenset(
    {
        "config:BatchGetResourceConfig",
        "config:DescribeConfigRules",
        "config:DescribeConfigurationRecorderStatus",
        "config:GetComplianceDetailsByConfigRule",
    }
)
AGGREGATED = frozenset(
    {
        "config:BatchGetAggregateResourceConfig",
        "config:DescribeAggregateComplianceByConfigRules",
        "config:GetAggregateComplianceDetailsByConfigRule",
    }
)
HISTORY = frozenset({"config:GetResourceConfigHistory", "config:ListDiscoveredResources"})

_NO_ITEMS = frozenset(
    {
        "AWS::AutoScaling::LaunchConfiguration",
        "AWS::CloudFormation::Stack",
        "AWS::CodeBuild::Project",
        "AWS::EC2::LaunchTemplate",
        "AWS::EC2::VPNConnection",
        "AWS::ECS::TaskDefinition",
        "AWS::ElasticBeanstalk::Environment",
        "AWS::Lambda::Function",
    }
)
"""Types whose items may hold variables, user data or keys in clear: they are not asked for."""

_MOST_KEYS = 100
"""Resources of one BatchGetResourceConfig."""

_Key = tuple[str, str]
"""A resource's type and id."""


class ConfigEvaluations:
    """The puller of AWS Config for one account and region, or for one aggregator."""

    source: Final[SourceType] = "AWS_Config"
    reader: Final = READER

    def actions(self, what: str) -> frozenset[str]:
        return AGGREGATED if what else OWN | HISTORY

    def get(self, clients: Clients, ask: Ask, resume: str | None = None) -> Iterator[Page]:
        client = clients.client("config", ask.region)
        start = {} if resume is None else msgspec.json.decode(resume, type=dict[str, str])
        if ask.until is not None:
            yield from _history(client, ask, start)
        elif ask.what:
            yield from aggregated(client, ask, resume)
        else:
            yield from _own(client, ask, start)

    def parse(self, page: Page, context: Context, tally: Tally) -> Parsed:
        try:
            made = exchanges_of(page.body)
            rules = Rules(rule for one in made for rule in _defined(one))
            items = {key: item for one in made for key, item in _items(one)}
        except UNREADABLE as error:
            yield unreadable("", error)
            return
        ask = page.ask
        local = replace(context, tenant=Tenant(ask.account, ask.region), rules=rules)
        for one in made:
            if one.operation in (_RULES, _ITEMS, _AGGREGATE_ITEMS):
                continue
            for found in config.parse(iter([bytes(one.answer)]), local, tally):
                yield found if isinstance(found, Rejected) else _kept(found, ask, items, local)


def aggregators(clients: Clients, region: str) -> list[str]:
    """The names of the aggregators in a region of the account that the clients are of."""
    client = clients.client("config", region)
    return [
        found["ConfigurationAggregatorName"]
        for turned in pages(client, "DescribeConfigurationAggregators", {})
        for found in turned.response.get("ConfigurationAggregators", [])
    ]


# --- asking -----------------------------------------------------------------------------------


def _page(
    ask: Ask,
    made: list[Exchange],
    resume: dict[str, str] | None,
    faults: tuple[Fault, ...] = (),
    rules: tuple[Rule, ...] | None = None,
) -> Page:
    body = body_of(made)
    after = None if resume is None else msgspec.json.encode(resume, order="sorted").decode()
    requests = tuple(Request("config", one.operation, one.parameters) for one in made)
    return Page(ask, unit_of(ask, READER, body), body, requests, after, None, faults, rules)


def _own(client: Any, ask: Ask, start: dict[str, str]) -> Iterator[Page]:
    """The rules' definitions as one page, then each rule's results, in the order of their names."""
    _require_recorder(client, ask)
    listed = list(pages(client, _RULES, {}))
    there = _told(listed)
    rules = sorted(_wanted(there, ask), key=lambda rule: rule.name)
    left = [r for r in rules if r.name >= start.get("rule", "")]
    if not start:
        resume = {"rule": rules[0].name} if rules else None
        faults = tuple(_missing(there, ask))
        yield _page(ask, [t.exchange() for t in listed], resume, faults, there)
    items = _Items(client)
    for number, rule in enumerate(left):
        # what an aggregator would have gone on with is no token of the account's own
        inside = rule.name == start.get("rule") and "account" not in start
        token = start.get("token") if inside else None
        after = {"rule": left[number + 1].name} if number + 1 < len(left) else None
        try:
            for turned in pages(
                client,
                "GetComplianceDetailsByConfigRule",
                {"ConfigRuleName": rule.name, "Limit": 100},
                token=token,
            ):
                more = turned.following
                resume = {"rule": rule.name, "token": more} if more else after
                defined = exchange(
                    Request("config", _RULES, {"ConfigRuleNames": [rule.name]}), _definition(rule)
                )
                found, faults = items.of(turned)
                yield _page(ask, [defined, turned.exchange(), *found], resume, faults)
        except NotCollected as error:
            if error.code != "NoSuchConfigRuleException":
                raise
            # deleted since it was listed


def _require_recorder(client: Any, ask: Ask) -> None:
    status = once(client, "DescribeConfigurationRecorderStatus", {}).response
    if not any(r.get("recording") for r in status.get("ConfigurationRecordersStatus", [])):
        raise SwitchedOff(
            f"AWS Config records nothing in {ask.region} of {ask.account}: no recorder is on.",
            feature="config-recorder",
            service="config",
            operation="DescribeConfigurationRecorderStatus",
        )


def _rule_of(listed: dict[str, Any]) -> Rule:
    return msgspec.convert(
        {n: listed[n] for n in ("ConfigRuleName", "ConfigRuleArn", "Source") if n in listed}, Rule
    )


def _told(listed: list[Turned]) -> tuple[Rule, ...]:
    return tuple(
        _rule_of(one) for turned in listed for one in turned.response.get("ConfigRules", [])
    )


def defined(client: Any) -> tuple[tuple[Rule, ...], int]:
    """All rules that there are, and how many calls it took to be told."""
    listed = list(pages(client, _RULES, {}))
    return _told(listed), len(listed)


def _definition(*rules: Rule) -> bytes:
    """As much of the definitions of some rules as their results are read with."""
    return msgspec.json.encode({"ConfigRules": rules}, order="sorted")


def _all(rules: Iterable[Rule]) -> Iterator[tuple[str, Rule]]:
    """Every rule that is no copy kept by another service, with its match key."""
    for rule in rules:
        if not mapping.is_copy(rule.name, rule.arn):
            identifier = rule.source.identifier if rule.managed else None
            yield mapping.rule_key(rule.name, identifier=identifier, managed=rule.managed), rule


def _wanted(rules: Iterable[Rule], ask: Ask) -> Iterator[Rule]:
    return (rule for key, rule in _all(rules) if ask.wanted.wants(key))


def _missing(rules: Iterable[Rule], ask: Ask) -> Iterator[Fault]:
    """What is looked at and judged by no rule there."""
    found = list(_all(rules))
    for key in _lacking({key for key, _ in found}, ask):
        name = key.partition(":")[2]
        yield Fault(
            key,
            "switched-off",
            f"No rule of AWS Config in {ask.region} of {ask.account} is {name}: "
            f"nothing judges it.{_otherwise(name, found)}",
        )


def _lacking(there: set[str], ask: Ask) -> Iterator[str]:
    """What is looked at and there under none of its match keys."""
    for key in sorted(ask.wanted.keys or ()):
        if (
            key.startswith("config:")
            and key not in ask.spare
            and there.isdisjoint({key, *mapping.stand_ins(key)})
        ):
            yield key


def _otherwise(name: str, found: list[tuple[str, Rule]]) -> str:
    """How a control names the rule that there is by this name, or by more than it."""
    if not name.startswith(mapping.CUSTOM):
        return ""
    wanted = name.removeprefix(mapping.CUSTOM)
    short = mapping.stripped(wanted)
    for key, rule in found:
        if {rule.name, mapping.stripped(rule.name)} & {wanted, short}:
            return f" A rule of that name is there that controls call {key.partition(':')[2]}."
    return ""


@dataclass(frozen=True, slots=True)
class Through:
    """An aggregator that is asked, and about whom."""

    aggregator: str
    account: str
    region: str


class _Items:
    """The configuration items of judged resources, until asking for them is denied."""

    def __init__(
        self, client: Any, through: Through | None = None, *, denied: bool = False
    ) -> None:
        self._client = client
        self._through = through
        self.denied = denied

    def of(self, turned: Turned) -> tuple[list[Exchange], tuple[Fault, ...]]:
        results = "EvaluationResults" if self._through is None else "AggregateEvaluationResults"
        found = turned.response.get(results, [])
        named = [r["EvaluationResultIdentifier"]["EvaluationResultQualifier"] for r in found]
        return self.of_keys((n.get("ResourceType", ""), n.get("ResourceId", "")) for n in named)

    def of_keys(self, keys: Iterable[_Key]) -> tuple[list[Exchange], tuple[Fault, ...]]:
        asked = [key for key in sorted(set(keys)) if has_item(key[0]) and key[1]]
        made: list[Exchange] = []
        try:
            for at in range(0, len(asked), _MOST_KEYS):
                if not self.denied:
                    made += self._answered(asked[at : at + _MOST_KEYS])
        except Denied as error:
            self.denied = True
            return made, (Fault("configuration items", error.reason, str(error), error.action),)
        except NotCollected as error:
            if error.reason != "refused":
                raise
            return made, (Fault("configuration items", "refused", str(error)),)
        return made, ()

    def _answered(self, asked: list[_Key]) -> Iterator[Exchange]:
        """Ask for some, and again for those that were not looked at, while that brings any.

        What nobody looked at then is what Config does not have: it does not tell the two apart.
        """
        while asked:
            turned, left = self._once(asked)
            yield turned.exchange()
            if len(left) >= len(asked):
                return
            asked = left

    def _once(self, asked: list[_Key]) -> tuple[Turned, list[_Key]]:
        """One answer, and which were left out of it."""
        through = self._through
        if through is None:
            named = [{"resourceType": kind, "resourceId": name} for kind, name in asked]
            turned = once(self._client, _ITEMS, {"resourceKeys": named})
            left = turned.response.get("unprocessedResourceKeys", [])
            return turned, [(one["resourceType"], one["resourceId"]) for one in left]
        place = {"SourceAccountId": through.account, "SourceRegion": through.region}
        named = [{**place, "ResourceType": kind, "ResourceId": name} for kind, name in asked]
        parameters = {
            "ConfigurationAggregatorName": through.aggregator,
            "ResourceIdentifiers": named,
        }
        turned = once(self._client, _AGGREGATE_ITEMS, parameters)
        left = turned.response.get("UnprocessedResourceIdentifiers", [])
        return turned, [(one["ResourceType"], one["ResourceId"]) for one in left]


def has_item(kind: str) -> bool:
    """Whether the configuration item of a type of resources is asked for."""
    return bool(kind) and not kind.startswith("AWS::::") and kind not in _NO_ITEMS


@dataclass(frozen=True, slots=True)
class Items:
    """What was answered to the question for some items, how, and what hindered it."""

    items: dict[_Key, bytes]
    exchanges: list[Exchange]
    faults: tuple[Fault, ...]


def items_of(client: Any, keys: Iterable[_Key], through: Through | None = None) -> Items:
    """The configuration items of resources by type and id; NotCollected where trying may help."""
    made, faults = _Items(client, through).of_keys(keys)
    return Items({key: item for one in made for key, item in _items(one)}, made, faults)


def aggregated(client: Any, ask: Ask, resume: str | None, *, place: bool = False) -> Iterator[Page]:
    """What an aggregator knows, rule by rule of each account and region it sees.

    With `place` only of the account and region that is asked about; then what is looked at there
    and not found is a fault.
    """
    start = {} if resume is None else msgspec.json.decode(resume, type=dict[str, str])
    name: dict[str, Any] = {"ConfigurationAggregatorName": ask.what}
    listing = "DescribeAggregateComplianceByConfigRules"
    only = {"Filters": {"AccountId": ask.account, "AwsRegion": ask.region}} if place else {}
    rules = sorted(
        (found["AccountId"], found["AwsRegion"], found["ConfigRuleName"])
        for turned in pages(client, listing, {**name, **only})
        for found in turned.response.get("AggregateComplianceByConfigRules", [])
        if not mapping.is_copy(found["ConfigRuleName"])
        and ask.wanted.wants(mapping.rule_key(found["ConfigRuleName"]))
    )
    begin = (start.get("account", ""), start.get("region", ""), start.get("rule", ""))
    left = [rule for rule in rules if rule >= begin]
    if place and not start:
        faults = tuple(_unnamed({mapping.rule_key(rule) for *_, rule in rules}, ask))
        first = left[0] if left else None
        yield _page(ask, [], _at(first), faults)
    denied = False
    for number, (account, region, rule) in enumerate(left):
        at = {"account": account, "region": region, "rule": rule}
        after = left[number + 1] if number + 1 < len(left) else None
        token = start.get("token") if (account, region, rule) == begin else None
        parameters = {**name, "AccountId": account, "AwsRegion": region, "ConfigRuleName": rule}
        operation = "GetAggregateComplianceDetailsByConfigRule"
        items = _Items(client, Through(ask.what, account, region), denied=denied)
        for turned in pages(client, operation, parameters, token=token):
            if turned.following:
                further: dict[str, str] | None = {**at, "token": turned.following}
            else:
                further = _at(after)
            made, missing = items.of(turned)
            denied = items.denied
            yield _page(ask, [turned.exchange(), *made], further, missing)


def _at(rule: tuple[str, str, str] | None) -> dict[str, str] | None:
    return rule and dict(zip(("account", "region", "rule"), rule, strict=True))


def _unnamed(there: set[str], ask: Ask) -> Iterator[Fault]:
    """What is looked at, and is the default name of no rule that an aggregator sees."""
    for key in _lacking(there, ask):
        yield Fault(
            key,
            "switched-off",
            f"The aggregator {ask.what} sees no rule in {ask.region} of {ask.account} that is "
            f"{key.partition(':')[2]} by its default name.",
        )


def _history(client: Any, ask: Ask, start: dict[str, str]) -> Iterator[Page]:
    """What Config kept of each resource's compliance, resource by resource.

    An item names a rule and does not say what it is: with each goes what is known of the rules that
    are looked at. Those that were deleted since are told by their names alone.
    """
    assert ask.until is not None
    rules = sorted(_wanted(_told(list(pages(client, _RULES, {}))), ask), key=lambda rule: rule.name)
    names = [rule.name for rule in rules]
    defined = exchange(Request("config", _RULES, {"ConfigRuleNames": names}), _definition(*rules))
    token = start.get("listing")
    # what has been deleted since was judged too
    listing = {"resourceType": _COMPLIANCE, "includeDeletedResources": True}
    bounds: dict[str, Any] = {"laterTime": to_datetime(ask.until), "chronologicalOrder": "Forward"}
    if ask.since is not None:
        bounds["earlierTime"] = to_datetime(ask.since)
    begin, going_on = start.get("resource"), start.get("token")
    for listed in pages(
        client, "ListDiscoveredResources", listing, token=token, member="nextToken"
    ):
        found = [r["resourceId"] for r in listed.response.get("resourceIdentifiers", [])]
        left = found[found.index(begin) :] if begin in found else found
        place = {"listing": token} if token else {}
        following = {"listing": listed.following} if listed.following else None
        if not left and following is not None:
            yield _page(ask, [], following)
        for number, resource in enumerate(left):
            last = number + 1 == len(left)
            after = following if last else {**place, "resource": left[number + 1]}
            asked = {"resourceType": _COMPLIANCE, "resourceId": resource, **bounds}
            inside = going_on if resource == begin else None
            for turned in pages(
                client, "GetResourceConfigHistory", asked, token=inside, member="nextToken"
            ):
                more = turned.following
                resume = {**place, "resource": resource, "token": more} if more else after
                yield _page(ask, [defined, _plain(turned)], resume)
        begin, going_on, token = None, None, listed.following


def _plain(turned: Turned) -> Exchange:
    """An exchange whose parameters are JSON: times as text."""
    asked = {
        name: value if isinstance(value, str) else value.isoformat()
        for name, value in turned.request.parameters.items()
    }
    return exchange(Request("config", turned.request.operation, asked), turned.answer)


# --- reading ----------------------------------------------------------------------------------


class _Definitions(msgspec.Struct):
    rules: list[Rule] = msgspec.field(name="ConfigRules", default_factory=list)


class _Item(msgspec.Struct):
    kind: str = msgspec.field(name="resourceType", default="")
    name: str = msgspec.field(name="resourceId", default="")


class _Batch(msgspec.Struct):
    items: list[msgspec.Raw] = msgspec.field(name="baseConfigurationItems", default_factory=list)
    aggregated: list[msgspec.Raw] = msgspec.field(
        name="BaseConfigurationItems", default_factory=list
    )


_DEFINITIONS = msgspec.json.Decoder(_Definitions)
_ITEM = msgspec.json.Decoder(_Item)
_BATCH = msgspec.json.Decoder(_Batch)


def _defined(one: Exchange) -> list[Rule]:
    return _DEFINITIONS.decode(one.answer).rules if one.operation == _RULES else []


def _items(one: Exchange) -> Iterator[tuple[_Key, bytes]]:
    if one.operation in (_ITEMS, _AGGREGATE_ITEMS):
        batch = _BATCH.decode(one.answer)
        for raw in (*batch.items, *batch.aggregated):
            item = _ITEM.decode(raw)
            yield (item.kind, item.name), bytes(raw)


def _kept(found: Observation, ask: Ask, items: dict[_Key, bytes], context: Context) -> Observation:
    """An observation with its configuration item, and dated to a first look if this is one."""
    found = with_item(found, items, context)
    if ask.at is None:
        return found
    key = (*found.natural_key, iso(ask.at))
    return with_changes(found, natural_key=key, event_time=ask.at)


def with_item(found: Observation, items: Mapping[_Key, bytes], context: Context) -> Observation:
    """An observation with the configuration item of its resource, if that is among some."""
    resource = found.resources[0]
    item = items.get((resource.type or "", resource.value))
    if item is not None and found.raw.endswith(b"}"):
        joint = found.raw[:-1] + b',"configurationItem":'
        kept, cuts = context.cutter.cut(item)
        moved = tuple(with_changes(cut, offset=cut.offset + len(joint)) for cut in cuts)
        found = with_changes(found, raw=joint + kept + b"}", cuts=found.cuts + moved)
    return found
