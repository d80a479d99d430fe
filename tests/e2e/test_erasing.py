"""An account that leaves with everything: boto3 against a real server, then the operator's proof."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.e2e.conftest import ACCOUNT, auditkeep, running

pytestmark = [pytest.mark.server, pytest.mark.slow]

LEAVING = "999988887777"


def leave(folder: Path, **environment: str) -> None:
    with running(folder / "audit", **environment) as server:
        data = ("--data", str(server.data))
        made = auditkeep(
            "keys", "create", *data, "--account", LEAVING, "--user", "admin", "--policy",
            "AWSAuditManagerAdministratorAccess", "--json", environment=environment,
        )  # fmt: skip
        key = json.loads(made.stdout)
        leaving = server.client(
            access_key=key["accessKeyId"], secret_key=key["secretAccessKey"]
        )  # fmt: skip
        assert leaving.register_account()["status"] == "ACTIVE"
        assert _tried(leaving) == "ACTIVE"
        leaving.create_control(
            name="ours", controlMappingSources=[{"sourceName": "s", "sourceType": "MANUAL",
            "sourceSetUpOption": "Procedural_Controls_Mapping"}],
        )  # fmt: skip
        settings = leaving.update_settings(deregistrationPolicy={"deleteResources": "ALL"})
        assert settings["settings"]["deregistrationPolicy"] == {"deleteResources": "ALL"}
        assert leaving.deregister_account()["status"] == "INACTIVE"
        assert leaving.get_account_status()["status"] == "INACTIVE"
        found = _wait(data, environment)
        assert (found["account"], found["region"], found["late"]) == (LEAVING, "us-east-1", False)
        assert leaving.get_account_status()["status"] == "INACTIVE"
        with pytest.raises(ClientError, match="AccessDeniedException"):
            leaving.list_controls(controlType="Custom")
        assert leaving.register_account()["status"] == "ACTIVE"
        assert leaving.list_controls(controlType="Custom")["controlMetadataList"] == []
        assert server.client().get_account_status()["status"] == "ACTIVE"

        file = folder / "certificate.json"
        auditkeep(
            "tenant", "certificate", *data, "--account", LEAVING, "--out", str(file),
            environment=environment,
        )  # fmt: skip
        checked = auditkeep("verify", str(file), "--key", server.log_key, "--json")
        told = json.loads(checked.stdout)
        assert (told["state"], told["account"]) == ("valid", LEAVING)
        assert told["askedBy"] == f"arn:aws:iam::{LEAVING}:user/admin"
        unpinned = {"XDG_CONFIG_HOME": str(folder / "nobody")}
        assert auditkeep("verify", str(file), check=False, environment=unpinned).returncode == 2
        file.write_bytes(file.read_bytes().replace(b"DeregisterAccount", b"DeregisterAccounts"))
        again = auditkeep("verify", str(file), "--key", server.log_key, check=False)
        assert again.returncode == 1
        nobody = auditkeep(
            "tenant", "certificate", *data, "--account", ACCOUNT, check=False,
            environment=environment,
        )  # fmt: skip
        assert nobody.returncode == 1
        assert "was ever destroyed as a whole" in nobody.stderr
        audited = auditkeep("log", "audit", *data, "--json", environment=environment)
        assert json.loads(audited.stdout)["state"] == "sound"


def _tried(client: Any) -> str:
    return str(client.register_account()["status"])


def _wait(data: tuple[str, ...], environment: dict[str, str]) -> Any:
    until = time.monotonic() + 60
    while True:
        listed = auditkeep("tenant", "list", *data, "--json", environment=environment)
        (found,) = json.loads(listed.stdout)["erasures"]
        if found["stage"] == "done":
            return found
        assert time.monotonic() < until, found
        time.sleep(0.2)


def test_an_account_leaves_with_everything(tmp_path: Path) -> None:
    leave(tmp_path)


@pytest.mark.postgres
def test_an_account_leaves_with_everything_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    from tests.postgres import fresh_database

    leave(tmp_path, AUDITKEEP_DATABASE_URL=fresh_database(postgres_url))
