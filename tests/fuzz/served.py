"""A deployment as its user starts it, asked over a socket with bytes that no client would send.

Bodies go whole or in chunks; a connection is kept until the server ends it.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.conftest import answering, auditkeep, free_port
from tests.fuzz.requests import Wire
from tests.fuzz.running import HOME
from tests.fuzz.signing import signed

from auditkeep.access.credentials import AccessKey
from auditkeep.clock import SystemClock
from auditkeep.wire.messages import Response

TROUBLE = ("Traceback", "ERROR", "CRITICAL", " failed\n")
"""What a log must not hold."""
CHUNKED_EVERY = 5


class Served:
    """A `Target` behind a port."""

    def __init__(self, data: Path, port: int, log: Path) -> None:
        self._data, self._port, self._log = data, port, log
        self._read = 0
        self._sent = 0
        self._link: socket.socket | None = None

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def key(self, account: str, user: str, policy: str) -> AccessKey:
        done = auditkeep(
            *("keys", "create", "--data", str(self._data), "--account", account),
            *("--user", user, "--policy", policy, "--json"),
        )
        made = json.loads(done.stdout)
        return AccessKey(made["accessKeyId"], made["secretAccessKey"], account, user, made["arn"])

    def send(self, key: AccessKey, region: str, wire: Wire) -> Response:
        host = f"127.0.0.1:{self._port}".encode()
        proof = signed(
            *(wire.method, wire.path, wire.query, wire.body),
            key=key,
            now=SystemClock().now(),
            region=region,
            host=host,
        )
        self._sent += 1
        target = wire.path + (b"?" + wire.query if wire.query else b"")
        head = [wire.method.encode() + b" " + target + b" HTTP/1.1"]
        head += [name + b": " + value for name, value in (*proof, *wire.headers)]
        body = wire.body
        if body and self._sent % CHUNKED_EVERY == 0:
            head.append(b"transfer-encoding: chunked")
            parts = [body[at : at + 70_000] for at in range(0, len(body), 70_000)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"
        else:
            head.append(b"content-length: %d" % len(body))
        return self._exchange(wire.method, b"\r\n".join((*head, b"", body)))

    def _exchange(self, method: str, data: bytes) -> Response:
        for again in (True, False):
            link = self._connected()
            with suppress(BrokenPipeError, ConnectionResetError):  # refused before it was whole
                link.sendall(data)
            answer = http.client.HTTPResponse(link, method=method)
            try:
                answer.begin()
                body = answer.read()
            except (http.client.HTTPException, ConnectionError):
                self.close()
                if again:
                    continue  # the server had ended an idle connection
                raise
            if answer.will_close or len(data) > 1_000_000:
                self.close()
            headers = tuple(
                (k.lower().encode(), v.encode("latin-1")) for k, v in answer.getheaders()
            )
            return Response(answer.status, body, headers)
        raise AssertionError("not reached")

    def _connected(self) -> socket.socket:
        if self._link is None:
            self._link = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        return self._link

    def complaints(self) -> list[str]:
        with self._log.open("rb") as file:
            file.seek(self._read)
            text = file.read().decode(errors="replace")
        self._read += len(text.encode())
        return [text] if any(word in text for word in TROUBLE) else []

    def kept(self) -> None:
        """The database belongs to the other process."""

    def upload(self, link: str, content: bytes) -> None:
        url = urlsplit(link)
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}{url.path}?{url.query}", data=content, method="PUT"
        )
        with urllib.request.urlopen(request, timeout=60):
            return

    def pass_time(self, _chance: float) -> None:
        """Time is the real one here."""


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """A fresh deployment below `folder`, served by a process of its own."""
    data, log, port = folder / "data", folder / "serve.log", free_port()
    auditkeep("init", "--data", str(data), "--account", HOME, "--json")
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "auditkeep.cli.main", "serve"),
                *("--data", str(data), "--port", str(port)),
            ],
            env=dict(os.environ),
            stderr=sink,
            stdout=sink,
        )
    target = Served(data, port, log)
    try:
        answering(f"http://127.0.0.1:{port}", process)
        yield target
    finally:
        target.close()
        process.terminate()
        process.wait(timeout=30)
