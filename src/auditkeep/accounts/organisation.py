"""The deployment's organisation (spec sections 2.1, 8.4 and 10.2).

The home account, which the deployment was set up for, *manages* the organisation; the other
accounts are its members. Where AWS Organizations is asked (see `members`), it says who manages and
what the organisation is called. In each region it may hand the organisation over to a member, the
*delegated administrator*:

    (none) --register B--> B --register B--> B       again changes nothing
    B --register C--> refused                        deregister B first
    B --deregister [B]--> (none)
    (none) --deregister--> refused

It is the same account in all regions, and never the home account. Only that account and the home
account are told that there is one: to any other the deployment is no organisation.
"""

from collections.abc import Iterable
from hashlib import sha256

from auditkeep.clock import Instant
from auditkeep.db import schema
from auditkeep.db.tx import SystemTx, Tx
from auditkeep.errors import AccessDenied, InvalidRequest, NotFound
from auditkeep.ids import Tenant

NOT_REGISTERED = "Tenant is not in expected state"
"""What Terraform's provider looks for in the sentence (spec 11.7); it takes it for success."""

_TABLE = schema.delegated_administrators
_META = schema.meta
_LABEL = "auditkeep/organisation/1"
_TOLD_ID = "organisation_id"
_TOLD_MANAGER = "organisation_manager"


def organisation_id(tx: Tx) -> str:
    """As AWS Organizations calls it; or `o-` and ten characters, the deployment's for life."""
    told = _meta(tx, _TOLD_ID)
    if told:
        return told
    facts = (_meta(tx, "account"), _meta(tx, "log_origin"))
    return "o-" + sha256("\n".join((_LABEL, *facts)).encode()).hexdigest()[:10]


def manages(tx: Tx) -> bool:
    """Whether this tenant's account is the one that manages the organisation."""
    return tx.tenant.account == _manager(tx)


def manages_as(tx: Tx, account: str) -> bool:
    """Whether that account is the one that manages the organisation."""
    return account == _manager(tx)


def require_manager(tx: Tx) -> None:
    if not manages(tx):
        raise AccessDenied(
            f"Account {tx.tenant.account} does not manage this organisation: only the account "
            "that does can register or deregister its administrator."
        )


def administrator(tx: Tx) -> str | None:
    """The delegated administrator of this tenant's region, whoever asks."""
    home = tx.system().of(Tenant(_manager(tx), tx.tenant.region))
    found: str | None = home.scalar(home.select(_TABLE.c.administrator))
    return found


def visible_administrator(tx: Tx) -> str | None:
    """The same, for those who are told: the managing account and the administrator itself."""
    found = administrator(tx)
    return found if manages(tx) or found == tx.tenant.account else None


def get_administrator(tx: Tx) -> str:
    """The delegated administrator; NotFound where there is none, or none for this account."""
    found = visible_administrator(tx)
    if found is None:
        raise NotFound("organizationAdminAccount", tx.tenant.region)
    return found


def is_enabled(tx: Tx) -> bool:
    """Whether this tenant takes part in an organisation: the setting isAwsOrgEnabled."""
    return visible_administrator(tx) is not None


def has_handed_over(tx: Tx) -> bool:
    """Whether this is the managing account and another one audits for it now (spec 8.4)."""
    return manages(tx) and administrator(tx) is not None


def require_not_handed_over(tx: Tx) -> None:
    if has_handed_over(tx):
        raise InvalidRequest(
            f"Account {tx.tenant.account} has handed its organisation over to the delegated "
            f"administrator {administrator(tx)}, who creates assessments in this region now."
        )


def register(tx: Tx, account: str, now: Instant) -> bool:
    """Make `account` the delegated administrator; False where it was already."""
    require_manager(tx)
    tx.lock("organisation")  # two regions at once must not name two accounts
    home = tx.tenant.account
    if account == home:
        raise InvalidRequest(
            f"Account {home} manages this organisation and cannot be its delegated administrator."
        )
    for region, other in _everywhere(tx).items():
        if other != account:
            where = "" if region == tx.tenant.region else f" in {region}"
            raise InvalidRequest(
                f"Cannot change delegated Admin for an active account {home} from {other} to "
                f"{account}: deregister {other}{where} first."
            )
    if administrator(tx) is not None:
        return False
    tx.insert(_TABLE, {"administrator": account, "registered_at": now})
    return True


def deregister(tx: Tx, account: str | None) -> str:
    """End the delegation, and tell which account had it; one that is named must be that one."""
    require_manager(tx)
    tx.lock("organisation")
    found = administrator(tx)
    if found is None:
        raise InvalidRequest(
            f"{NOT_REGISTERED}: no delegated administrator is registered in {tx.tenant.region}."
        )
    if account not in {None, found}:
        raise InvalidRequest.of_field(
            "adminAccountId", f"is {account}, but the delegated administrator is {found}."
        )
    tx.run(tx.delete(_TABLE))
    return found


def remember(tx: SystemTx, organisation: str, manager: str) -> None:
    """Keep what AWS Organizations says of itself: what it is called, and who manages it."""
    facts = ((_TOLD_ID, organisation), (_TOLD_MANAGER, manager))
    tx.upsert(_META, [{"key": k, "value": v} for k, v in facts], replace=["value"])


def administrators(tx: SystemTx) -> list[Tenant]:
    """The tenants that administer the organisation, one of each region that was handed over."""
    rows = tx.all(tx.select(_TABLE.c.administrator, _TABLE.c.region))
    return sorted(Tenant(r.administrator, r.region) for r in rows)


def dismiss(tx: SystemTx, accounts: Iterable[str]) -> list[Tenant]:
    """End the administration of some accounts in every region; the tenants that had it."""
    tx.lock("organisation")
    gone = _TABLE.c.administrator.in_(sorted(set(accounts)))
    rows = tx.all(tx.select(_TABLE.c.administrator, _TABLE.c.region).where(gone))
    tx.run(tx.delete(_TABLE).where(gone))
    return [Tenant(r.administrator, r.region) for r in rows]


def _manager(tx: Tx) -> str:
    return _meta(tx, _TOLD_MANAGER) or _meta(tx, "account")


def _everywhere(tx: Tx) -> dict[str, str]:
    """The managing account's delegated administrators, by region."""
    statement = tx.system().select(_TABLE.c.region, _TABLE.c.administrator)
    rows = tx.all(statement.where(_TABLE.c.account == tx.tenant.account))
    return {row.region: row.administrator for row in rows}


def _meta(tx: Tx, key: str) -> str:
    """A fact of the deployment; empty where it was never set up, so that no account manages it."""
    return str(tx.scalar(tx.system().select(_META.c.value).where(_META.c.key == key)) or "")
