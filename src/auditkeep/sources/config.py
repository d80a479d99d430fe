"""AWS Config evaluations -> observations (spec 3.2).

Read are results of evaluations: answers of GetComplianceDetailsByConfigRule and …ByResource (also
over an aggregator), "Config Rules Compliance Change" events, and the compliance items of snapshots
and histories (`AWS::Config::ResourceCompliance`, one observation for each rule they list). A
summary of compliance has no times and is no evidence; an item without compliance neither; an
evaluation that names no rule, as a rule's own function reports it, cannot be read.

The natural key is (account, region, rule, resource type, resource, time of the result): what was
pushed and what is pulled are one fact, and agree if they say the same of its compliance.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from msgspec import UNSET, Raw

from auditkeep.clock import iso
from auditkeep.ids import is_account
from auditkeep.mapping import config
from auditkeep.observations import Observation, Resource
from auditkeep.sources.batch import DEFAULT, Limits
from auditkeep.sources.config_shapes import EventResult, ResourceCompliance, Time, Value
from auditkeep.sources.holders import MAX_DEPTH
from auditkeep.sources.records import (
    NO_CONTROL,
    UNREADABLE,
    Context,
    Parsed,
    Rejected,
    Tally,
    told,
    unreadable,
)
from auditkeep.sources.rules import Rule, Rules
from auditkeep.sources.times import read_time
from auditkeep.sources.values import values
from auditkeep.sources.window import Blocks

READER = "config/1"

COMPLIANCE_ITEM = "AWS::Config::ResourceCompliance"

NO_COMPLIANCE = "says nothing about compliance"
NO_TIMES = "a summary without times"
DEFINITION = "the definition of a rule"
COPY = "kept by another service"
AWAITED = "whose rule it is, is not known yet"

_LISTS = frozenset(
    {
        "EvaluationResults",
        "AggregateEvaluationResults",
        "Evaluations",
        "ConfigRules",
        "ComplianceByConfigRules",
        "ComplianceByResources",
        "configurationItems",
        "Records",
    }
)


_VALUE = msgspec.json.Decoder(Value)
_COMPLIANCE = msgspec.json.Decoder(ResourceCompliance)
_RULE = msgspec.json.Decoder(Rule)


@dataclass(frozen=True)
class _Result:
    """One rule's judgement of one resource, from whatever form it came in."""

    rule: str
    resource_type: str | None
    resource: str
    compliance: str | None
    time: Time | None
    position: str
    arn: str = ""
    account: str | None = None
    region: str | None = None
    info: Rule | None = None


def parse(blocks: Blocks, context: Context, tally: Tally, limits: Limits = DEFAULT) -> Parsed:
    """All evaluations of a text, in any of their forms, in order."""
    for item in _leaves(blocks, limits, "", 0):
        if isinstance(item, Rejected):
            tally.records += bool(item.position)
            yield item
        else:
            tally.records += 1
            yield from _leaf(item, context, tally)


def collect_rules(blocks: Blocks, rules: Rules, limits: Limits = DEFAULT) -> None:
    """Note the rules that a text defines, and pass over everything else in it."""
    for item in _leaves(blocks, limits, "", 0):
        if isinstance(item, _Leaf) and item.value.source is not UNSET:
            try:
                rules.add(_RULE.decode(item.raw))
            except UNREADABLE:
                # a definition of another shape: its rule is known by name only
                continue


