"""Ids of folders and evidence, made without rows (design section 1; spec section 1.2).

    folder id    AES-128 block, key HKDF(secret, "auditkeep/folder-id/1" ‖ assessment id)[:16],
                 over ordinal (u32be) ‖ day (u32be) ‖ eight zero bytes
    evidence id  AES-128 block, key HKDF(secret, "auditkeep/evidence-id/1" ‖ assessment id ‖ "/"
                 ‖ ordinal)[:16], over the observation id
    pinned       evidence that belongs to one control only keeps its observation id

Both are shown as a UUID's text. One block under one key is a permutation: ids are stable, unique
per control and invertible, and a folder id made up by someone without the key almost surely does
not come back with its zeros (2^-64). No mode of operation is involved, so nothing is chained.
"""

import struct

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from auditkeep.clock import Day
from auditkeep.crypto.derive import hkdf
from auditkeep.errors import NotFound
from auditkeep.ids import uuid_bytes, uuid_text

_FOLDER = struct.Struct(">IIQ")
_PINNED = "pinned:"


class FolderIds:
    """The ids of one assessment's folders."""

    def __init__(self, secret: bytes, assessment_id: str) -> None:
        self._cipher = _cipher(secret, f"auditkeep/folder-id/1{assessment_id}")

    def of(self, ordinal: int, day: Day) -> str:
        """The id of one control's folder of one day."""
        block = _FOLDER.pack(ordinal, day, 0)
        return uuid_text(self._cipher.encryptor().update(block))

    def open(self, text: str) -> tuple[int, Day]:
        """The ordinal and day a folder id was made from; NotFound for one not made here."""
        block = self._cipher.decryptor().update(uuid_bytes(text))
        ordinal, day, zeros = _FOLDER.unpack(block)
        if zeros:
            raise NotFound("evidence folder", text)
        return ordinal, Day(day)


class EvidenceIds:
    """The ids under which one control of one assessment shows observations."""

    def __init__(self, secret: bytes, assessment_id: str, ordinal: int) -> None:
        self._cipher = _cipher(secret, f"auditkeep/evidence-id/1{assessment_id}/{ordinal}")

    def of(self, match_key: str, observation_id: bytes) -> str:
        """The evidence id of an observation; a pinned one is shown under its own."""
        if is_pinned(match_key):
            return uuid_text(observation_id)
        return uuid_text(self._cipher.encryptor().update(observation_id))

    def candidates(self, text: str) -> tuple[bytes, bytes]:
        """The observations an id could stand for: a shared one, and a pinned one.

        Whoever finds one of them asks `of` again, so that a pinned observation does not answer to
        a second name, nor a shared one to its own id.
        """
        block = uuid_bytes(text)
        return self._cipher.decryptor().update(block), block


def pinned_key(assessment_id: str, ordinal: int) -> str:
    """The match key of observations that one control of one assessment alone sees."""
    return f"{_PINNED}{assessment_id}/{ordinal}"


def pinned_prefix(assessment_id: str = "") -> str:
    """How the match keys begin of what is pinned to controls of one assessment, or of any."""
    return f"{_PINNED}{assessment_id}/" if assessment_id else _PINNED


def pinned_place(match_key: str) -> tuple[str, int] | None:
    """The assessment and ordinal that a pinned match key names; None for all other keys."""
    if not is_pinned(match_key):
        return None
    assessment_id, _, ordinal = match_key.removeprefix(_PINNED).partition("/")
    return assessment_id, int(ordinal)


def manual_class(assessment_id: str) -> str:
    """The bucket class of what is pinned to an assessment, and destroyed with it."""
    return f"manual/{assessment_id}"


def is_pinned(match_key: str) -> bool:
    return match_key.startswith(_PINNED)


def _cipher(secret: bytes, info: str) -> Cipher[ECB]:
    key = hkdf(secret, info.encode(), 16)
    return Cipher(AES(key), ECB())  # noqa: S305  one block: there is nothing to chain
