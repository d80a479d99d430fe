"""Holds, retention and what is kept, as the operator's commands ask for them.

They are the API's own operations, on behalf of the operator, each with its record in the activity
log.
"""

from typing import Any

from auditkeep import clock
from auditkeep.accounts import store as accounts
from auditkeep.app.parts import Parts
from auditkeep.clock import DAY, SECOND, Instant, iso
from auditkeep.crypto.asking import begun_again
from auditkeep.errors import SetupError
from auditkeep.ids import Tenant
from auditkeep.lake import retention
from auditkeep.observations import KeepPolicy
from auditkeep.operations.auditkeep import holds, keeping
from auditkeep.settings import RetentionKind
from auditkeep.wire.models import auditkeep as ak
from auditkeep.workflows.expire import SNAPSHOTS_KEPT, Expired, drop_snapshots, expire


@begun_again
def place_hold(
    parts: Parts,
    tenant: Tenant,
    reason: str,
    *,
    assessment: str | None,
    first: Instant | None,
    last: Instant | None,
) -> dict[str, Any]:
    """Place a legal hold. SetupError for a tenant that is none any more."""
    ask = ak.PlaceLegalHoldRequest(
        reason=reason,
        assessment_id=assessment,
        from_=None if first is None else clock.wire(first),
        until=None if last is None else clock.wire(last),
    )
    with parts.db.write(tenant) as tx:
        _require_kept(accounts.find(tx), tenant)
        told = {"assessmentId": assessment, "reason": "(in the lake)"}
        parts.note(tx.system(), "PlaceLegalHold", told, tenant.account, tenant.region)
        return _hold(holds.place_legal_hold(parts.operator(tx, tenant), ask).legal_hold)


@begun_again
def release_hold(parts: Parts, tenant: Tenant, hold_id: str, reason: str) -> dict[str, Any]:
    """Release a legal hold."""
    ask = ak.ReleaseLegalHoldRequest(hold_id=hold_id, reason=reason)
    with parts.db.write(tenant) as tx:
        told = {"holdId": hold_id}
        parts.note(tx.system(), "ReleaseLegalHold", told, tenant.account, tenant.region)
        return _hold(holds.release_legal_hold(parts.operator(tx, tenant), ask).legal_hold)


def list_holds(parts: Parts, tenant: Tenant) -> list[dict[str, Any]]:
    """All legal holds of a tenant, oldest first."""
    with parts.db.read(tenant) as tx:
        call = parts.operator(tx, tenant)
        return [_hold(h) for h in holds.list_legal_holds(call, _ALL).legal_holds]


def show_retention(parts: Parts, tenant: Tenant) -> dict[str, Any]:
    """How long everything is kept, what is due, and when the next bucket comes to its end."""
    settings = parts.settings.retention_days
    now = parts.clock.now()
    with parts.db.read(tenant) as tx:
        rules = retention.rules(tx, settings)
        due = retention.due(tx, rules, now)
        following = retention.following(tx, rules, now)
    return {
        "policies": [
            {
                "class": kind,
                "days": rule.days,
                "setBy": "account" if rule.chosen else "deployment",
                "setAt": None if rule.set_at is None else iso(rule.set_at),
            }
            for kind, rule in rules.items()
        ],
        "shareSnapshotDays": SNAPSHOTS_KEPT // DAY,
        "due": [_bucket(one) for one in due if one.held is None],
        "held": [_bucket(one) for one in due if one.held is not None],
        "next": None if following is None else iso(following),
    }


@begun_again
def set_retention(
    parts: Parts, tenant: Tenant, kind: RetentionKind, days: int | None, *, default: bool
) -> dict[str, Any]:
    """Set how long a class is kept, None for ever; or let the deployment's value count."""
    ask = ak.PutRetentionRequest(class_=kind, days=days, use_default=default)
    with parts.db.write(tenant) as tx:
        _require_kept(accounts.find(tx), tenant)
        told = {"class": kind, "days": days, "useDefault": default}
        parts.note(tx.system(), "PutRetention", told, tenant.account, tenant.region)
        holds.put_retention(parts.operator(tx, tenant), ask)
    return show_retention(parts, tenant)


def show_keeping(parts: Parts, tenant: Tenant) -> dict[str, Any]:
    """Which facts are kept, and what they amount to."""
    with parts.db.read(tenant) as tx:
        return kept(keeping.kept(parts.operator(tx, tenant)))


@begun_again
def set_keeping(parts: Parts, tenant: Tenant, policy: KeepPolicy) -> dict[str, Any]:
    """Set which facts are kept from now on."""
    with parts.db.write(tenant) as tx:
        _require_kept(accounts.find(tx), tenant)
        told = {"policy": policy}
        parts.note(tx.system(), "PutKeepPolicy", told, tenant.account, tenant.region)
        ask = ak.PutKeepPolicyRequest(policy=policy)
        return kept(keeping.put_keep_policy(parts.operator(tx, tenant), ask).keeping)


def kept(told: ak.Keeping) -> dict[str, Any]:
    """The same for people, and for other commands."""
    return {
        "policy": told.policy,
        "since": None if told.since is None else iso(Instant(round(told.since * SECOND))),
        "observations": told.observations,
        "seen": told.seen,
        "rawBytes": told.raw_bytes,
        "storedBytes": told.stored_bytes,
    }


def run_retention(parts: Parts, tenant: Tenant | None) -> dict[str, Any]:
    """Destroy what is due of a tenant, or of all; beside a running server, too."""
    tenants = parts.every_tenant() if tenant is None else [tenant]
    now = parts.clock.now()
    done = {t: expire(parts.lake, parts.settings, t, now) for t in tenants}
    return {
        "destroyed": [_of(t, _bucket(b)) for t, one in done.items() for b in one.gone],
        "held": [_of(t, _bucket(b)) for t, one in done.items() for b in one.held],
        "observations": _sum(done, "observations"),
        "files": _sum(done, "files"),
        "shareSnapshots": drop_snapshots(parts.lake, now),
    }


_ALL = ak.ListLegalHoldsRequest()


def _sum(done: dict[Tenant, Expired], name: str) -> int:
    return sum(getattr(one, name) for one in done.values())


def _of(tenant: Tenant, bucket: dict[str, Any]) -> dict[str, Any]:
    return {"account": tenant.account, "region": tenant.region, **bucket}


def _bucket(one: retention.Due) -> dict[str, Any]:
    body: dict[str, Any] = {"class": one.klass, "month": one.month, "end": iso(one.ended_at)}
    if one.part:
        body["part"] = True
    return body if one.held is None else {**body, "hold": one.held}


def _hold(hold: ak.LegalHold) -> dict[str, Any]:
    def at(value: float | None) -> str | None:
        return None if value is None else iso(Instant(round(value * SECOND)))

    return {
        "id": hold.id,
        "assessmentId": hold.assessment_id,
        "from": at(hold.from_),
        "until": at(hold.until),
        "placedAt": at(hold.placed_at),
        "placedBy": hold.placed_by,
        "reason": hold.reason,
        "releasedAt": at(hold.released_at),
        "releasedBy": hold.released_by,
        "releaseReason": hold.release_reason,
    }


def _require_kept(account: Any, tenant: Tenant) -> None:
    if account is None or account.status in {"ERASING", "ERASED"}:
        raise SetupError(
            f"Account {tenant.account} has nothing in {tenant.region}: it never registered, or was "
            "deregistered with all its data."
        )
