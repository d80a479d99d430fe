"""The service `auditkeep` as `docs/clients.md` tells people to reach it."""

import dataclasses
import json
import time
from pathlib import Path

import pytest
from tests.clients.commands import Cli
from tests.e2e.conftest import Running, auditkeep

import auditkeep as package

pytestmark = [pytest.mark.server, pytest.mark.slow]


def test_the_aws_cli_learns_it_from_the_model(server: Running, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    cli = Cli(
        server,
        tmp_path,
        {"AWS_ENDPOINT_URL_AUDITKEEP": server.url, "HOME": str(home)},
        service="auditkeep",
    )
    model = tmp_path / "auditkeep.json"
    model.write_text(auditkeep("model").stdout)
    dataclasses.replace(cli, service="configure")(
        "add-model", "--service-name", "auditkeep", "--service-model", f"file://{model}"
    )
    asked = cli("get-consistency-proof", "--first-size", "999999", check=False)
    told = ("(ValidationException)", "(ResourceNotFoundException)")
    assert any(name in asked.stderr for name in told), asked.stderr
    client = package.client(
        server.url,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )
    got = None
    for _ in range(100):
        try:
            got = client.get_checkpoint()
            break
        except client.exceptions.ResourceNotFoundException:
            time.sleep(0.2)  # what was just refused is on its way into the log
    assert got is not None
    size = str(got["treeSize"])
    shown = json.loads(cli("get-checkpoint", "--tree-size", size).stdout)
    assert shown["note"] == got["note"]
    assert shown["logKey"] == server.log_key
