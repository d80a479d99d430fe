"""Epochs: a log that cannot go on where it was published begins anew, and names what came before.

The new log has a name of its own (`<origin>/epoch-2`), so that no name ever has two roots for one
size. It keeps every entry that the database has signed for, in the same places: checkpoints of the
former log up to that size are states of the new one too, and proofs between them hold. What the
former log had published beyond is named by its last checkpoint and is lost. A note signed by the
former log's own key says all of that: whoever pinned the former key can follow.
"""

import re
from collections.abc import Callable

import msgspec

from auditkeep.db.schema import checkpoints, log_entries, meta
from auditkeep.db.tx import SystemTx
from auditkeep.lake import published
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.lake import EPOCHS, FormerLog, Lake
from auditkeep.lake.sequencer import Row
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.tlog.epoch import Epoch
from auditkeep.tlog.merkle import EMPTY_ROOT
from auditkeep.tlog.note import Signer

_NUMBERED = re.compile(r"(?P<name>.*)/epoch-(?P<number>[1-9][0-9]{0,5})")


def next_name(origin: str) -> str:
    """`log`, `log/epoch-2`, `log/epoch-3`, …"""
    match = _NUMBERED.fullmatch(origin)
    if match is None:
        return f"{origin}/epoch-2"
    return f"{match['name']}/epoch-{int(match['number']) + 1}"


def begin(
    lake: Lake,
    kept: Row | None,
    last: Checkpoint | None,
    note_lost: Callable[[SystemTx, Epoch], None],
    *,
    end_known: bool = True,
    under: Signer | None = None,
) -> Lake:
    """End this log and begin the next: the lake under it. Tiles must be those of `kept` already.

    `kept` is the newest checkpoint that the database has signed, `last` the newest that was
    published, where it can be read; not `end_known`: more was published than anybody here knows.
    `note_lost` joins the transaction that begins the epoch. `under` signs the new log, if it is not
    to be the same key: the former one vouches for it.
    """
    size, root = (kept.size, kept.root) if kept is not None else (0, EMPTY_ROOT)
    final = last if last is not None and last.size >= size else Checkpoint("", size, root)
    signer = under or lake.signer.renamed(next_name(lake.origin))
    epoch = Epoch(
        lake.origin,
        signer.vkey,
        size,
        root,
        final.size if end_known else None,
        final.root if end_known else None,
    )
    former = (*lake.former, FormerLog(lake.signer.vkey, epoch.signed(lake.signer)))
    note = Checkpoint(signer.name, size, root).signed(signer) if size else ""

    def begun(tx: SystemTx) -> None:
        tx.lock("log")
        _forget_unsigned(tx, size)
        if note:
            row = tx.update(checkpoints).where(checkpoints.c.size == size)
            tx.run(row.values(note=note))
        rows = {
            "log_origin": signer.name,
            "log_key": signer.vkey,
            EPOCHS: msgspec.json.encode(former).decode(),
        }
        tx.upsert(meta, [{"key": k, "value": v} for k, v in rows.items()], replace=["value"])
        note_lost(tx, epoch)
        reach("recover.before-commit")

    lake.db.system_change(begun)
    reach("recover.committed")
    renamed = lake.renamed(signer, former)
    publish(renamed, note)
    return renamed


def publish(lake: Lake, note: str) -> None:
    """Put the new log's first checkpoint in the place of the former one's last."""
    if note:
        lake.objects.replace(published.NAME, note.encode())
    else:
        lake.objects.delete(published.NAME)


def _forget_unsigned(tx: SystemTx, size: int) -> None:
    """What was decided but not signed for is decided anew, under the new name."""
    tx.run(tx.delete(checkpoints).where(checkpoints.c.size > size))
    e = log_entries.c
    tx.run(tx.update(log_entries).where(e.log_index >= size).values(log_index=None))
