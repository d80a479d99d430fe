"""Every answer the simulator can give is read by botocore as what was meant."""

from datetime import datetime
from typing import Any

import botocore.parsers
import pytest
from botocore.awsrequest import HeadersDict
from tests.simulator import encoding, models
from tests.simulator.encoding import Refusal
from tests.simulator.samples import Seed, sample

from auditkeep.clock import parse

SERVICES = (
    "account", "acm", "autoscaling", "backup", "bedrock", "cloudfront", "cloudtrail", "cloudwatch",
    "config", "directconnect", "docdb", "dynamodb", "ec2", "ecs", "efs", "eks", "elasticache",
    "elbv2", "emr", "events", "firehose", "fsx", "guardduty", "iam", "kafka", "kinesis", "kms",
    "lambda", "license-manager", "organizations", "rds", "redshift", "s3", "sagemaker",
    "secretsmanager", "securityhub", "sns", "sqs", "sts", "waf", "waf-regional",
)  # fmt: skip
"""Those of the documented API calls, and those that other sources need."""

AT = parse("2026-05-01T10:11:12Z")

TWICE = {"GetBucketNotification"}
"""Outputs with an element that two members read."""


def _read(value: Any) -> Any:
    """What botocore read, with times as seconds."""
    if isinstance(value, datetime):
        return round(value.timestamp())
    if isinstance(value, dict):
        return _full({k: _read(v) for k, v in value.items()})
    return [_read(one) for one in value] if isinstance(value, list) else value


def _meant(shape: Any, value: Any) -> Any:
    if shape.type_name == "structure":
        return _full({k: _meant(shape.members[k], v) for k, v in value.items()})
    if shape.type_name == "list":
        return [_meant(shape.member, one) for one in value]
    if shape.type_name == "map":
        return _full({k: _meant(shape.value, v) for k, v in value.items()})
    return value // 1_000_000 if shape.type_name == "timestamp" else value


def _full(members: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty: XML cannot tell that from what is not there."""
    return {name: value for name, value in members.items() if value not in ([], {}, [{}])}


@pytest.mark.parametrize("name", SERVICES)
def test_botocore_reads_every_answer_of_a_service_as_it_was_meant(name: str) -> None:
    service = models.service(name)
    parser = botocore.parsers.create_parser(service.protocol)
    read = 0
    for called in sorted(service.operations - TWICE):
        operation = service.operation(called)
        shape = operation.output_shape
        reads = called.startswith(("Describe", "Get", "List", "Lookup", "Batch", "Assume"))
        if shape is None or operation.has_streaming_output or not reads:
            continue
        seed = Seed("111122223333", "eu-west-1", f"{name}:{called}", "thing", 3, AT)
        value = sample(shape, seed)
        answered = encoding.answer(service.protocol, operation, value, "a-request")
        headers = HeadersDict({k.decode(): v.decode() for k, v in answered.headers})
        parts = {"body": answered.body, "headers": headers, "status_code": answered.status}
        found = parser.parse(parts, shape)
        found.pop("ResponseMetadata")
        assert _read(found) == _meant(shape, value), called
        read += 1
    assert read


@pytest.mark.parametrize("name", ["ec2", "iam", "config", "securityhub", "s3", "cloudfront"])
def test_botocore_reads_a_refusal_of_each_protocol(name: str) -> None:
    service = models.service(name)
    parser = botocore.parsers.create_parser(service.protocol)
    answered = encoding.refusal(
        service.protocol, name, Refusal("TooMuch", "Less & less", 400), "id"
    )
    headers = HeadersDict({k.decode(): v.decode() for k, v in answered.headers})
    found = parser.parse(
        {"body": answered.body, "headers": headers, "status_code": answered.status},
        service.operation(min(service.operations)).output_shape,
    )
    assert (found["Error"]["Code"], found["Error"]["Message"]) == ("TooMuch", "Less & less")
