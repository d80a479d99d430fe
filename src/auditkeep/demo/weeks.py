"""Some weeks in the life of the demo's organisation: who did what, and how rules judged it.

Pure: days and a seed in, records in the sources' own shapes out (CloudTrail events, AWS Config
compliance changes as EventBridge sends them, Security Hub findings in ASFF).
"""

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from auditkeep.clock import DAY, SECOND, Day, Instant, day_start, iso
from auditkeep.demo.organisation import (
    ACCOUNTS,
    HOME_REGION,
    PEOPLE,
    PRODUCTION,
    REGIONS,
    SANDBOX,
    STAGING,
    Asset,
    Person,
    assets,
)

Record = dict[str, Any]

_NOISE = (
    ("ec2", "DescribeInstances", True, True),
    ("s3", "GetObject", True, False),
    ("s3", "PutObject", False, False),
    ("kms", "Decrypt", True, True),
    ("sts", "AssumeRole", True, True),
    ("logs", "DescribeLogGroups", True, True),
)
"""Everyday events that are no evidence: (service, event, read-only, management event)."""

_WORK: tuple[tuple[str, str, Record], ...] = (
    ("ec2", "RunInstances", {"instanceType": "t3.small"}),
    ("ec2", "TerminateInstances", {}),
    ("ec2", "CreateTags", {}),
    ("lambda", "UpdateFunctionCode20150331v2", {"functionName": "orders"}),
    ("rds", "ModifyDBInstance", {"applyImmediately": True}),
    ("s3", "PutBucketPolicy", {}),
    ("autoscaling", "UpdateAutoScalingGroup", {"desiredCapacity": 3}),
)
"""Changes that careful people make every day."""


@dataclass(frozen=True)
class Episode:
    """Something that goes wrong on a day, at an hour, and is put right some days later."""

    day: int
    hour: int
    person: str
    account: str
    region: str
    service: str
    event: str
    parameters: Record
    breaks: tuple[str, str] | None = None
    """(asset id part, rule): what turns non-compliant until it is put right."""
    mended_after: int = 3


