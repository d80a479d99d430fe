"""`auditkeep log …`: what an auditor is handed, and all that is stored checked against the log."""

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import Data, Json, checkpoint_text, report


def key(*, data: Data) -> int:
    """The log's public key, to hand to an auditor by a way you both trust."""
    from auditkeep import app
    from auditkeep.settings import load

    print(app.log_key(load(data)))
    return 0


def checkpoint(*, data: Data) -> int:
    """The newest signed checkpoint: hand it out often, it fixes everything logged so far."""
    from auditkeep import app
    from auditkeep.settings import load

    print(app.hand_out_checkpoint(load(data)), end="")
    return 0


def invite(
    file: Annotated[Path, Parameter(help="Where to write it; an existing file is left alone.")],
    *,
    data: Data,
) -> int:
    """An auditor's invitation: key, checkpoint, who vouches for it, and how to check."""
    from auditkeep import app
    from auditkeep.errors import SetupError

    with deployment(data) as parts:
        text = app.invite(parts)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise SetupError(f"{file} cannot be written: {error.strerror}.") from error
    print(f"Written to {file}. Have its reader confirm the fingerprint by another way.")
    return 0


def anchors(*, data: Data, json: Json = False) -> int:
    """Who vouches for the log's checkpoints, how far, and who does not answer.

    Exit code 1: somebody who was asked does not vouch for what there is.
    """
    from auditkeep import app

    with deployment(data) as parts:
        found = app.anchored(parts)
    report(found, as_json=json)
    return 1 if any(row["state"] != "vouches" for row in found["authorities"]) else 0


def audit(
    *,
    data: Data,
    checkpoint: Annotated[
        Path | None, Parameter(help="A signed checkpoint of this log that was kept elsewhere.")
    ] = None,
    key: Annotated[
        str | None, Parameter(help="The log's public key as you got it another way.")
    ] = None,
    fresh: Annotated[
        bool, Parameter(negative="", help="Forget where an interrupted audit stood.")
    ] = False,
    json: Json = False,
) -> int:
    """Check all that is stored against the log: every batch, observation, file, tile, checkpoint.

    Beside a running server, too. Interrupted, it goes on where it stood when it is run again.
    Exit code 0: sound. 1: not sound, and what is wrong.
    """
    from auditkeep.cli.progress import AuditProgress
    from auditkeep.lake.audit.run import STATE, standing
    from auditkeep.lake.audit.run import audit as check

    held = checkpoint_text(checkpoint)
    with deployment(data) as parts:
        stood = None if fresh else standing(parts.lake.data / STATE, parts.lake.origin)
        if stood is not None:
            print(f"auditkeep: {stood}", file=sys.stderr)
        with AuditProgress(quiet=json or not sys.stderr.isatty()) as progress:
            try:
                now = parts.clock.now()
                found = check(
                    parts.lake, now=now, held=held, key=key, fresh=fresh, progress=progress
                )
            except KeyboardInterrupt:
                print(
                    "auditkeep: the audit is interrupted; the same command goes on with it.",
                    file=sys.stderr,
                )
                return 130
    report(found.summary(), as_json=json)
    return 0 if found.sound else 1


def recover(
    *,
    data: Data,
    checkpoint: Annotated[
        Path | None,
        Parameter(help="After a restore from a backup: the newest checkpoint that was published."),
    ] = None,
    json: Json = False,
) -> int:
    """After a restore: go on with the published log, and declare what was lost.

    Stop the server first. What was published after the backup is read back from the log's tiles;
    where that is impossible, a new epoch of the log begins, which names the one before. Run it
    again if it was cut off. After a restore that brought back the log's own files too, nobody here
    knows what was published since the backup: `--checkpoint` tells, or an epoch begins.
    """
    newest = checkpoint_text(checkpoint)
    with deployment(data) as parts:
        who = f"the operator (uid {os.getuid()}, auditkeep log recover)"
        done = parts.recover_log(who, newest)
    report(done.summary(), as_json=json)
    return 0
