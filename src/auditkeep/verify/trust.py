"""Whose word an archive is: the log's key, its checkpoint, the report's key, and one held before.

Rule: a key that comes with what it signs proves nothing about who made it. Only a log key pinned
beforehand (or given by the auditor) makes an archive valid; with the archive's own key everything
is checked all the same, and the answer is a doubt that shows the key's fingerprint.

A log that had to begin anew is followed from the key of the one before: the archive carries the
notes by which each names the next (docs/formats.md, "Epochs").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from auditkeep.errors import KeyUnusable, ProofError
from auditkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from auditkeep.tlog.epoch import Epoch, follow
from auditkeep.tlog.merkle import verify_consistency
from auditkeep.tlog.note import Verifier, open_note, split
from auditkeep.verify.container import Container
from auditkeep.verify.findings import Findings
from auditkeep.verify.format import (
    CHECKPOINT,
    CONSISTENCY,
    EPOCHS,
    LOG_KEY,
    REPORT_KEY,
    ConsistencyLine,
    EpochLine,
    parse_report_key,
)
from auditkeep.verify.record import hex_bytes

_NOTE_LIMIT = 1 << 20
_LINE_LIMIT = 1 << 16


@dataclass(frozen=True)
class Trust:
    """What an archive is checked against; `checkpoint` and `report_key` are None if they fail."""

    log_key: Verifier | None = None
    keys: tuple[Verifier, ...] = ()
    """All that checkpoints of this log may be signed by."""
    checkpoint: Checkpoint | None = None
    report_key: bytes | None = None


def establish(
    archive: Container, folder: str, pinned: Sequence[str], held: str | None, found: Findings
) -> Trust:
    """Choose the log key, then check checkpoint, endorsement and held checkpoint with it."""
    note = _text(archive, folder + CHECKPOINT, found)
    carried = _carried_key(archive, folder, found)
    origin = _origin(note) or (carried.name if carried else "")
    known = [Verifier.parse(vkey) for vkey in pinned]
    notes = _epoch_notes(archive, folder, found)
    epochs = follow(notes, known)
    keys = _keys(origin, [*known, *(epoch.verifier for epoch in epochs)], carried, found)
    if not keys:
        return Trust()
    checkpoint = _checkpoint(note, keys, found) if note is not None else None
    report_key = _report_key(archive, folder, origin, keys, found)
    if held is not None and checkpoint is not None:
        former = follow(notes, [*known, *keys])
        _compare(archive, folder, checkpoint, held, [*keys, *known], former, found)
    return Trust(keys[0], tuple(keys), checkpoint, report_key)


def _keys(
    origin: str, pinned: Sequence[Verifier], carried: Verifier | None, found: Findings
) -> list[Verifier]:
    """The keys to check with: the pinned ones of this log, or else the archive's own."""
    keys = [verifier for verifier in pinned if verifier.name == origin]
    if carried is not None and carried.name != origin:
        found.problem(f"{LOG_KEY} is the key of {carried.name}, but the checkpoint is of {origin}.")
    if not keys:
        if carried is None:
            return []
        found.doubt(
            f"No key of the log {origin} is pinned, so the archive was checked with the key it "
            f"carries, which anybody could have made. Ask the log's owner, on another way, whether "
            f"the key's fingerprint is {carried.fingerprint}; then give the key with --key."
        )
        return [carried]
    if carried is not None and carried not in keys:
        found.problem(
            f"The archive carries another key of the log {origin} (fingerprint "
            f"{carried.fingerprint}) than the one that is pinned ({keys[0].fingerprint}): it was "
            "made by somebody else, or the log has a new key that you were not told of."
        )
    if carried in keys:
        keys.sort(key=lambda key: key != carried)
    return keys


def _checkpoint(note: str, keys: Sequence[Verifier], found: Findings) -> Checkpoint | None:
    try:
        return open_checkpoint(note, keys)
    except ProofError as error:
        found.problem(f"{CHECKPOINT} cannot be trusted: {error}")
        return None


def _report_key(
    archive: Container, folder: str, origin: str, keys: Sequence[Verifier], found: Findings
) -> bytes | None:
    """The public key that signed the digest, if the log's key vouches for it."""
    text = _text(archive, folder + REPORT_KEY, found)
    if text is None:
        return None
    try:
        return _endorsed(open_note(text, keys).body, origin)
    except ProofError as error:
        found.problem(
            f"{REPORT_KEY}: the key that signs the report is not endorsed by the log's key: {error}"
        )
        return None


def _endorsed(body: str, origin: str) -> bytes:
    named, public_der = parse_report_key(body)
    if named != origin:
        raise ProofError(f"{REPORT_KEY} endorses a key of the log {named}, not of {origin}.")
    return public_der


