"""Sealed bytes open only with their key, their name, and unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.crypto.aead import OVERHEAD, new_key, open_sealed, seal
from auditkeep.crypto.derive import hkdf, object_key
from auditkeep.errors import DecryptionFailed, KeyUnusable

KEY = bytes(range(32))


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_what_is_sealed_opens(plaintext: bytes, aad: bytes) -> None:
    blob = seal(KEY, plaintext, aad)
    assert len(blob) == len(plaintext) + OVERHEAD
    assert open_sealed(KEY, blob, aad) == plaintext


@given(st.binary(max_size=60), st.data())
def test_any_changed_bit_is_found(plaintext: bytes, data: st.DataObject) -> None:
    blob = bytearray(seal(KEY, plaintext, b"name"))
    place = data.draw(st.integers(0, len(blob) * 8 - 1))
    blob[place // 8] ^= 1 << place % 8
    with pytest.raises(DecryptionFailed, match="changed"):
        open_sealed(KEY, bytes(blob), b"name")


@given(st.binary(max_size=OVERHEAD - 1))
def test_a_short_blob_is_refused(blob: bytes) -> None:
    with pytest.raises(DecryptionFailed, match="cut short"):
        open_sealed(KEY, blob, b"")


def test_another_name_or_key_does_not_open() -> None:
    blob = seal(KEY, b"text", b"name")
    with pytest.raises(DecryptionFailed):
        open_sealed(KEY, blob, b"other")
    with pytest.raises(DecryptionFailed):
        open_sealed(new_key(), blob, b"name")


@pytest.mark.parametrize("size", [0, 16, 24, 31, 33])
def test_only_keys_of_256_bits(size: int) -> None:
    with pytest.raises(KeyUnusable, match=f"this one has {size}"):
        seal(bytes(size), b"", b"")


def test_sealing_twice_never_gives_the_same_blob() -> None:
    assert seal(KEY, b"text", b"") != seal(KEY, b"text", b"")


def test_hkdf_without_salt_is_rfc_5869_test_case_3() -> None:
    made = hkdf(bytes([0x0B] * 22), b"", 42)
    assert made.hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


def test_every_object_has_its_own_key() -> None:
    keys = {object_key(KEY, name) for name in ("a", "b", "", "ab")}
    assert len(keys) == 4
    assert KEY not in keys
