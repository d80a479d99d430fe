"""`auditkeep notify …`: where notices and events go, and what became of them."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from auditkeep.cli.opening import deployment, registered
from auditkeep.cli.options import DEFAULT_REGION, Account, Data, Json, Region, report

Name = Annotated[str, Parameter(help="The webhook's name.")]
_TEST = b'{"type":"TEST","description":"Auditkeep can reach this webhook."}'


def put_address(
    principal: Annotated[str, Parameter(help="The ARN of a user or a role.")],
    address: Annotated[str, Parameter(help="name@example.com")],
    *,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    json: Json = False,
) -> int:
    """Mail a principal's notices to an address, in place of one there may have been."""
    from auditkeep.notifications import addresses

    with registered(data, account, region) as (parts, tenant):
        now = parts.clock.now()
        entry = parts.db.change(tenant, lambda tx: addresses.put(tx, principal, address, now))
        relay = bool(parts.settings.smtp_host)
    report({"principal": entry.principal, "address": entry.address}, as_json=json)
    if not relay:
        print("auditkeep: no mail is sent before AUDITKEEP_SMTP_HOST is set.", file=sys.stderr)
    return 0


def list_addresses(
    *, data: Data, account: Account, region: Region = DEFAULT_REGION, json: Json = False
) -> int:
    """The tenant's address book."""
    from auditkeep.clock import iso
    from auditkeep.notifications import addresses

    with registered(data, account, region) as (parts, tenant), parts.db.read(tenant) as tx:
        found = addresses.listed(tx)
    rows = [
        {"principal": e.principal, "address": e.address, "createdAt": iso(e.created_at)}
        for e in found
    ]
    report({"addresses": rows}, as_json=json)
    return 0


def delete_address(
    principal: str, *, data: Data, account: Account, region: Region = DEFAULT_REGION
) -> int:
    """Mail a principal nothing more, not even what waits."""
    from auditkeep.notifications import addresses

    with registered(data, account, region) as (parts, tenant):
        parts.db.change(tenant, lambda tx: addresses.delete(tx, principal))
    return 0


def put_webhook(
    name: Name,
    url: Annotated[
        str | None, Parameter(help="https://…; left out, it is read from standard input.")
    ] = None,
    *,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    send: Annotated[
        list[Literal["notices", "events"]] | None,
        Parameter(help="What is posted; both unless one is named.", negative=""),
    ] = None,
    secret_file: Annotated[
        Path | None, Parameter(help="A file with the secret (whsec_…) instead of a new one.")
    ] = None,
    json: Json = False,
) -> int:
    """Post the tenant's notices and events to a URL. A new secret is shown once.

    A webhook of that name is replaced, with its secret.
    """
    from auditkeep.notifications import webhooks

    given = None if secret_file is None else _read(secret_file)
    target = sys.stdin.readline().strip() if url is None else url
    sends = send or webhooks.ALL_SENT
    with registered(data, account, region) as (parts, tenant):
        now = parts.clock.now()
        secret = parts.db.change(
            tenant,
            lambda tx: webhooks.put(tx, name, target, sends=sends, secret=given, now=now),
        )
    made = {"name": name, "sends": ", ".join(sends)}
    report(made if given is not None else {**made, "secret": secret}, as_json=json)
    return 0


def list_webhooks(
    *, data: Data, account: Account, region: Region = DEFAULT_REGION, json: Json = False
) -> int:
    """The tenant's webhooks: name, origin of the URL, what is sent. Never paths or secrets."""
    from auditkeep.clock import iso
    from auditkeep.notifications import webhooks

    with registered(data, account, region) as (parts, tenant), parts.db.read(tenant) as tx:
        found = webhooks.listed(tx)
    rows = [
        {
            "name": w.name,
            "origin": w.origin,
            "sends": ", ".join(w.sends),
            "createdAt": iso(w.created_at),
        }
        for w in found
    ]
    report({"webhooks": rows}, as_json=json)
    return 0


def delete_webhook(
    name: Name, *, data: Data, account: Account, region: Region = DEFAULT_REGION
) -> int:
    """Post there no more, not even what waits."""
    from auditkeep.notifications import webhooks

    with registered(data, account, region) as (parts, tenant):
        parts.db.change(tenant, lambda tx: webhooks.delete(tx, name))
    return 0


def try_webhook(
    name: Name,
    *,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    json: Json = False,
) -> int:
    """Post a signed test message now, once. Exit code 1 says why it was not taken."""
    from auditkeep.errors import SetupError
    from auditkeep.ids import new_id
    from auditkeep.notifications import webhooks
    from auditkeep.workflows.notify import Post

    message_id = new_id()
    with registered(data, account, region) as (parts, tenant):
        with parts.db.read(tenant) as tx:
            hook = webhooks.find(tx, name)
        if hook is None:
            raise SetupError(f"There is no webhook named '{name}'.")
        post = Post.of(parts.db, parts.settings, parts.clock)
        status = post.post_to(hook, message_id, _TEST)
    report({"name": name, "id": message_id, "status": status}, as_json=json)
    return 0


def failures(
    *,
    data: Data,
    retry: Annotated[
        bool, Parameter(negative="", help="Try all of them again, as if they were new.")
    ] = False,
    json: Json = False,
) -> int:
    """Deliveries of all tenants that failed, for good or so far, and why.

    With `--retry` they are queued again; a running `serve` begins within a second. Exit code 1
    when some have failed for good and nothing was asked to be done about it.
    """
    from auditkeep.clock import iso
    from auditkeep.notifications.model import CHANNELS
    from auditkeep.work import ended

    with deployment(data) as parts, parts.db.system_write() as tx:
        found = ended.troubles(tx, CHANNELS)
        if retry:
            ended.try_again(tx, CHANNELS, parts.clock.now())
    rows = [
        {
            "channel": t.kind,
            "account": t.tenant.account,
            "region": t.tenant.region,
            "message": t.key,
            "state": "failed" if t.again_at is None else f"again at {iso(t.again_at)}",
            "tries": t.tries,
            "queuedAt": iso(t.queued_at),
            "error": t.error,
        }
        for t in found
    ]
    report({"retried" if retry else "failures": rows}, as_json=json)
    return 1 if not retry and any(t.again_at is None for t in found) else 0


def _read(file: Path) -> str:
    from auditkeep.errors import SetupError

    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"The secret cannot be read from {file}.") from error
