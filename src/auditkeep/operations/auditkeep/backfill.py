"""Backfill: an assessment's lenses reach into the past, and what was kept there is its evidence.

Nothing that was kept is copied. Each control that collects by itself gets intervals from `start`
up to where it began to look at what it looks at now (`evidence.reaching`): at a keyword that was
corrected, or an account that came into scope, that may be much later than at the rest. Where this
deployment asks AWS, what sources still know of that time is fetched; what neither was kept nor is
known any more stays missing, and what was passed over is named.
"""

from auditkeep.assessments import rules, store
from auditkeep.assessments.model import Assessment
from auditkeep.clock import SECOND, Instant, iso, wire
from auditkeep.collection import backfills, not_kept
from auditkeep.collection.not_kept import NotKept
from auditkeep.collection.plan import TRAIL, Duty
from auditkeep.db.tx import Tx
from auditkeep.errors import InvalidRequest
from auditkeep.evidence import lens, reaching, selection
from auditkeep.evidence.lens import Reach
from auditkeep.operations.auditkeep.keeping import not_kept as to_wire
from auditkeep.operations.auditmanager.standing import assessment_for, log_assessment
from auditkeep.operations.call import Call, pair
from auditkeep.wire.models import auditkeep as ak
from auditkeep.work.jobs import enqueue


def start_backfill(call: Call, assessment_id: str, start: Instant) -> int:
    """Let an assessment see from `start` on; how many of its controls see further back now.

    InvalidRequest for a start in the future, and for assessments that are INACTIVE or dormant.
    Where a control sees as far back already, nothing changes, so asking twice is harmless.
    """
    call.tx.lock_tenant()  # nothing is appended while intervals change
    assessment = assessment_for(call, assessment_id, "UpdateAssessment")
    rules.require_active(assessment.status)
    if assessment.dormant:
        raise InvalidRequest(
            "This assessment is dormant: its account was deregistered, or handed its organisation "
            "over. Once that is undone, save it (UpdateAssessment), then backfill it."
        )
    if start > call.now:
        raise InvalidRequest.of_field("start", f"is in the future: {iso(start)}.")
    unseen = reaching.unseen(_looking(call, assessment), start)
    controls = sorted({ordinal for keys in unseen.values() for ordinal in keys})
    lenses = lens.load(call.tx, assessment.id, controls, assessment.frozen_at_batch)
    selection.spell_out(call.tx, call.deps.lake, assessment.id, lenses)
    for stretch, keys in unseen.items():
        lens.open_for_controls(
            call.tx,
            assessment.id,
            keys,
            Reach(stretch.accounts, stretch.regions),
            stretch.opens_at,
            stretch.closes_at,
            every=stretch.every,
            backfilled=True,
        )
    store.touch(call.tx, assessment.id, call.now)
    log_assessment(call, assessment, "UPDATE_METADATA")
    return len(controls)


def start(call: Call, ask: ak.StartBackfillRequest) -> ak.StartBackfillResponse:
    start_at = Instant(round(ask.start * SECOND))
    controls = start_backfill(call, ask.assessment_id, start_at)
    return ak.StartBackfillResponse(
        controls=controls, fetches=fetch(call, ask.assessment_id, start_at)
    )


def fetch(call: Call, assessment_id: str, start_at: Instant) -> int:
    """Queue what sources still know of the time since `start_at`; how many fetches that is.

    Asking for the same again fetches again what failed, and nothing that is done or under way.
    """
    if call.deps.settings.collect != "aws":
        return 0
    assessment = store.get(call.tx, assessment_id)
    plan = call.deps.plans.of(call.tx, call.now)
    before = {f.id: f for f in backfills.listed(call.tx, assessment_id)}
    kept = backfills.KEPT_IN_STORE if call.deps.settings.collect_event_store else backfills.KEPT
    unseen = reaching.unseen(_looking(call, assessment), start_at, besides_backfills=False)
    until = _Until(start_at, unseen)
    wanted = backfills.planned(plan, assessment_id, start_at, until.of, call.now, kept)
    new = [f for f in wanted if f.id not in before or before[f.id].state == "FAILED"]
    backfills.save(call.tx, new)
    for one in (f for f in new if backfills.question(f) != TRAIL):
        enqueue(call.tx, backfills.JOB, one.id, call.now, int(call.now), lane=one.place.account)
    if new:
        call.tx.after_commit(call.deps.wake)
    return len(new)


def get_backfill(call: Call, ask: ak.GetBackfillRequest) -> ak.GetBackfillResponse:
    assessment = assessment_for(call, ask.assessment_id, "GetAssessment")
    return ak.GetBackfillResponse(
        fetches=tuple(
            ak.BackfillFetch(
                account=f.place.account,
                region=f.place.region,
                source=f.place.source,
                start=wire(f.start),
                end=wire(f.end),
                state=f.state,
                observations=f.observations,
                message=f.message or None,
            )
            for f in backfills.listed(call.tx, ask.assessment_id)
        ),
        not_kept=tuple(map(to_wire, missing_of(call.tx, assessment))),
    )


def missing_of(tx: Tx, assessment: Assessment) -> list[NotKept]:
    """What an assessment would see and was not kept."""
    ordinals = [c.ordinal for c in store.controls(tx, assessment.id)]
    lenses = lens.load(tx, assessment.id, ordinals, assessment.frozen_at_batch)
    return not_kept.of_assessment(tx, assessment.id, lenses)


def _looking(call: Call, assessment: Assessment) -> list[lens.Lens]:
    """The lenses of those controls that look at anything by now."""
    ordinals = [
        c.ordinal
        for c in store.controls(call.tx, assessment.id)
        if not c.removed and c.status != "INACTIVE"
    ]
    return lens.load(call.tx, assessment.id, ordinals, assessment.frozen_at_batch)


class _Until:
    """Up to when accounts were not asked for what an assessment looks at now."""

    def __init__(self, start: Instant, unseen: reaching.Unseen) -> None:
        self._start = start
        self._of: dict[str, list[tuple[Instant, frozenset[str]]]] = {}
        for stretch, keys in unseen.items():
            told = stretch.closes_at, frozenset[str]().union(*keys.values())
            for account in stretch.accounts:
                self._of.setdefault(account, []).append(told)

    def of(self, account: str, duty: Duty) -> Instant:
        """The start, where that was all asked for."""
        ends = (
            end for end, keys in self._of.get(account, ()) if not keys.isdisjoint(duty.match_keys)
        )
        return max(ends, default=self._start)


OPERATIONS = (
    pair(ak.START_BACKFILL, start),
    pair(ak.GET_BACKFILL, get_backfill),
)
