"""A signed, validated GetAssessment beside a bare signed handler; and what an idle server costs.

All handlers live in one server process (`bench.api_server`), are asked over kept-open connections
by the same client, in turns, and answer bodies of the same size. The second figure is beside a
signed handler that does the same reads with the raw driver. Requests are signed before the clock
starts; the notes tell the server's processor time, which neighbours on the machine disturb less.
The idle figures are of `auditkeep serve` itself.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import botocore.session
from bench.result import Result
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

ACCOUNT = "111122223333"
CONNECTIONS = 16
TURNS = 3
SECONDS = 4.0
TARGETS = {"bare": 0.50, "read": 0.60}
"""Of a bare signed handler; and of one that does the same reads with the raw driver."""
IDLE_MB = 250.0
FIRST_ANSWER_SECONDS = 3.0


def run(scale: float) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "audit"
        keys = json.loads(_auditkeep("init", "--data", str(data), "--account", ACCOUNT, "--json"))
        first, idle = _idle(data)
        return [*_assessments(data, keys, scale), first, idle]


def _idle(data: Path) -> tuple[Result, Result]:
    started = time.perf_counter()
    with _process("auditkeep.cli.main", "serve", "--data", str(data), "--port") as (url, process):
        seconds = time.perf_counter() - started
        time.sleep(3)
        memory = _resident_mb(process.pid)
        urllib.request.urlopen(f"{url}/health").close()
    return (
        Result(
            "serve: from start to first answer", seconds, None, None,
            f"≤ {FIRST_ANSWER_SECONDS:.0f} s", "s", seconds <= FIRST_ANSWER_SECONDS,
        ),
        Result(
            "serve: idle memory", memory, None, None, f"≤ {IDLE_MB:.0f} MB", "MB", memory <= IDLE_MB
        ),
    )  # fmt: skip


def _assessments(data: Path, keys: dict[str, str], scale: float) -> Iterator[Result]:
    with _process("bench.api_server", str(data), after=["100"]) as (url, _):
        made = [_make_assessment(url, keys, name) for name in ("small", "large")]
    for assessment, size in made:
        with _process("bench.api_server", str(data), after=[str(size)]) as (url, process):
            requests = {
                "ours": _signed(url, f"/assessments/{assessment}", keys),
                "bare": _signed(url, f"/bare/{assessment}", keys),
                "read": _signed(url, f"/read/{assessment}", keys),
            }
            best: dict[str, _Rate] = {}
            for _ in range(TURNS):
                for name, request in requests.items():
                    rate = _measure(url, request, process.pid, max(0.5, SECONDS * scale))
                    best[name] = max(best.get(name, rate), rate)
        for name, beside in (("bare", "a bare signed handler"), ("read", "the same reads, raw")):
            ours, other = best["ours"], best[name]
            ratio = ours.answers / other.answers
            yield Result(
                f"GetAssessment ({size / 1000:.0f} kB) beside {beside}",
                ours.answers, other.answers, ratio, f"≥ {TARGETS[name]:.2f} ×", "requests/s",
                ratio >= TARGETS[name],
                f"processor: {ours.processor:.0f} against {other.processor:.0f} µs, "
                f"{other.processor / ours.processor:.2f} ×",
            )  # fmt: skip


class _Rate(NamedTuple):
    answers: float
    """A second."""
    processor: float
    """Microseconds of the server for each."""


def _measure(url: str, request: bytes, pid: int, seconds: float) -> _Rate:
    before = _processor(pid)
    answers, elapsed = asyncio.run(_load(url, request, seconds))
    return _Rate(answers / elapsed, (_processor(pid) - before) / answers * 1e6)


def _processor(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _make_assessment(url: str, keys: dict[str, str], name: str) -> tuple[str, int]:
    """An assessment, and the size of the answer that shows it."""
    client = botocore.session.get_session().create_client(
        "auditmanager",
        region_name=keys["region"],
        aws_access_key_id=keys["accessKeyId"],
        aws_secret_access_key=keys["secretAccessKey"],
        endpoint_url=url,
        config=Config(retries={"max_attempts": 0}),
    )
    client.register_account()
    shipped = client.list_assessment_frameworks(frameworkType="Standard")["frameworkMetadataList"]
    shipped.sort(key=lambda f: f["controlsCount"])
    chosen = shipped[0 if name == "small" else -1]
    made = client.create_assessment(
        name=name,
        frameworkId=chosen["id"],
        assessmentReportsDestination={"destinationType": "S3", "destination": "s3://reports"},
        scope={"awsAccounts": [{"id": ACCOUNT}]},
        roles=[{"roleType": "PROCESS_OWNER", "roleArn": keys["arn"]}],
    )["assessment"]["metadata"]["id"]
    answer = _ask(url, _signed(url, f"/assessments/{made}", keys))
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"GetAssessment failed: {answer[:300]!r}")
    return made, len(body)


def _signed(url: str, path: str, keys: dict[str, str]) -> bytes:
    request = AWSRequest("GET", url + path)
    who = Credentials(keys["accessKeyId"], keys["secretAccessKey"])
    SigV4Auth(who, "auditmanager", keys["region"]).add_auth(request)
    host = url.removeprefix("http://")
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        *(f"{k}: {v}" for k, v in request.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _ask(url: str, request: bytes) -> bytes:
    host, _, port = url.removeprefix("http://").partition(":")
    closing = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with socket.create_connection((host, int(port))) as link:
        link.sendall(closing)
        parts = []
        while part := link.recv(1 << 20):
            parts.append(part)
    return b"".join(parts)


class _Asking(asyncio.Protocol):
    """One connection that asks again as soon as it was answered."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._buffer = bytearray()
        self._missing = 0
        self.answered = 0
        self.failed = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._buffer += data
            head, mark, body = bytes(self._buffer).partition(b"\r\n\r\n")
            if not mark:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self.failed = head + body
                self._transport.close()
                return
            length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
            self._missing = int(length) - len(body)
            self._buffer.clear()
        if self._missing == 0:
            self.answered += 1
            self._transport.write(self._request)


async def _load(url: str, request: bytes, seconds: float) -> tuple[int, float]:
    """Answers over CONNECTIONS kept open, and the seconds they took."""
    host, _, port = url.removeprefix("http://").partition(":")
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    links = [
        await loop.create_connection(lambda: _Asking(request), host, int(port))
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(seconds)
    answered = sum(asking.answered for _, asking in links)
    elapsed = time.perf_counter() - started
    for transport, asking in links:
        transport.close()
        if asking.failed:
            raise SystemExit(f"a request failed: {asking.failed[:300]!r}")
    return answered, elapsed


@contextmanager
def _process(module: str, *words: str, after: list[str] | None = None) -> Iterator[tuple[str, Any]]:
    """A server process that answers, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", module, *words, str(port), *(after or [])]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stderr=said)
        url = f"http://127.0.0.1:{port}"
        try:
            _wait(url, process)
            yield url, process
        finally:
            ended = process.poll()
            process.terminate()
            process.wait(timeout=30)
            if ended is not None:  # it was not we who ended it
                said.seek(0)
                told = said.read()[-4_000:].decode(errors="replace")
                sys.stderr.write(f"the server ended with {ended}:\n{told}\n")


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            urllib.request.urlopen(f"{url}/health").close()
        except (urllib.error.URLError, ConnectionError):
            if process.poll() is not None:
                raise SystemExit("the server ended before it answered") from None
            time.sleep(0.01)
        else:
            return


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("the kernel does not tell what memory the server holds")


def _auditkeep(*words: str) -> str:
    command = [sys.executable, "-m", "auditkeep.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
