"""What the command line asks about users, policies and decisions, over a deployment's parts."""

from collections.abc import Mapping

from auditkeep.access import credentials, policies, roles, users
from auditkeep.access.principals import Principal
from auditkeep.app.parts import Parts
from auditkeep.clock import Instant
from auditkeep.crypto.asking import begun_again
from auditkeep.db.tx import SystemTx
from auditkeep.errors import SetupError
from auditkeep.ids import Tenant, iam_arn
from auditkeep.operations.explain import Verdict, explain, operation_of


@begun_again
def put_policy(parts: Parts, account: str, name: str, document: str) -> None:
    """Keep an account's own policy."""
    with parts.db.system_write() as tx:
        policies.put(tx, account, name, document)
        told = {"policyName": name, "policyDocument": document}
        parts.note(tx, "PutPolicy", told, account)


def policy_document(parts: Parts, account: str | None, name: str) -> str:
    """The document of a managed policy, or of an account's own; SetupError when there is none."""
    if name in (shipped := policies.shipped()):
        return bytes(shipped[name].document).decode()
    if account is None:
        raise SetupError(f"'{name}' is no managed policy; name the --account that it belongs to.")
    with parts.db.system_read() as tx:
        document = policies.find_document(tx, account, name)
    if document is None:
        raise SetupError(f"Account {account} has no policy '{name}'.")
    return document


def own_policies(parts: Parts, account: str | None) -> list[policies.Own]:
    with parts.db.system_read() as tx:
        return policies.listed(tx, account)


@begun_again
def delete_policy(parts: Parts, account: str, name: str) -> None:
    with parts.db.system_write() as tx:
        policies.delete(tx, account, name)
        parts.note(tx, "DeletePolicy", {"policyName": name}, account)


@begun_again
def attach_policy(parts: Parts, account: str, user: str, name: str) -> int:
    """How many of the user's keys did not carry it before."""
    with parts.db.system_write() as tx:
        parts.note(tx, "AttachUserPolicy", {"userName": user, "policyName": name}, account)
        return users.attach(tx, account, user, name)


@begun_again
def detach_policy(parts: Parts, account: str, user: str, name: str) -> int:
    with parts.db.system_write() as tx:
        parts.note(tx, "DetachUserPolicy", {"userName": user, "policyName": name}, account)
        return users.detach(tx, account, user, name)


def explain_access(
    parts: Parts,
    *,
    user: str,
    account: str | None,
    key: str | None,
    action: str,
    resource: str,
    region: str,
    given: Mapping[str, tuple[str, ...]],
) -> Verdict:
    """What would become of a user's request, and which layer decides.

    SetupError when user or action are not known, or the user's keys carry different policies;
    NotFound when the resource names an assessment that is not there.
    """
    operation = operation_of(action)
    now = parts.clock.now()
    with parts.db.system_read() as tx:
        principal = _principal(parts, tx, user, account, key)
        attached = policies.carried_by(tx, principal)
        tenant = Tenant(principal.account, _region(principal, resource) or region)
        return explain(tx.of(tenant), attached, principal, operation, resource, given, now)


def _principal(
    parts: Parts, tx: SystemTx, user: str, account: str | None, key: str | None
) -> Principal:
    """The user or role behind a name or an ARN."""
    if (role := roles.find_arn(tx, iam_arn(user))) is not None:
        return _session_of(role, user, parts.clock.now())
    head, mark, name = user.partition(":user/")
    if mark:
        user, account = name.rsplit("/", 1)[-1], head.rsplit(":", 1)[-1]
    found = users.keys_of(tx, user, account)
    if key is not None:
        found = [(owner, held) for owner, held in found if held == key]
    if not found:
        where = f"account {account}" if account else "this deployment"
        which = f"the key {key}" if key else "a key in use"
        raise SetupError(f"No user '{user}' with {which} is in {where}; see 'auditkeep keys list'.")
    owners = sorted({owner for owner, _ in found})
    if len(owners) > 1:
        raise SetupError(f"Accounts {', '.join(owners)} have a user '{user}'; name the --account.")
    principals = [
        known.principal
        for _, held in found
        if (known := credentials.find(tx, parts.lake.secrets, held)) is not None
    ]
    if len({frozenset(p.policies) for p in principals}) > 1:
        carried = "; ".join(f"{p.access_key_id}: {', '.join(p.policies)}" for p in principals)
        raise SetupError(
            f"The keys of {user} carry different policies ({carried}); name the --key."
        )
    return principals[0]


def _session_of(role: roles.Role, arn: str, now: Instant) -> Principal:
    """Somebody who has just taken the role, under the name that an ARN of a session gives."""
    name = arn.rsplit("/", 1)[-1] if ":assumed-role/" in arn else "somebody"
    return Principal(
        role.account,
        name,
        f"arn:aws:sts::{role.account}:assumed-role/{role.name}/{name}",
        role.policies,
        "",
        user_id=f"{role.id}:{name}",
        session=name,
        role=role.name,
        issued_at=now,
    )


def _region(principal: Principal, resource: str) -> str:
    """The region of an ARN of the principal's own account."""
    fields = resource.split(":", 5)
    if len(fields) < 6 or not fields[3] or "*" in fields[3]:
        return ""
    if fields[4] not in ("", principal.account):
        raise SetupError(
            f"{resource} is in account {fields[4]}; requests of {principal.arn} speak of account "
            f"{principal.account} only."
        )
    return fields[3]
