"""Those outside who vouch for checkpoints, on this machine: a witness, and a TSA made of `openssl ts`."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import uvicorn
from tests.conftest import missing
from tests.receivers import Certificate

from auditkeep.clock import Clock, SystemClock
from auditkeep.witness.served import Witness
from auditkeep.witness.state import State

_CONFIG = """\
[ req ]
distinguished_name = dn
prompt = no
[ dn ]
CN = Auditkeep test {role}
[ ca ]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
[ signer ]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[ tsa ]
default_tsa = here
[ here ]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
certs = {folder}/ca.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
"""


@dataclass
class Tsa:
    """A timestamp authority in a folder: its own CA, a signer, and what it was asked."""

    folder: Path
    url: str = ""
    asked: list[bytes] = field(default_factory=list)
    broken: str = ""
    """"down": answers 503; "garbage": answers nonsense."""

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @classmethod
    def make(cls, folder: Path) -> "Tsa":
        if shutil.which("openssl") is None:
            missing("openssl is not installed")
        folder.mkdir()
        (folder / "serial").write_text("01\n")
        for role in ("ca", "tsa"):
            text = _CONFIG.format(role=role, folder=folder)
            (folder / f"{role}.cnf").write_text(text)
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        _openssl("req", "-x509", "-days", "30", *key, "-config", "ca.cnf", "-extensions", "ca",
                 "-keyout", "ca.key", "-out", "ca.pem", at=folder)  # fmt: skip
        _openssl("req", *key, "-config", "tsa.cnf", "-keyout", "tsa.key", "-out", "tsa.csr",
                 at=folder)  # fmt: skip
        _openssl("x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days",
                 "30", "-extfile", "tsa.cnf", "-extensions", "signer", "-out", "tsa.pem",
                 at=folder)  # fmt: skip
        return cls(folder)

    def reply(self, query: bytes) -> bytes:
        (self.folder / "query.tsq").write_bytes(query)
        _openssl("ts", "-reply", "-config", "tsa.cnf", "-section", "here", "-queryfile", "query.tsq",
                 "-out", "reply.tsr", at=self.folder)  # fmt: skip
        return (self.folder / "reply.tsr").read_bytes()


def _openssl(*words: str, at: Path) -> None:
    done = subprocess.run(["openssl", *words], cwd=at, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def tsa(folder: Path) -> Iterator[Tsa]:
    """The authority, answering on a free port."""
    made = Tsa.make(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.asked.append(body)
            answer = b"nonsense" if made.broken == "garbage" else made.reply(body)
            self.send_response(503 if made.broken == "down" else 200)
            self.send_header("content-type", "application/timestamp-reply")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing: pytest's output is for what fails."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class RunningWitness:
    """A witness that answers."""

    url: str
    state: State

    @property
    def vkey(self) -> str:
        return self.state.key.vkey


@contextmanager
def witness(
    folder: Path,
    *logs: str,
    clock: Clock | None = None,
    tls: Certificate | None = None,
    port: int = 0,
) -> Iterator[RunningWitness]:
    """A witness in `folder`, made if there is none, that watches the logs of these keys."""
    if not folder.exists():
        State.create(folder, f"{folder.name}.example.org")
    state = State(folder)
    for vkey in logs:
        state.watch(vkey)
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    config = uvicorn.Config(
        Witness(state, clock or SystemClock()),
        log_level="error",
        lifespan="off",
        ssl_certfile=tls.file if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    while not server.started:
        time.sleep(0.005)
    scheme, host = ("https", "localhost") if tls else ("http", "127.0.0.1")
    try:
        yield RunningWitness(f"{scheme}://{host}:{bound.getsockname()[1]}/", state)
    finally:
        server.should_exit = True
        thread.join()
        bound.close()
        state.close()
