"""How a log that had to begin anew names the one before."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditkeep.crypto.signing import SigningKey
from auditkeep.errors import ProofError
from auditkeep.tlog.epoch import Epoch, follow
from auditkeep.tlog.note import Signer, open_note


def signer(name: str, seed: bytes = b"s") -> Signer:
    return Signer(name, SigningKey(Ed25519PrivateKey.from_private_bytes(seed * 32)))


OLD, NEW = signer("log/a"), signer("log/a").renamed("log/a/epoch-2")
EPOCH = Epoch("log/a", NEW.vkey, 3, b"k" * 32, 8, b"l" * 32)


def test_an_epoch_comes_back_from_its_note() -> None:
    note = open_note(EPOCH.signed(OLD), [OLD.verifier])
    assert Epoch.parse(note.body) == EPOCH
    assert EPOCH.verifier == NEW.verifier


def test_where_the_former_log_ended_may_be_unknown() -> None:
    epoch = replace(EPOCH, last_size=None, last_root=None)
    assert epoch.body().endswith("\nunknown\nunknown\n")
    assert Epoch.parse(epoch.body()) == epoch


def test_only_the_former_log_may_end_itself() -> None:
    with pytest.raises(ProofError, match="cannot end the log log/a"):
        EPOCH.signed(NEW)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "log-epoch/2\n" + EPOCH.body().partition("\n")[2],
        EPOCH.body() + "more\n",
        EPOCH.body().replace("\n3\n", "\n03\n"),
        EPOCH.body().replace("\n3\n", "\n9\n"),
        EPOCH.body().replace("\n3\n", "\n-1\n"),
        EPOCH.body().replace("\n3\n", "\nthree\n"),
        EPOCH.body().replace(NEW.vkey, "log/a+00000000+AA=="),
        replace(EPOCH, kept_root=b"short").body(),
        replace(EPOCH, last_root=b"").body(),
        replace(EPOCH, last_root=None).body(),
        replace(EPOCH, last_size=None).body(),
    ],
)
def test_what_is_no_epoch_is_refused(body: str) -> None:
    with pytest.raises(ProofError):
        Epoch.parse(body)


def test_epochs_are_followed_from_a_key_that_is_known() -> None:
    third = signer("log/a").renamed("log/a/epoch-3")
    later = Epoch("log/a/epoch-2", third.vkey, 5, b"k" * 32, 9, b"l" * 32)
    notes = [EPOCH.signed(OLD), later.signed(NEW)]
    assert follow(notes, [OLD.verifier]) == [EPOCH, later]
    assert follow(notes, [NEW.verifier]) == [later]
    assert follow(notes, [third.verifier]) == []
    assert follow(notes[::-1], [OLD.verifier]) == [EPOCH]


def test_a_note_that_another_signed_leads_nowhere() -> None:
    forger = signer("log/a", b"f")
    assert follow([EPOCH.signed(forger)], [OLD.verifier]) == []
    assert follow(["nonsense", EPOCH.body()], [OLD.verifier]) == []
    # A key that is known, but of another log, cannot end this one.
    other = signer("log/b")
    stolen = EPOCH.signed(OLD).replace("— log/a ", "— log/b ")
    assert follow([stolen], [other.verifier]) == []
