"""The simulator as unmodified boto3 clients meet it."""

import json
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.conftest import ROOT, missing
from tests.simulator.cloud import Simulator
from tests.simulator.conftest import ACCOUNT, REGION
from tests.simulator.estate import ASSOCIATION, USAGE
from tests.simulator.handlers.config import AGGREGATOR
from tests.simulator.handlers.others import licence_arn

from auditkeep.clock import DAY, MINUTE, Instant

pytestmark = pytest.mark.server


def _calls() -> dict[str, Any]:
    file = ROOT.parent / "shared" / "facts" / "api-calls.json"
    if not file.is_file():
        missing("the facts about API calls are not beside this checkout")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def _code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def _fill(cloud: Simulator, kind: str, count: int = 5, **members: Any) -> None:
    for number in range(count):
        if cloud.estate.found(ACCOUNT, REGION, kind, f"thing-{number}", cloud.clock.now()) is None:
            cloud.estate.put(ACCOUNT, REGION, kind, f"thing-{number}", **members)


def test_all_documented_calls_are_answered_to_their_last_page(cloud: Simulator) -> None:
    calls = _calls()
    arn = licence_arn(ACCOUNT, REGION, "thing-1")
    for call in calls.values():
        service = {"docdb": "rds"}.get(call["boto3Client"], call["boto3Client"])
        _fill(cloud, f"{service}:{call['operation']}")
    _fill(cloud, "config:rule")
    _fill(cloud, USAGE, parent="thing-1")
    _fill(cloud, ASSOCIATION, parent="thing-1")
    clients: dict[str, Any] = {}
    for keyword, call in calls.items():
        name = call["boto3Client"]
        if name not in clients:
            clients[name] = cloud.client(name, REGION, ACCOUNT)
        client = clients[name]
        params = {need["param"]: "thing-1" for need in call.get("needs", [])}
        if "LicenseConfigurationArn" in params:
            params["LicenseConfigurationArn"] = arn
        if not client.can_paginate(call["method"]):
            assert getattr(client, call["method"])(**params).keys() > {"ResponseMetadata"}, keyword
            continue
        pages = list(client.get_paginator(call["method"]).paginate(**params))
        key = call["resultKey"]
        path = (key if isinstance(key, str) else key[0]).split(".")
        listed = [
            one for page in pages for one in reduce(lambda node, part: node[part], path, page)
        ]
        assert len(listed) == 5, keyword
        assert len({json.dumps(one, default=str) for one in listed}) == 5, keyword
        assert len(pages) == 3 or keyword == "s3_ListBuckets", keyword


def test_a_resource_keeps_its_name_and_changes_otherwise(cloud: Simulator) -> None:
    estate, at = cloud.estate, cloud.clock.now()
    estate.put(ACCOUNT, REGION, "ec2:DescribeVpcs", "main", Instant(at - DAY))
    estate.put(ACCOUNT, REGION, "ec2:DescribeVpcs", "main", Instant(at + DAY), State="available")
    estate.remove(ACCOUNT, REGION, "ec2:DescribeVpcs", "main", Instant(at + 2 * DAY))
    client = cloud.client("ec2", REGION, ACCOUNT)
    [before] = client.describe_vpcs()["Vpcs"]
    assert [before] == client.describe_vpcs()["Vpcs"]
    cloud.clock.advance(DAY)
    [after] = client.describe_vpcs()["Vpcs"]
    cloud.clock.advance(DAY)
    assert client.describe_vpcs()["Vpcs"] == []
    assert before["VpcId"] == after["VpcId"] == "main"
    assert before["OwnerId"] == ACCOUNT
    assert before != after
    assert after["State"] == "available"


def test_pages_are_of_the_moment_of_the_first(cloud: Simulator) -> None:
    _fill(cloud, "ec2:DescribeVpcs", 3)
    client = cloud.client("ec2", REGION, ACCOUNT)
    first = client.describe_vpcs()
    cloud.clock.advance(MINUTE)
    cloud.estate.remove(ACCOUNT, REGION, "ec2:DescribeVpcs", "thing-0", cloud.clock.now())
    second = client.describe_vpcs(NextToken=first["NextToken"])
    assert [v["VpcId"] for v in second["Vpcs"]] == ["thing-2"]
    assert len(client.describe_vpcs()["Vpcs"]) == 2
    with pytest.raises(ClientError) as error:
        client.describe_subnets(NextToken=first["NextToken"])
    assert _code(error) == "InvalidNextTokenException"


