"""Where identity policies come from: those shipped with Auditkeep, and each account's own.

A policy that something carries is not deleted: its name would stand for nothing, and later for
whatever is kept under it next. Functions take the deployment's transaction.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import msgspec

from auditkeep.access.policy import Policy, read
from auditkeep.access.principals import Principal
from auditkeep.access.remembered import Remembered
from auditkeep.clock import Instant
from auditkeep.db.database import Database
from auditkeep.db.schema import access_keys, policies, roles
from auditkeep.db.tx import SystemTx
from auditkeep.errors import AccessDenied, InputError, SetupError
from auditkeep.ids import is_account

_NAME = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)
"""IAM's rule for names of policies."""


class Shipped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of `managed/`: what the policy is for, and its IAM document."""

    description: str
    document: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Own:
    """An account's own policy, and who carries it: `user NAME`, `role NAME`."""

    account: str
    name: str
    carriers: tuple[str, ...]


def shipped() -> dict[str, Shipped]:
    """What is shipped with Auditkeep, by name."""
    files = sorted(resources.files(__package__).joinpath("managed").iterdir(), key=str)
    return {
        file.name.removesuffix(".json"): msgspec.json.decode(file.read_bytes(), type=Shipped)
        for file in files
        if file.name.endswith(".json")
    }


def managed() -> dict[str, Policy]:
    """The policies shipped with Auditkeep, by name."""
    return {name: read(name, bytes(policy.document)) for name, policy in shipped().items()}


def put(tx: SystemTx, account: str, name: str, document: str) -> None:
    """Keep an account's own policy under `name`, in place of an earlier one.

    InputError when the document holds what is not evaluated; SetupError for a managed name.
    """
    if not is_account(account):
        raise SetupError(f"An account is twelve digits, which '{account}' is not.")
    if not _NAME.fullmatch(name):
        raise SetupError(
            f"'{name}' is no name of a policy: 1 to 128 letters, digits and any of + = , . @ _ - "
            "are."
        )
    if name in managed():
        raise SetupError(f"{name} is a managed policy; give yours another name.")
    read(name, document)
    row = {"account": account, "name": name, "document": document}
    tx.upsert(policies, [row], replace=["document"])


def find(tx: SystemTx, account: str, name: str) -> Policy | None:
    """An account's own policy."""
    document = find_document(tx, account, name)
    return None if document is None else read(name, document)


def find_document(tx: SystemTx, account: str, name: str) -> str | None:
    """The document of an account's own policy, as it was put."""
    mine = (policies.c.account == account, policies.c.name == name)
    row = tx.first(tx.select(policies.c.document).where(*mine))
    return None if row is None else str(row.document)


def listed(tx: SystemTx, account: str | None = None) -> list[Own]:
    """Every policy of one account or of all, by account and name, with those who carry it."""
    t = policies.c
    query = tx.select(t.account, t.name).order_by(t.account, t.name)
    if account is not None:
        query = query.where(t.account == account)
    carriers = _carriers(tx)
    return [
        Own(r.account, r.name, tuple(sorted(carriers.get((r.account, r.name), ()))))
        for r in tx.all(query)
    ]


def delete(tx: SystemTx, account: str, name: str) -> None:
    """Forget an account's own policy; SetupError when there is none, or something carries it."""
    lock(tx, account)
    if name in managed():
        raise SetupError(f"{name} is a managed policy; it stays.")
    if carriers := sorted(_carriers(tx).get((account, name), ())):
        raise SetupError(
            f"The policy {name} of account {account} is attached to {', '.join(carriers)}; "
            "detach it first."
        )
    mine = (policies.c.account == account, policies.c.name == name)
    if not tx.run(tx.delete(policies).where(*mine)):
        raise SetupError(f"Account {account} has no policy '{name}' of its own.")


def lock(tx: SystemTx, account: str) -> None:
    """Hold off others who attach, detach or delete policies of the account."""
    tx.lock(f"policies/{account}")


def names_in(text: str) -> tuple[str, ...]:
    """The names of policies as a row carries them: a JSON list."""
    return msgspec.json.decode(text, type=tuple[str, ...])


def _carriers(tx: SystemTx) -> dict[tuple[str, str], set[str]]:
    """Who carries which policy of an account."""
    found: dict[tuple[str, str], set[str]] = {}
    t = access_keys.c
    keys = tx.all(tx.select(t.account, t.user_name, t.policies).where(t.disabled_at.is_(None)))
    for row in keys:
        for name in names_in(row.policies):
            found.setdefault((row.account, name), set()).add(f"user {row.user_name}")
    for row in tx.all(tx.select(roles.c.account, roles.c.name, roles.c.policies)):
        for name in names_in(row.policies):
            found.setdefault((row.account, name), set()).add(f"role {row.name}")
    return found


def require(tx: SystemTx, account: str, name: str) -> None:
    """SetupError unless the account has, or everyone has, a policy of that name."""
    known = managed()
    if name not in known and find(tx, account, name) is None:
        raise SetupError(
            f"Account {account} has no policy '{name}'. Managed policies are {', '.join(known)}."
        )


def carried_by(tx: SystemTx, principal: Principal) -> list[Policy]:
    """What is attached to the principal; a name that no longer stands for a policy is none."""
    known = managed()
    found = (known.get(name) or find(tx, principal.account, name) for name in principal.policies)
    return [policy for policy in found if policy is not None]


class Policies:
    """The policies of principals for the dispatcher, own ones remembered for a few seconds."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._managed: Mapping[str, Policy] = managed()
        self._own: Remembered[tuple[str, str], Policy] = Remembered(self._look_up)

    def of(self, principal: Principal, now: Instant) -> list[Policy]:
        """What is attached to the principal; a name that no longer stands for a policy is none."""
        found = (
            self._managed.get(name) or self._own.get((principal.account, name), now)
            for name in principal.policies
        )
        return [policy for policy in found if policy is not None]

    def peek(self, principal: Principal, now: Instant) -> list[Policy] | None:
        """The same without looking up anything; None where something would have to be."""
        found = [
            self._managed.get(name) or self._own.peek((principal.account, name), now)
            for name in principal.policies
        ]
        known = [policy for policy in found if policy is not None]
        return known if len(known) == len(found) else None

    def _look_up(self, key: tuple[str, str]) -> Policy | None:
        """AccessDenied for a document that is not understood: it might deny what others allow."""
        try:
            with self._db.system_read() as tx:
                return find(tx, *key)
        except InputError as error:
            raise AccessDenied(f"{error} Until it is put anew, nothing is allowed.") from error
