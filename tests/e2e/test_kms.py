"""A tenant's own key in AWS KMS, with the real clients: set, used, disabled, denied and well again.

KMS is moto behind a door that holds keys' states (`tests.kms`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.e2e.conftest import ACCOUNT, Running, auditkeep, running, serving
from tests.e2e.over_users import assessment, trail
from tests.kms import KmsServer, running_kms, until

pytestmark = pytest.mark.server

OTHER = "444455556666"


@pytest.fixture(scope="module")
def kms() -> Iterator[KmsServer]:
    with running_kms() as server:
        yield server


@pytest.fixture(scope="module")
def server(kms: KmsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("kms") / "audit", **_environment(kms)) as made:
        yield made


def _environment(kms: KmsServer) -> dict[str, str]:
    return {
        "AUDITKEEP_KMS": "aws",
        "AUDITKEEP_KMS_ENDPOINT_URL": kms.url,
        "AUDITKEEP_KMS_TIMEOUT_SECONDS": "1",
        "AUDITKEEP_KEY_CACHE_SECONDS": "60",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def _ingest(
    server: Running, file: Path, *, account: str = ACCOUNT, check: bool = True
) -> subprocess.CompletedProcess[str]:
    return auditkeep(
        "ingest", "cloudtrail", str(file), "--data", str(server.data), "--account", account,
        "--json", check=check, environment=server.environment,
    )  # fmt: skip


def _error(call: Any, **ask: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**ask)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def _manual(client: Any, place: dict[str, Any], text: str) -> Any:
    answer = client.batch_import_evidence_to_assessment_control(
        **place, manualEvidence=[{"textResponse": text}]
    )
    assert answer["errors"] == []
    return answer


def _evidence(client: Any, place: dict[str, Any]) -> list[dict[str, Any]]:
    folders = client.get_evidence_folders_by_assessment_control(**place)["evidenceFolders"]
    found: list[dict[str, Any]] = []
    for folder in folders:
        found += client.get_evidence_by_evidence_folder(
            assessmentId=place["assessmentId"],
            controlSetId=place["controlSetId"],
            evidenceFolderId=folder["id"],
        )["evidence"]
    return found


def test_a_tenant_s_key_is_used_refused_while_away_and_well_again(
    server: Running, kms: KmsServer, tmp_path: Path
) -> None:
    client = server.client()
    arn = kms.key()
    # the real AWS CLI names the key
    done = subprocess.run(
        [
            Path(sys.executable).parent / "aws", "auditmanager", "update-settings",
            "--kms-key", arn, "--endpoint-url", server.url, "--region", "us-east-1",
        ],
        env={
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "PATH": str(Path(sys.executable).parent),
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["settings"]["kmsKey"] == arn
    assert kms.names("CreateGrant"), "it may go on using the key whatever becomes of the policy"

    place = assessment(client)
    _manual(client, place, "we looked at each user")
    counts = json.loads(_ingest(server, trail(tmp_path, 1, 2)).stdout)
    assert counts["observations"] == 2
    auditkeep(
        "seal", "--data", str(server.data), "--account", ACCOUNT, environment=server.environment
    )
    assert len(_evidence(client, place)) == 3
    folders = client.get_evidence_folders_by_assessment_control(**place)["evidenceFolders"]
    folder = {
        "assessmentId": place["assessmentId"],
        "controlSetId": place["controlSetId"],
        "evidenceFolderId": folders[0]["id"],
    }
    contexts = [asked["EncryptionContext"] for asked in kms.names("Encrypt")]
    assert all(c["account"] == ACCOUNT and c["region"] == "us-east-1" for c in contexts)
    assert len({c["bucket"] for c in contexts}) > 1, "each bucket by itself"

    # another account, under the deployment's own key, notices nothing of what follows
    made = json.loads(
        auditkeep(
            "keys", "create", "--data", str(server.data), "--account", OTHER, "--user", "u",
            "--policy", "AWSAuditManagerAdministratorAccess", "--json",
            environment=server.environment,
        ).stdout
    )  # fmt: skip
    keys = {"access_key": made["accessKeyId"], "secret_key": made["secretAccessKey"]}
    other = server.client(**keys)
    other.register_account()

    kms.turn("disable_key", arn)
    assert len(_evidence(client, place)) == 3, "from memory, for as long as the settings say"
    refused = _ingest(server, trail(tmp_path, 3), check=False)
    assert refused.returncode == 1, "a process that has no key of it in memory is refused at once"
    assert f"{arn} is disabled. Enable it" in refused.stderr
    assert json.loads(_ingest(server, trail(tmp_path, 4), account=OTHER).stdout)["files"] == 1
    server.process.terminate()
    server.process.wait(timeout=30)

    with serving(server.data, **server.environment) as (url, _):
        server.url = url
        client, other = server.client(), server.client(**keys)
        code, message = _error(client.get_evidence_by_evidence_folder, **folder)
        assert (code, f"{arn} is disabled. Enable it" in message) == ("AccessDeniedException", True)
        assert client.get_assessment(assessmentId=place["assessmentId"])["assessment"]
        assert other.get_settings(attribute="ALL")["settings"]["kmsKey"] == "DEFAULT"
        kms.turn("enable_key", arn)
        until(lambda: _reads(client, folder), 15)
        assert len(_evidence(client, place)) == 3
    assert json.loads(_ingest(server, trail(tmp_path, 3)).stdout)["observations"] == 1
    audit = auditkeep(
        "log", "audit", "--data", str(server.data), "--json", environment=server.environment
    )
    assert audit.returncode == 0


def test_a_server_says_what_is_wrong_with_a_key_and_needs_no_repair(
    kms: KmsServer, tmp_path: Path
) -> None:
    with running(tmp_path / "audit", **_environment(kms)) as server:
        client = server.client()
        arn = kms.key()
        assert _error(client.update_settings, kmsKey=arn.rpartition("/")[0] + "/" + "1" * 36)[
            0
        ] == ("ValidationException")
        client.update_settings(kmsKey=arn)
        place = assessment(client)
        kms.turn("disable_key", arn)
        code, message = _error(
            client.batch_import_evidence_to_assessment_control,
            **place, manualEvidence=[{"textResponse": "before there was a bucket"}],
        )  # fmt: skip
        assert (code, f"{arn} is disabled" in message) == ("AccessDeniedException", True)
        assert client.get_settings(attribute="ALL")["settings"]["kmsKey"] == arn
        kms.turn("enable_key", arn)
        until(lambda: _well(client, place), 15)
        found = _evidence(client, place)
        assert len(found) == 1, "what was refused was not kept"

        # in another region's key nothing is put
        far = kms.key(region="eu-west-1")
        code, message = _error(client.update_settings, kmsKey=far)
        assert (code, "us-east-1" in message) == ("ValidationException", True)
        client.update_settings(kmsKey="DEFAULT")
        records = auditkeep(
            "activity", "list", "--data", str(server.data), "--event", "Encrypt", "--json",
            environment=server.environment,
        ).stdout.splitlines()  # fmt: skip
    uses = [json.loads(line) for line in records]
    mine = [u for u in uses if u["requestParameters"]["keyId"] == arn]
    assert {u.get("errorCode") for u in mine} == {None, "KeyAway"}
    assert mine[0]["requestParameters"]["encryptionContext"]["account"] == ACCOUNT
    assert mine[0]["resources"][0]["ARN"] == arn


def _reads(client: Any, folder: dict[str, Any]) -> bool:
    try:
        client.get_evidence_by_evidence_folder(**folder)
    except ClientError:
        return False
    return True


def _well(client: Any, place: dict[str, Any]) -> bool:
    try:
        _manual(client, place, "after it was enabled")
    except ClientError:
        return False
    return True
