"""`auditkeep witness …`: an independent witness for anybody's log."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from auditkeep.cli.options import Json, report

Folder = Annotated[Path, Parameter(name="--state", help="The witness's own folder.")]


def init(
    name: Annotated[str, Parameter(help="Its name, as a URL without scheme: witness.example.org.")],
    *,
    state: Folder,
    json: Json = False,
) -> int:
    """A new witness: its key, to hand to those whose logs it watches and to their auditors."""
    from auditkeep.witness.state import State

    key = State.create(state, name)
    report({"name": key.name, "key": key.vkey}, as_json=json)
    return 0


def watch(key: Annotated[str, Parameter(help="The log's public key.")], *, state: Folder) -> int:
    """Cosign the checkpoints of this log from now on."""
    from auditkeep.witness.state import State

    opened = State(state)
    try:
        print(f"The log {opened.watch(key)} is watched.")
    finally:
        opened.close()
    return 0


def show(*, state: Folder, json: Json = False) -> int:
    """The witness's key, and what it saw last of each log. Exit code 1: one told two histories."""
    from auditkeep.witness.state import State

    opened = State(state)
    try:
        logs = [
            {"log": log.origin, "entries": log.known.size, "root": log.known.root.hex()}
            for log in opened.watched()
        ]
        forks = sorted(str(path) for path in (state / "forks").glob("*.txt"))
        report({"key": opened.key.vkey, "logs": logs, "forks": forks}, as_json=json)
    finally:
        opened.close()
    return 1 if forks else 0


def serve(
    *,
    state: Folder,
    host: str = "127.0.0.1",
    port: int = 8081,
    certificate: Annotated[Path | None, Parameter(help="A certificate (PEM), for TLS.")] = None,
    certificate_key: Annotated[Path | None, Parameter(help="Its key (PEM).")] = None,
) -> int:
    """Answer logs that ask to have checkpoints cosigned.

    Without a certificate plain HTTP, and loudly so on an address that others reach.
    """
    from auditkeep.clock import SystemClock
    from auditkeep.witness.served import serve as run
    from auditkeep.witness.state import State

    opened = State(state)
    try:
        run(opened, SystemClock(), host, port, certificate, certificate_key)
    finally:
        opened.close()
    return 0
