"""How AWS Config writes what it knows: the shapes of its API, of its events, of its snapshots.

Members that do not matter here are left out; the decoder passes over them.
"""

import msgspec
from msgspec import UNSET, Raw, UnsetType

from auditkeep.sources.rules import Rule

Time = str | int | float | dict[str, int | str]


class Qualifier(msgspec.Struct, gc=False, rename="pascal"):
    config_rule_name: str = ""
    resource_type: str | None = None
    resource_id: str = ""


class Identifier(msgspec.Struct, gc=False, rename="pascal"):
    evaluation_result_qualifier: Qualifier = msgspec.field(default_factory=Qualifier)


class EventQualifier(msgspec.Struct, gc=False, rename="camel"):
    config_rule_name: str = ""
    resource_type: str | None = None
    resource_id: str = ""


class EventIdentifier(msgspec.Struct, gc=False, rename="camel"):
    evaluation_result_qualifier: EventQualifier = msgspec.field(default_factory=EventQualifier)


class EventResult(msgspec.Struct, gc=False, rename="camel"):
    evaluation_result_identifier: EventIdentifier = msgspec.field(default_factory=EventIdentifier)
    compliance_type: str | None = None
    result_recorded_time: Time | None = None


class Value(msgspec.Struct, gc=False, kw_only=True):
    """Whatever a value may be: a result, a change, an item, a definition, a summary, a holder."""

    # a result, as the API answers
    identifier: Identifier | None = msgspec.field(name="EvaluationResultIdentifier", default=None)
    compliance_type: str | None = msgspec.field(name="ComplianceType", default=None)
    recorded: Time | None = msgspec.field(name="ResultRecordedTime", default=None)
    account_id: str | None = msgspec.field(name="AccountId", default=None)
    aws_region: str | None = msgspec.field(name="AwsRegion", default=None)
    info: Rule | None = msgspec.field(name="ConfigRuleInfo", default=None)
    evaluated: str | None = msgspec.field(name="ComplianceResourceId", default=None)
    # a definition or a summary
    rule_name: str | None = msgspec.field(name="ConfigRuleName", default=None)
    source: Raw | UnsetType = msgspec.field(name="Source", default=UNSET)
    compliance: Raw | UnsetType = msgspec.field(name="Compliance", default=UNSET)
    # a change, as events say it
    change_rule: str | None = msgspec.field(name="configRuleName", default=None)
    change_arn: str = msgspec.field(name="configRuleARN", default="")
    change_account: str | None = msgspec.field(name="awsAccountId", default=None)
    change_region: str | None = msgspec.field(name="awsRegion", default=None)
    new_result: EventResult | UnsetType | None = msgspec.field(
        name="newEvaluationResult", default=UNSET
    )
    invoking: Raw | UnsetType = msgspec.field(name="invokingEvent", default=UNSET)
    # an item of a snapshot or history
    resource_type: str | None = msgspec.field(name="resourceType", default=None)
    configuration: Raw | UnsetType = msgspec.field(name="configuration", default=UNSET)
    captured: Time | None = msgspec.field(name="configurationItemCaptureTime", default=None)
    # what holds one of these
    detail: Raw | UnsetType = msgspec.field(name="detail", default=UNSET)
    message: str | UnsetType = msgspec.field(name="Message", default=UNSET)
    item: Raw | UnsetType = msgspec.field(name="configurationItem", default=UNSET)
    status_code: int | None = None
    data: Raw | UnsetType = UNSET


class ListedRule(msgspec.Struct, gc=False, rename="camel"):
    config_rule_name: str = ""
    config_rule_arn: str = ""
    compliance_type: str | None = None


class ResourceCompliance(msgspec.Struct, gc=False, rename="camel"):
    target_resource_id: str = ""
    target_resource_type: str | None = None
    config_rule_list: list[ListedRule] = []
