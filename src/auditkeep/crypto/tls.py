"""TLS for the server and for connections of ours: 1.3 and 1.2, authenticated ciphers, nothing else.

Source: RFC 9325 (recommendations for TLS). A certificate is the operator's own or, for a first
start, one that is made here: P-256, signed by itself, good for as long as public ones may be.
A certificate that is replaced on disk is used from the next connection on.
"""

import datetime as dt
import ipaddress
import logging
import os
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from auditkeep.clock import DAY, Instant, to_datetime
from auditkeep.crypto import keyfiles
from auditkeep.crypto.durable import replace
from auditkeep.errors import KeyUnusable, SetupError

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
APPROVED_CIPHERS = "ECDHE+AESGCM"
"""Of TLS 1.2; the second without what FIPS 140-3 does not admit. Those of TLS 1.3 are OpenSSL's own
three, which Python cannot choose from: a handshake that ends with the wrong one is undone."""
APPROVED_CURVE = "prime256v1"

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""Addresses that nobody else reaches: the only ones on which plain HTTP goes without a word."""

_log = logging.getLogger("auditkeep.tls")

GOOD_FOR = 397 * DAY
RENEWED_BEFORE = 30 * DAY


class _ApprovedSocket(ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        _require_approved(self.cipher())


class _ApprovedObject(ssl.SSLObject):
    def do_handshake(self) -> None:
        super().do_handshake()
        _require_approved(self.cipher())


def _require_approved(cipher: tuple[str, str, int] | None) -> None:
    """SSLError, which ends the connection before a byte of content was sent."""
    if cipher is None or "AES" not in cipher[0] or "GCM" not in cipher[0]:
        raise ssl.SSLError(f"{cipher and cipher[0]} is not among the approved ciphers")


def _approve(context: ssl.SSLContext) -> None:
    """Leave nothing to be agreed on but what FIPS 140-3 admits."""
    context.set_ciphers(APPROVED_CIPHERS)
    context.set_ecdh_curve(APPROVED_CURVE)
    context.sslsocket_class = _ApprovedSocket
    context.sslobject_class = _ApprovedObject


class Certificate:
    """A chain and its key, in files that may be replaced while the server runs."""

    def __init__(self, chain: Path, key: Path, *, approved: bool = False) -> None:
        """SetupError where the files are no certificate and its key."""
        self._chain, self._key = chain, key
        self._approved = approved
        self._seen = self._state()
        self._current = self.context = self._made()
        self.context.sni_callback = self._before_each

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate, as browsers and `openssl x509 -fingerprint` show it."""
        found = x509.load_pem_x509_certificate(self._chain.read_bytes())
        return found.fingerprint(hashes.SHA256()).hex(":").upper()

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        if self._approved:
            _approve(context)
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._chain, self._key, password=_no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise SetupError(
                f"{self._chain} and {self._key} are no certificate chain and its key, both in PEM "
                f"and the key without a password: {error}."
            ) from error
        return context

    def _state(self) -> tuple[object, ...]:
        found = []
        for path in (self._chain, self._key):
            try:
                state = path.stat()
            except OSError as error:
                raise SetupError(f"{path} cannot be read: {error.strerror}.") from error
            found.append((state.st_mtime_ns, state.st_ino, state.st_size))
        return tuple(found)

    def _before_each(self, connection: ssl.SSLObject, *_: object) -> None:
        """Before a handshake: take what lies on disk now, or go on with what was there."""
        try:
            state = self._state()
            if state != self._seen:
                self._current, self._seen = self._made(), state
        except SetupError as error:
            # it may be half replaced: the files are looked at again at the next handshake
            _log.warning("The former certificate is used on: %s", error)
        if self._current is not self.context:
            connection.context = self._current


def client_context(ca_file: Path | None, *, approved: bool = False) -> ssl.SSLContext:
    """For connections of ours: certificates are verified, by the system's roots or those given."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # whatever the system's OpenSSL admits
    context.set_ciphers(CIPHERS)
    if approved:
        _approve(context)
    return context


def _no_password() -> str:
    """OpenSSL would ask on the terminal; nobody sits there."""
    return ""


def generated(folder: Path, names: Sequence[str], now: Instant) -> tuple[Path, Path]:
    """Chain and key of a certificate of our own in `folder`; made when missing or soon over.

    `names` are host names and addresses that it is for, beside those of this machine.
    """
    chain, key = folder / "tls.pem", folder / "tls.key"
    if not _lasts(chain, key, names, now):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make(chain, key, names, now)
    return chain, key


def _lasts(chain: Path, key: Path, names: Sequence[str], now: Instant) -> bool:
    try:
        found = x509.load_pem_x509_certificate(chain.read_bytes())
        keyfiles.read(key)
    except (OSError, ValueError, KeyUnusable):
        if key.exists():
            keyfiles.read(key)  # says what is wrong with a key that others may read
        return False
    later = to_datetime(Instant(now + RENEWED_BEFORE))
    held = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return found.not_valid_after_utc > later and set(_sans(names)) <= set(held)


def _make(chain: Path, key: Path, names: Sequence[str], now: Instant) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Auditkeep")])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(to_datetime(now) - dt.timedelta(minutes=5))
        .not_valid_after(to_datetime(Instant(now + GOOD_FOR)))
        .add_extension(x509.SubjectAlternativeName(_sans(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    replace(key, pem, mode=0o600)
    replace(chain, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _sans(names: Sequence[str]) -> list[x509.GeneralName]:
    """Names and addresses, each once; those of this machine first."""
    found: list[x509.GeneralName] = []
    for name in ("localhost", "127.0.0.1", "::1", os.uname().nodename, *names):
        general: x509.GeneralName
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            general = x509.DNSName(name)
        else:
            if address.is_unspecified:
                continue
            general = x509.IPAddress(address)
        if general not in found:
            found.append(general)
    return found
