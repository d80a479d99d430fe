"""What was metered, and what AWS would have charged for it (spec 9.4).

AWS bills unique resource assessments: what was collected and seen by an active assessment, once
however many controls see it. Manual evidence is counted too and never charged; reports and inactive
assessments are free. The price is a setting, because AWS's may change and differs by region.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from sqlalchemy import func

from auditkeep.clock import Day, day_from_name
from auditkeep.db.schema import usage
from auditkeep.db.tx import SystemTx
from auditkeep.errors import SetupError
from auditkeep.ids import Tenant
from auditkeep.observations import SourceType

NOT_CHARGED: frozenset[SourceType] = frozenset({"MANUAL"})
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Metered:
    """How many observations of one origin and source a tenant's lenses saw."""

    tenant: Tenant
    origin_account: str
    origin_region: str
    source: str
    items: int

    @property
    def charged(self) -> bool:
        return self.source not in NOT_CHARGED


def month(name: str) -> tuple[Day, Day]:
    """The days of a month like `2026-05`, from the first to before the second."""
    try:
        first = date.fromisoformat(f"{name}-01")
    except ValueError:
        raise SetupError(f"'{name}' is no month: write it like 2026-05.") from None
    after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return day_from_name(first.isoformat()), day_from_name(after.isoformat())


def metered(
    tx: SystemTx, first: Day, before: Day, account: str | None = None, region: str | None = None
) -> list[Metered]:
    """Usage of the days from `first` to before `before`, of all tenants or of some."""
    t = usage.c
    origin = (t.account, t.region, t.origin_account, t.origin_region, t.source)
    query = tx.select(*origin, func.sum(t["items"])).where(t.day >= first, t.day < before)
    if account is not None:
        query = query.where(t.account == account)
    if region is not None:
        query = query.where(t.region == region)
    rows = tx.all(query.group_by(*origin).order_by(*origin))
    return [
        Metered(Tenant(owner, where), seen_in, seen_at, source, int(items))
        for owner, where, seen_in, seen_at, source, items in map(tuple, rows)
    ]


def assessments(rows: Iterable[Metered]) -> int:
    """Resource assessments: what AWS would have charged for."""
    return sum(row.items for row in rows if row.charged)


def cost(items: int, price_per_thousand: Decimal) -> Decimal:
    """In the currency of the price, rounded to cents."""
    return (items * price_per_thousand / 1000).quantize(_CENT, rounding=ROUND_HALF_UP)
