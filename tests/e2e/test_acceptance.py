"""The acceptance program that lies beside the checkout, against a running server."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import ROOT, missing
from tests.e2e.conftest import Running, running
from tests.postgres import fresh_database

pytestmark = pytest.mark.server


def test_unmodified_boto3_drives_the_server(tmp_path: Path) -> None:
    with running(tmp_path / "audit") as server:
        _drive(server)


@pytest.mark.postgres
def test_the_same_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    url = fresh_database(postgres_url)
    with running(tmp_path / "audit", AUDITKEEP_DATABASE_URL=url) as server:
        _drive(server)


def _drive(server: Running) -> None:
    program = ROOT.parent / "shared" / "acceptance" / "wire.py"
    if not program.is_file():
        missing("the acceptance program is not beside this checkout")
    # A share is delivered to tenants that have registered only (specification 2.6): the program
    # shares with this region, and revokes what was delivered.
    server.client(region="eu-west-1").register_account()
    done = subprocess.run(
        [
            sys.executable, str(program), "--endpoint-url", server.url,
            "--access-key", server.access_key, "--secret-key", server.secret_key,
        ],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert "operations answered: 62 of 62" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout
