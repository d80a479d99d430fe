"""What a record says, whatever the order of its members and its white space."""

from hashlib import sha256

import msgspec

from auditkeep.sources.records import UNREADABLE


def content_hash(raw: bytes) -> str:
    """The SHA-256 of a JSON text in canonical order, of the bytes themselves if Python cannot hold
    its numbers.
    """
    try:
        text = msgspec.json.encode(msgspec.json.decode(raw), order="sorted")
    except UNREADABLE:
        text = raw
    return sha256(text).hexdigest()
