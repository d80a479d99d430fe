"""Where clients are told to go: every way that docs/clients.md names does what it says there."""

import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import boto3
import pytest
from botocore.config import Config
from tests.clients.commands import Cli
from tests.clients.test_javascript import NODE, node
from tests.e2e.conftest import Running

pytestmark = [pytest.mark.server, pytest.mark.slow]

STATUS = ("get-account-status", "--query", "status", "--output", "text")
VARIANTS = [{}, {"AWS_USE_FIPS_ENDPOINT": "true"}, {"AWS_USE_DUALSTACK_ENDPOINT": "true"}]
CONFIG = """\
[default]
region = us-east-1
services = audit
use_fips_endpoint = {fips}

[services audit]
auditmanager =
  endpoint_url = {url}
"""
SCRIPT = """\
import * as sdk from "@aws-sdk/client-auditmanager";
const options = JSON.parse(process.argv[1]);
const client = new sdk.AuditManagerClient({ maxAttempts: 1, ...options });
try {
  console.log((await client.send(new sdk.GetAccountStatusCommand({}))).status);
} catch (error) {
  console.log(error.message);
}
"""


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_aws_cli_goes_where_it_is_told_whatever_the_variant(
    server: Running, tmp_path: Path, variant: dict[str, str]
) -> None:
    aws = Cli(server, tmp_path, variant)
    assert aws(*STATUS, "--endpoint-url", server.url).stdout.strip() == "ACTIVE"
    assert aws(*STATUS, AWS_ENDPOINT_URL=server.url).stdout.strip() == "ACTIVE"
    assert aws(*STATUS, AWS_ENDPOINT_URL_AUDITMANAGER=server.url).stdout.strip() == "ACTIVE"


@pytest.mark.parametrize("fips", ["false", "true"])
def test_a_services_section_serves_the_aws_cli(server: Running, tmp_path: Path, fips: str) -> None:
    (tmp_path / "config").write_text(CONFIG.format(url=server.url, fips=fips))
    assert Cli(server, tmp_path)(*STATUS).stdout.strip() == "ACTIVE"


def test_the_closer_setting_wins(server: Running, tmp_path: Path) -> None:
    aws = Cli(server, tmp_path, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    assert aws(*STATUS, AWS_ENDPOINT_URL_AUDITMANAGER=server.url).stdout.strip() == "ACTIVE"
    (tmp_path / "config").write_text(CONFIG.format(url="http://127.0.0.1:9", fips="false"))
    assert aws(*STATUS, AWS_ENDPOINT_URL_AUDITMANAGER=server.url).stdout.strip() == "ACTIVE"
    assert aws(*STATUS, "--endpoint-url", server.url).stdout.strip() == "ACTIVE"


@pytest.mark.parametrize(
    "variant", [{}, {"use_fips_endpoint": True}, {"use_dualstack_endpoint": True}]
)
def test_boto3_goes_where_it_is_told_whatever_the_variant(
    server: Running, variant: dict[str, bool]
) -> None:
    session = boto3.Session(server.access_key, server.secret_key, region_name="us-east-1")
    named = session.client("auditmanager", endpoint_url=server.url, config=Config(**variant))
    assert named.get_account_status()["status"] == "ACTIVE"
    with mock.patch.dict(os.environ, {"AWS_ENDPOINT_URL_AUDITMANAGER": server.url}):
        found = session.client("auditmanager", config=Config(**variant))
        assert found.get_account_status()["status"] == "ACTIVE"


def javascript(server: Running, options: str = "{}", **environment: str) -> str:
    done = subprocess.run(
        [node(), "--input-type=module", "-e", SCRIPT, options],
        cwd=NODE,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_REGION": "us-east-1",
            **environment,
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_the_javascript_sdk_goes_where_it_is_told(server: Running, tmp_path: Path) -> None:
    assert javascript(server, f'{{"endpoint": "{server.url}"}}') == "ACTIVE"
    assert javascript(server, AWS_ENDPOINT_URL=server.url) == "ACTIVE"
    assert javascript(server, AWS_ENDPOINT_URL_AUDITMANAGER=server.url) == "ACTIVE"
    (tmp_path / "config").write_text(CONFIG.format(url=server.url, fips="false"))
    assert javascript(server, AWS_CONFIG_FILE=str(tmp_path / "config")) == "ACTIVE"


@pytest.mark.parametrize(
    ("name", "words"),
    [("AWS_USE_FIPS_ENDPOINT", "FIPS"), ("AWS_USE_DUALSTACK_ENDPOINT", "Dualstack")],
)
def test_the_javascript_sdk_refuses_a_variant_beside_an_endpoint_of_one_s_own(
    server: Running, name: str, words: str
) -> None:
    told = javascript(server, AWS_ENDPOINT_URL=server.url, **{name: "true"})
    assert told == f"Invalid Configuration: {words} and custom endpoint are not supported"