def _compare(
    archive: Container,
    folder: str,
    checkpoint: Checkpoint,
    text: str,
    keys: Sequence[Verifier],
    epochs: Sequence[Epoch],
    found: Findings,
) -> None:
    """The archive's checkpoint and one that the auditor holds must be states of one history."""
    try:
        held = open_checkpoint(text, keys)
    except ProofError as error:
        found.problem(f"The checkpoint you hold cannot be compared with the archive's: {error}")
        return
    since = _since(held.origin, checkpoint.origin, epochs)
    if since and not _was_kept(held, since, found):
        return
    if held.origin != checkpoint.origin and not since:
        found.problem(
            f"The checkpoint you hold is of the log {held.origin}, the archive's of "
            f"{checkpoint.origin}."
        )
        return
    old, new = sorted((held, checkpoint), key=lambda one: one.size)
    if old.size == new.size:
        if old.root != new.root:
            found.problem(
                f"The log {held.origin} has signed two different histories of {held.size} entries: "
                "the checkpoint you hold and the archive's. One of them was rewritten."
            )
        return
    if old.size == 0:
        return
    path = _consistency(archive, folder, old.size, new.size, found)
    if path is None:
        found.doubt(
            f"The checkpoint you hold has {held.size} entries, the archive's {checkpoint.size}, "
            "and the archive holds no proof that one continues the other. Ask the log's owner "
            f"for a report or a checkpoint of size {held.size}."
        )
        return
    try:
        verify_consistency(old.size, old.root, new.size, new.root, path)
    except ProofError as error:
        found.problem(
            f"The archive's checkpoint ({checkpoint.size} entries) and the one you hold "
            f"({held.size} entries) are not states of one history: {error}"
        )


def _since(held: str, now: str, epochs: Sequence[Epoch]) -> list[Epoch]:
    """The epochs that lead from one log's name to another's; none if they do not."""
    found: list[Epoch] = []
    at = held
    for epoch in epochs:
        if epoch.former == at:
            found.append(epoch)
            at = epoch.verifier.name
    return found if at == now else []


def _was_kept(held: Checkpoint, since: Sequence[Epoch], found: Findings) -> bool:
    """Whether a former log's checkpoint is a state of this one too; what is otherwise is said."""
    kept, last = min(epoch.kept_size for epoch in since), since[0].last_size
    if held.size <= kept:
        return True
    if last is not None and held.size > last:
        found.problem(
            f"The checkpoint you hold has {held.size} entries, but the log {held.origin} is said "
            f"to have ended with {last}: some of it was concealed."
        )
    else:
        found.doubt(
            f"The log {held.origin} ended, and its successor keeps {kept} of its entries: the "
            f"checkpoint you hold has {held.size}, and what it covers beyond is lost. Ask the "
            "log's owner about that restore."
        )
    return False


def _epoch_notes(archive: Container, folder: str, found: Findings) -> list[str]:
    """The notes that the archive carries; none if its log never had to begin anew."""
    name = folder + EPOCHS
    if name not in archive:
        return []
    try:
        lines = archive.lines(name, _LINE_LIMIT)
        return [msgspec.json.decode(text, type=EpochLine).note for text in lines]
    except (msgspec.MsgspecError, UnicodeDecodeError, ProofError) as error:
        found.problem(f"{name} cannot be read: {error}.")
        return []


def _consistency(
    archive: Container, folder: str, old: int, new: int, found: Findings
) -> list[bytes] | None:
    name = folder + CONSISTENCY
    if name not in archive:
        return None
    try:
        for number, text in enumerate(archive.lines(name, _LINE_LIMIT), start=1):
            try:
                line = msgspec.json.decode(text, type=ConsistencyLine)
                if (line.old, line.new) == (old, new):
                    return [hex_bytes(step) for step in line.path]
            except (msgspec.MsgspecError, UnicodeDecodeError, ProofError) as error:
                found.problem(f"Line {number} of {name} cannot be read: {error}.")
    except ProofError as error:
        found.problem(str(error))
    return None


def _carried_key(archive: Container, folder: str, found: Findings) -> Verifier | None:
    text = _text(archive, folder + LOG_KEY, found)
    if text is None:
        return None
    try:
        return Verifier.parse(text)
    except KeyUnusable as error:
        found.problem(f"{LOG_KEY} does not hold a log key: {error}")
        return None


def _origin(note: str | None) -> str:
    """Whose checkpoint it says to be, before any signature was checked."""
    if note is None:
        return ""
    try:
        return split(note)[0].split("\n", 1)[0]
    except ProofError:
        return ""


def _text(archive: Container, name: str, found: Findings) -> str | None:
    if name not in archive:
        found.problem(f"The archive lacks {name}, without which nothing can be proven.")
        return None
    try:
        return archive.read(name, _NOTE_LIMIT).decode()
    except (ProofError, UnicodeDecodeError) as error:
        found.problem(f"{name} cannot be read: {error}")
        return None