def test_the_key_tells_the_account_and_the_signature_counts(cloud: Simulator) -> None:
    other = "444455556666"
    cloud.estate.put(other, REGION, "sns:ListTopics", "theirs")
    assert cloud.client("sns", REGION, ACCOUNT).list_topics()["Topics"] == []
    assert len(cloud.client("sns", REGION, other).list_topics()["Topics"]) == 1
    wrong = boto3.client(
        "sns",
        region_name=REGION,
        endpoint_url=cloud.url,
        aws_access_key_id=cloud.key(ACCOUNT).id,
        aws_secret_access_key="another",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(ClientError) as error:
        wrong.list_topics()
    assert _code(error) == "SignatureDoesNotMatch"


def test_a_role_is_assumed_with_its_external_id_only(cloud: Simulator) -> None:
    member = "444455556666"
    account = cloud.estate.account(member, external_id="between us")
    cloud.estate.put(member, REGION, "sqs:ListQueues", "theirs")
    sts = cloud.client("sts", REGION, ACCOUNT)
    asked = {"RoleArn": account.role_arn, "RoleSessionName": "collector"}
    for wrong in (
        asked,
        {**asked, "ExternalId": "no"},
        {**asked, "RoleArn": account.role_arn + "x", "ExternalId": "between us"},
    ):
        with pytest.raises(ClientError) as error:
            sts.assume_role(**wrong)
        assert _code(error) == "AccessDenied"
    given = sts.assume_role(**asked, ExternalId="between us")["Credentials"]
    client = boto3.client(
        "sqs",
        region_name=REGION,
        endpoint_url=cloud.url,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        config=Config(retries={"total_max_attempts": 1}),
    )
    assert client.list_queues()["QueueUrls"] == [
        f"https://sqs.{REGION}.amazonaws.com/{member}/theirs"
    ]
    cloud.end_sessions(member)
    with pytest.raises(ClientError) as error:
        client.list_queues()
    assert _code(error) == "ExpiredTokenException"
    now = cloud.clock.now()
    again = sts.assume_role(**asked, ExternalId="between us")["Credentials"]
    account.shut = (now, Instant(now + DAY))
    with pytest.raises(ClientError):
        sts.assume_role(**asked, ExternalId="between us")
    cloud.clock.advance(DAY)
    assert sts.assume_role(**asked, ExternalId="between us")["Credentials"] != again
    cloud.estate.leave(member, cloud.clock.now())
    with pytest.raises(ClientError):
        sts.assume_role(**asked, ExternalId="between us")


def test_members_of_the_organisation_come_and_go(cloud: Simulator) -> None:
    for number in range(3):
        cloud.estate.account(f"44445555666{number}")
    cloud.estate.leave("444455556661", Instant(cloud.clock.now() + DAY))
    client = cloud.client("organizations", "us-east-1", ACCOUNT)

    def members() -> list[str]:
        pages = client.get_paginator("list_accounts").paginate()
        return [account["Id"] for page in pages for account in page["Accounts"]]

    assert members() == [ACCOUNT, "444455556660", "444455556661", "444455556662"]
    cloud.clock.advance(DAY)
    assert members() == [ACCOUNT, "444455556660", "444455556662"]
    with pytest.raises(ClientError) as error:
        cloud.client("organizations", "us-east-1", "444455556660").list_accounts()
    assert _code(error) == "AccessDeniedException"


def test_a_region_not_switched_on_knows_no_keys(cloud: Simulator) -> None:
    cloud.estate.accounts[ACCOUNT].regions = frozenset({"us-east-1"})
    for service, call, code in (
        ("ec2", "describe_vpcs", "AuthFailure"),
        ("config", "describe_config_rules", "UnrecognizedClientException"),
        ("sns", "list_topics", "InvalidClientTokenId"),
    ):
        with pytest.raises(ClientError) as error:
            getattr(cloud.client(service, REGION, ACCOUNT), call)()
        assert _code(error) == code
    regions = cloud.client("account", "us-east-1", ACCOUNT).list_regions()["Regions"]
    states = {r["RegionName"]: r["RegionOptStatus"] for r in regions}
    assert states == {
        "us-east-1": "ENABLED_BY_DEFAULT", "eu-west-1": "DISABLED", "eu-central-1": "DISABLED"
    }  # fmt: skip
    assert cloud.client("iam", "us-east-1", ACCOUNT).list_users()["Users"] == []


def test_config_tells_the_last_verdict_of_rules_that_exist(cloud: Simulator) -> None:
    estate, at = cloud.estate, cloud.clock.now()
    estate.rule(ACCOUNT, REGION, "buckets", identifier="S3_BUCKET_ACL_PROHIBITED")
    estate.rule(ACCOUNT, REGION, "own")
    for number in range(3):
        judged = ("buckets", "AWS::S3::Bucket", f"b-{number}")
        estate.evaluate(ACCOUNT, REGION, *judged, "COMPLIANT", Instant(at - DAY))
    estate.evaluate(ACCOUNT, REGION, "buckets", "AWS::S3::Bucket", "b-1", "NON_COMPLIANT", at)
    client = cloud.client("config", REGION, ACCOUNT)
    rules = client.describe_config_rules()["ConfigRules"]
    assert [(r["ConfigRuleName"], r["Source"]["Owner"]) for r in rules] == [
        ("buckets", "AWS"), ("own", "CUSTOM_LAMBDA")
    ]  # fmt: skip
    pages = client.get_paginator("get_compliance_details_by_config_rule").paginate(
        ConfigRuleName="buckets"
    )
    found = [one for page in pages for one in page["EvaluationResults"]]
    assert [one["ComplianceType"] for one in found] == ["COMPLIANT", "NON_COMPLIANT", "COMPLIANT"]
    summary = client.describe_compliance_by_config_rule()["ComplianceByConfigRules"]
    assert summary[0]["Compliance"]["ComplianceContributorCount"]["CappedCount"] == 1
    history = client.get_resource_config_history(resourceType="AWS::S3::Bucket", resourceId="b-1")
    assert len(history["configurationItems"]) == 2
    of_compliance = {"resourceType": "AWS::Config::ResourceCompliance"}
    known = client.list_discovered_resources(**of_compliance)["resourceIdentifiers"]
    assert [one["resourceId"] for one in known] == ["AWS::S3::Bucket/b-0", "AWS::S3::Bucket/b-1"]
    items = client.get_resource_config_history(
        **of_compliance, resourceId="AWS::S3::Bucket/b-1", chronologicalOrder="Forward"
    )["configurationItems"]
    said = [json.loads(one["configuration"])["configRuleList"] for one in items]
    assert [[rule["complianceType"] for rule in rules] for rules in said] == [
        ["COMPLIANT"], ["NON_COMPLIANT"]
    ]  # fmt: skip
    estate.recorder(ACCOUNT, REGION, at, on=False)
    assert client.describe_configuration_recorders()["ConfigurationRecorders"] == []


def test_an_aggregator_tells_of_every_member(cloud: Simulator) -> None:
    estate, at, member = cloud.estate, cloud.clock.now(), "444455556666"
    estate.put(ACCOUNT, REGION, AGGREGATOR, "all")
    estate.rule(member, "us-east-1", "buckets", identifier="S3_BUCKET_ACL_PROHIBITED")
    estate.evaluate(member, "us-east-1", "buckets", "AWS::S3::Bucket", "b", "NON_COMPLIANT", at)
    client = cloud.client("config", REGION, ACCOUNT)
    [rule] = client.describe_aggregate_compliance_by_config_rules(
        ConfigurationAggregatorName="all"
    )["AggregateComplianceByConfigRules"]
    assert (rule["AccountId"], rule["AwsRegion"]) == (member, "us-east-1")
    [result] = client.get_aggregate_compliance_details_by_config_rule(
        ConfigurationAggregatorName="all",
        ConfigRuleName="buckets",
        AccountId=member,
        AwsRegion="us-east-1",
    )["AggregateEvaluationResults"]
    assert result["ComplianceType"] == "NON_COMPLIANT"


def test_security_hub_filters_by_time_of_update(cloud: Simulator) -> None:
    estate, at = cloud.estate, cloud.clock.now()
    for number in range(4):
        when = Instant(at - number * DAY)
        estate.finding(ACCOUNT, REGION, "IAM.4", f"arn:aws:iam::{number}:root", "FAILED", when)
    client = cloud.client("securityhub", REGION, ACCOUNT)
    start = datetime.fromtimestamp((at - DAY - MINUTE) / 1_000_000, UTC).isoformat()
    end = datetime.fromtimestamp((at + DAY) / 1_000_000, UTC).isoformat()
    pages = client.get_paginator("get_findings").paginate(
        Filters={"UpdatedAt": [{"Start": start, "End": end}]},
        SortCriteria=[{"Field": "UpdatedAt", "SortOrder": "asc"}],
    )
    found = [one for page in pages for one in page["Findings"]]
    assert [one["Resources"][0]["Id"] for one in found] == [
        "arn:aws:iam::1:root", "arn:aws:iam::0:root"
    ]  # fmt: skip
    estate.hub(ACCOUNT, REGION, at, on=False)
    with pytest.raises(ClientError) as error:
        client.get_findings()
    assert _code(error) == "InvalidAccessException"


def test_cloudtrail_looks_events_up_newest_first(cloud: Simulator) -> None:
    at = cloud.clock.now()
    for number in range(5):
        cloud.estate.event(ACCOUNT, REGION, "ec2", "RunInstances", Instant(at - number * MINUTE))
    cloud.estate.event(ACCOUNT, REGION, "ec2", "RunInstances", Instant(at - 91 * DAY))
    client = cloud.client("cloudtrail", REGION, ACCOUNT)
    pages = client.get_paginator("lookup_events").paginate()
    times = [one["EventTime"] for page in pages for one in page["Events"]]
    assert len(times) == 5
    assert times == sorted(times, reverse=True)
    [one] = client.lookup_events(
        StartTime=datetime.fromtimestamp((at - 30_000_000) / 1_000_000, UTC)
    )["Events"]
    assert json.loads(one["CloudTrailEvent"])["eventID"] == one["EventId"]


def test_buckets_objects_and_queues(cloud: Simulator) -> None:
    cloud.estate.put(ACCOUNT, REGION, "s3:ListBuckets", "logs")
    cloud.estate.put(ACCOUNT, "us-east-1", "s3:ListBuckets", "other")
    cloud.world.queues["told"] = []
    s3 = cloud.client("s3", REGION, ACCOUNT)
    for key in ("a/1=x.gz", "a/2.gz", "a/3.gz", "b/1.gz"):
        s3.put_object(Bucket="logs", Key=key, Body=key.encode())
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="logs", Prefix="a/")
    keys = [one["Key"] for page in pages for one in page["Contents"]]
    assert keys == ["a/1=x.gz", "a/2.gz", "a/3.gz"]
    assert s3.get_object(Bucket="logs", Key="a/1=x.gz")["Body"].read() == b"a/1=x.gz"
    assert s3.head_object(Bucket="logs", Key="a/2.gz")["ContentLength"] == 6
    folders = s3.list_objects_v2(Bucket="logs", Delimiter="/")["CommonPrefixes"]
    assert [f["Prefix"] for f in folders] == ["a/", "b/"]
    assert [b["BucketRegion"] for b in s3.list_buckets()["Buckets"]] == [REGION, "us-east-1"]
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="logs", Key="none")
    assert _code(error) == "NoSuchKey"
    sqs = cloud.client("sqs", REGION, ACCOUNT)
    url = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/told"
    sqs.send_message(QueueUrl=url, MessageBody="news")
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == "news"
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert cloud.world.queues["told"] == []


