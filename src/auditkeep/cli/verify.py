"""`auditkeep verify` and `auditkeep pin`: the auditor's side, offline, without a server."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from auditkeep.cli.options import Json, checkpoint_text, report

if TYPE_CHECKING:
    from auditkeep.verify.certificate import Checked
    from auditkeep.verify.findings import Verdict


def verify(
    archive: Annotated[
        Path, Parameter(help="The report's .zip file, or a certificate of destruction.")
    ],
    *,
    key: Annotated[
        list[str] | None, Parameter(help="The log's public key, as `auditkeep log key` prints it.")
    ] = None,
    checkpoint: Annotated[
        Path | None, Parameter(help="A signed checkpoint that you have kept from before.")
    ] = None,
    witness: Annotated[
        list[str] | None, Parameter(help="The key of a witness that you trust.")
    ] = None,
    tsa: Annotated[
        list[Path] | None,
        Parameter(help="Certificates (PEM) of a timestamp authority that you trust."),
    ] = None,
    late_hours: Annotated[
        int, Parameter(help="Hours after which a record that nobody vouched for counts as late.")
    ] = 24,
    json: Json = False,
) -> int:
    """Check a report: signature, digests, extra and missing files, every record's proof.

    Or a certificate of destruction: its signature, and that the log holds what it certifies.

    Exit code 0: valid. 1: not valid, and what is wrong. 2: cannot tell, because no log key was
    given or pinned before, or because there is nothing to read.
    """
    from auditkeep.clock import MINUTE
    from auditkeep.crypto.timestamps import certificates
    from auditkeep.errors import InputError
    from auditkeep.tlog.cosignature import WitnessKey
    from auditkeep.verify.anchors import Outsiders
    from auditkeep.verify.archive import verify_archive
    from auditkeep.verify.certificate import MAX_SIZE, is_certificate, verify_certificate
    from auditkeep.verify.pins import pinned

    keys = [*(key or []), *pinned()]
    try:
        kept = checkpoint_text(checkpoint)
        outsiders = Outsiders(
            [WitnessKey.parse(vkey) for vkey in witness or ()],
            [one for file in tsa or () for one in certificates(file.read_bytes(), str(file))],
            late_hours * 60 * MINUTE,
        )
        verdict: Verdict | Checked
        with archive.open("rb") as stream:
            if is_certificate(stream.read(1)):
                stream.seek(0)
                verdict = verify_certificate(stream.read(MAX_SIZE + 1), keys)
            else:
                verdict = verify_archive(archive, keys, kept, outsiders=outsiders)
    except OSError as error:
        print(
            f"auditkeep: {error.filename or archive} cannot be read: {error.strerror}.",
            file=sys.stderr,
        )
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
