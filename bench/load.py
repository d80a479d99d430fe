"""Servers to ask, requests signed before the clock starts, and many clients that ask at once."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

CONNECTIONS = 32


class Rate(NamedTuple):
    """How a server answered one request, asked over and over by CONNECTIONS clients."""

    answers: float
    """A second."""
    processor: float
    """Microseconds of the server for each."""
    median: float
    """Seconds from request to answer."""
    p99: float


def measure(url: str, requests: Sequence[bytes], pid: int, seconds: float) -> Rate:
    """Ask one of the requests by each connection in turn, for a while."""
    before = _processor(pid)
    times, elapsed = asyncio.run(_load(url, requests, seconds))
    times.sort()
    count = len(times)
    spent = (_processor(pid) - before) / count * 1e6
    return Rate(count / elapsed, spent, times[count // 2], times[count * 99 // 100])


def signed(
    url: str, path: str, keys: dict[str, str], method: str = "GET", body: bytes = b""
) -> bytes:
    """A request as it goes over the wire."""
    headers = {"Content-Type": "application/json"} if body else {}
    request = AWSRequest(method, url + path, data=body, headers=headers)
    who = Credentials(keys["accessKeyId"], keys["secretAccessKey"])
    SigV4Auth(who, "auditmanager", keys["region"]).add_auth(request)
    host = url.removeprefix("http://")
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host}",
        *(f"{k}: {v}" for k, v in request.headers.items()),
        *([f"Content-Length: {len(body)}"] if body else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def ask(url: str, request: bytes) -> bytes:
    """The body of the answer to one request; SystemExit for any but 200."""
    host, _, port = url.removeprefix("http://").partition(":")
    closing = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    with socket.create_connection((host, int(port))) as link:
        link.sendall(closing)
        parts = []
        while part := link.recv(1 << 20):
            parts.append(part)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"a request failed: {head[:300]!r} {body[:300]!r}")
    return body


class _Asking(asyncio.Protocol):
    """One connection that asks again as soon as it was answered."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._buffer = bytearray()
        self._missing = 0
        self._asked = 0.0
        self.times: list[float] = []
        self.failed = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(self._request)

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
            self.times.append(time.perf_counter() - self._asked)
            self._ask()


async def _load(url: str, requests: Sequence[bytes], seconds: float) -> tuple[list[float], float]:
    """The time each answer took over CONNECTIONS kept open, and the seconds that passed."""
    host, _, port = url.removeprefix("http://").partition(":")
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    links = [
        await loop.create_connection(partial(_Asking, request), host, int(port))
        for request in islice(cycle(requests), CONNECTIONS)
    ]
    await asyncio.sleep(seconds)
    times = [one for _, asking in links for one in asking.times]
    elapsed = time.perf_counter() - started
    for transport, asking in links:
        transport.close()
        if asking.failed:
            raise SystemExit(f"a request failed: {asking.failed[:300]!r}")
    return times, elapsed


@contextmanager
def process(module: str, *words: str, after: Sequence[str] = ()) -> Iterator[tuple[str, Any]]:
    """A server process that answers, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", module, *words, str(port), *after]
    with tempfile.TemporaryFile() as said:
        running = subprocess.Popen(command, stderr=said)
        url = f"http://127.0.0.1:{port}"
        try:
            _wait(url, running)
            yield url, running
        finally:
            ended = running.poll()
            running.terminate()
            running.wait(timeout=30)
            if ended is not None:  # it was not we who ended it
                said.seek(0)
                told = said.read()[-4_000:].decode(errors="replace")
                sys.stderr.write(f"the server ended with {ended}:\n{told}\n")


def _wait(url: str, running: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            urllib.request.urlopen(f"{url}/health").close()
        except (urllib.error.URLError, ConnectionError):
            if running.poll() is not None:
                raise SystemExit("the server ended before it answered") from None
            time.sleep(0.01)
        else:
            return


def _processor(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("the kernel does not tell what memory the server holds")


def auditkeep(*words: str) -> str:
    command = [sys.executable, "-m", "auditkeep.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
