"""What an auditor is handed: the log's key, a checkpoint, who vouches for it, and how to check.

One plain text for a person, whose parts a program finds too: the checkpoint is a signed note
between two lines of dashes, as it is to be kept. Nothing in it is secret; the token for the log's
files is made apart (`auditkeep log token create`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from auditkeep.anchoring import store
from auditkeep.anchoring.authorities import Authority, RemoteWitness
from auditkeep.clock import Instant, iso
from auditkeep.db.tx import SystemTx
from auditkeep.lake import handed_out
from auditkeep.lake.lake import Lake
from auditkeep.lake.sequencer import newest_row

_LINE = "-" * 70
_TEXT = """\
AN AUDITOR'S INVITATION
=======================

To follow the transparency log {origin}
Made on {made}.

The log's key, one line. Everything else hangs on it: confirm its fingerprint
with its owner by another way than this one came, over the telephone say.

{vkey}

Fingerprint  {fingerprint}

The log's state now, {size} entries. Keep the lines between the dashes as a
file, checkpoint.txt: whoever holds it sees whether anything logged before it
was changed, removed or reordered later.

{line}
{note}{line}

{others}
To check a report that you are handed, offline:

    auditkeep verify REPORT.zip --checkpoint checkpoint.txt \\
        --key '{vkey}'{witnesses}

To have everything that is stored checked, on the deployment itself:

    auditkeep log audit --data DIR --checkpoint checkpoint.txt \\
        --key '{vkey}'

To follow the log over HTTP, ask for a token; its files are then those of C2SP
tlog-tiles below https://HOST/log/, with the header Authorization: Bearer TOKEN.

By hand, with openssl and sha256sum: docs/verification.md of Auditkeep.
It proves unchanged since logged, not true when collected.
"""


@dataclass(frozen=True, slots=True)
class HandedOut:
    """A checkpoint as it leaves the house, with the cosignatures that it has."""

    size: int
    note: str


def take(tx: SystemTx, lake: Lake) -> HandedOut | None:
    """The newest checkpoint that somebody vouches for, or else the newest; None before the first.

    It is noted as handed out, so that later reports are tied to it.
    """
    size = store.largest(tx, lake.origin)
    if size is None:
        row = newest_row(tx, signed=True)
        if row is None or row.note is None:
            return None
        found = HandedOut(row.size, row.note)
    else:
        said = store.of_size(tx, lake.origin, size)
        found = HandedOut(size, store.cosigned(said[0].note, said))
    handed_out.note(tx, found.size)
    return found


def invitation(
    lake: Lake, handed: HandedOut, authorities: Sequence[Authority], now: Instant
) -> str:
    """The text for one auditor."""
    keys = [a.key.vkey for a in authorities if isinstance(a, RemoteWitness)]
    return _TEXT.format(
        origin=lake.origin,
        made=iso(now)[:10],
        vkey=lake.signer.vkey,
        fingerprint=lake.signer.verifier.fingerprint,
        size=f"{handed.size:,}",
        line=_LINE,
        note=handed.note,
        others=_others(authorities),
        witnesses="".join(f" \\\n        --witness '{key}'" for key in keys),
    )


def _others(authorities: Sequence[Authority]) -> str:
    if not authorities:
        return "Nobody outside vouches for this log yet: your copy is what fixes it.\n"
    lines = ["Who else vouches for it; a witness's key is its own to confirm:", ""]
    for authority in authorities:
        if isinstance(authority, RemoteWitness):
            lines += [f"    witness    {authority.key.vkey}", f"               {authority.url}"]
        else:
            lines.append(f"    timestamps {authority.name}")
    return "\n".join([*lines, ""])
