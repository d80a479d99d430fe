"""Signing in as users do: the profiles of docs/credentials.md, with the AWS CLI and boto3 as they are.

AWS is moto's STS behind a front that checks presigned requests as AWS does and moto does not; the
OpenID issuer is a real one from npm. All run on free ports of this machine.
"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.conftest import ROOT, missing
from tests.e2e.conftest import ACCOUNT, Running, auditkeep, free_port, running_at

from auditkeep.access.remembered import TTL
from auditkeep.clock import SECOND, SystemClock
from auditkeep.errors import NotAuthenticated
from auditkeep.wire import sigv4
from auditkeep.wire.messages import Request

pytestmark = [pytest.mark.server, pytest.mark.slow]

AUDITOR = f"arn:aws:iam::{ACCOUNT}:role/Auditor"
CI = f"arn:aws:iam::{ACCOUNT}:role/Ci"
WORK = "arn:aws:iam::123456789012:role/Work-1"
"""A role of the account that moto plays."""


@dataclass
class Place:
    """A server, an AWS and an issuer, and one user's home directory."""

    server: Running
    cloud: "Aws"
    issuer: str
    home: Path

    def environment(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        return {
            **kept,
            "HOME": str(self.home),
            "AWS_CONFIG_FILE": str(self.home / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.home / "credentials"),
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
            "AWS_EC2_METADATA_DISABLED": "true",
            **more,
        }

    def config(self, number: int, *more: str) -> None:
        """The page's profiles: its first block, and block `number` in place of its first profile."""
        blocks = re.findall(
            r"```ini\n(.*?)```", (ROOT / "docs/credentials.md").read_text(), re.DOTALL
        )
        text = blocks[0] if number == 0 else blocks[number] + blocks[0][blocks[0].index("[profile auditkeep-key]"):]  # fmt: skip
        text = text.replace("https://audit.example.com", self.server.url)
        text = text.replace("= auditkeep ", f"= {sys.executable} -m auditkeep.cli.main ")
        text = text.replace("/var/run/secrets/tokens/auditkeep", str(self.home / "token"))
        text = text.replace(
            "--aws-profile work", f"--aws-profile work --aws-sts {self.cloud.front}"
        )
        (self.home / "config").write_text("\n".join((text, *more)))

    def aws(self, *words: str, check: bool = True, **environment: str) -> Any:
        done = subprocess.run(
            [str(Path(sys.executable).parent / "aws"), *words, "--output", "json"],
            capture_output=True, text=True, timeout=120, check=False,
            env=self.environment(**environment),
        )  # fmt: skip
        if not check:
            return done
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def token(self, algorithm: str = "RS256", client: str = "ci") -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": client,
            "client_secret": "not-a-secret",
            "resource": f"urn:auditkeep:{algorithm}",
        }
        body = urllib.parse.urlencode(form).encode()
        with urllib.request.urlopen(f"{self.issuer}/token", body, timeout=10) as answer:
            made: str = json.load(answer)["access_token"]
        return made


