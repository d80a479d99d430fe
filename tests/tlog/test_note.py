"""Signed notes and checkpoints: what is read is what was signed, by whom it says."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.crypto.signing import SigningKey
from auditkeep.errors import KeyUnusable, ProofError
from auditkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from auditkeep.tlog.merkle import EMPTY_ROOT
from auditkeep.tlog.note import MAX_SIGNATURES, Note, Signer, Verifier, open_note, sign, split

ORIGIN = "log.example.org/1"


def signer(name: str = ORIGIN, seed: int = 1) -> Signer:
    return Signer(name, SigningKey(Ed25519PrivateKey.from_private_bytes(bytes([seed] * 32))))


LOG, WITNESS, STRANGER = signer(), signer("witness", 2), signer("stranger", 3)
TEXT = "one line\n\nafter an empty line\n"
NOTE = sign(TEXT, [LOG, WITNESS])

# The example key and note of Go's golang.org/x/mod/sumdb/note documentation.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_a_note_signed_by_another_implementation() -> None:
    note = open_note(GO_NOTE, [Verifier.parse(GO_VKEY)])
    assert note.body.startswith("If you think")
    with pytest.raises(ProofError, match="does not hold"):
        open_note(GO_NOTE.replace("answer", "Answer"), [Verifier.parse(GO_VKEY)])


def test_who_signed_is_said() -> None:
    assert open_note(NOTE, [LOG.verifier]) == Note(TEXT, (LOG.verifier,))
    both = open_note(NOTE, [STRANGER.verifier, WITNESS.verifier, LOG.verifier])
    assert both.signed_by == (LOG.verifier, WITNESS.verifier)


def test_unknown_signatures_alone_are_not_enough() -> None:
    with pytest.raises(ProofError, match=r"no known key \(it names log.example.org/1, witness\)"):
        open_note(NOTE, [STRANGER.verifier])
    with pytest.raises(ProofError, match="no known key"):
        open_note(NOTE, [signer(seed=9).verifier])


def test_one_false_signature_spoils_a_note() -> None:
    body, signatures = split(NOTE)
    blob = bytearray(signatures[1].key_id + signatures[1].signature)
    blob[-1] ^= 1
    forged = sign(body, [LOG]) + f"— witness {base64.b64encode(blob).decode()}\n"
    assert open_note(forged, [LOG.verifier]).signed_by == (LOG.verifier,)
    with pytest.raises(ProofError, match="witness on the note does not hold"):
        open_note(forged, [LOG.verifier, WITNESS.verifier])


@given(st.data())
def test_any_changed_character_is_found(data: st.DataObject) -> None:
    note = sign(TEXT, [LOG])
    at = data.draw(st.integers(0, len(note) - 1))
    other = data.draw(st.characters(codec="utf-8"))
    if other == note[at]:
        return
    with pytest.raises(ProofError):
        open_note(note[:at] + other + note[at + 1 :], [LOG.verifier])


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_noise_is_refused_in_words(text: str) -> None:
    with pytest.raises(ProofError):
        open_note(text, [LOG.verifier])


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=99))
def test_any_printable_text_can_be_signed(text: str) -> None:
    body = f"{text}\n"
    assert open_note(sign(body, [LOG]), [LOG.verifier]).body == body


@pytest.mark.parametrize("body", ["", "no newline", "tab\t\n", "return\r\n", "nul\0\n"])
def test_what_cannot_be_shown_is_not_signed(body: str) -> None:
    with pytest.raises(ProofError, match="control characters"):
        sign(body, [LOG])


def test_a_note_without_signatures_is_none() -> None:
    with pytest.raises(ProofError, match="at least one"):
        sign(TEXT, [])
    with pytest.raises(ProofError, match="too many"):
        split("text\n\n" + NOTE.splitlines()[-1].join(["", "\n"]) * (MAX_SIGNATURES + 1))
    with pytest.raises(ProofError, match="too long"):
        split("a" * 2_000_000)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "tab\t", "line\n", "nul\0", "em\u2003sp"])
def test_names_that_would_break_a_note(name: str) -> None:
    with pytest.raises(KeyUnusable):
        signer(name)


def test_a_vkey_comes_back() -> None:
    assert Verifier.parse(f"  {LOG.vkey}\n") == LOG.verifier
    assert LOG.vkey in repr(LOG)
    groups = LOG.verifier.fingerprint.split(" ")
    assert [len(group) for group in groups] == [8] * 8


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+12345678",
        "name+12345678+",
        "name+12345678+!!!!",
        "name+12345678+AAAA",
        "+" + LOG.vkey.split("+", 1)[1],
        LOG.vkey + "AAAA",
        "ssh-ed25519 AAAA",
    ],
)
def test_what_is_no_vkey(vkey: str) -> None:
    with pytest.raises(KeyUnusable, match="is not a log key"):
        Verifier.parse(vkey)


@pytest.mark.parametrize("old", [ORIGIN, LOG.vkey.split("+")[1]])
def test_a_mistyped_vkey_contradicts_itself(old: str) -> None:
    with pytest.raises(KeyUnusable, match="contradicts itself"):
        Verifier.parse(LOG.vkey.replace(old, old[:-1] + ("0" if old[-1] != "0" else "1")))


CHECKPOINT = Checkpoint(ORIGIN, 20_852_163, bytes(range(32)))


def test_a_checkpoint_reads_as_the_specification_shows() -> None:
    assert CHECKPOINT.body() == (
        "log.example.org/1\n20852163\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    )
    assert open_checkpoint(CHECKPOINT.signed(LOG), [LOG.verifier]) == CHECKPOINT
    assert Checkpoint.parse(CHECKPOINT.body() + "an extension\n") == CHECKPOINT


@given(st.integers(1, 2**62), st.binary(min_size=32, max_size=32))
def test_checkpoints_come_back(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(ORIGIN, size, root)
    assert Checkpoint.parse(checkpoint.body()) == checkpoint


@pytest.mark.parametrize(
    "body",
    [
        "",
        "origin\n",
        "origin\n5\n",
        "\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "origin\n05\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "origin\n-5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "origin\n٥\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "origin\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n",
        "origin\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n",
        "origin\n5\nAAEC\n",
        "origin\n5\n!\n",
        "origin\n0\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
    ],
)
def test_what_is_no_checkpoint(body: str) -> None:
    with pytest.raises(ProofError):
        Checkpoint.parse(body)


def test_an_empty_log_has_the_empty_root() -> None:
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert Checkpoint.parse(empty.body()) == empty


def test_a_log_signs_under_its_own_name_only() -> None:
    with pytest.raises(ProofError, match="cannot sign for"):
        CHECKPOINT.signed(WITNESS)
    cosigned = sign(CHECKPOINT.body(), [WITNESS])
    with pytest.raises(ProofError, match="not signed by its own key"):
        open_checkpoint(cosigned, [LOG.verifier, WITNESS.verifier])
