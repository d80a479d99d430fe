"""`auditkeep log token …` and `auditkeep events token …`: who may come without a signature."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import DEFAULT_REGION, Account, Data, Json, Region, report

if TYPE_CHECKING:
    from pathlib import Path

    from auditkeep.access.tokens import Kind, Token
    from auditkeep.db.tx import SystemTx
    from auditkeep.ids import Tenant

Name = Annotated[str, Parameter(help="Whose it is: a person, a firm, a monitor, an event bus.")]
Days = Annotated[int | None, Parameter(help="How long it is good. Without: until revoked.")]
Id = Annotated[str, Parameter(help="Its id, as `list` shows it.")]


def create_log(name: Name, *, data: Data, days: Days = None, json: Json = False) -> int:
    """A token for an auditor: shown once, kept as a hash."""
    return _create("log", name, data, days, None, as_json=json)


def list_log(*, data: Data, json: Json = False) -> int:
    """Every token: whose it is, since when, and whether it is good. Never the token itself."""
    return _list("log", data, as_json=json)


def revoke_log(token_id: Id, *, data: Data) -> int:
    """Refuse a token from now on, within seconds in a running server."""
    return _revoke("log", token_id, data)


def create_events(
    name: Name,
    *,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    days: Days = None,
    json: Json = False,
) -> int:
    """A token with which an event bus brings one tenant its events: shown once, kept as a hash."""
    from auditkeep.ids import Tenant

    return _create("events", name, data, days, Tenant(account, region), as_json=json)


def list_events(*, data: Data, json: Json = False) -> int:
    """Every token: whose it is, since when, and whether it is good. Never the token itself."""
    return _list("events", data, as_json=json)


def revoke_events(token_id: Id, *, data: Data) -> int:
    """Refuse a token from now on, within seconds in a running server."""
    return _revoke("events", token_id, data)


_EVENTS: "dict[Kind, str]" = {"log": "LogToken", "events": "EventsToken"}
"""What a command is called in the activity log, behind its verb."""


def _create(
    kind: "Kind",
    name: str,
    data: "Path",
    days: int | None,
    tenant: "Tenant | None",
    *,
    as_json: bool,
) -> int:
    from auditkeep.access import tokens
    from auditkeep.clock import DAY, Instant, iso
    from auditkeep.errors import SetupError

    if days is not None and not 1 <= days <= 3650:
        raise SetupError("A token is good for 1 to 3650 days.")
    with deployment(data) as parts:
        if tenant is not None:
            parts.require_active(tenant)
        now = parts.clock.now()
        ends = None if days is None else Instant(now + days * DAY)

        def create(tx: "SystemTx") -> "Token":
            made = tokens.create(tx, kind, name, now, ends, tenant)
            parts.note(tx, f"Create{_EVENTS[kind]}", {"tokenId": made.id, "name": name})
            return made

        made = parts.db.system_change(create)
    shown = {"id": made.id, "name": name, "token": made.token}
    report(shown | ({} if ends is None else {"expiresAt": iso(ends)}), as_json=as_json)
    return 0


def _list(kind: "Kind", data: "Path", *, as_json: bool) -> int:
    from auditkeep.access import tokens
    from auditkeep.clock import iso

    with deployment(data) as parts, parts.db.system_read() as tx:
        now = parts.clock.now()
        found = tokens.listed(tx, kind)
    rows = [
        {
            "id": t.id,
            "name": t.name,
            **(
                {} if t.tenant is None else {"account": t.tenant.account, "region": t.tenant.region}
            ),
            "createdAt": iso(t.created_at),
            "expiresAt": "never" if t.expires_at is None else iso(t.expires_at),
            "state": t.state(now),
        }
        for t in found
    ]
    report({"tokens": rows}, as_json=as_json)
    return 0


def _revoke(kind: "Kind", token_id: str, data: "Path") -> int:
    from auditkeep.access import tokens

    with deployment(data) as parts:

        def revoke(tx: "SystemTx") -> None:
            tokens.revoke(tx, kind, token_id, parts.clock.now())
            parts.note(tx, f"Revoke{_EVENTS[kind]}", {"tokenId": token_id})

        parts.db.system_change(revoke)
    print(f"{token_id} is revoked.")
    return 0
