"""Timestamps: a trusted third party says when it was shown something (RFC 3161).

What is shown is the SHA-256 of a checkpoint's text; the whole `TimeStampResp` is kept, as DER, so
that `openssl ts -verify` reads it as it is. A timestamp over a checkpoint shows that everything
below it existed by then, to people who trust the authority and not us.

The reading of CMS and the walk up to a trusted certificate are `rfc3161-client`'s; it checks each
certificate at the time the token names, the signer's purpose (timeStamping, critical), and the
digest. Invariant: nothing of a token is believed before it was verified.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.x509 import Certificate, load_pem_x509_certificates

from auditkeep.clock import Instant, from_datetime
from auditkeep.errors import KeyUnusable, ProofError

if TYPE_CHECKING:
    from rfc3161_client import TimeStampResponse

QUERY_TYPE = "application/timestamp-query"
REPLY_TYPE = "application/timestamp-reply"
MAX_REPLY = 1 << 16
"""Bytes; a token with its certificates has some thousands."""


_CERTIFICATES = 0xA0
_SHORT = 0x80
"""Lengths above it say how many bytes the length itself has (X.690 section 8.1.3)."""


@dataclass(frozen=True, slots=True)
class Query:
    """A request as it is sent, and the number that the answer must repeat."""

    body: bytes
    nonce: int


def query(data: bytes) -> Query:
    """The DER of a request for a timestamp over `data`, with the authority's certificate."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder  # noqa: PLC0415  # when asked

    made = (
        TimestampRequestBuilder()
        .data(data)
        .hash_algorithm(HashAlgorithm.SHA256)
        .nonce(nonce=True)
        .cert_request(cert_request=True)
        .build()
    )
    if made.nonce is None:
        raise ProofError("A request for a timestamp was made without a nonce.")
    return Query(made.as_bytes(), made.nonce)


def check(
    reply: bytes, data: bytes, trusted: Sequence[Certificate], nonce: int | None = None
) -> Instant:
    """The time that a verified timestamp over `data` names; ProofError for anything else."""
    from rfc3161_client import VerificationError, VerifierBuilder  # noqa: PLC0415

    if len(reply) > MAX_REPLY:
        raise ProofError(f"The timestamp has more than {MAX_REPLY} bytes.")
    read = _read(reply)
    verifier = VerifierBuilder(roots=list(trusted), nonce=nonce).build()
    try:
        verifier.verify(read, hashlib.sha256(data).digest())
        return from_datetime(read.tst_info.gen_time)
    except (VerificationError, ValueError) as error:
        raise ProofError(f"The timestamp does not hold: {error}.") from error


def certificates(pem: bytes, name: str) -> tuple[Certificate, ...]:
    """Those of a PEM file; KeyUnusable if it holds none."""
    try:
        return tuple(load_pem_x509_certificates(pem))
    except ValueError as error:
        raise KeyUnusable(f"{name} holds no certificates in PEM form.") from error


def _read(reply: bytes) -> "TimeStampResponse":
    from rfc3161_client import PKIStatus, decode_timestamp_response  # noqa: PLC0415

    try:
        read = decode_timestamp_response(_in_order(reply))
        status = PKIStatus(read.status)
    except ValueError as error:
        raise ProofError("This is not the answer of a timestamp authority.") from error
    if status is not PKIStatus.GRANTED:
        said = ", ".join(read.status_string)
        raise ProofError(
            f"The timestamp authority granted nothing ({status.name.lower()}"
            + (f": {said[:200]})." if said.isprintable() and said else ").")
        )
    return read


def _in_order(reply: bytes) -> bytes:
    """The same with its certificates in DER's order for sets, which many authorities do not keep.

    They are outside what is signed (RFC 5652 section 5.1), so that nothing that is proven changes;
    without this, strict readers refuse tokens that `openssl ts` makes. What is no such answer comes
    back as it is.
    """
    try:
        at, _ = _inside(reply, 0)  # TimeStampResp
        at, _ = _inside(reply, _after(reply, at))  # past the status: ContentInfo
        at, _ = _inside(reply, _after(reply, at))  # past its type: [0]
        at, _ = _inside(reply, at)  # SignedData
        for _ in range(3):  # version, digest algorithms, what was signed
            at = _after(reply, at)
        if reply[at] != _CERTIFICATES:
            return reply
        first, end = _inside(reply, at)
        found, at = [], first
        while at < end:
            found.append(reply[at : _after(reply, at)])
            at = _after(reply, at)
    except IndexError:
        return reply
    return reply[:first] + b"".join(sorted(found)) + reply[end:] if at == end else reply


def _inside(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the DER element at a place begins and ends."""
    length, start = data[at + 1], at + 2
    if length > _SHORT:
        size = length - _SHORT
        start, length = start + size, int.from_bytes(data[start : start + size], "big")
    if start + length > len(data):
        raise IndexError(at)
    return start, start + length


def _after(data: bytes, at: int) -> int:
    return _inside(data, at)[1]
