"""TLS of the server: what is spoken, whose certificate, and when it is made anew."""

import queue
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from cryptography import x509

from auditkeep.clock import DAY, Instant, SystemClock, parse
from auditkeep.crypto import tls
from auditkeep.errors import KeyUnusable, SetupError

NOW = parse("2026-11-21T12:00:00Z")


def names_of(chain: Path) -> x509.SubjectAlternativeName:
    found = x509.load_pem_x509_certificate(chain.read_bytes())
    return found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_a_certificate_is_made_once_and_renewed_before_its_end(tmp_path: Path) -> None:
    chain, key = tls.generated(tmp_path, ["audit.example.com", "10.1.2.3", "0.0.0.0"], NOW)
    assert key.stat().st_mode & 0o777 == 0o600
    names = names_of(chain)
    assert "audit.example.com" in names.get_values_for_type(x509.DNSName)
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == [
        "127.0.0.1",
        "::1",
        "10.1.2.3",
    ]
    first = chain.read_bytes()
    tls.generated(tmp_path, ["audit.example.com"], Instant(NOW + 360 * DAY))
    assert chain.read_bytes() == first
    tls.generated(tmp_path, ["audit.example.com"], Instant(NOW + 370 * DAY))
    assert chain.read_bytes() != first


def test_a_new_name_makes_a_new_certificate(tmp_path: Path) -> None:
    chain, _ = tls.generated(tmp_path, [], NOW)
    first = chain.read_bytes()
    tls.generated(tmp_path, ["other.example.com"], NOW)
    assert chain.read_bytes() != first


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    _, key = tls.generated(tmp_path, [], NOW)
    key.chmod(0o644)
    with pytest.raises(KeyUnusable, match=r"tls\.key"):
        tls.generated(tmp_path, [], NOW)


def test_what_is_no_certificate_is_named(tmp_path: Path) -> None:
    chain, key = tmp_path / "a.pem", tmp_path / "a.key"
    with pytest.raises(SetupError, match=r"a\.pem cannot be read"):
        tls.Certificate(chain, key)
    chain.write_text("no certificate")
    key.write_text("no key")
    with pytest.raises(SetupError, match="no certificate chain and its key"):
        tls.Certificate(chain, key)


@contextmanager
def listening(
    certificate: tls.Certificate, heard: "queue.SimpleQueue[bytes] | None" = None
) -> Iterator[int]:
    """A port of this machine that shakes hands, hears a byte and says nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            while True:
                try:
                    connection, _ = door.accept()
                except OSError:
                    return
                try:
                    with certificate.context.wrap_socket(connection, server_side=True) as spoken:
                        said = spoken.recv(1)
                except (ssl.SSLError, OSError):
                    connection.close()
                    said = b"refused"
                if heard is not None:
                    heard.put(said)

        threading.Thread(target=serve, daemon=True).start()
        yield int(door.getsockname()[1])
        door.shutdown(socket.SHUT_RDWR)


def client(chain: Path, **how: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(chain))
    for name, value in how.items():
        setattr(context, name, value)
    return context


def shake(port: int, context: ssl.SSLContext) -> tuple[str | None, str]:
    """Version and cipher of one handshake."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as spoken,
    ):
        found = spoken.cipher()
        assert found is not None
        return spoken.version(), found[0]