def test_nobody_changes_anything(cloud: Simulator) -> None:
    with pytest.raises(ClientError) as error:
        cloud.client("ec2", REGION, ACCOUNT).create_vpc(CidrBlock="10.0.0.0/16")
    assert _code(error) == "AccessDeniedException"


def test_a_report_in_two_steps(cloud: Simulator) -> None:
    _fill(cloud, "iam:ListUsers", 2)
    client = cloud.client("iam", "us-east-1", ACCOUNT)
    with pytest.raises(ClientError) as error:
        client.get_credential_report()
    assert _code(error) == "ReportNotPresent"
    assert client.generate_credential_report()["State"] == "STARTED"
    assert client.generate_credential_report()["State"] == "COMPLETE"
    assert client.get_credential_report()["Content"].count(b"\n") == 2


def test_every_call_is_in_the_history(cloud: Simulator) -> None:
    _fill(cloud, "ec2:DescribeVpcs", 3)
    client = cloud.client("ec2", REGION, ACCOUNT)
    list(client.get_paginator("describe_vpcs").paginate())
    before = len(cloud.history)
    with pytest.raises(ClientError):
        client.create_vpc()
    calls = cloud.history.calls("ec2:DescribeVpcs", account=ACCOUNT, region=REGION)
    assert [call.listed for call in calls] == [2, 1]
    assert calls[1].params["NextToken"]
    [refused] = cloud.history.calls(after=before)
    assert (refused.operation, refused.outcome) == ("CreateVpc", "AccessDeniedException")
    assert cloud.history.count(outcome="ok") == 2
