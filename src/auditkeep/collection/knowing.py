"""What coverage is computed from, read from the database; see `collection.coverage`."""

from collections.abc import Collection, Iterator

from sqlalchemy import func

from auditkeep.assessments import store
from auditkeep.assessments.model import Assessment
from auditkeep.clock import Instant
from auditkeep.collection import coverage, targets, trails
from auditkeep.collection.coverage import Coverage, Looking
from auditkeep.collection.looks import Plans
from auditkeep.collection.plan import Reason
from auditkeep.collection.targets import Place, Target
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import rollups
from auditkeep.db.tx import Tx
from auditkeep.lake.rollups import still_count


def of_assessment(
    tx: Tx, plans: Plans, assessment: Assessment, now: Instant, *, asks: bool, every: int
) -> list[Coverage]:
    """The coverage of an assessment's controls, in their order."""
    controls = list(looking(tx, assessment.id))
    keys = frozenset[str]().union(*(c.match_keys for c in controls))
    return coverage.of(
        controls,
        plans.of(tx, now),
        known(tx, now),
        _newest(tx, keys),
        now,
        asks=asks,
        every=every,
    )


def known(tx: Tx, now: Instant) -> dict[tuple[Place, str], Target]:
    """How each question of a tenant stands, those too that trails answer."""
    return {**targets.every(tx), **trails.states(tx, now)}


def looking(tx: Tx, assessment_id: str) -> Iterator[Looking]:
    """The controls of an assessment, as coverage needs them."""
    for one in store.controls(tx, assessment_id):
        yield Looking(
            reason=Reason("assessment", assessment_id, str(one.ordinal)),
            name=one.copy.name,
            match_keys=frozenset(one.copy.match_keys),
            sources=tuple((s.type, s.keyword) for s in one.copy.sources),
        )


def _newest(tx: Tx, keys: Collection[str]) -> dict[str, Instant]:
    """The last event time that was kept of each match key."""
    t = rollups.c
    found: dict[str, Instant] = {}
    for some in in_pieces(sorted(keys)):
        query = tx.select(t.match_key, func.max(t.last_time)).where(
            t.match_key.in_(some), still_count(tx)
        )
        for key, last in map(tuple, tx.all(query.group_by(t.match_key))):
            found[key] = Instant(last)
    return found
