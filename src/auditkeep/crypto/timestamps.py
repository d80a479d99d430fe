"""Where a trusted third party says when: the seam for RFC 3161 timestamp authorities.

A timestamp over a checkpoint's root shows that everything below it existed by then, to people who
trust the authority and not us.
"""

from typing import Protocol


class TimestampAuthority(Protocol):
    """Answers for the time at which a digest was shown to it."""

    @property
    def name(self) -> str:
        """What a report calls the authority: its URL or its certificate's subject."""
        ...

    def stamp(self, digest: bytes) -> bytes:
        """The DER of an RFC 3161 TimeStampToken over a SHA-256 digest of 32 bytes."""
        ...
