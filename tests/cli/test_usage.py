"""`auditkeep usage`, over a deployment that has an assessment and has read files."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import ACCOUNT, Run
from tests.cli.test_command_line import _json
from tests.operations.making import assessment

from auditkeep import app
from auditkeep.access.principals import Principal
from auditkeep.clock import DAY, Instant, SystemClock, iso, month_of
from auditkeep.ids import Tenant, new_id
from auditkeep.operations.call import Call
from auditkeep.settings import load

TENANT = Tenant(ACCOUNT, "us-east-1")


def record(at: Instant, name: str, event: str = "CreateUser", account: str = ACCOUNT) -> object:
    return {
        "eventVersion": "1.08",
        "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::{account}:user/jane"},
        "eventTime": iso(at)[:19] + "Z",
        "eventSource": "iam.amazonaws.com",
        "eventName": event,
        "awsRegion": "us-east-1",
        "eventID": name,
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
    }


def assess(data: Path) -> None:
    """An assessment that has looked since yesterday."""
    clock = SystemClock()
    with (
        app.opened(load(data), clock) as parts,
        parts.db.write(TENANT) as tx,
    ):
        arn = f"arn:aws:iam::{ACCOUNT}:user/admin"
        policies = ("AWSAuditManagerAdministratorAccess",)
        who = Principal(ACCOUNT, "admin", arn, policies, "")
        yesterday = Instant(clock.now() - DAY)
        assessment(Call(tx, TENANT, who, yesterday, new_id(), "", parts.deps))


def test_usage_names_counts_and_what_aws_would_have_charged(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assess(data)
    hour_ago = Instant(SystemClock().now() - DAY // 24)
    records = [record(hour_ago, f"e-{n}") for n in range(4)]
    records += [record(hour_ago, "other", account="444455556666")]
    records += [record(hour_ago, "unseen", event="DeleteUser")]
    file = tmp_path / "trail.json"
    file.write_text(json.dumps({"Records": records}))
    for _ in range(2):
        code, _, _ = run(
            "ingest", "cloudtrail", str(file), "--data", str(data), "--account", ACCOUNT
        )
        assert code == 0
    monkeypatch.setenv("AUDITKEEP_USAGE_PRICE", "250")
    found = _json(run("usage", "--data", str(data), "--json"))
    (tenant,) = found["tenants"]
    keeping = tenant.pop("keeping")
    assert (keeping["policy"], keeping["seen"]) == ("library", 4)
    assert tenant == {
        "account": ACCOUNT,
        "region": "us-east-1",
        "resourceAssessments": 4,
        "manual": 0,
        "charge": "1.00",
        "sources": [
            {
                "account": ACCOUNT,
                "region": tenant["sources"][0]["region"],
                "source": "AWS_Cloudtrail",
                "count": 4,
            }
        ],
    }
    assert found["month"] == month_of(SystemClock().now())
    assert (found["resourceAssessments"], found["charge"]) == (4, "1.00")
    _, words, _ = run("usage", "--data", str(data), "--account", ACCOUNT)
    assert "4 resource assessments, 0 manual items; AWS would have charged 1.00 USD" in words


def test_a_month_without_usage_is_empty_and_no_month_is_refused(run: Run, data: Path) -> None:
    found = _json(run("usage", "--data", str(data), "--month", "2020-01", "--json"))
    assert (found["tenants"], found["charge"]) == ([], "0.00")
    code, _, errors = run("usage", "--data", str(data), "--month", "January")
    assert code == 1
    assert "'January' is no month" in errors