@pytest.mark.server
def test_tls_1_3_is_spoken_and_1_2_at_the_least(tmp_path: Path) -> None:
    chain, key = tls.generated(tmp_path, [], SystemClock().now())
    with listening(tls.Certificate(chain, key)) as port:
        assert shake(port, client(chain))[0] == "TLSv1.3"
        older = client(chain, maximum_version=ssl.TLSVersion.TLSv1_2)
        version, cipher = shake(port, older)
        assert version == "TLSv1.2"
        assert cipher.startswith("ECDHE-ECDSA-")
        weak = client(chain, maximum_version=ssl.TLSVersion.TLSv1_2)
        weak.set_ciphers("ECDHE+AES:!AESGCM:!AESCCM:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError):
            shake(port, weak)


@pytest.mark.server
def test_approved_ciphers_leave_chacha_out(tmp_path: Path) -> None:
    chain, key = tls.generated(tmp_path, [], SystemClock().now())
    chacha = client(chain, maximum_version=ssl.TLSVersion.TLSv1_2)
    chacha.set_ciphers("ECDHE+CHACHA20")
    with listening(tls.Certificate(chain, key)) as port:
        assert "CHACHA20" in shake(port, chacha)[1]
    with listening(tls.Certificate(chain, key, approved=True)) as port:
        assert "AES_256_GCM" in shake(port, client(chain))[1]
        with pytest.raises(ssl.SSLError):
            shake(port, chacha)


@pytest.mark.server
def test_connections_of_ours_verify_and_speak_what_is_approved(tmp_path: Path) -> None:
    chain, key = tls.generated(tmp_path, [], SystemClock().now())
    server = tls.Certificate(chain, key)
    old = tls.client_context(chain)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    server.context.set_ciphers("ECDHE+CHACHA20")
    with listening(server) as port:
        assert "CHACHA20" in shake(port, old)[1]
        only = tls.client_context(chain, approved=True)
        only.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            shake(port, only)
        with pytest.raises(ssl.SSLCertVerificationError):
            shake(port, tls.client_context(None))


CHACHA = ("-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256", "-tls1_3")


@pytest.mark.server
@pytest.mark.parametrize("approved", [False, True])
def test_a_client_of_tls_1_3_that_offers_chacha_alone(tmp_path: Path, *, approved: bool) -> None:
    chain, key = tls.generated(tmp_path, [], SystemClock().now())
    heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    with listening(tls.Certificate(chain, key, approved=approved), heard) as port:
        words = ("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-curves", "P-256")
        done = subprocess.run(
            (*words, *CHACHA, "-ign_eof"),
            input=b"x", capture_output=True, check=False, timeout=20,
        )  # fmt: skip
        assert b"TLS_CHACHA20" in done.stdout
        assert heard.get(timeout=10) == (b"refused" if approved else b"x")


@pytest.mark.server
@pytest.mark.parametrize("approved", [False, True])
def test_a_server_of_tls_1_3_that_offers_chacha_alone(tmp_path: Path, *, approved: bool) -> None:
    chain, key = tls.generated(tmp_path, [], SystemClock().now())
    words = ("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", str(chain))
    whole = (*words, "-key", str(key), *CHACHA)
    with subprocess.Popen(whole, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            while not (line := server.stdout.readline()).startswith(b"ACCEPT"):
                assert line
            port = int(line.rpartition(b":")[2])
            context = tls.client_context(chain, approved=approved)
            if approved:
                with pytest.raises(ssl.SSLError, match="not among the approved"):
                    shake(port, context)
            else:
                assert shake(port, context) == ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256")
        finally:
            server.kill()


def test_an_event_loop_refuses_the_same() -> None:
    context = tls.client_context(None, approved=True)
    made = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
    with (
        mock.patch.object(ssl.SSLObject, "do_handshake"),
        mock.patch.object(ssl.SSLObject, "cipher", return_value=("TLS_CHACHA20", "1.3", 256)),
        pytest.raises(ssl.SSLError, match="not among"),
    ):
        made.do_handshake()


@pytest.mark.server
def test_a_replaced_certificate_is_used_from_the_next_connection_on(tmp_path: Path) -> None:
    chain, key = tls.generated(tmp_path / "live", [], SystemClock().now())
    with listening(tls.Certificate(chain, key)) as port:
        old = client(chain)
        shake(port, old)
        key.write_text("half written")
        shake(port, old)
        new_chain, new_key = tls.generated(tmp_path / "new", [], SystemClock().now())
        key.write_bytes(new_key.read_bytes())
        chain.write_bytes(new_chain.read_bytes())
        assert shake(port, client(new_chain))[0] == "TLSv1.3"
        with pytest.raises(ssl.SSLCertVerificationError):
            shake(port, old)
