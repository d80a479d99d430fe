"""What `auditkeep usage` reports: metered usage of a month, by tenant, origin and source."""

from typing import Any

from auditkeep.accounts import usage
from auditkeep.accounts.usage import Metered
from auditkeep.app.keeping import show_keeping
from auditkeep.app.parts import Parts
from auditkeep.ids import Tenant
from auditkeep.settings import Settings


def usage_of(
    parts: Parts, month: str, account: str | None = None, region: str | None = None
) -> dict[str, Any]:
    """A month like `2026-05`, of all tenants or of some; SetupError for what is no month."""
    first, before = usage.month(month)
    with parts.db.system_read() as tx:
        rows = usage.metered(tx, first, before, account, region)
    settings = parts.settings
    total = usage.assessments(rows)
    return {
        "month": month,
        "pricePerThousand": str(settings.usage_price),
        "currency": settings.usage_currency,
        "resourceAssessments": total,
        "charge": str(usage.cost(total, settings.usage_price)),
        "tenants": [
            _of_tenant(tenant, [r for r in rows if r.tenant == tenant], settings)
            | {"keeping": show_keeping(parts, tenant)}
            for tenant in sorted({r.tenant for r in rows})
        ],
    }


def _of_tenant(tenant: Tenant, rows: list[Metered], settings: Settings) -> dict[str, Any]:
    total = usage.assessments(rows)
    return {
        "account": tenant.account,
        "region": tenant.region,
        "resourceAssessments": total,
        "manual": sum(r.items for r in rows if not r.charged),
        "charge": str(usage.cost(total, settings.usage_price)),
        "sources": [
            {
                "account": r.origin_account,
                "region": r.origin_region,
                "source": r.source,
                "count": r.items,
            }
            for r in rows
        ],
    }
