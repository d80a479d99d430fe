"""Write `src/auditkeep/mapping/data/calls.json`: how each documented API call is asked.

    python tools/make_calls.py ../shared

Reads `facts/api-calls.json` (which calls there are, their IAM actions and what feeds them) and
botocore's models (pages, lists, names of resources, sensitive members). Whatever neither says
rightly stands here, beside its reason.
"""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from auditkeep.mapping.calls import Call, Feed, Paging
from auditkeep.mapping.readonly import call_of

DATA = Path(__file__).parent.parent / "src" / "auditkeep" / "mapping" / "data" / "calls.json"

LISTS = {
    # a reservation is a request; the resources are what it started
    "ec2_DescribeInstances": (("Reservations.Instances", "InstanceId", ""),),
    # ids are what people know these by, also where an ARN is beside them
    "backup_ListBackupPlans": (("BackupPlansList", "BackupPlanId", "BackupPlanArn"),),
    "cloudfront_ListDistributions": (("DistributionList.Items", "Id", "ARN"),),
    # elastic addresses of VPCs have an allocation, older ones only the address
    "ec2_DescribeAddresses": (("Addresses", "AllocationId|PublicIp", ""),),
    # answers hold names, summaries or both, depending on how old who answers is
    "kinesis_ListStreams": (("StreamSummaries|StreamNames", "StreamName", "StreamARN"),),
    "ec2_DescribeVpcEndpointConnections": (
        ("VpcEndpointConnections", "VpcEndpointConnectionId", ""),
    ),
    "ec2_DescribeSecurityGroups": (("SecurityGroups", "GroupId", "SecurityGroupArn"),),
    "ec2_DescribeVpcEndpointServiceConfigurations": (("ServiceConfigurations", "ServiceId", ""),),
    # the ARN of a bucket is told by newer answers only
    "s3_ListBuckets": (("Buckets", "Name", "BucketArn"),),
    "kafka_ListKafkaVersions": (("KafkaVersions", "Version", ""),),
    "iam_ListVirtualMFADevices": (("VirtualMFADevices", "SerialNumber", "SerialNumber"),),
    "sagemaker_ListUserProfiles": (("UserProfiles", "DomainId+UserProfileName", ""),),
    "sagemaker_ListMonitoringAlerts": (("MonitoringAlertSummaries", "MonitoringAlertName", ""),),
    "license-manager_ListAssociationsForLicenseConfiguration": (
        ("LicenseConfigurationAssociations", "ResourceArn", "ResourceArn"),
    ),
    "license-manager_ListUsageForLicenseConfiguration": (
        ("LicenseConfigurationUsageList", "ResourceArn", "ResourceArn"),
    ),
}

PAGING = {
    # no paginator in botocore, and its token is the last name
    "firehose_ListDeliveryStreams": Paging(
        ("ExclusiveStartDeliveryStreamName",),
        ("DeliveryStreamNames[-1]",),
        "HasMoreDeliveryStreams",
    ),
}

FED_NAMES = {"ecs_DescribeClusters": {"clusters"}}
"""Without names these answer for one resource only, the default one."""

WITHIN = {"s3_ListBuckets": "BucketRegion"}
"""S3 lists the buckets of all regions, wherever it is asked."""

REGIONAL = {"s3_GetBucketEncryption", "s3_ListBuckets"}


def call(keyword: str, fact: dict[str, Any]) -> Call:
    found = call_of(fact["boto3Client"], fact["operation"])
    needs = fact.get("needs", ())
    feed = None
    for need in needs:
        list_, _, member = need["path"].partition("[]")
        feed = Feed(need["param"], need["fromCall"].partition("_")[2], member.lstrip("."))
        assert len(needs) == 1, keyword
        assert list_, keyword
    optional = fact.get("optionalFeed")
    if optional and optional["param"] in FED_NAMES.get(keyword, ()):
        feed = Feed(optional["param"], optional["fromCall"].partition("_")[2], named=True)
    made = replace(
        found,
        action=fact["iamAction"],
        everywhere=fact["scope"] == "global" and keyword not in REGIONAL,
        feed=feed,
        within=WITHIN.get(keyword, ""),
        lists=LISTS.get(keyword, found.lists),
        # AWS documents these one by one, and what names a resource of each was looked at
        digested=(),
        paging=PAGING.get(keyword, found.paging),
    )
    if feed and not feed.named and keyword not in LISTS:
        made = replace(made, lists=())
    return made


def main() -> None:
    facts = json.loads((Path(sys.argv[1]) / "facts" / "api-calls.json").read_text())
    calls = {keyword: call(keyword, fact) for keyword, fact in sorted(facts.items())}
    lines = (
        f"{json.dumps(keyword)}: {msgspec.json.encode(made).decode()}"
        for keyword, made in calls.items()
    )
    DATA.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    for keyword, made in calls.items():
        print(keyword, made.lists, made.paging, made.feed or "", made.secrets or "")


if __name__ == "__main__":
    main()
