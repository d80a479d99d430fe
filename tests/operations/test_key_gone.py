"""A tenant's key is gone for good: what lies under it is lost, and can be destroyed all the same.

Nothing of a destruction needs the key: not the record of what went, nor the certificate.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.distant import Distant, Ring
from tests.operations.test_erasing import Erasing, deregister, furnish, verified
from tests.operations.world import HOME, Made, World

from auditkeep.clock import DAY, MINUTE, Instant
from auditkeep.db import schema
from auditkeep.errors import KeyAway
from auditkeep.ids import Tenant
from auditkeep.lake.audit.run import audit
from auditkeep.lake.buckets import make_ready
from auditkeep.lake.sequencer import Sequencer
from auditkeep.workflows.expire import expire

HERE = Tenant(HOME, "us-east-1")
ARN = f"arn:aws:kms:us-east-1:{HOME}:key/0b2f8a1e-6f2c-4f0e-9a53-2f6d1f0c7d11"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "data")
    made.deps.lake.keys.ring = Ring(made.deps.lake.data)
    with made.db.system_write() as tx:
        tx.insert(schema.meta, {"key": "region", "value": "us-east-1"})
    made.ask("update_settings", kmsKey=ARN)
    for klass in ("facts", "reports", "stock", "uploads"):
        make_ready(made.db, made.deps.lake.keys, HERE, klass, made.clock.now())
    yield made
    made.close()


def lose(world: World) -> Distant:
    """The tenant's key does not come back, and is in nobody's memory any more."""
    ring = world.deps.lake.keys.ring
    assert isinstance(ring, Ring)
    key = ring.distant[ARN]
    key.away, key.state = True, "gone"
    for bucket in under_it(world):
        world.deps.lake.keys.forget(HERE, bucket)
    world.deps.lake.tail.forget(HERE)
    key.asked.clear()
    return key


def under_it(world: World) -> list[str]:
    with world.db.read(HERE) as tx:
        b = schema.buckets.c
        rows = tx.select(b.id).where(b.provider_key == ARN, b.destroyed_at.is_(None))
        return [row.id for row in tx.all(rows)]


def problems(world: World) -> tuple[str, ...]:
    lake = world.deps.lake
    with Sequencer(lake) as sequencer:
        sequencer.step()
    return tuple(audit(lake, now=Instant(world.clock.now() + MINUTE), fresh=True).problems)


def test_everything_of_a_tenant_is_destroyed_and_certified_without_its_key(world: World) -> None:
    furnish(world, HOME, world.client)
    world.observe(world.clock.now())
    assert len(under_it(world)) >= 4
    key = lose(world)
    with pytest.raises(KeyAway):
        world.deps.lake.keys.key(HERE, under_it(world)[0])
    key.asked.clear()
    erasing = Erasing(world)
    assert deregister(world)["status"] == "INACTIVE"
    assert erasing.run() == 1
    assert key.asked == [], "nobody was even asked"
    assert under_it(world) == []
    told = verified(world, erasing.certificate(HERE))
    assert (told.state, told.problems) == ("valid", ())
    assert problems(world) == ()
    assert world.ask("register_account")["status"] == "ACTIVE"


def test_an_assessment_is_deleted_and_a_month_expires_without_their_key(world: World) -> None:
    made: Made = world.assessment()
    world.write_evidence(made, "we looked")
    world.observe(world.clock.now())
    key = lose(world)
    assert len(under_it(world)) == 5
    assert any("is gone" in problem for problem in problems(world))
    key.asked.clear()
    world.ask("delete_assessment", assessmentId=made.id)
    assert len(under_it(world)) == 4
    world.clock.advance(3 * 366 * DAY)
    done = expire(world.deps.lake, world.deps.settings, HERE, world.clock.now())
    assert [(one.klass, one.month) for one in done.gone] == [("facts", "2026-05")]
    assert key.asked == []
    assert problems(world) == ()
