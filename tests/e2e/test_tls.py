"""A server that speaks TLS: AWS's clients verify it, and sslyze finds nothing to complain of."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import SSLError
from tests.conftest import missing
from tests.e2e.conftest import ACCOUNT, auditkeep, free_port

pytestmark = [pytest.mark.server, pytest.mark.slow]


class Served:
    """A server of its own on loopback, over TLS with a certificate that it made."""

    def __init__(self, data: Path, environment: dict[str, str]) -> None:
        words = ("init", "--data", str(data), "--account", ACCOUNT, "--json")
        self.keys = json.loads(auditkeep(*words).stdout)
        self.certificate = data / "keys" / "tls.pem"
        self.port = free_port()
        command = [sys.executable, "-m", "auditkeep.cli.main", "serve", "--data", str(data)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)],
            env={**os.environ, "AUDITKEEP_TLS": "on", **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.told: list[str] = []
        while not self.told or "serving on" not in self.told[-1]:
            self.told.append(self.process.stderr.readline())
            assert self.told[-1], "the server ended before it served"

    def client(self, verify: str) -> object:
        return boto3.client(
            "auditmanager",
            endpoint_url=f"https://localhost:{self.port}",
            region_name="us-east-1",
            aws_access_key_id=self.keys["accessKeyId"],
            aws_secret_access_key=self.keys["secretAccessKey"],
            verify=verify,
            config=Config(retries={"max_attempts": 0}),
        )


@pytest.fixture(scope="module", params=["any", "approved"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    made = Served(
        tmp_path_factory.mktemp("tls") / "audit", {"AUDITKEEP_CRYPTO": str(request.param)}
    )
    try:
        yield made
    finally:
        made.process.terminate()
        made.process.communicate(timeout=30)


def test_a_client_that_was_given_the_certificate_is_answered(served: Served) -> None:
    assert "nobody vouches" in "".join(served.told)
    assert "nobody has a copy of the master key" in "".join(served.told), "at each start, till then"
    assert f"https://127.0.0.1:{served.port}" in served.told[-1]
    client = served.client(str(served.certificate))
    assert client.get_account_status()["status"] == "ACTIVE"  # type: ignore[attr-defined]


def test_a_client_that_was_not_refuses_it(served: Served) -> None:
    client = boto3.client(
        "auditmanager",
        endpoint_url=f"https://localhost:{served.port}",
        region_name="us-east-1",
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(retries={"max_attempts": 0}),
    )
    with pytest.raises(SSLError):
        client.get_account_status()


def test_answers_say_to_come_back_by_tls(served: Served) -> None:
    import ssl

    context = ssl.create_default_context(cafile=str(served.certificate))
    url = f"https://localhost:{served.port}/health"
    with urllib.request.urlopen(url, context=context, timeout=10) as answer:
        assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_sslyze_finds_nothing_to_complain_of(served: Served, tmp_path: Path) -> None:
    python = Path(sys.prefix) / "sslyze" / "bin" / "python"
    if not python.exists():
        missing("sslyze is not there: make install-dev")
    report = tmp_path / "report.json"
    checks = ("sslv2", "sslv3", "tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3", "compression", "reneg")
    subprocess.run(
        [
            str(python),
            "-W",
            "ignore",
            "-m",
            "sslyze",
            *(f"--{check}" for check in (*checks, "heartbleed", "robot", "fallback")),
            "--openssl_ccs",
            f"--json_out={report}",
            f"127.0.0.1:{served.port}",
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (server,) = json.loads(report.read_text())["server_scan_results"]
    found = {
        name: check["result"]
        for name, check in server["scan_result"].items()
        if check["status"] == "COMPLETED"
    }
    accepted = {
        name.removesuffix("_cipher_suites"): {
            suite["cipher_suite"]["name"] for suite in result["accepted_cipher_suites"]
        }
        for name, result in found.items()
        if name.endswith("_cipher_suites")
    }
    assert all(not accepted[old] for old in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"))
    assert len(accepted["tls_1_3"]) == 3
    assert all(
        "ECDHE" in suite and ("GCM" in suite or "CHACHA20" in suite)
        for suite in accepted["tls_1_2"]
    )
    assert not found["tls_compression"]["supports_compression"]
    assert not found["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"]
    assert not found["heartbleed"]["is_vulnerable_to_heartbleed"]
    assert not found["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"]
    assert found["robot"]["robot_result"].startswith("NOT_VULNERABLE")
    assert found["tls_fallback_scsv"]["supports_fallback_scsv"]
