"""`auditkeep serve` and `auditkeep demo`."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from auditkeep.cli.options import Data


def serve(*, data: Data, host: str = "127.0.0.1", port: int = 8080) -> int:
    """The API and its worker, in one process; one `serve` per data directory.

    Plain HTTP on loopback; TLS on every other address, unless AUDITKEEP_TLS says otherwise.
    """
    from auditkeep import app
    from auditkeep.app import escrow
    from auditkeep.clock import SystemClock
    from auditkeep.settings import load

    settings = load(data)
    service = app.Service(app.open_parts(settings, SystemClock()))
    key = escrow.missing(settings)
    if key is not None:
        sys.stderr.write(
            f"auditkeep: nobody has a copy of the master key {key}. If this machine is lost, so is "
            "everything: run 'auditkeep keys escrow'.\n"
        )
    service.serve(host, port)
    return 0


def demo(
    *,
    data: Annotated[Path, Parameter(help="Where the demo plays.")] = Path("demo-data"),
    logs: Annotated[
        Path | None, Parameter(help="Use these CloudTrail files instead of the made-up ones.")
    ] = None,
    port: Annotated[int, Parameter(help="0 takes a free one.")] = 0,
    end: Annotated[
        bool, Parameter(name="--exit", negative="", help="End instead of serving on.")
    ] = False,
) -> int:
    """The main job end to end: from an empty folder to a report that proves itself."""
    from auditkeep.demo.story import run

    return run(data, logs=logs, port=port, stay=not end)
