import datetime as dt
import subprocess
import sys
from typing import Any

import pytest

from auditkeep.errors import StoreAway
from auditkeep.lake.s3.credentials import FOR, Ambient


def test_credentials_are_asked_for_again_before_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore has at least ten minutes left of what it gives; so nobody signs with what is over."""
    from botocore.credentials import RefreshableCredentials

    asked = []

    def fetch() -> dict[str, Any]:
        asked.append(1)
        end = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=60 if len(asked) > 1 else 9)
        return {
            "access_key": f"key-{len(asked)}",
            "secret_key": "secret",
            "token": "token",
            "expiry_time": end.isoformat(),
        }

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "first")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "first")
    ambient = Ambient()
    ambient._found = RefreshableCredentials.create_from_metadata(fetch(), fetch, "role")
    told = ambient()
    assert told["access_key_id"] == "key-2", "what ends within ten minutes was not renewed"
    assert told["token"] == "token"
    assert told["expires_at"] is not None
    assert told["expires_at"] - dt.datetime.now(dt.UTC) <= FOR
    assert RefreshableCredentials._mandatory_refresh_timeout >= FOR.total_seconds()


def test_without_credentials_a_sentence_says_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StoreAway, match="no AWS credentials"):
        Ambient()


def test_a_server_with_a_folder_loads_nothing_of_s3() -> None:
    """Idle memory: what speaks to S3 is imported when objects lie there."""
    program = (
        "import sys, auditkeep.app, auditkeep.app.stores;"
        "print(sorted({'obstore', 'boto3', 'botocore', 'polars'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
