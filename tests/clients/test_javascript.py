"""The AWS SDK for JavaScript v3, as it comes from npm, against a served deployment."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT, missing
from tests.e2e.conftest import ACCOUNT, Running

pytestmark = [pytest.mark.server, pytest.mark.slow]

NODE = ROOT / "tests" / "node"


def node() -> str:
    """The Node that came with this Python environment, or another one on the path."""
    beside = shutil.which("node", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("node")
    if found is None or not (NODE / "node_modules" / "@aws-sdk").is_dir():
        missing("Node and tests/node/node_modules are not here: run 'make install-dev'")
    return str(found)


@pytest.fixture(scope="module")
def told(server: Running) -> dict[str, Any]:
    """What the script says after it has asked everything."""
    done = subprocess.run(
        [node(), "every_operation.mjs", server.url, ACCOUNT],
        cwd=NODE,
        env={
            "PATH": os.environ["PATH"],
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_operation_parses(told: dict[str, Any]) -> None:
    assert told["wrong"] == []
    assert len(told["answered"]) == 62
    assert told["answered"] == told["all"]


def test_what_is_refused_is_of_the_sdk_s_own_class(told: dict[str, Any]) -> None:
    assert all(r["typed"] and r["service"] for r in told["refused"]), told["refused"]
    assert [(r["operation"], r["name"], r["status"]) for r in told["refused"]] == [
        ("GetControl", "ResourceNotFoundException", 404),
        ("GetControl", "ValidationException", 400),
        ("CreateControl", "ValidationException", 400),
        ("UpdateAssessmentStatus", "ValidationException", 400),
        ("ListAssessments", "AccessDeniedException", 403),
    ]
    unknown, malformed = told["refused"][:2]
    assert (unknown["resourceType"], unknown["resourceId"][:8]) == ("control", "00000000")
    assert malformed["reason"] == "fieldValidationFailed"
    assert {f["name"] for f in malformed["fields"]} == {"controlId"}
