"""`auditkeep log token …`: who may read the log's public files over HTTP."""

from typing import Annotated

from cyclopts import Parameter

from auditkeep.cli.options import Data, Json, report


def create(
    name: Annotated[str, Parameter(help="Whose it is: a person, a firm, a monitor.")],
    *,
    data: Data,
    days: Annotated[
        int | None, Parameter(help="How long it is good. Without: until revoked.")
    ] = None,
    json: Json = False,
) -> int:
    """A token for an auditor: shown once, kept as a hash."""
    from auditkeep import app
    from auditkeep.access import log_tokens
    from auditkeep.clock import DAY, Instant, SystemClock, iso
    from auditkeep.errors import SetupError
    from auditkeep.settings import load

    if days is not None and not 1 <= days <= 3650:
        raise SetupError("A token is good for 1 to 3650 days.")
    clock = SystemClock()
    now = clock.now()
    ends = None if days is None else Instant(now + days * DAY)
    with app.opened(load(data), clock) as parts, parts.db.system_write() as tx:
        made = log_tokens.create(tx, name, now, ends)
        parts.note(tx, "CreateLogToken", {"tokenId": made.id, "name": name})
    shown = {"id": made.id, "name": name, "token": made.token}
    report(shown | ({} if ends is None else {"expiresAt": iso(ends)}), as_json=json)
    return 0


def list_tokens(*, data: Data, json: Json = False) -> int:
    """Every token: whose it is, since when, and whether it is good. Never the token itself."""
    from auditkeep import app
    from auditkeep.access import log_tokens
    from auditkeep.clock import SystemClock, iso
    from auditkeep.settings import load

    clock = SystemClock()
    with app.opened(load(data), clock) as parts, parts.db.system_read() as tx:
        found = log_tokens.listed(tx)
    rows = [
        {
            "id": t.id,
            "name": t.name,
            "createdAt": iso(t.created_at),
            "expiresAt": "never" if t.expires_at is None else iso(t.expires_at),
            "state": t.state(clock.now()),
        }
        for t in found
    ]
    report({"tokens": rows}, as_json=json)
    return 0


def revoke(
    token_id: Annotated[str, Parameter(help="Its id, as `list` shows it.")], *, data: Data
) -> int:
    """Refuse a token from now on, within seconds in a running server."""
    from auditkeep import app
    from auditkeep.access import log_tokens
    from auditkeep.clock import SystemClock
    from auditkeep.settings import load

    clock = SystemClock()
    with app.opened(load(data), clock) as parts, parts.db.system_write() as tx:
        log_tokens.revoke(tx, token_id, clock.now())
        parts.note(tx, "RevokeLogToken", {"tokenId": token_id})
    print(f"{token_id} is revoked.")
    return 0
