"""Another key for the log or for reports: a new file, or one that AWS KMS or an HSM holds.

A report names its key, and the log's key vouches for it (docs/adr/0008): nobody need be told of a
new one. Auditors have pinned the log's, so a new one begins the log's next epoch, which a note of
the former key names: whoever pinned that one can follow.

The log's new key lies beside the old one until the epoch has begun. A change that was cut off is
either not made, and made when it is asked for again, or ends with the next start.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from auditkeep.app import keys
from auditkeep.app.parts import Parts
from auditkeep.app.places import Places
from auditkeep.crypto import durable, signers
from auditkeep.crypto.signing import ReportKey, SigningKey
from auditkeep.db.tx import SystemTx
from auditkeep.lake import epochs
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.lake import Lake
from auditkeep.lake.sequencer import Sequencer, newest_row
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.tlog.epoch import Epoch
from auditkeep.tlog.note import Signer

LOCAL = "local"
"""A new key in a file of our own."""


def change_report_key(parts: Parts, to: str) -> str:
    """Sign reports with another key from the next start on; what it is called."""
    find, note = keys.finder(parts.settings), parts.lake.uses.note
    places = Places.of(parts.settings)
    file = partial(signers.report_key_file, to, find, note)
    _make(places.next_report_key, to, ReportKey.create, file)
    made = signers.open_report_key(places.next_report_key, find, note)
    told = {"to": to, "fingerprint": made.fingerprint}
    parts.db.system_change(lambda tx: parts.note(tx, "ChangeReportKey", told))
    durable.take_place(places.next_report_key, places.report_key)
    return signers.name_of(places.report_key)


def change_log_key(parts: Parts, to: str) -> str:
    """End the log and begin its next epoch under another key; the new verifier key.

    Busy while a server or another command holds the log; KeyUnusable if either key does not sign.
    """
    find, note = keys.finder(parts.settings), parts.lake.uses.note
    places, lake = Places.of(parts.settings), parts.lake
    with Sequencer(lake) as sequencer:
        file = partial(signers.log_key_file, to, find, note)
        _make(places.next_log_key, to, SigningKey.create, file)
        key = signers.open_log_key(places.next_log_key, find, note)
        signer = Signer(epochs.next_name(lake.origin), key)
        while True:  # all that the former key has to sign for
            size = _size(lake)
            checkpoint = sequencer.step()
            if checkpoint is None or checkpoint.size == size:
                break
        with lake.db.system_read() as tx:
            newest = newest_row(tx, signed=True)
        last = None if newest is None else Checkpoint(lake.origin, newest.size, newest.root)

        def tell(tx: SystemTx, _epoch: Epoch) -> None:
            parts.note(tx, "ChangeLogKey", {"to": to, "logKey": signer.vkey})

        epochs.begin(lake, newest, last, tell, under=signer)
        reach("log-key.epoch-begun")
        durable.take_place(places.next_log_key, places.log_key)
    return signer.vkey


def _size(lake: Lake) -> int:
    with lake.db.system_read() as tx:
        row = newest_row(tx)
    return 0 if row is None else row.size


def _make(path: Path, to: str, create: Callable[[Path], object], file: Callable[[], bytes]) -> None:
    """The next key's file: `create` makes one of our own, `file` says what names one elsewhere."""
    if to != LOCAL:
        durable.replace(path, file(), mode=0o600)
        return
    if path.exists():  # of a change that was cut off, and nobody knows it
        durable.remove(path)
    create(path)
