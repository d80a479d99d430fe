"""Months, sums and money."""

from decimal import Decimal

import pytest

from auditkeep.accounts import usage
from auditkeep.accounts.usage import Metered
from auditkeep.clock import day_name
from auditkeep.db.database import Database
from auditkeep.db.schema import usage as table
from auditkeep.errors import SetupError
from auditkeep.ids import Tenant

A, B = Tenant("111122223333", "us-east-1"), Tenant("444455556666", "eu-west-1")


@pytest.mark.parametrize(
    ("name", "first", "before"),
    [
        ("2026-05", "2026-05-01", "2026-06-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
        ("2028-02", "2028-02-01", "2028-03-01"),
    ],
)
def test_a_month_is_its_days(name: str, first: str, before: str) -> None:
    assert tuple(map(day_name, usage.month(name))) == (first, before)


@pytest.mark.parametrize("name", ["", "2026", "2026-13", "May", "2026-05-01"])
def test_anything_else_is_no_month(name: str) -> None:
    with pytest.raises(SetupError, match="no month"):
        usage.month(name)


@pytest.mark.parametrize(
    ("items", "price", "cost"),
    [
        (0, "1.25", "0.00"),
        (1, "1.25", "0.00"),
        (4, "1.25", "0.01"),
        (1_000, "1.25", "1.25"),
        (1_234_567, "1.25", "1543.21"),
        (1_000_000_000, "0.0015", "1500.00"),
    ],
)
def test_money_is_exact(items: int, price: str, cost: str) -> None:
    assert usage.cost(items, Decimal(price)) == Decimal(cost)


@pytest.mark.both_databases
def test_days_of_a_month_add_up_by_tenant_and_origin(db: Database) -> None:
    first, before = usage.month("2026-05")
    with db.system_write() as tx:
        for tenant in (A, B):
            for day, source, items in (
                (first - 1, "AWS_Config", 100),
                (first, "AWS_Config", 1),
                (before - 1, "AWS_Config", 2),
                (before, "AWS_Config", 100),
                (first, "MANUAL", 5),
            ):
                row = {
                    "day": day,
                    "origin_account": "777788889999",
                    "origin_region": "us-east-1",
                    "source": source,
                    "items": items,
                }
                tx.of(tenant).insert(table, row)
        found = usage.metered(tx, first, before)
        assert [(m.tenant, m.source, m.items) for m in found] == [
            (A, "AWS_Config", 3),
            (A, "MANUAL", 5),
            (B, "AWS_Config", 3),
            (B, "MANUAL", 5),
        ]
        assert usage.assessments(found) == 6
        only = Metered(B, "777788889999", "us-east-1", "AWS_Config", 3)
        assert usage.metered(tx, first, before, B.account)[0] == only
        assert usage.metered(tx, first, before, None, B.region)[0] == only
        assert usage.metered(tx, first, before, A.account, B.region) == []
