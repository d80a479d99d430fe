"""An assessment over who creates users, and trails of events that it sees."""

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.operations.world import HOME, TRAIL

EVENT = {
    "eventVersion": "1.08",
    "userIdentity": {"type": "Root", "accountId": HOME, "arn": f"arn:aws:iam::{HOME}:root"},
    "eventSource": "iam.amazonaws.com",
    "eventName": "CreateUser",
    "awsRegion": "us-east-1",
    "sourceIPAddress": "192.0.2.1",
    "userAgent": "test",
    "eventType": "AwsApiCall",
    "managementEvent": True,
    "readOnly": False,
    "recipientAccountId": HOME,
    "eventCategory": "Management",
}


def trail(folder: Path, *numbers: int) -> Path:
    """A file of events with these numbers, in two seconds from now."""
    made = folder / f"trail-{numbers[0]}.json.gz"
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    records = [
        {**EVENT, "eventID": f"00000000-0000-4000-8000-{number:012}", "eventTime": moment}
        for number in numbers
    ]
    made.write_bytes(gzip.compress(json.dumps({"Records": records}).encode()))
    return made


def _asked(operation: Callable[..., Any], **ask: Any) -> Any:
    return operation(**ask)


def assessment(
    client: Any, owner: str = "admin", call: Callable[..., Any] = _asked
) -> dict[str, str]:
    """A control over CloudTrail, and the place that names it; `call` asks the client."""
    control = call(client.create_control, name="users", controlMappingSources=[TRAIL])["control"]
    framework = call(
        client.create_assessment_framework,
        name="f",
        controlSets=[{"name": "set", "controls": [{"id": control["id"]}]}],
    )["framework"]
    made = call(
        client.create_assessment,
        name="a",
        frameworkId=framework["id"],
        roles=[{"roleType": "PROCESS_OWNER", "roleArn": f"arn:aws:iam::{HOME}:user/{owner}"}],
        scope={"awsAccounts": [{"id": HOME}], "awsServices": []},
        assessmentReportsDestination={"destinationType": "S3", "destination": "s3://reports"},
    )["assessment"]
    return {
        "assessmentId": made["metadata"]["id"],
        "controlSetId": "set",
        "controlId": made["framework"]["controlSets"][0]["controls"][0]["id"],
    }
