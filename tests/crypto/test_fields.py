"""A sealed field opens in its own place only, and its digest tells equal values and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.crypto.fields import (
    DEPLOYMENT,
    DIGEST_SIZE,
    OVERHEAD,
    FieldCipher,
    bound_to,
    digest,
    is_sealed,
    ref_of,
)
from auditkeep.errors import DecryptionFailed, KeyUnusable

KEY, REF, NONCE = bytes(range(32)), b"r" * 16, b"n" * 12
PLACE = bound_to("tags", "value", ("111122223333", "us-east-1", "arn:x", b"\x00\xff"))


def sealed(text: str, place: bytes = PLACE) -> bytes:
    return FieldCipher(KEY, REF).seal(text, NONCE, place)


@given(st.text(max_size=200))
def test_what_is_sealed_opens_and_says_by_which_bucket(text: str) -> None:
    field = sealed(text)
    assert is_sealed(field)
    assert len(field) == len(text.encode()) + OVERHEAD
    assert ref_of(field) == REF
    assert FieldCipher(KEY, REF).open(field, PLACE) == text


@given(st.text(max_size=40), st.data())
def test_any_changed_bit_of_nonce_text_or_tag_is_found(text: str, data: st.DataObject) -> None:
    field = bytearray(sealed(text))
    place = data.draw(st.integers(17 * 8, len(field) * 8 - 1))
    field[place // 8] ^= 1 << place % 8
    with pytest.raises(DecryptionFailed, match="changed, moved"):
        FieldCipher(KEY, REF).open(bytes(field), PLACE)


@pytest.mark.parametrize(
    "place",
    [
        ("tags", "key", ("111122223333", "us-east-1", "arn:x", b"\x00\xff")),
        ("outgoing", "value", ("111122223333", "us-east-1", "arn:x", b"\x00\xff")),
        ("tags", "value", ("999988887777", "us-east-1", "arn:x", b"\x00\xff")),
        ("tags", "value", ("111122223333", "eu-west-1", "arn:x", b"\x00\xff")),
        ("tags", "value", ("111122223333", "us-east-1", "arn:y", b"\x00\xff")),
        ("tags", "value", ("111122223333", "us-east-1", "arn:x", b"\x00\xfe")),
        ("tags", "value", ("111122223333", "us-east-1", "arn:x")),
        ("tags", "value", ("111122223333", "us-east-1", 'arn:x","AP8="]')),
    ],
)
def test_a_field_opens_nowhere_else(place: tuple[str, str, tuple[object, ...]]) -> None:
    with pytest.raises(DecryptionFailed, match="another row or column"):
        FieldCipher(KEY, REF).open(sealed("text"), bound_to(*place))


def test_another_key_does_not_open() -> None:
    with pytest.raises(DecryptionFailed, match="another key"):
        FieldCipher(bytes(32), REF).open(sealed("text"), PLACE)


@pytest.mark.parametrize("value", [b"", b"text", b"\x01" * (OVERHEAD - 1), b"\x02" + b"x" * 60])
def test_what_is_no_sealed_field_is_refused(value: bytes) -> None:
    assert not is_sealed(value)
    with pytest.raises(DecryptionFailed, match="must be sealed"):
        ref_of(value)


def test_keys_and_buckets_of_another_size_are_refused() -> None:
    for key, ref in ((KEY[:16], REF), (KEY, DEPLOYMENT[:4])):
        with pytest.raises(KeyUnusable, match="32 bytes"):
            FieldCipher(key, ref)


@given(st.text(max_size=40), st.text(max_size=40))
def test_digests_are_equal_for_equal_values_of_one_column_under_one_key(a: str, b: str) -> None:
    made = digest(KEY, "tags", "name", a)
    assert len(made) == DIGEST_SIZE
    assert (made == digest(KEY, "tags", "name", b)) == (a == b)
    others = (
        digest(KEY, "tags", "key", a),
        digest(KEY, "x", "name", a),
        digest(REF, "tags", "name", a),
    )
    assert made not in others
