"""Whoever takes what is sent: a web server and a mail relay on this machine, and their certificates.

Both misbehave when told to. The web server answers each request with the next of its `answers`
(200 once they run out); a float instead of a status keeps it silent for so many seconds.
"""

import contextlib
import datetime as dt
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """A certificate for `localhost` that signs itself: its own authority."""

    file: Path
    key: Path

    @property
    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context


def certificate(folder: Path, name: str = "localhost") -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    certificate.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    certificate.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate


@dataclass(frozen=True)
class Posted:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebServer:
    port: int = 0
    scheme: str = "http"
    host: str = "127.0.0.1"
    answers: list[int | float] = field(default_factory=list)
    posted: list[Posted] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}/hook"

    def wait(self, count: int, seconds: float = 20) -> list[Posted]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.posted) >= count, seconds), self.posted
            return list(self.posted)


@contextlib.contextmanager
def web_server(tls: Certificate | None = None, port: int = 0) -> Iterator[WebServer]:
    received = WebServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {k.lower(): v for k, v in self.headers.items()}
            with received.changed:
                received.posted.append(Posted(self.path, headers, body))
                answer = received.answers.pop(0) if received.answers else 200
                received.changed.notify_all()
            if isinstance(answer, float):
                self._trickle(answer)
                return
            self.send_response(answer)
            if 300 <= answer < 400:
                self.send_header("location", "http://169.254.169.254/latest/meta-data/")
            self.end_headers()

        def _trickle(self, seconds: float) -> None:
            """Send a header that never ends, a byte now and then."""
            with contextlib.suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
                for _ in range(int(seconds * 10)):
                    if received.ended.wait(0.1):
                        return
                    self.wfile.write(b"x")
                    self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that left
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.context.wrap_socket(server.socket, server_side=True)
        received.scheme, received.host = "https", "localhost"
    received.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield received
    finally:
        received.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class MailRelay:
    port: int = 0
    refuses: dict[str, str] = field(default_factory=dict)
    """Answers to RCPT TO, by address."""
    mails: list[tuple[EmailMessage, str, bool]] = field(default_factory=list)
    """Each with its recipient, and whether it came over TLS."""
    logins: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, count: int, seconds: float = 20) -> list[tuple[EmailMessage, str, bool]]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.mails) >= count, seconds), self.mails
            return list(self.mails)


@contextlib.contextmanager
def mail_relay(tls: Certificate | None = None, password: str = "") -> Iterator[MailRelay]:
    """A relay; with a certificate it demands STARTTLS, with a password a login as `auditkeep`."""
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult, LoginPassword

    relay = MailRelay()

    class Handler:
        async def handle_RCPT(  # noqa: N802  # the name that aiosmtpd calls
            self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
        ) -> str:
            if address in relay.refuses:
                return relay.refuses[address]
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(  # noqa: N802
            self, _server: Any, session: Any, envelope: Any
        ) -> str:
            mail = message_from_bytes(envelope.content, policy=default)
            assert isinstance(mail, EmailMessage)
            with relay.changed:
                relay.mails += [(mail, to, session.ssl is not None) for to in envelope.rcpt_tos]
                relay.changed.notify_all()
            return "250 OK"

    def login(
        _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        relay.logins.append(data.login.decode())
        fits = (data.login, data.password) == (b"auditkeep", password.encode())
        return AuthResult(success=fits, handled=False)

    controller = Controller(
        Handler(),
        hostname="127.0.0.1",
        port=0,
        tls_context=None if tls is None else tls.context,
        require_starttls=tls is not None,
        auth_required=bool(password),
        auth_require_tls=tls is not None,
        authenticator=login if password else None,
    )
    # the controller connects to the port it was asked for, which 0 is not
    with contextlib.closing(_free()) as probe:
        controller.port = probe.getsockname()[1]
    controller.start()
    relay.port = controller.port
    try:
        yield relay
    finally:
        controller.stop()


def _free() -> Any:
    import socket

    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    return probe
