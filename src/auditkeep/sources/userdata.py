"""Secrets in the start scripts of machines (EC2 user data), which sources tell in base64.

A script that holds a private key, an access key or a password's assignment is cut whole: what is in
base64 cannot be cut in part without becoming another text. Scripts that hold nothing of it stay,
for what a machine does at its start is evidence. User data may be compressed (cloud-init).

Invariant: never more of a script is unpacked than `MOST` bytes.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterator

MOST = 1 << 20
"""EC2 takes 16 KiB; a launch template's may be compressed."""

HINT = rb'user_?data\\?"'
"""What a record that holds any has in it."""
RULE = "user-data"

# the member itself, or the one named Value inside it, as DescribeInstanceAttribute tells it; also
# in JSON that a record carries inside a string
_SCRIPT = re.compile(
    rb'user_?data\\?"\s{0,20}:\s{0,20}(?:\{\s{0,20}\\?"value\\?"\s{0,20}:\s{0,20})?'
    rb'\\?"((?:[^"\\]|\\(?!["\\])[^"]|\\\\(?=[nrt/]))+)',
    re.IGNORECASE,
)
_ASSIGNED = (
    rb"(?i:passw(?:or)?d|secret|token|api_?key)[A-Z0-9_]{0,40}"
    rb"[\"']?\s{0,5}[=:]\s{0,5}[\"']?[^\s\"'$\\]"
)
_IN_CLEAR = re.compile(_ASSIGNED, re.IGNORECASE)
_SECRET = re.compile(
    rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----"
    rb"|(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Z0-9])"
    rb"|" + _ASSIGNED + rb"|gh[pousr]_[A-Za-z0-9]{36}|xox[abeoprs]-[A-Za-z0-9-]{10}",
    re.IGNORECASE,
)


def spans(raw: bytes) -> Iterator[tuple[int, int, str]]:
    """Where scripts stand in a record that hold a secret: start, end and rule of each."""
    for found in _SCRIPT.finditer(raw):
        script = _script(found[1])
        # of a script in clear the rules for tokens and keys cut what they find, and leave the rest
        if _IN_CLEAR.search(found[1]) if script is None else _SECRET.search(script):
            yield (*found.span(1), RULE)


def _script(value: bytes) -> bytes | None:
    """The script behind a member's value; None where it is not in base64."""
    try:
        decoded = base64.b64decode(value.replace(b"\\n", b"").replace(b"\\/", b"/"), validate=True)
    except binascii.Error:
        return None
    if decoded[:2] == b"\x1f\x8b":
        try:
            return zlib.decompressobj(wbits=31).decompress(decoded, MOST)
        except zlib.error:
            return decoded
    return decoded
