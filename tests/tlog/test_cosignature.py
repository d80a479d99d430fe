"""Cosignatures are made as C2SP has them, and hold for one witness, one text and one time."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from auditkeep.clock import SECOND, Instant
from auditkeep.crypto.signing import SigningKey
from auditkeep.errors import KeyUnusable, ProofError
from auditkeep.tlog.cosignature import WitnessKey, cosign, cosignatures
from auditkeep.tlog.note import Signer, open_note, sign
from auditkeep.tlog.witness import MAX_PATH, AddCheckpoint

SECRET = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = SigningKey(SECRET)
WITNESS = WitnessKey("witness.example.org", KEY.public)
BODY = "log.example.org\n7\n" + base64.b64encode(bytes(32)).decode() + "\n"
AT = Instant(1_679_315_147 * SECOND)
LOG = Signer("log.example.org", SigningKey(ed25519.Ed25519PrivateKey.from_private_bytes(b"l" * 32)))
NOTE = sign(BODY, [LOG])


def test_the_bytes_are_those_of_the_format() -> None:
    line = cosign(BODY, WITNESS.name, KEY, AT)
    dash, name, encoded = line.rstrip("\n").split(" ")
    blob = base64.b64decode(encoded)
    material = b"witness.example.org\n\x04" + KEY.public
    assert (dash, name) == ("—", "witness.example.org")
    assert blob[:4] == hashlib.sha256(material).digest()[:4]
    assert int.from_bytes(blob[4:12], "big") == 1_679_315_147
    SECRET.public_key().verify(blob[12:], b"cosignature/v1\ntime 1679315147\n" + BODY.encode())


def test_who_knows_the_witness_learns_when_it_signed() -> None:
    note = NOTE + cosign(BODY, WITNESS.name, KEY, AT)
    (found,) = cosignatures(note, [WITNESS])
    assert (found.witness, found.at) == (WITNESS, AT)
    assert cosignatures(note, []) == []
    assert cosignatures(NOTE, [WITNESS]) == []
    assert open_note(note, [LOG.verifier]).body == BODY, "the log's own signature holds beside it"


@pytest.mark.parametrize("at", [4, 11, 12, 75])
def test_a_changed_bit_is_refused(at: int) -> None:
    line = cosign(BODY, WITNESS.name, KEY, AT)
    blob = bytearray(base64.b64decode(line.split(" ")[2]))
    blob[at] ^= 1
    forged = f"— {WITNESS.name} {base64.b64encode(blob).decode()}\n"
    with pytest.raises(ProofError, match=r"cosignature of witness\.example\.org does not hold"):
        cosignatures(NOTE + forged, [WITNESS])


def test_another_text_or_a_cut_signature_is_refused() -> None:
    other = cosign(BODY.replace("7", "8"), WITNESS.name, KEY, AT)
    cut = base64.b64encode(WITNESS.key_id + KEY.sign(BODY.encode())).decode()
    for line in (other, f"— {WITNESS.name} {cut}\n"):
        with pytest.raises(ProofError):
            cosignatures(NOTE + line, [WITNESS])


def test_a_vkey_says_what_it_is_for() -> None:
    assert WitnessKey.parse(WITNESS.vkey) == WITNESS
    log_key = Signer("witness.example.org", KEY).vkey
    name, key_id, encoded = WITNESS.vkey.split("+", 2)
    wrong = f"{name}+{'0' * 8}+{encoded}"
    for vkey in ("", "no key", log_key, wrong, f"a b+{key_id}+{encoded}"):
        with pytest.raises(KeyUnusable):
            WitnessKey.parse(vkey)
    with pytest.raises(KeyUnusable):
        cosign(BODY, "two words", KEY, AT)


def test_a_request_is_read_as_it_was_written() -> None:
    for path in ([], [bytes([n]) * 32 for n in range(MAX_PATH)]):
        asked = AddCheckpoint(12, path, NOTE)
        assert AddCheckpoint.decode(asked.encode()) == asked


@pytest.mark.parametrize(
    "body",
    [
        b"", b"old 1\n", b"old x\n\nnote", b"old 01\n\nnote", b"old -1\n\nnote", b"size 1\n\nnote",
        b"old 1\nAAAA\n\nnote", b"old 1\n!!\n\nnote", b"\xff\n\n",
        b"old 1\n" + (base64.b64encode(bytes(32)) + b"\n") * 64 + b"\nnote",
    ],
)  # fmt: skip
def test_anything_else_is_no_request(body: bytes) -> None:
    with pytest.raises(ProofError, match="not a request"):
        AddCheckpoint.decode(body)
