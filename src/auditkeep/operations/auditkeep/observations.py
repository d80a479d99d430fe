"""Observations brought by whoever has them: a scanner in a pipeline, another cloud's collector."""

from auditkeep.clock import SECOND, Instant
from auditkeep.collection.interest import interest_of
from auditkeep.collection.push import Pushed, Pusher, push
from auditkeep.operations.call import Call, pair
from auditkeep.wire.models import auditkeep as ak


def put_observations(call: Call, ask: ak.PutObservationsRequest) -> ak.PutObservationsResponse:
    """What some control can use is kept, each once; what cannot be read is told one by one."""
    at = ask.observed_at
    pushed = push(
        call.tx,
        call.deps.lake,
        ask.source,
        [record.encode() for record in ask.records],
        interest_of(call.tx, call.deps.library),
        Pusher(call.principal.arn, "PutObservations"),
        call.now,
        reads=call.deps.settings.cloudtrail_reads,
        observed_at=None if at is None else Instant(round(at * SECOND)),
        asks=call.deps.asks_config(call.tx, call.now),
    )
    if pushed.waiting:
        call.tx.after_commit(call.deps.wake)
    return _told(pushed)


def _told(pushed: Pushed) -> ak.PutObservationsResponse:
    counts = pushed.counts
    return ak.PutObservationsResponse(
        records=counts.records,
        observations=counts.observations,
        duplicates=counts.duplicates,
        conflicts=counts.conflicts,
        unmatched=counts.unmatched,
        cuts=counts.cuts,
        waiting=pushed.waiting or None,
        rejected=tuple(
            ak.RejectedRecord(index=r.index, position=r.position, reason=r.reason)
            for r in pushed.refused
        ),
        run_id=pushed.run,
    )


OPERATIONS = (pair(ak.PUT_OBSERVATIONS, put_observations),)
