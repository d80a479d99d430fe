"""A served deployment beside AWS Organizations (moto's server): members come, are seen, and leave."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.e2e.conftest import Running, auditkeep, running
from tests.moto_server import running_moto

pytestmark = pytest.mark.server

MANAGER = "123456789012"
"""Whom moto takes the caller for."""
CREDENTIALS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


@pytest.fixture
def aws() -> Iterator[str]:
    with running_moto() as url:
        yield url


def client_of(server: Running, account: str) -> Any:
    made = auditkeep(
        "keys", "create", "--data", str(server.data), "--account", account, "--user", "admin",
        "--policy", "AWSAuditManagerAdministratorAccess", "--json",
    )  # fmt: skip
    key = json.loads(made.stdout)
    client = server.client(access_key=key["accessKeyId"], secret_key=key["secretAccessKey"])
    client.register_account()
    return client


def registered(client: Any, account: str) -> Any:
    """As soon as the server has read who the members are."""
    for _ in range(100):
        try:
            return client.register_organization_admin_account(adminAccountId=account)
        except ClientError:
            time.sleep(0.1)
    return client.register_organization_admin_account(adminAccountId=account)


def test_members_come_are_assessed_and_leave(aws: str, tmp_path: Path) -> None:
    organizations = boto3.client(
        "organizations", region_name="us-east-1", endpoint_url=aws, **CREDENTIALS
    )
    organisation = organizations.create_organization(FeatureSet="ALL")["Organization"]
    auditor, member = (
        organizations.create_account(AccountName=name, Email=f"{name}@example.org")[
            "CreateAccountStatus"
        ]["AccountId"]
        for name in ("auditor", "member")
    )
    environment = {
        "AUDITKEEP_ORGANIZATIONS": "aws",
        "AWS_ENDPOINT_URL_ORGANIZATIONS": aws,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    with running(tmp_path / "audit", **environment) as server:
        made = registered(client_of(server, MANAGER), auditor)
        assert made["organizationId"] == organisation["Id"]
        audit = client_of(server, auditor)
        framework = audit.list_assessment_frameworks(frameworkType="Standard")
        ask = {
            "name": "all of us",
            "frameworkId": framework["frameworkMetadataList"][0]["id"],
            "assessmentReportsDestination": {
                "destinationType": "S3", "destination": "s3://our-reports",
            },
            "roles": [
                {"roleType": "PROCESS_OWNER", "roleArn": f"arn:aws:iam::{auditor}:role/Owner"}
            ],
        }  # fmt: skip
        with pytest.raises(ClientError, match="which the organisation does not have"):
            audit.create_assessment(**ask, scope={"awsAccounts": [{"id": "999900001111"}]})
        scope = {"awsAccounts": [{"id": a} for a in (MANAGER, auditor, member)]}
        assessment = audit.create_assessment(**ask, scope=scope)["assessment"]["metadata"]["id"]
        organizations.remove_account_from_organization(AccountId=member)
        told = auditkeep(
            "organization", "refresh", "--data", str(server.data), "--json",
            environment=environment,
        )  # fmt: skip
        answer = json.loads(told.stdout)
        assert answer["left"] == [member]
        assert {m["account"] for m in answer["members"]} == {MANAGER, auditor}
        shown = audit.get_assessment(assessmentId=assessment)["assessment"]["metadata"]
        assert [a["id"] for a in shown["scope"]["awsAccounts"]] == [MANAGER, auditor]
        newest = audit.get_change_logs(assessmentId=assessment)["changeLogs"][0]
        assert newest["action"] == "UPDATE_METADATA"
        assert "AWSServiceRoleForAuditManager" in newest["createdBy"]
