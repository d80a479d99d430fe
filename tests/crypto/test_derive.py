"""Keys that follow from keys: the same as the library's HKDF, and as RFC 5869 has it."""

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.crypto.derive import hkdf


@given(st.binary(max_size=80), st.binary(max_size=80), st.integers(1, 100))
def test_it_is_hkdf(key: bytes, info: bytes, length: int) -> None:
    library = HKDF(algorithm=SHA256(), length=length, salt=None, info=info)
    assert hkdf(key, info, length) == library.derive(key)


@pytest.mark.parametrize(
    ("length", "output"),
    [
        (
            42,
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
        (32, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"),
    ],
)
def test_rfc_5869_case_3(length: int, output: str) -> None:
    assert hkdf(b"\x0b" * 22, b"", length).hex() == output