def rules_named(record: bytes) -> Iterator[tuple[str, str]]:
    """Name and ARN, where it is told, of the rules whose judgements a record holds."""
    for item in _leaves(iter([record]), DEFAULT, "", 0):
        if isinstance(item, _Leaf):
            try:
                found = list(_results(item.value, item.position))
            except UNREADABLE:
                # it is told when the record is read for its results
                continue
            yield from ((one.rule, one.arn) for one in found)


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One value that holds no other."""

    raw: bytes
    value: Value
    position: str


def _leaves(blocks: Blocks, limits: Limits, place: str, depth: int) -> Iterator[_Leaf | Rejected]:
    """The values of a text, and of what its values hold; `place` is where the text itself was."""
    for item in values(blocks, _LISTS, limits):
        position = _inside(place, item.position)
        if isinstance(item, Rejected):
            yield Rejected(position, item.reason)
        else:
            yield from _opened(item.raw, position, limits, depth)


def _inside(place: str, position: str) -> str:
    if not place or not position:
        return place or position
    return place if position == "record 1" else f"{place}.{position}"


def _opened(raw: bytes, position: str, limits: Limits, depth: int) -> Iterator[_Leaf | Rejected]:
    try:
        value = _VALUE.decode(raw)
        raw.decode()
    except UNREADABLE as error:
        yield unreadable(position, error)
        return
    held = _held(value) if depth < MAX_DEPTH else None
    if held is None:
        yield _Leaf(raw, value, position)
    else:
        yield from _leaves(iter([held[0]]), limits, f"{position}.{held[1]}", depth + 1)


def _held(value: Value) -> tuple[bytes, str] | None:
    """What an event of the bus, a notification, or a recorded answer holds, and its name."""
    if isinstance(value.detail, Raw):
        return bytes(value.detail), "detail"
    if isinstance(value.message, str):
        return value.message.encode(), "Message"
    if isinstance(value.item, Raw):
        return bytes(value.item), "configurationItem"
    if isinstance(value.data, Raw) and value.status_code is not None:
        return bytes(value.data), "data"
    return None


def _leaf(leaf: _Leaf, context: Context, tally: Tally) -> Parsed:
    try:
        results = list(_results(leaf.value, leaf.position))
    except UNREADABLE as error:
        yield unreadable(leaf.position, error)
        return
    if not results:
        reason = _useless(leaf.value)
        if reason is None:
            yield Rejected(leaf.position, _strange(leaf.value))
        else:
            tally.unmatched[reason] += 1
    for result in results:
        yield from told(_observation(result, leaf.raw, context), tally)


def _results(value: Value, position: str) -> Iterator[_Result]:
    """What a value says about compliance: nothing, once, or once for each rule."""
    if value.identifier is not None:
        named = value.identifier.evaluation_result_qualifier
        same = value.info is not None and value.info.name == named.config_rule_name
        yield _Result(
            rule=named.config_rule_name,
            resource_type=named.resource_type,
            resource=named.resource_id,
            compliance=value.compliance_type,
            time=value.recorded,
            position=position,
            arn=value.info.arn if value.info and same else "",
            account=value.account_id,
            region=value.aws_region,
            info=value.info if same else None,
        )
    elif isinstance(value.new_result, EventResult):
        result = value.new_result
        told = result.evaluation_result_identifier.evaluation_result_qualifier
        yield _Result(
            rule=value.change_rule or told.config_rule_name,
            resource_type=told.resource_type,
            resource=told.resource_id,
            compliance=result.compliance_type,
            time=result.result_recorded_time,
            position=position,
            arn=value.change_arn,
            account=value.change_account,
            region=value.change_region,
        )
    elif value.resource_type == COMPLIANCE_ITEM and isinstance(value.configuration, Raw):
        item = _COMPLIANCE.decode(_object(value.configuration))
        for index, rule in enumerate(item.config_rule_list):
            yield _Result(
                rule=rule.config_rule_name,
                resource_type=item.target_resource_type,
                resource=item.target_resource_id,
                compliance=rule.compliance_type,
                time=value.captured,
                position=f"{position}.configRuleList[{index}]",
                arn=rule.config_rule_arn,
                account=value.change_account,
                region=value.change_region,
            )


def _object(raw: Raw) -> bytes:
    """An item's configuration, which some exports write as a string of JSON."""
    text = bytes(raw)
    return msgspec.json.decode(text, type=str).encode() if text.startswith(b'"') else text


def _useless(value: Value) -> str | None:
    """Why a value without results is nobody's business, if it is something that is known."""
    if value.rule_name is not None and value.source is not UNSET:
        return DEFINITION
    if value.compliance is not UNSET:
        return NO_TIMES
    if value.new_result is None or value.invoking is not UNSET or value.resource_type is not None:
        return NO_COMPLIANCE
    return None


def _strange(value: Value) -> str:
    if value.evaluated is not None:
        return "it is an evaluation that names no rule"
    return "it is nothing that AWS Config says about rules or resources"


def _observation(result: _Result, raw: bytes, context: Context) -> Observation | Rejected | str:
    """The observation, why there is none, or (as text) why nobody wants it."""
    position = result.position
    if not result.rule or not result.resource:
        return Rejected(position, "it names no rule or no resource")
    account, region, arn = _place(result, context)
    known = result.info or context.rules.find(result.rule, arn=arn, account=account, region=region)
    remembered = context.definitions
    if known is None and remembered is not None:
        known = remembered.find(result.rule, arn, account, region)
    if config.is_copy(result.rule, known.arn if known else arn):
        return COPY
    if known is None and remembered is not None and remembered.awaited(account, region):
        return AWAITED
    key = config.rule_key(
        result.rule,
        identifier=known.source.identifier if known and known.managed else None,
        managed=known.managed if known else None,
    )
    if not context.interest.wants(key):
        return NO_CONTROL
    if result.time is None:
        return Rejected(position, "it has no time of its result")
    try:
        at = read_time(result.time)
    except ValueError:
        return Rejected(position, f"the time of its result, {result.time!r:.60}, is no time")
    kept, cuts = context.cutter.cut(raw)
    resource_arn = result.resource if result.resource.startswith("arn:") else None
    return Observation(
        source="AWS_Config",
        natural_key=(
            account,
            region,
            result.rule,
            result.resource_type or "",
            result.resource,
            iso(at),
        ),
        event_time=at,
        match_key=key,
        account=account,
        region=region,
        raw=kept,
        reader=READER,
        position=position,
        verdict=result.compliance,
        resources=(
            Resource(
                value=result.resource,
                arn=resource_arn,
                type=result.resource_type,
                verdict=result.compliance,
            ),
        ),
        event_name=result.rule,
        event_source="config.amazonaws.com",
        cuts=cuts,
        # events, answers, snapshots and pulls tell one judgement in forms of their own
        content=(result.compliance or "").encode(),
    )


def _place(result: _Result, context: Context) -> tuple[str, str, str]:
    """Account, region and the rule's ARN, as far as the result or a catalogue tells them."""
    arn = result.arn
    if not arn and (known := context.rules.find(result.rule)):
        arn = known.arn
    parts = arn.split(":")
    region, account = (parts[3], parts[4]) if len(parts) > 5 else ("", "")
    named = result.account or account
    return (
        named if is_account(named) else context.tenant.account,
        result.region or region or context.tenant.region,
        arn,
    )
