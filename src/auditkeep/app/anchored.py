"""How it stands with those who vouch for the log's checkpoints, for the operator to see."""

from typing import Any

from auditkeep.anchoring import store
from auditkeep.anchoring.authorities import of_settings
from auditkeep.anchoring.invitation import invitation, take
from auditkeep.app.parts import Parts
from auditkeep.clock import iso
from auditkeep.errors import SetupError
from auditkeep.lake.sequencer import newest_row


def anchored(parts: Parts) -> dict[str, Any]:
    """Each authority that the settings name: what it vouched for, and its state."""
    origin = parts.lake.origin
    with parts.db.system_read() as tx:
        newest = newest_row(tx, signed=True)
        standings = {s.authority: s for s in store.standings(tx)}
        rows = [
            _row(a.name, a.kind, store.newest(tx, origin, a.name), standings.get(a.name))
            for a in of_settings(parts.settings)
        ]
    return {"log": origin, "entries": 0 if newest is None else newest.size, "authorities": rows}


def invite(parts: Parts) -> str:
    """The text to hand to an auditor; SetupError before anything is logged."""
    now = parts.clock.now()
    with parts.db.system_write() as tx:
        handed = take(tx, parts.lake)
    if handed is None:
        raise SetupError("Nothing has been logged yet, so there is nothing to invite anybody to.")
    return invitation(parts.lake, handed, of_settings(parts.settings), now)


def _row(
    name: str, kind: str, last: store.Anchor | None, standing: store.Standing | None
) -> dict[str, Any]:
    row: dict[str, Any] = {"authority": name, "kind": kind}
    if last is not None:
        row |= {"entries": last.size, "statedAt": iso(last.said_at)}
    if standing is not None and standing.failing_since is not None:
        since = iso(standing.failing_since)
        return row | {"state": "fails", "since": since, "error": standing.error or ""}
    return row | {"state": "vouches" if last is not None else "not asked yet"}