EPISODES = (
    Episode(3, 17, "gustav", STAGING.id, "eu-west-1", "ec2", "AuthorizeSecurityGroupIngress",
            {"ipPermissions": {"items": [{"fromPort": 22, "toPort": 22, "ipRanges": {
                "items": [{"cidrIp": "0.0.0.0/0"}]}}]}}, ("sg-", "restricted-ssh"), 2),
    Episode(5, 2, "hana", SANDBOX.id, HOME_REGION, "cloudtrail", "StopLogging",
            {"name": "organisation-trail"}, (SANDBOX.id, "cloudtrail-enabled"), 1),
    Episode(8, 11, "gustav", STAGING.id, HOME_REGION, "s3", "PutBucketAcl",
            {"AccessControlPolicy": "public-read"}, ("exports", "s3-bucket-public-read-prohibited"),
            4),
    Episode(11, 9, "hana", SANDBOX.id, HOME_REGION, "iam", "AttachUserPolicy",
            {"userName": "hana", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
            ("hana", "iam-user-no-policies-check"), 6),
    Episode(13, 3, "root", PRODUCTION.id, HOME_REGION, "signin", "ConsoleLogin", {},
            (PRODUCTION.id, "root-account-mfa-enabled"), 5),
    Episode(16, 20, "gustav", STAGING.id, "eu-west-1", "iam", "CreateAccessKey",
            {"userName": "gustav"}, ("gustav", "access-keys-rotated"), 9),
    Episode(19, 14, "edvard", STAGING.id, HOME_REGION, "rds", "ModifyDBInstance",
            {"dBInstanceIdentifier": "staging-web", "publiclyAccessible": True},
            ("staging-web", "rds-instance-public-access-check"), 1),
    Episode(22, 23, "hana", SANDBOX.id, "eu-west-1", "kms", "ScheduleKeyDeletion",
            {"pendingWindowInDays": 7}, None),
    Episode(24, 8, "benoit", PRODUCTION.id, HOME_REGION, "iam", "DeactivateMFADevice",
            {"userName": "benoit"}, ("benoit", "iam-user-mfa-enabled"), 1),
)  # fmt: skip


class Weeks:
    """`days` days from `first` on; the same seed and days give the same records."""

    def __init__(self, first: Day, days: int, *, seed: int = 7) -> None:
        self.first = first
        self.days = days
        self._seed = seed
        self._assets = assets()

    def trail(self, offset: int, account: str, region: str) -> list[Record]:
        """One day's CloudTrail events of one account and region, in delivery order."""
        chance = self._chance("trail", offset, account, region)
        weekend = (self.first + offset + 3) % 7 >= 5
        traffic = next(a.traffic for a in ACCOUNTS if a.id == account)
        busy = max(1, traffic // (6 if weekend else 1))
        events = [self._noise(chance, offset, account, region) for _ in range(busy * 5)]
        people = [p for p in PEOPLE if account in p.accounts]
        events += [self._work(chance, offset, account, region, people) for _ in range(busy // 5)]
        for episode in EPISODES:
            if (episode.account, episode.region, episode.day) == (account, region, offset):
                events.append(self._episode(chance, episode))
        chance.shuffle(events)
        return events

    def evaluations(self, offset: int) -> Iterator[Record]:
        """One day's AWS Config compliance changes and periodic results, as EventBridge events."""
        chance = self._chance("config", offset)
        for asset in self._assets:
            for rule in asset.rules:
                periodic = asset.type in ("AWS::::Account", "AWS::IAM::User")
                changed = self._broken(asset, rule, offset) != self._broken(asset, rule, offset - 1)
                if changed or offset == 0 or (periodic and offset % 2 == 0):
                    when = self._at(chance, offset, 1, 23)
                    yield self._evaluation(chance, asset, rule, offset, when)

    def findings(self, offset: int) -> Iterator[Record]:
        """One day's Security Hub findings in ASFF."""
        chance = self._chance("hub", offset)
        for asset in self._assets:
            for rule, control in zip(asset.rules, asset.controls, strict=False):
                changed = self._broken(asset, rule, offset) != self._broken(asset, rule, offset - 1)
                if changed or (offset % 7 == 0):
                    yield self._finding(chance, asset, rule, control, offset)

    def _chance(self, *parts: object) -> random.Random:
        return random.Random(f"{self._seed}/{'/'.join(map(str, parts))}")

    def _at(self, chance: random.Random, offset: int, first: int, last: int) -> Instant:
        start = day_start(Day(self.first + offset))
        return Instant(start + chance.randrange(first * 3600, last * 3600) * SECOND)

    def _broken(self, asset: Asset, rule: str, offset: int) -> bool:
        for episode in EPISODES:
            if episode.breaks is None or episode.breaks[1] != rule:
                continue
            part = episode.breaks[0]
            where = asset.region in (episode.region, HOME_REGION)
            if part in asset.id and asset.account == episode.account and where:
                return episode.day <= offset < episode.day + episode.mended_after
        # a few old sins that nobody has got round to
        return rule == "s3-bucket-versioning-enabled" and asset.account == SANDBOX.id

    def _event(
        self,
        chance: random.Random,
        when: Instant,
        account: str,
        region: str,
        service: str,
        name: str,
        person: str,
        **more: Any,
    ) -> Record:
        root = person == "root"
        arn = f"arn:aws:iam::{account}:{'root' if root else f'user/{person}'}"
        identity: Record = {
            "type": "Root" if root else "IAMUser",
            "principalId": account if root else f"AIDA{person.upper():X<17.17}",
            "arn": arn,
            "accountId": account,
        }
        if not root:
            identity["userName"] = person
        return {
            "eventVersion": "1.11",
            "userIdentity": identity,
            "eventTime": iso(when)[:19] + "Z",
            "eventSource": f"{service}.amazonaws.com",
            "eventName": name,
            "awsRegion": HOME_REGION if service in ("iam", "signin") else region,
            "sourceIPAddress": f"203.0.113.{chance.randrange(2, 250)}",
            "userAgent": chance.choice(("aws-cli/2.31", "console.amazonaws.com", "Boto3/1.44")),
            "requestParameters": more.get("parameters"),
            "responseElements": more.get("response"),
            "requestID": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "eventID": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "readOnly": more.get("read", False),
            "eventType": "AwsConsoleSignIn" if service == "signin" else "AwsApiCall",
            "managementEvent": more.get("management", True),
            "recipientAccountId": account,
            "eventCategory": "Management" if more.get("management", True) else "Data",
        }

    def _noise(self, chance: random.Random, offset: int, account: str, region: str) -> Record:
        service, name, read, management = chance.choice(_NOISE)
        person = chance.choice([p for p in PEOPLE if account in p.accounts])
        when = self._at(chance, offset, 0, 24)
        return self._event(
            chance, when, account, region, service, name, person.name,
            read=read, management=management,
        )  # fmt: skip

    def _work(
        self, chance: random.Random, offset: int, account: str, region: str, people: list[Person]
    ) -> Record:
        service, name, parameters = chance.choice(_WORK)
        person = chance.choice(people)
        when = self._at(chance, offset, 7, 19)
        return self._event(
            chance, when, account, region, service, name, person.name, parameters=parameters
        )

    def _episode(self, chance: random.Random, episode: Episode) -> Record:
        when = self._at(chance, episode.day, episode.hour, episode.hour + 1)
        response: Record | None = None
        if episode.event == "ConsoleLogin":
            response = {"ConsoleLogin": "Success"}
        event = self._event(
            chance, when, episode.account, episode.region, episode.service, episode.event,
            episode.person, parameters=episode.parameters, response=response,
        )  # fmt: skip
        if episode.event == "ConsoleLogin":
            event["additionalEventData"] = {"MFAUsed": "No", "MobileVersion": "No"}
        return event

    def _evaluation(
        self, chance: random.Random, asset: Asset, rule: str, offset: int, when: Instant
    ) -> Record:
        state = "NON_COMPLIANT" if self._broken(asset, rule, offset) else "COMPLIANT"
        before = "NON_COMPLIANT" if self._broken(asset, rule, offset - 1) else "COMPLIANT"
        qualifier = {
            "configRuleName": rule,
            "resourceType": asset.type,
            "resourceId": asset.id,
        }
        return {
            "version": "0",
            "id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "detail-type": "Config Rules Compliance Change",
            "source": "aws.config",
            "account": asset.account,
            "time": iso(when)[:19] + "Z",
            "region": asset.region,
            "resources": [],
            "detail": {
                "messageType": "ComplianceChangeNotification",
                "recordVersion": "1.0",
                "configRuleName": rule,
                "configRuleARN": f"arn:aws:config:{asset.region}:{asset.account}"
                f":config-rule/config-rule-{rule[:6].replace('-', 'x')}",
                "awsAccountId": asset.account,
                "awsRegion": asset.region,
                "resourceType": asset.type,
                "resourceId": asset.id,
                "newEvaluationResult": _result(qualifier, state, when),
                "oldEvaluationResult": _result(qualifier, before, Instant(when - DAY)),
                "notificationCreationTime": iso(Instant(when + 40 * SECOND))[:23] + "Z",
            },
        }

    def _finding(
        self, chance: random.Random, asset: Asset, rule: str, control: str, offset: int
    ) -> Record:
        failed = self._broken(asset, rule, offset)
        when = iso(self._at(chance, offset, 0, 24))[:23] + "Z"
        product = f"arn:aws:securityhub:{asset.region}::product/aws/securityhub"
        unique = uuid.uuid5(uuid.NAMESPACE_URL, f"{control}/{asset.arn}")
        return {
            "SchemaVersion": "2018-10-08",
            "Id": f"arn:aws:securityhub:{asset.region}:{asset.account}:security-control/"
            f"{control}/finding/{unique}",
            "ProductArn": product,
            "ProductName": "Security Hub",
            "CompanyName": "AWS",
            "Region": asset.region,
            "GeneratorId": f"security-control/{control}",
            "AwsAccountId": asset.account,
            "Types": ["Software and Configuration Checks/Industry and Regulatory Standards"],
            "CreatedAt": iso(day_start(self.first))[:23] + "Z",
            "UpdatedAt": when,
            "Severity": {"Label": "HIGH" if failed else "INFORMATIONAL"},
            "Title": f"{control} for {asset.id}",
            "Description": f"Checks {asset.type} {asset.id} against {control}.",
            "Resources": [
                {"Type": asset.type.replace("AWS::::", "Aws").replace("::", ""), "Id": asset.arn,
                 "Partition": "aws", "Region": asset.region}
            ],
            "Compliance": {
                "Status": "FAILED" if failed else "PASSED",
                "SecurityControlId": control,
                "AssociatedStandards": [{"StandardsId": "standards/nist-800-53/v/5.0.0"}],
            },
            "WorkflowState": "NEW",
            "Workflow": {"Status": "NEW" if failed else "RESOLVED"},
            "RecordState": "ACTIVE",
        }  # fmt: skip


def _result(qualifier: Record, state: str, when: Instant) -> Record:
    stamp = iso(when)[:23] + "Z"
    return {
        "evaluationResultIdentifier": {
            "evaluationResultQualifier": qualifier,
            "orderingTimestamp": stamp,
        },
        "complianceType": state,
        "resultRecordedTime": stamp,
        "configRuleInvokedTime": stamp,
    }


def regions_of(account: str) -> tuple[str, ...]:
    """Where an account has anything at all."""
    return REGIONS if account != ACCOUNTS[0].id else REGIONS[:1]
