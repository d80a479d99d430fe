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
from auditkeep.frameworks import keys
from auditkeep.frameworks import store as frameworks
from auditkeep.frameworks.model import Framework, Shelf
from auditkeep.lake.rollups import still_count


class Knowing:
    """What a tenant's questions are and how they stand now, read once for any number of answers."""

    def __init__(self, tx: Tx, plans: Plans, now: Instant) -> None:
        self._tx = tx
        self._library, self._settings = plans.library, plans.settings
        self._now = now
        self._plan = plans.of(tx, now)
        self._known = known(tx, now)

    def of_assessment(self, assessment: Assessment) -> list[Coverage]:
        """The coverage of an assessment's controls, in their order."""
        return self._of(list(looking(self._tx, assessment.id)))

    def of_framework(self, framework: Framework) -> list[Coverage]:
        """The coverage of the controls of a framework of the baseline, in its order."""
        return self._of(list(_looking_of(self._tx, self._library, framework)))

    def _of(self, controls: list[Looking]) -> list[Coverage]:
        match_keys = frozenset[str]().union(*(c.match_keys for c in controls))
        return coverage.of(
            controls,
            self._plan,
            self._known,
            _newest(self._tx, match_keys),
            self._now,
            asks=self._settings.collects,
            every=self._settings.collect_every,
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


def _looking_of(tx: Tx, library: Shelf, framework: Framework) -> Iterator[Looking]:
    """The controls of a framework of the baseline, each once, as coverage needs them."""
    ids = dict.fromkeys(c for one in framework.sets for c in one.control_ids)
    found = frameworks.get_controls(tx, library, ids)
    for control in (found[i] for i in ids if i in found):
        yield Looking(
            reason=Reason("baseline", framework.id, control.id),
            name=control.name,
            match_keys=keys.match_keys_of(control, library.group),
            sources=tuple(
                (s.type, s.keyword.value if s.keyword else None)
                for s in keys.primitive_sources(control, library.group)
            ),
        )


def _newest(tx: Tx, match_keys: Collection[str]) -> dict[str, Instant]:
    """The last event time that was kept of each match key."""
    t = rollups.c
    found: dict[str, Instant] = {}
    for some in in_pieces(sorted(match_keys)):
        query = tx.select(t.match_key, func.max(t.last_time)).where(
            t.match_key.in_(some), still_count(tx)
        )
        for key, last in map(tuple, tx.all(query.group_by(t.match_key))):
            found[key] = Instant(last)
    return found
