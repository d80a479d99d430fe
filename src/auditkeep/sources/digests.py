"""CloudTrail's digest files: what they say, and whether they say it truly.

Source: AWS CloudTrail user guide, "CloudTrail digest file structure" and "Custom implementations
of CloudTrail log file integrity validation". Each hour CloudTrail writes down, for one trail,
account and region, the SHA-256 of every log file it delivered (unpacked), and signs that with RSA
(PKCS #1 v1.5, SHA-256) under a key of the region. Each digest names the one before and its
signature, so that none can be taken out. A signature covers bucket and key: a digest that was moved
proves nothing. The same rules as `aws cloudtrail validate-logs`, and one more: a signature that the
next digest repeats must be the one that was found here.

Pure: bytes in, values or ProofError out.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable, Mapping
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from auditkeep.clock import Instant
from auditkeep.errors import InputError, ProofError
from auditkeep.sources.times import read_time

MAX_DIGEST = 64 * 1024 * 1024
"""Bytes of a digest, unpacked: one names some hundred log files in some hundred bytes each."""

_ALGORITHM = "SHA256withRSA"
_LONGEST_RSA = 8192


class LogFile(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A log file as a digest names it; `hash_value` is of its unpacked content, in hex."""

    bucket: str = msgspec.field(name="s3Bucket")
    key: str = msgspec.field(name="s3Object")
    hash_value: str
    hash_algorithm: str = "SHA-256"


class Digest(msgspec.Struct, frozen=True, rename="camel"):
    """A digest's own words; the first of a chain names none before it."""

    account: str = msgspec.field(name="awsAccountId")
    start_time: str = msgspec.field(name="digestStartTime")
    end_time: str = msgspec.field(name="digestEndTime")
    bucket: str = msgspec.field(name="digestS3Bucket")
    key: str = msgspec.field(name="digestS3Object")
    fingerprint: str = msgspec.field(name="digestPublicKeyFingerprint")
    previous_signature: str | None = msgspec.field(name="previousDigestSignature")
    algorithm: str = msgspec.field(name="digestSignatureAlgorithm", default=_ALGORITHM)
    previous_bucket: str | None = msgspec.field(name="previousDigestS3Bucket", default=None)
    previous_key: str | None = msgspec.field(name="previousDigestS3Object", default=None)
    log_files: list[LogFile] | None = None

    @property
    def start(self) -> Instant:
        return read_time(self.start_time)

    @property
    def end(self) -> Instant:
        return read_time(self.end_time)

    @property
    def logs(self) -> tuple[LogFile, ...]:
        return tuple(self.log_files or ())


class _PublicKey(msgspec.Struct, frozen=True, rename="pascal"):
    value: str
    fingerprint: str


class _PublicKeys(msgspec.Struct, frozen=True):
    found: list[_PublicKey] = msgspec.field(name="PublicKeyList")


Keys = Mapping[str, bytes]
"""Public keys as CloudTrail gives them out (PKCS #1 DER), by fingerprint."""

_DIGEST = msgspec.json.Decoder(Digest)
_KEYS = msgspec.json.Decoder(_PublicKeys)


def read_keys(texts: Iterable[bytes]) -> dict[str, bytes]:
    """Public keys from answers of `aws cloudtrail list-public-keys`; InputError for other text."""
    found: dict[str, bytes] = {}
    for text in texts:
        try:
            listed = _KEYS.decode(text).found
            found |= {k.fingerprint: base64.b64decode(k.value, validate=True) for k in listed}
        except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, ValueError) as error:
            raise InputError(
                "These are no public keys of CloudTrail: save what `aws cloudtrail "
                f"list-public-keys --start-time …` answers, as JSON ({error})."
            ) from error
    return found


def unpacked(packed: bytes) -> bytes:
    """A digest's text from the bytes of its object; ProofError unless it is one gzip member."""
    engine = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = engine.decompress(packed, MAX_DIGEST)
    except zlib.error as error:
        raise ProofError(f"it is not gzip: {error}") from error
    if not engine.eof or engine.unused_data:
        raise ProofError("its gzip data is cut off, goes on, or is too large")
    return text


def decode(text: bytes) -> Digest:
    """A digest's members; ProofError if it has not the form of one."""
    try:
        digest = _DIGEST.decode(text)
        if digest.start > digest.end:
            raise ProofError("it ends before it begins")
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise ProofError(f"it has not the form of a digest: {error}") from error
    return digest


def signed_text(digest: Digest, text: bytes) -> bytes:
    """What is signed: end time, place, hash of the digest, and the signature before it."""
    lines = (
        digest.end_time,
        f"{digest.bucket}/{digest.key}",
        sha256(text).hexdigest(),
        digest.previous_signature or "null",
    )
    return "\n".join(lines).encode()


def verify(digest: Digest, text: bytes, signature: str, keys: Keys) -> None:
    """ProofError, with the reason, unless one of the keys made this signature for this digest."""
    if digest.algorithm != _ALGORITHM:
        raise ProofError(f"its signature is made with {digest.algorithm!r:.40}, not {_ALGORITHM}")
    value = keys.get(digest.fingerprint)
    if value is None:
        raise KeyMissing(f"the public key {digest.fingerprint!r:.80} is not among those at hand")
    key = _rsa(value)
    try:
        key.verify(
            bytes.fromhex(signature), signed_text(digest, text), padding.PKCS1v15(), SHA256()
        )
    except (InvalidSignature, ValueError) as error:
        raise ProofError("its signature is not valid") from error


class KeyMissing(ProofError):
    """The public key is not at hand: nothing is proven, nor disproven."""


def _rsa(value: bytes) -> rsa.RSAPublicKey:
    try:
        key = load_der_public_key(value)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ProofError(f"its public key cannot be read: {error}") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size > _LONGEST_RSA:
        raise ProofError("its public key is not RSA of a usual size")
    return key
