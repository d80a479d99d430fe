"""`auditkeep sessions …`: who has taken which role, and ending it."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import Data, Json, report

if TYPE_CHECKING:
    from auditkeep.access.sessions import SessionRecord
    from auditkeep.app.parts import Parts
    from auditkeep.db.tx import SystemTx


def list_sessions(
    *,
    data: Data,
    ended: Annotated[
        bool, Parameter(negative="", help="Also those that ended in the last seven days.")
    ] = False,
    json: Json = False,
) -> int:
    """Sessions in use: role, name, who took it, and until when. Never secrets."""
    from auditkeep.access import sessions
    from auditkeep.clock import iso

    with deployment(data) as parts, parts.db.system_read() as tx:
        now = parts.clock.now()
        found = sessions.listed(tx, now, ended=ended)
    rows = [
        {
            "accessKeyId": s.access_key_id,
            "account": s.account,
            "role": s.role,
            "session": s.name,
            "takenBy": s.origin,
            "issuedAt": iso(s.issued_at),
            "expiresAt": iso(s.expires_at),
            "state": _state(s, now),
        }
        for s in found
    ]
    report({"sessions": rows}, as_json=json)
    return 0


def revoke(
    access_key_id: Annotated[
        str | None, Parameter(help="The session's access key id (ASIA…).")
    ] = None,
    *,
    data: Data,
    role: Annotated[str | None, Parameter(help="All sessions of a role, by its ARN.")] = None,
    taken_by: Annotated[
        str | None, Parameter(help="All sessions of one person or workload, as `list` shows it.")
    ] = None,
    json: Json = False,
) -> int:
    """End sessions, within seconds in a running server."""
    from auditkeep.access import roles, sessions
    from auditkeep.errors import SetupError

    def ended(parts: "Parts", tx: "SystemTx") -> int:
        named = None
        if role is not None:
            found = roles.find_arn(tx, role)
            if found is None:
                raise SetupError(f"There is no role '{role}'.")
            named = (found.account, found.name)
        now = parts.clock.now()
        count = sessions.revoke(tx, now, access_key_id=access_key_id, role=named, origin=taken_by)
        told = {"accessKeyId": access_key_id, "role": role, "takenBy": taken_by, "revoked": count}
        parts.note(tx, "RevokeSessions", told)
        return count

    with deployment(data) as parts:
        count = parts.db.system_change(partial(ended, parts))
    if access_key_id is not None and count == 0:
        raise SetupError(f"No session in use has the access key id '{access_key_id}'.")
    report({"revoked": count}, as_json=json)
    return 0


def _state(session: "SessionRecord", now: int) -> str:
    from auditkeep.clock import iso

    if session.revoked_at is not None:
        return f"revoked {iso(session.revoked_at)}"
    return "active" if now < session.expires_at else "ended"
