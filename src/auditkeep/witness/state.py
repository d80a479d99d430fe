"""What a witness knows, in a folder of its own: its key, and for each log the last checkpoint.

    witness.json            its name and public key
    witness.key             Ed25519, PKCS#8 PEM, mode 0600
    logs/<hash>.json        a log's vkey and the newest checkpoint that was cosigned
    forks/<hash>-<size>.txt a checkpoint that the log signed and that contradicts what was cosigned

The rules (C2SP tlog-witness), in this order: a log that nobody told it of is not found; a
checkpoint that the log did not sign is refused; one of the size that is known must have the known
root; any other must go on from the size that is known, and come with the proof that it does.

Invariants: what is about to be cosigned is durable before it is signed, so that a witness killed at
any moment never cosigns two histories; one process at a time.
"""

import fcntl
import hashlib
import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import msgspec

from auditkeep.clock import Instant
from auditkeep.crypto import durable
from auditkeep.crypto.signing import SigningKey
from auditkeep.errors import Busy, KeyUnusable, ObjectExists, ObjectMissing, ProofError, SetupError
from auditkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from auditkeep.tlog.cosignature import WitnessKey, cosign
from auditkeep.tlog.merkle import EMPTY_ROOT, verify_consistency
from auditkeep.tlog.note import Verifier, split
from auditkeep.tlog.witness import SIZE_TYPE, AddCheckpoint

_TEXT = "text/plain; charset=utf-8"
_LOG = logging.getLogger("auditkeep.witness")


class _Identity(msgspec.Struct, frozen=True):
    vkey: str


class Watched(msgspec.Struct, frozen=True):
    """A log, and the newest of its checkpoints that was cosigned; no `note` before the first."""

    vkey: str
    note: str = ""

    @property
    def origin(self) -> str:
        return Verifier.parse(self.vkey).name

    @property
    def known(self) -> Checkpoint:
        """The last checkpoint; that of an empty log before any was seen."""
        if not self.note:
            return Checkpoint(self.origin, 0, EMPTY_ROOT)
        return Checkpoint.parse(split(self.note)[0])


@dataclass(frozen=True, slots=True)
class Answer:
    """What the witness says to a request, as HTTP has it."""

    status: int
    body: str
    kind: str = _TEXT


class State:
    """A witness's folder. Safe to share between threads; `close` it to let another process in."""

    def __init__(self, folder: Path) -> None:
        """Busy if another process has it; SetupError where there is no witness."""
        self._folder = folder
        try:
            identity = msgspec.json.decode((folder / "witness.json").read_bytes(), type=_Identity)
        except FileNotFoundError as error:
            raise SetupError(
                f"There is no witness in {folder}; run 'auditkeep witness init' first."
            ) from error
        except (OSError, msgspec.MsgspecError) as error:
            raise SetupError(f"{folder / 'witness.json'} cannot be read: {error}.") from error
        self.key = WitnessKey.parse(identity.vkey)
        self._signing = SigningKey.open(folder / "witness.key")
        if self._signing.public != self.key.public:
            raise KeyUnusable(f"{folder / 'witness.key'} is not the key that witness.json names.")
        self._turn = threading.Lock()
        self._hold = _hold(folder / "lock")

    @classmethod
    def create(cls, folder: Path, name: str) -> WitnessKey:
        """A new witness in a folder that has none; its public key."""
        key = SigningKey.create(folder / "witness.key")
        made = WitnessKey(name, key.public)
        WitnessKey.parse(made.vkey)  # a name that cannot be written in a note is refused here
        durable.write_new(folder / "witness.json", msgspec.json.encode(_Identity(made.vkey)))
        return made

    def close(self) -> None:
        os.close(self._hold)

    def watch(self, vkey: str) -> str:
        """Cosign for this log from now on; its origin. KeyUnusable if its name has another key."""
        verifier = Verifier.parse(vkey)
        try:
            fresh = msgspec.json.encode(Watched(verifier.vkey))
            durable.write_new(self._file(verifier.name), fresh)
        except ObjectExists:
            there = self.find(verifier.name)
            if there is None or there.vkey != verifier.vkey:
                raise KeyUnusable(
                    f"The log {verifier.name} is watched under another key. A log has one key: ask "
                    "its owner what became of it."
                ) from None
        return verifier.name

    def watched(self) -> list[Watched]:
        """Every log, by name."""
        folder = self._folder / "logs"
        names = [] if not folder.is_dir() else sorted(folder.glob("[0-9a-f]*.json"))
        return sorted((_read(path) for path in names), key=lambda log: log.origin)

    def find(self, origin: str) -> Watched | None:
        """A log by its name; None if it is not watched."""
        try:
            return _read(self._file(origin))
        except ObjectMissing:
            return None

    def add_checkpoint(self, body: bytes, now: Instant) -> Answer:
        """Cosign, or say why not."""
        try:
            asked = AddCheckpoint.decode(body)
            origin = split(asked.note)[0].partition("\n")[0]
        except ProofError as error:
            return Answer(400, f"{error}\n")
        with self._turn:
            log = self.find(origin)
            if log is None:
                return Answer(404, "This witness does not watch that log.\n")
            try:
                new = open_checkpoint(asked.note, [Verifier.parse(log.vkey)])
            except ProofError as error:
                return Answer(403, f"{error}\n")
            refused = self._refused(log, new, asked)
            if refused is not None:
                return refused
            if new.size > log.known.size or not log.note:
                kept = Watched(log.vkey, asked.note)
                durable.replace(self._file(origin), msgspec.json.encode(kept))
            return Answer(200, cosign(new.body(), self.key.name, self._signing, now))

    def _refused(self, log: Watched, new: Checkpoint, asked: AddCheckpoint) -> Answer | None:
        known = log.known
        conflict = Answer(409, f"{known.size}\n", SIZE_TYPE)
        if new.size == known.size and new.root != known.root:
            self._keep_fork(new, asked.note)
            return conflict
        if asked.old_size > new.size:
            return Answer(400, "The old size is larger than the checkpoint's.\n")
        if asked.old_size != known.size:
            return conflict
        try:
            verify_consistency(known.size, known.root, new.size, new.root, list(asked.path))
        except ProofError as error:  # no evidence against the log: anybody can send a wrong path
            _LOG.warning("%d entries of %s were not shown to continue", new.size, new.origin)
            return Answer(422, f"{error}\n")
        return None

    def _keep_fork(self, new: Checkpoint, note: str) -> None:
        """The log signed two roots for one size: evidence that nobody but it can make."""
        name = f"{_hash(new.origin)}-{new.size}.txt"
        _LOG.error(
            "The log %s signed two different histories of %d entries; the second checkpoint is "
            "kept as forks/%s",
            new.origin,
            new.size,
            name,
        )
        try:
            durable.write_new(self._folder / "forks" / name, note.encode())
        except ObjectExists:
            return  # one is proof enough

    def _file(self, origin: str) -> Path:
        return self._folder / "logs" / f"{_hash(origin)}.json"


def _hash(origin: str) -> str:
    return hashlib.sha256(origin.encode()).hexdigest()


def _read(path: Path) -> Watched:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Watched)
    except FileNotFoundError as error:
        raise ObjectMissing(f"{path} does not exist.") from error
    except (OSError, msgspec.MsgspecError) as error:
        raise SetupError(
            f"{path} cannot be read: {error}. Without it this witness could cosign a second "
            "history: restore it from a backup, or begin a new witness."
        ) from error


def _hold(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise Busy(f"Another process is the witness in {path.parent}.") from error
    return handle
