"""`auditkeep verify` and `auditkeep pin`: the auditor's side, offline, without a server."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from auditkeep.cli.options import Json, report


def verify(
    archive: Annotated[Path, Parameter(help="The report's .zip file.")],
    *,
    key: Annotated[
        list[str] | None, Parameter(help="The log's public key, as `auditkeep log key` prints it.")
    ] = None,
    checkpoint: Annotated[
        Path | None, Parameter(help="A signed checkpoint that you have kept from before.")
    ] = None,
    json: Json = False,
) -> int:
    """Check a report: signature, digests, extra and missing files, every record's proof.

    Exit code 0: valid. 1: not valid, and what is wrong. 2: cannot tell, because no log key was
    given or pinned before, or because there is nothing to read.
    """
    from auditkeep.errors import InputError
    from auditkeep.verify.archive import verify_archive
    from auditkeep.verify.pins import pinned

    try:
        kept = checkpoint.read_text() if checkpoint else None
        verdict = verify_archive(archive, pinned=[*(key or []), *pinned()], checkpoint=kept)
    except OSError as error:
        print(f"auditkeep: {checkpoint} cannot be read: {error.strerror}.", file=sys.stderr)
        return 2
    except InputError as error:
        print(f"auditkeep: {error}", file=sys.stderr)
        return 2
    report(verdict.summary(), as_json=json)
    return {"valid": 0, "invalid": 1, "cannot-tell": 2}[verdict.state]


def pin(key: Annotated[str, Parameter(help="The log's public key.")]) -> int:
    """Trust this log key in every later `verify` by this user."""
    from auditkeep.verify.pins import add

    where = add(key)
    print(f"Pinned in {where}.")
    return 0
