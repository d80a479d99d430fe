"""Ids without rows: stable, unique, invertible, and not to be made up."""

from __future__ import annotations

import struct
import uuid

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.clock import Day
from auditkeep.errors import NotFound
from auditkeep.evidence.ids import EvidenceIds, FolderIds, is_pinned, pinned_key

SECRET = b"s" * 32
ASSESSMENT = "0a1b2c3d-0000-4000-8000-000000000001"
OTHER = "0a1b2c3d-0000-4000-8000-000000000002"

numbers = st.integers(0, 2**32 - 1)
blocks = st.binary(min_size=16, max_size=16)


def _block(info: str, plain: bytes) -> str:
    """The format of `docs/formats.md`, computed on its own."""
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=info.encode()).derive(SECRET)[:16]
    cipher = Cipher(AES(key), ECB())
    return str(uuid.UUID(bytes=cipher.encryptor().update(plain)))


@given(numbers, numbers)
def test_a_folder_id_is_the_block_of_ordinal_day_and_zeros(ordinal: int, day: int) -> None:
    plain = struct.pack(">II", ordinal, day) + bytes(8)
    ids = FolderIds(SECRET, ASSESSMENT)
    made = ids.of(ordinal, Day(day))
    assert made == _block(f"auditkeep/folder-id/1{ASSESSMENT}", plain)
    assert ids.open(made) == (ordinal, day)


@given(blocks, numbers)
def test_an_evidence_id_is_the_block_of_the_observation_id(block: bytes, ordinal: int) -> None:
    ids = EvidenceIds(SECRET, ASSESSMENT, ordinal)
    made = ids.of("iam:CreateUser", block)
    assert made == _block(f"auditkeep/evidence-id/1{ASSESSMENT}/{ordinal}", block)
    assert ids.candidates(made)[0] == block


@given(st.uuids())
def test_a_folder_id_made_up_is_not_found(made_up: uuid.UUID) -> None:
    with pytest.raises(NotFound, match=str(made_up)):
        FolderIds(SECRET, ASSESSMENT).open(str(made_up))


@given(numbers, numbers)
def test_a_folder_id_of_another_assessment_is_not_found(ordinal: int, day: int) -> None:
    with pytest.raises(NotFound):
        FolderIds(SECRET, OTHER).open(FolderIds(SECRET, ASSESSMENT).of(ordinal, Day(day)))


@given(blocks)
def test_each_control_shows_an_observation_under_an_id_of_its_own(block: bytes) -> None:
    shown = {
        EvidenceIds(SECRET, assessment, ordinal).of("iam:CreateUser", block)
        for assessment in (ASSESSMENT, OTHER)
        for ordinal in (1, 2)
    }
    assert len(shown) == 4


@given(blocks)
def test_pinned_evidence_keeps_its_own_id(block: bytes) -> None:
    ids = EvidenceIds(SECRET, ASSESSMENT, 1)
    made = ids.of(pinned_key(ASSESSMENT, 1), block)
    assert made == str(uuid.UUID(bytes=block))
    assert block in ids.candidates(made)


def test_pinned_keys_are_told_from_all_others() -> None:
    assert pinned_key(ASSESSMENT, 7) == f"pinned:{ASSESSMENT}/7"
    assert is_pinned(pinned_key(ASSESSMENT, 7))
    assert not is_pinned("iam:CreateUser")
