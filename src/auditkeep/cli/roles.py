"""`auditkeep roles …`: what one may be for an hour, and who may be it."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import Account, Data, Json, report

if TYPE_CHECKING:
    from auditkeep.access.roles import Role
    from auditkeep.app.parts import Parts
    from auditkeep.db.tx import SystemTx


def put(
    name: Annotated[str, Parameter(help="The role's name.")],
    *,
    data: Data,
    account: Account,
    policy: Annotated[
        list[str], Parameter(help="A managed or custom policy; may be given several times.")
    ],
    principal: Annotated[
        list[str] | None,
        Parameter(help="ARN of a user or role of this deployment; `*` and `?` may be in it."),
    ] = None,
    aws: Annotated[
        list[str] | None, Parameter(help="ARN of a role or user of a real AWS account; likewise.")
    ] = None,
    oidc: Annotated[str | None, Parameter(help="URL of an OpenID issuer.")] = None,
    audience: Annotated[list[str] | None, Parameter(help="An audience of its tokens.")] = None,
    subject: Annotated[
        list[str] | None, Parameter(help="A subject of its tokens, `*` and `?` allowed.")
    ] = None,
    tag: Annotated[
        list[str] | None, Parameter(help="A session tag's key that whoever takes it may choose.")
    ] = None,
    trust: Annotated[
        Path | None, Parameter(help="The whole trust as a JSON file, instead of these options.")
    ] = None,
    max_seconds: Annotated[int, Parameter(help="How long a session may last.")] = 3600,
    json: Json = False,
) -> int:
    """Make or change a role: its policies, and who may take it."""
    import msgspec

    from auditkeep.access import roles
    from auditkeep.access.trust import OpenId, Trust, read
    from auditkeep.errors import SetupError

    if trust is not None:
        if principal or aws or oidc or audience or subject or tag:
            raise SetupError("--trust is the whole trust: leave the other options of it out.")
        try:
            trusted = read(trust.read_bytes())
        except OSError as error:
            raise SetupError(f"{trust} cannot be read: {error.strerror}.") from error
    else:
        if (audience or subject) and oidc is None:
            raise SetupError("--audience and --subject tell of tokens: name their --oidc issuer.")
        issuers = (OpenId(oidc, tuple(audience or ()), tuple(subject or ())),) if oidc else ()
        trusted = Trust(tuple(principal or ()), tuple(aws or ()), issuers, tuple(tag or ()))

    def kept(parts: "Parts", tx: "SystemTx") -> "Role":
        now = parts.clock.now()
        role = roles.put(tx, account, name, policy, trusted, max_seconds, now)
        told = {"roleName": name, "policies": policy, "trust": msgspec.to_builtins(trusted)}
        parts.note(tx, "PutRole", told | {"maxSessionDuration": max_seconds}, account)
        return role

    with deployment(data) as parts:
        role = parts.db.system_change(partial(kept, parts))
    report(
        {
            "arn": role.arn,
            "id": role.id,
            "policies": list(role.policies),
            "maxSeconds": role.longest,
        },
        as_json=json,
    )
    return 0


def list_roles(*, data: Data, json: Json = False) -> int:
    """Every role: its policies, and who may take it."""
    import msgspec

    from auditkeep.access import roles
    from auditkeep.clock import iso

    with deployment(data) as parts, parts.db.system_read() as tx:
        found = roles.listed(tx)
    rows = [
        {
            "arn": r.arn,
            "policies": ", ".join(r.policies),
            "maxSeconds": r.longest,
            "createdAt": iso(r.created_at),
            "trust": msgspec.to_builtins(r.trust),
        }
        for r in found
    ]
    report({"roles": rows}, as_json=json)
    return 0


def delete(name: str, *, data: Data, account: Account) -> int:
    """Take a role away; its sessions end within seconds."""
    from auditkeep.access import roles

    def gone(parts: "Parts", tx: "SystemTx") -> None:
        roles.delete(tx, account, name, parts.clock.now())
        parts.note(tx, "DeleteRole", {"roleName": name}, account)

    with deployment(data) as parts:
        parts.db.system_change(partial(gone, parts))
    return 0
