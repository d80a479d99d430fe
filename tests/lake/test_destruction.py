"""Destroying a class takes its rows, counts, files and keys, and nothing of any other class."""

from __future__ import annotations

import pytest
from sqlalchemy import func
from tests.evidence.making import NOW, fact, keep

from auditkeep.db.database import Database
from auditkeep.db.schema import batches, observation_ids, rollups, segments, tail
from auditkeep.ids import Tenant
from auditkeep.lake.destruction import DESTROYED, destroy_class
from auditkeep.lake.lake import Lake
from auditkeep.lake.seal import seal

pytestmark = pytest.mark.both_databases


@pytest.mark.parametrize("sealed", [False, True], ids=["tail", "segment"])
def test_a_destroyed_class_leaves_its_place_in_the_log_only(
    db: Database, lake: Lake, tenant: Tenant, sealed: bool
) -> None:
    with db.write(tenant) as tx:
        gone = keep(tx, lake, [fact(NOW), fact(NOW)], "manual/a")
        stays = keep(tx, lake, [fact(NOW)], "facts")
    while sealed and seal(lake, tenant, now=NOW, min_rows=1):
        pass
    with db.write(tenant) as tx:
        destroy_class(tx, lake, "manual/a", NOW)
    with db.read(tenant) as tx:
        kept = {r.batch_no: r.segment_id for r in tx.all(tx.select(batches))}
        assert kept[gone] == DESTROYED
        assert kept[stays] != DESTROYED
        for table in (observation_ids, rollups):
            assert tx.scalar(tx.select(func.count(table.c.account))) == 1
        left = tx.scalar(tx.select(func.count(tail.c.account)))
        assert left + tx.scalar(tx.select(func.count(segments.c.account))) == 1
    assert len(lake.keystore.bucket_ids()) == 1
    assert len(list(lake.objects.list("segments/"))) == sealed


def test_a_destruction_that_is_rolled_back_destroyed_nothing(
    db: Database, lake: Lake, tenant: Tenant
) -> None:
    with db.write(tenant) as tx:
        keep(tx, lake, [fact(NOW)], "manual/a")
    with pytest.raises(KeyError), db.write(tenant) as tx:
        destroy_class(tx, lake, "manual/a", NOW)
        raise KeyError
    assert len(lake.keystore.bucket_ids()) == 1
    with db.read(tenant) as tx:
        assert tx.scalar(tx.select(func.count(tail.c.account))) == 1


def test_destroying_what_is_not_there_does_nothing(
    db: Database, lake: Lake, tenant: Tenant
) -> None:
    with db.write(tenant) as tx:
        destroy_class(tx, lake, "manual/a", NOW)
