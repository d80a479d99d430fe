"""Tenants that were erased, for the operator: how far that is, and the certificates."""

from typing import Any

from auditkeep.accounts import erasure
from auditkeep.accounts.erasure import Erasure
from auditkeep.app.parts import Parts
from auditkeep.clock import Instant, iso
from auditkeep.errors import SetupError
from auditkeep.ids import Tenant
from auditkeep.lake.blobs import get_blob


def erasures_of(parts: Parts) -> list[dict[str, Any]]:
    """Every erasure of the deployment, oldest first, as people and scripts read it."""
    with parts.db.system_read() as tx:
        found = erasure.listed(tx)
    now = parts.clock.now()
    return [_shown(tenant, one, now) for tenant, one in found]


def certificate(parts: Parts, tenant: Tenant, erasure_id: str | None = None) -> bytes:
    """The certificate of a tenant's last erasure, or of one that is named.

    SetupError where there was none, or it is not done yet.
    """
    with parts.db.read(tenant) as tx:
        found = erasure.newest(tx) if erasure_id is None else erasure.find(tx, erasure_id)
        if found is None:
            raise SetupError(
                f"Nothing of account {tenant.account} in {tenant.region} was ever destroyed as a "
                "whole; 'auditkeep tenant list' shows whose was."
            )
        if found.stage != "done":
            raise SetupError(
                f"What account {tenant.account} had in {tenant.region} is still being destroyed "
                f"(stage: {found.stage}; to be done by {iso(found.deadline)})."
            )
        return b"".join(get_blob(tx, parts.lake, found.certificate))


def _shown(tenant: Tenant, one: Erasure, now: Instant) -> dict[str, Any]:
    return {
        "account": tenant.account,
        "region": tenant.region,
        "id": one.id,
        "stage": one.stage,
        "askedAt": iso(one.asked_at),
        "deadline": iso(one.deadline),
        "late": one.is_late(now),
        "destroyedAt": None if one.ended_at is None else iso(one.destroyed_at or one.ended_at),
        "keys": one.gone.keys,
        "batches": one.gone.batches,
        "observations": one.gone.observations,
        "files": one.gone.files,
        "rows": one.gone.rows,
        "objects": one.gone.objects,
    }