@contextmanager
def issuing() -> Iterator[str]:
    """The issuer of tests/node, as long as it is needed."""
    node = shutil.which("node") or shutil.which("node", path=str(Path(sys.executable).parent))
    if node is None or not (ROOT / "tests/node/node_modules/oidc-provider").exists():
        missing("Node or its packages are not installed: make install-dev")
    process = subprocess.Popen(
        [str(node), str(ROOT / "tests/node/issuer.mjs")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["issuer"]
    finally:
        process.communicate(timeout=30)


@dataclass
class Aws:
    """moto's STS for signed requests, and a front of it for presigned ones."""

    moto: str
    front: str
    secrets: dict[str, str]
    """Of the access keys that moto gave out, which it does not check itself."""

    def assume(self) -> dict[str, Any]:
        client = boto3.client(
            "sts", endpoint_url=self.moto, region_name="us-east-1",
            aws_access_key_id="testing", aws_secret_access_key="testing",
        )  # fmt: skip
        made: dict[str, Any] = client.assume_role(RoleArn=WORK, RoleSessionName="laptop")
        found: dict[str, Any] = made["Credentials"]
        self.secrets[found["AccessKeyId"]] = found["SecretAccessKey"]
        return found

    def answer(self, path: str, headers: list[tuple[str, str]]) -> tuple[int, bytes]:
        """What AWS says to a presigned GetCallerIdentity."""
        sent = tuple((k.lower().encode(), v.encode()) for k, v in headers)
        route, _, query = path.partition("?")
        request = Request("GET", route.encode(), query.encode(), sent)
        try:
            signed = sigv4.parse(request)
            secret = self.secrets[signed.access_key_id]
            sigv4.Verifier().verify(request, signed, secret, "sts", SystemClock().now())
        except (NotAuthenticated, KeyError):
            return 403, b"<ErrorResponse/>"
        scope = f"{signed.access_key_id}/{signed.date}/{signed.region}/sts/aws4_request"
        asked = urllib.request.Request(
            self.moto,
            urllib.parse.urlencode(
                {"Action": "GetCallerIdentity", "Version": "2011-06-15"}
            ).encode(),
            {
                "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
            },
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return 200, answer.read()


@contextmanager
def playing_aws() -> Iterator[Aws]:
    """moto's server in a process of its own, and its front on a thread of this one."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    aws = Aws(f"http://127.0.0.1:{port}", "", {})

    class Front(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = aws.answer(self.path, self.headers.items())
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    front = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    aws.front = f"http://127.0.0.1:{front.server_address[1]}"
    thread = threading.Thread(target=front.serve_forever, daemon=True)
    thread.start()
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{aws.moto}/moto-api/", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield aws
    finally:
        front.shutdown()
        front.server_close()
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Aws, str]]:
    port, data = free_port(), tmp_path_factory.mktemp("served") / "audit"
    with issuing() as issuer, playing_aws() as aws:
        settings = {
            "AUDITKEEP_EXTERNAL_URL": f"http://127.0.0.1:{port}",
            "AUDITKEEP_AWS_STS_ENDPOINT": aws.front,
        }
        with running_at(port, data, settings) as server:
            put = ("--data", str(data), "--account", ACCOUNT, "--policy")
            auditkeep(
                "roles", "put", "Auditor", *put, "AuditkeepReadOnly",
                "--principal", f"arn:aws:iam::{ACCOUNT}:user/alice",
                "--aws", "arn:aws:iam::123456789012:role/Work-*",
            )  # fmt: skip
            auditkeep(
                "roles", "put", "Ci", *put, "AuditkeepReadOnly",
                "--oidc", issuer, "--audience", "auditkeep", "--subject", "ci",
            )  # fmt: skip
            yield server, aws, issuer


@pytest.fixture
def place(parts: tuple[Running, Aws, str], tmp_path: Path) -> Place:
    return Place(*parts, tmp_path)


@pytest.fixture
def alice(place: Place) -> dict[str, str]:
    """A user's access key, in the credentials file where the page says."""
    made = json.loads(
        auditkeep(
            "keys", "create", "--data", str(place.server.data), "--account", ACCOUNT,
            "--user", "alice", "--policy", "AuditkeepReadOnly", "--json",
        ).stdout
    )  # fmt: skip
    (place.home / "credentials").write_text(
        "[auditkeep-key]\n"
        f"aws_access_key_id = {made['accessKeyId']}\n"
        f"aws_secret_access_key = {made['secretAccessKey']}\n"
    )
    return {"key": made["accessKeyId"], "secret": made["secretAccessKey"]}


def work(place: Place) -> str:
    """A profile with credentials that AWS, as moto plays it, gave out for a role."""
    made = place.cloud.assume()
    return (
        "[profile work]\nregion = us-east-1\n"
        f"aws_access_key_id = {made['AccessKeyId']}\n"
        f"aws_secret_access_key = {made['SecretAccessKey']}\n"
        f"aws_session_token = {made['SessionToken']}\n"
    )


def test_the_cli_says_who_a_key_holder_is(place: Place, alice: dict[str, str]) -> None:
    place.config(0)
    me = place.aws(
        "sts", "get-caller-identity", "--profile", "auditkeep-key",
        "--endpoint-url", place.server.url,
    )  # fmt: skip
    assert me["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/alice"
    made = place.aws(
        "sts", "assume-role", "--profile", "auditkeep-key", "--endpoint-url", place.server.url,
        "--role-arn", AUDITOR, "--role-session-name", "alice",
    )  # fmt: skip
    assert made["AssumedRoleUser"]["Arn"].endswith(":assumed-role/Auditor/alice")


def test_a_profile_with_a_role_takes_it_by_itself(place: Place, alice: dict[str, str]) -> None:
    place.config(0)
    me = place.aws("sts", "get-caller-identity", "--profile", "auditkeep")
    assert me["Arn"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/Auditor/")
    assert place.aws("auditmanager", "get-account-status", "--profile", "auditkeep") == {
        "status": "ACTIVE"
    }


def test_boto3_takes_the_role_of_a_profile_too(
    place: Place, alice: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place.config(0)
    for name, value in place.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    session = boto3.Session(profile_name="auditkeep")
    assert session.client("auditmanager").get_account_status()["status"] == "ACTIVE"
    assert session.client("sts").get_caller_identity()["Account"] == ACCOUNT
    assert session.get_credentials().method == "assume-role"


def test_aws_credentials_sign_in_by_credential_process(place: Place) -> None:
    place.config(1, work(place))
    me = place.aws("sts", "get-caller-identity", "--profile", "auditkeep")
    assert me["Arn"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/Auditor/")
    place.aws("auditmanager", "get-account-status", "--profile", "auditkeep")
    found = auditkeep("sessions", "list", "--data", str(place.server.data), "--json").stdout
    origins = {s["takenBy"] for s in json.loads(found)["sessions"]}
    assert "arn:aws:sts::123456789012:assumed-role/Work-1/laptop" in origins


def test_a_proof_for_another_server_is_refused_by_aws(place: Place) -> None:
    place.config(1, work(place))
    words = ("--aws-profile", "work", "--aws-sts", place.cloud.front)
    auditor = ("credentials", "--endpoint", place.server.url, "--role", AUDITOR)
    environment = place.environment()
    assert auditkeep(*auditor, *words, environment=environment).returncode == 0
    done = auditkeep(
        *auditor, *words, "--server-name", "evil.example.com", check=False, environment=environment
    )
    assert "AWS does not confirm the proof" in done.stderr


def test_a_profile_that_would_call_itself_is_stopped(place: Place) -> None:
    place.config(1, work(place))
    config = place.home / "config"
    config.write_text(config.read_text().replace(" --aws-profile work", ""))
    done = place.aws("sts", "get-caller-identity", check=False, AWS_PROFILE="auditkeep")
    assert done.returncode != 0
    assert "--aws-profile" in done.stderr


@pytest.mark.parametrize("number", [2, 3])
def test_an_openid_token_signs_in(place: Place, number: int) -> None:
    place.config(2)
    if number == 3:
        head = "[profile auditkeep]\nregion = us-east-1\nservices = auditkeep\n"
        text = (ROOT / "docs/credentials.md").read_text()
        line = re.findall(r"```ini\n(credential_process = .*?)```", text, re.DOTALL)[0]
        line = line.replace("https://audit.example.com", place.server.url)
        line = line.replace("= auditkeep ", f"= {sys.executable} -m auditkeep.cli.main ")
        line = line.replace("/var/run/secrets/tokens/auditkeep", str(place.home / "token"))
        rest = (place.home / "config").read_text()
        (place.home / "config").write_text(
            head + line + rest[rest.index("[profile auditkeep-key]") :]
        )
    (place.home / "token").write_text(place.token())
    me = place.aws("sts", "get-caller-identity", "--profile", "auditkeep")
    assert me["Arn"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/Ci/")
    place.aws("auditmanager", "get-account-status", "--profile", "auditkeep")


def take(place: Place, token: str) -> Any:
    from botocore import UNSIGNED
    from botocore.config import Config

    client = boto3.client(
        "sts", endpoint_url=place.server.url, region_name="us-east-1",
        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}),
    )  # fmt: skip
    return client.assume_role_with_web_identity(
        RoleArn=CI, RoleSessionName="run", WebIdentityToken=token
    )


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_real_issuers_tokens_are_believed(place: Place, algorithm: str) -> None:
    answer = take(place, place.token(algorithm))
    assert answer["SubjectFromWebIdentityToken"] == "ci"
    assert answer["Provider"] == place.issuer


def test_another_client_of_the_same_issuer_is_not_let_in(place: Place) -> None:
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError, match="Not authorized"):
        take(place, place.token(client="other"))
    with pytest.raises(ClientError, match="signature"):
        take(place, place.token()[:-8] + "AAAAAAAA")


def test_a_revoked_session_is_refused_by_the_running_server(place: Place) -> None:
    from botocore.exceptions import ClientError

    made = take(place, place.token())["Credentials"]
    client = boto3.client(
        "auditmanager", endpoint_url=place.server.url, region_name="us-east-1",
        aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"],
        aws_session_token=made["SessionToken"],
    )  # fmt: skip
    client.get_account_status()
    data = ("--data", str(place.server.data))
    assert made["AccessKeyId"] in auditkeep("sessions", "list", *data, "--json").stdout
    auditkeep("sessions", "revoke", made["AccessKeyId"], *data)
    assert made["AccessKeyId"] not in auditkeep("sessions", "list", *data, "--json").stdout
    assert "revoked" in auditkeep("sessions", "list", "--ended", *data, "--json").stdout
    time.sleep(TTL / SECOND + 0.5)
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        client.get_account_status()
    assert auditkeep("sessions", "revoke", made["AccessKeyId"], *data, check=False).returncode == 1


def credentials(place: Place, *words: str, check: bool = True, **environment: str) -> Any:
    return auditkeep(
        "credentials", "--endpoint", place.server.url, "--role", CI, *words,
        check=check, environment=place.environment(**environment),
    )  # fmt: skip


def test_the_process_prints_what_clients_read_and_keeps_it_for_its_owner(place: Place) -> None:
    token = place.home / "token"
    token.write_text(place.token())
    kept = place.home / "cache"
    words = ("--web-identity-token-file", str(token), "--cache", str(kept))
    first = json.loads(credentials(place, *words).stdout)
    assert first["Version"] == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["Expiration"])
    [file] = kept.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    token.write_text("no longer needed")
    assert json.loads(credentials(place, *words).stdout) == first
    file.chmod(0o644)
    done = credentials(place, *words, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "InvalidIdentityToken" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--web-identity-token-file", "/nowhere/token"), "cannot be read"),
        (("--from", "web-identity"), "--web-identity-token-file"),
        (("--aws-profile", "nobody"), "nobody"),
        ((), "No AWS credentials"),
    ],
)
def test_what_stands_in_the_way_is_said_in_one_sentence(
    place: Place, words: tuple[str, ...], said: str
) -> None:
    done = credentials(place, *words, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_proof_is_never_sent_in_clear(place: Place) -> None:
    done = auditkeep(
        "credentials", "--endpoint", "http://audit.example.com", "--role", CI, check=False
    )
    assert done.returncode == 1
    assert "https" in done.stderr
