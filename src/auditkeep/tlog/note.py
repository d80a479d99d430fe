"""Signed notes: text that a person can read and a program can check (C2SP signed-note).

    <text, ending in a newline>
    <empty line>
    — <key name> base64(key id(4) ‖ Ed25519 signature(64))

Keys are written as `tlog.vkey` says, with the algorithm 0x01.

Invariants: a signature by a key that is known must hold, or the whole note is refused; those by
unknown keys are ignored; a note without a signature by a known key is refused. Text with control
characters is neither signed nor read, so what is shown is what was signed.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from auditkeep.crypto.signing import NoteKey, verify_ed25519
from auditkeep.errors import ProofError
from auditkeep.tlog.vkey import ID_SIZE, PublicKey

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_LINE = re.compile(r"— (?P<name>[^\s+]+) (?P<blob>[A-Za-z0-9+/]+={0,2})")

MAX_SIZE = 1_000_000
"""Characters of a note: the limit of the reference implementation."""
MAX_SIGNATURES = 100
"""Likewise; a real checkpoint carries a handful."""


class Verifier(PublicKey):
    """The public half of a note key."""

    algorithm = b"\x01"
    kind = "log key"


class Signer:
    """A named note key that can sign."""

    def __init__(self, name: str, key: NoteKey) -> None:
        Verifier.require_name(name)
        self.key = key
        self.verifier = Verifier(name, key.public)

    @property
    def name(self) -> str:
        return self.verifier.name

    @property
    def vkey(self) -> str:
        """What to hand to whoever wants to check: `name+id+public key`."""
        return self.verifier.vkey

    def sign(self, body: bytes) -> bytes:
        return self.key.sign(body)

    def renamed(self, name: str) -> "Signer":
        """The same key under another name, for a log that begins anew."""
        return Signer(name, self.key)

    def __repr__(self) -> str:
        return f"Signer({self.vkey})"


@dataclass(frozen=True)
class Signature:
    """One signature line of a note."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True)
class Note:
    """A note's text, and the known keys whose signatures hold."""

    body: str
    signed_by: tuple[Verifier, ...]


def sign(body: str, signers: Iterable[Signer]) -> str:
    """The signed note over `body`, which ends in a newline."""
    _require_text(body)
    lines = []
    for signer in signers:
        blob = signer.verifier.key_id + signer.sign(body.encode())
        lines.append(f"— {signer.name} {base64.b64encode(blob).decode()}\n")
    if not lines:
        raise ProofError("A note needs at least one signature.")
    return f"{body}\n{''.join(lines)}"


def split(text: str) -> tuple[str, tuple[Signature, ...]]:
    """Body and signature lines, none of them checked; ProofError if this is not a signed note."""
    if len(text) > MAX_SIZE:
        raise ProofError("This is too long to be a signed note.")
    if _CONTROL.search(text):
        raise ProofError("The note holds control characters.")
    cut = text.rfind("\n\n")
    if cut < 0 or not text.endswith("\n"):
        raise ProofError("This is not a signed note: no signature follows an empty line.")
    body, lines = text[: cut + 1], text[cut + 2 : -1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise ProofError("The note has too many signatures.")
    return body, tuple(_signature(line) for line in lines)


def open_note(text: str, verifiers: Sequence[Verifier]) -> Note:
    """A note signed by at least one of `verifiers`; ProofError if not, or if one does not hold."""
    body, signatures = split(text)
    known = {(v.name, v.key_id): v for v in verifiers}
    holding: list[Verifier] = []
    for line in signatures:
        verifier = known.get((line.name, line.key_id))
        if verifier is None:
            continue
        try:
            verify_ed25519(verifier.public, body.encode(), line.signature)
        except ProofError as error:
            raise ProofError(f"The signature of {line.name} on the note does not hold.") from error
        if verifier not in holding:
            holding.append(verifier)
    if not holding:
        names = ", ".join(dict.fromkeys(line.name for line in signatures))
        raise ProofError(f"The note is signed by no known key (it names {names}).")
    return Note(body, tuple(holding))


def _signature(line: str) -> Signature:
    match = _LINE.fullmatch(line)
    try:
        blob = base64.b64decode(match["blob"], validate=True) if match else b""
    except binascii.Error as error:
        raise ProofError(f"The note has a malformed signature line: {line[:80]!r}.") from error
    if match is None or len(blob) <= ID_SIZE or base64.b64encode(blob).decode() != match["blob"]:
        raise ProofError(f"The note has a malformed signature line: {line[:80]!r}.")
    return Signature(match["name"], blob[:ID_SIZE], blob[ID_SIZE:])


def _require_text(body: str) -> None:
    if not body.endswith("\n") or _CONTROL.search(body) or len(body) > MAX_SIZE:
        raise ProofError("A note's text must end in a newline and hold no control characters.")
