"""Copies of the master key: any three of five shares open it, two never; sealed ones name theirs."""

import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from auditkeep.crypto import escrow
from auditkeep.crypto.aead import new_key
from auditkeep.errors import KeyUnusable

SECRET = bytes(range(32))
PHRASE = "correct horse battery staple"


def pems(key: X25519PrivateKey | Ed25519PrivateKey) -> tuple[bytes, bytes]:
    return (
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )


def test_any_three_of_five_open_it_and_two_do_not() -> None:
    made = escrow.shares(SECRET, 3, 5)
    assert len(set(made)) == 5
    assert {len(share.split()) for share in made} == {33}
    for some in itertools.combinations(made, 3):
        assert escrow.from_shares([share.upper() + "\n" for share in some]) == SECRET
    with pytest.raises(KeyUnusable, match="do not open the master key"):
        escrow.from_shares(made[:2])


def test_a_mistyped_share_and_one_of_another_key_are_told() -> None:
    made, other = escrow.shares(SECRET, 2, 3), escrow.shares(new_key(), 2, 3)
    words = made[0].split()
    words[7] = "academic" if words[7] != "academic" else "acid"
    with pytest.raises(KeyUnusable, match="Invalid mnemonic checksum"):
        escrow.from_shares([" ".join(words), made[1]])
    with pytest.raises(KeyUnusable, match="do not open"):
        escrow.from_shares([made[0], other[1]])
    with pytest.raises(KeyUnusable, match="cannot be made"):
        escrow.shares(SECRET, 1, 3)


def test_slip_0039_s_own_vector_opens() -> None:
    """Vector 41 of SLIP-0039: a 256-bit secret in one share without sharing, passphrase TREZOR."""
    from shamir_mnemonic import combine_mnemonics

    share = (
        "theory painting academic academic armed sweater year military elder discuss acne wildlife "
        "boring employer fused large satoshi bundle carbon diagnose anatomy hamster leaves tracks "
        "paces beyond phantom capital marvel lips brave detect luck"
    )
    expected = "989baf9dcaad5b10ca33dfd8cc75e42477025dce88ae83e75a230086a0e00e92"
    assert combine_mnemonics([share], passphrase=b"TREZOR").hex() == expected


def test_a_passphrase_opens_its_copy_only() -> None:
    copy = escrow.with_passphrase(SECRET, PHRASE)
    assert escrow.name_of(SECRET).encode() in copy
    assert escrow.opened(copy, passphrase=PHRASE) == SECRET
    with pytest.raises(KeyUnusable, match="does not open"):
        escrow.opened(copy, passphrase=PHRASE + "!")
    with pytest.raises(KeyUnusable, match="--passphrase-file"):
        escrow.opened(copy)
    with pytest.raises(KeyUnusable, match="too short"):
        escrow.with_passphrase(SECRET, "short")


def test_a_private_key_opens_what_was_sealed_to_it() -> None:
    private, public = pems(X25519PrivateKey.generate())
    copy = escrow.to_recipient(SECRET, public)
    assert escrow.opened(copy, identity_pem=private) == SECRET
    assert copy != escrow.to_recipient(SECRET, public)
    with pytest.raises(KeyUnusable, match="does not open"):
        escrow.opened(copy, identity_pem=pems(X25519PrivateKey.generate())[0])
    with pytest.raises(KeyUnusable, match="--identity"):
        escrow.opened(copy)
    wrong_private, wrong_public = pems(Ed25519PrivateKey.generate())
    with pytest.raises(KeyUnusable, match="openssl genpkey"):
        escrow.to_recipient(SECRET, wrong_public)
    with pytest.raises(KeyUnusable, match="another kind"):
        escrow.opened(copy, identity_pem=wrong_private)


@pytest.mark.parametrize("document", [b"", b"{}", b'{"format":"auditkeep/escrow/2"}', b"noise"])
def test_what_is_no_copy_is_told(document: bytes) -> None:
    with pytest.raises(KeyUnusable, match="no sealed copy"):
        escrow.opened(document, passphrase=PHRASE)


def test_a_copy_under_another_name_is_refused() -> None:
    copy = escrow.with_passphrase(SECRET, PHRASE)
    renamed = copy.replace(escrow.name_of(SECRET).encode(), escrow.name_of(new_key()).encode())
    with pytest.raises(KeyUnusable, match="does not open"):
        escrow.opened(renamed, passphrase=PHRASE)
