"""What `auditkeep quotas list` shows: limits, who set them, and how much of each is in use."""

from collections.abc import Callable, Mapping
from typing import Any

from auditkeep.accounts import quotas
from auditkeep.app.parts import Parts
from auditkeep.assessments import store as assessments
from auditkeep.clock import Instant
from auditkeep.db.tx import Tx
from auditkeep.frameworks import sharing_store
from auditkeep.frameworks import store as frameworks
from auditkeep.ids import Tenant

_USED: Mapping[str, Callable[[Tx, Instant], int]] = {
    "active-assessments": lambda tx, _: assessments.count_active(tx),
    "member-accounts": lambda tx, _: len(
        frozenset[str]().union(*(a.document.account_ids for a in assessments.active(tx)))
    ),
    "custom-controls": lambda tx, _: frameworks.count_controls(tx),
    "custom-frameworks": lambda tx, _: frameworks.count_frameworks(tx),
    "share-recipients": lambda tx, now: len(sharing_store.recipients(tx, now)),
}
"""Only what a tenant has as a whole; the other quotas hold for each control, file or report."""


def quotas_of(parts: Parts, tenant: Tenant) -> list[dict[str, Any]]:
    """One entry a quota; a limit of None is no limit."""
    settings, now = parts.settings, parts.clock.now()
    found: list[dict[str, Any]] = []
    with parts.db.read(tenant) as tx:
        own = quotas.own(tx)
        for name, quota in quotas.QUOTAS.items():
            set_by = "deployment" if name in settings.quotas else "default"
            used = _USED.get(name)
            found.append(
                {
                    "name": name,
                    "limit": quotas.limit(tx, settings, name),
                    "setBy": "tenant" if name in own else set_by,
                    "used": None if used is None else used(tx, now),
                    "about": quota.about,
                }
            )
    wide = settings.throttle_rate or None
    set_by = "default" if wide is None else "deployment"
    found.append(
        {
            "name": quotas.RATE,
            "limit": wide if wide is None else own.get(quotas.RATE, wide),
            "setBy": "tenant" if wide is not None and quotas.RATE in own else set_by,
            "used": None,
            "about": "requests a second, where the server throttles at all",
        }
    )
    return found
