"""Asking others: bounded in time and size, and never led elsewhere."""

import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from auditkeep.errors import IssuerSilent
from auditkeep.operations.sts.fetching import LARGEST, Fetcher

pytestmark = pytest.mark.server


class Strange(BaseHTTPRequestHandler):
    """A server that answers each path in its own way."""

    seen: list[str] = []  # noqa: RUF012  # http.server makes a handler of each request

    def do_GET(self) -> None:
        self.seen.append(self.path)
        body = b"found"
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("location", "/elsewhere")
        else:
            self.send_response(200)
        if self.path == "/large":
            body = b"x" * (LARGEST + 1)
        if self.path == "/packed":
            self.send_header("content-encoding", "gzip")
        if self.path == "/headers":
            body = repr(sorted(k.lower() for k in self.headers)).encode()
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        try:
            if self.path == "/slow":
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(0.2)
            elif self.path == "/short":
                self.wfile.write(body[:2])
                self.close_connection = True
            else:
                self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Strange)
    Strange.seen.clear()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_an_answer_is_handed_on_with_its_status(url: str) -> None:
    assert Fetcher()(f"{url}/", {}) == (200, b"found")


def test_a_redirect_is_not_followed(url: str) -> None:
    assert Fetcher()(f"{url}/moved", {})[0] == 302
    assert Strange.seen == ["/moved"]


def test_what_is_sent_is_what_was_said(url: str) -> None:
    _, body = Fetcher()(f"{url}/headers", {"x-auditkeep-server": "a"})
    assert b"x-auditkeep-server" in body
    assert b"authorization" not in body
    assert b"cookie" not in body


def test_nothing_is_unpacked(url: str) -> None:
    assert Fetcher()(f"{url}/packed", {}) == (200, b"found")


@pytest.mark.parametrize("path", ["/large", "/slow", "/short"])
def test_too_much_too_slow_and_too_little_are_no_answers(url: str, path: str) -> None:
    started = time.monotonic()
    with pytest.raises(IssuerSilent):
        Fetcher(patience=0.5)(f"{url}{path}", {})
    assert time.monotonic() - started < 5


def test_a_server_that_is_not_there_is_named_without_its_path(url: str) -> None:
    with pytest.raises(IssuerSilent, match=r"127\.0\.0\.1:1 cannot be asked") as caught:
        Fetcher(patience=1)("http://127.0.0.1:1/path?X-Amz-Signature=secret", {})
    assert "secret" not in str(caught.value)


@pytest.fixture
def certified(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server over TLS, and the certificate that only it vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = tmp_path / "certificate.pem", tmp_path / "key.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Strange)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}", public
    server.shutdown()
    server.server_close()


def test_only_certificates_that_the_machine_trusts_are_believed(
    certified: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, certificate = certified
    with pytest.raises(IssuerSilent):
        Fetcher(patience=2)(f"{url}/", {})
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert Fetcher(patience=2)(f"{url}/", {}) == (200, b"found")
    with pytest.raises(IssuerSilent):  # the name must be that of the certificate too
        Fetcher(patience=2)(f"{url.replace('127.0.0.1', 'localhost')}/", {})
