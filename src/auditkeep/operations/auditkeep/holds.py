"""Legal holds and retention policies, asked for and looked at (see `lake.holds`, `lake.retention`).

Who may is the identity policy's to say: holds and policies are the account's, no assessment's.
"""

from collections.abc import Mapping

from auditkeep import clock
from auditkeep.assessments import store
from auditkeep.clock import SECOND, Instant
from auditkeep.errors import InvalidRequest, NotFound
from auditkeep.evidence import lens
from auditkeep.lake import holds, retention
from auditkeep.lake.governance import Hold, Release
from auditkeep.lake.holds import Asked, Held
from auditkeep.operations.call import Call, pair
from auditkeep.settings import RetentionKind
from auditkeep.wire.models import auditkeep as ak


def list_legal_holds(call: Call, _ask: ak.ListLegalHoldsRequest) -> ak.ListLegalHoldsResponse:
    placed, released = holds.records(call.tx, call.deps.lake)
    found = holds.listed(call.tx)
    return ak.ListLegalHoldsResponse(legal_holds=tuple(_shown(h, placed, released) for h in found))


def place_legal_hold(call: Call, ask: ak.PlaceLegalHoldRequest) -> ak.PlaceLegalHoldResponse:
    """On an assessment, and then on the facts it may see; or on a time, open on either side."""
    first, last = _instant(ask.from_), _instant(ask.until)
    if ask.assessment_id is None:
        if first is None and last is None:
            raise InvalidRequest("A legal hold is about an assessment, or about a time.")
    elif first is not None or last is not None:
        raise InvalidRequest("A legal hold is about an assessment or about a time, not both.")
    else:
        assessment = store.get(call.tx, ask.assessment_id)
        openings = lens.first_openings(call.tx, assessment.id).values()
        # what happened from then on cannot have been collected before
        first = min([assessment.created_at, *openings])
    hold_id = holds.place(
        call.tx,
        call.deps.lake,
        _asked(call, ask.reason),
        assessment_id=ask.assessment_id,
        first=first,
        last=last,
    )
    return ak.PlaceLegalHoldResponse(legal_hold=_one(call, hold_id))


def release_legal_hold(call: Call, ask: ak.ReleaseLegalHoldRequest) -> ak.ReleaseLegalHoldResponse:
    """Once; what it kept goes when something else asks for it."""
    holds.release(call.tx, call.deps.lake, _asked(call, ask.reason), ask.hold_id)
    return ak.ReleaseLegalHoldResponse(legal_hold=_one(call, ask.hold_id))


def get_retention(call: Call, _ask: ak.GetRetentionRequest) -> ak.GetRetentionResponse:
    return ak.GetRetentionResponse(policies=_policies(call))


def put_retention(call: Call, ask: ak.PutRetentionRequest) -> ak.PutRetentionResponse:
    """Counts from now on; what it no longer keeps goes with the next run, within the hour."""
    lake, asked = call.deps.lake, _asked(call, "")
    if ask.use_default and ask.days is not None:
        raise InvalidRequest.of_field("useDefault", "goes without days.")
    if ask.use_default:
        retention.use_default(call.tx, lake, ask.class_, call.deps.settings.retention_days, asked)
    else:
        retention.put(call.tx, lake, ask.class_, ask.days, asked)
    return ak.PutRetentionResponse(policies=_policies(call))


def _policies(call: Call) -> tuple[ak.RetentionPolicy, ...]:
    found: Mapping[RetentionKind, retention.Rule] = retention.rules(
        call.tx, call.deps.settings.retention_days
    )
    return tuple(
        ak.RetentionPolicy(
            class_=kind,
            days=rule.days,
            chosen=rule.chosen,
            set_at=None if rule.set_at is None else clock.wire(rule.set_at),
        )
        for kind, rule in found.items()
    )


def _one(call: Call, hold_id: str) -> ak.LegalHold:
    placed, released = holds.records(call.tx, call.deps.lake)
    for held in holds.listed(call.tx):
        if held.id == hold_id:
            return _shown(held, placed, released)
    raise NotFound("legal hold", hold_id)


def _shown(held: Held, placed: Mapping[str, Hold], released: Mapping[str, Release]) -> ak.LegalHold:
    told, ended = placed.get(held.id), released.get(held.id)
    return ak.LegalHold(
        id=held.id,
        assessment_id=held.assessment_id,
        from_=_wire(held.first),
        until=_wire(held.last),
        placed_at=clock.wire(held.placed_at),
        placed_by=None if told is None else told.principal,
        reason=None if told is None else told.reason,
        released_at=_wire(held.released_at),
        released_by=None if ended is None else ended.principal,
        release_reason=None if ended is None else ended.reason,
    )


def _asked(call: Call, reason: str) -> Asked:
    return Asked(call.principal.arn, call.request_id, reason, call.now)


def _instant(value: float | None) -> Instant | None:
    return None if value is None else Instant(round(value * SECOND))


def _wire(value: Instant | None) -> float | None:
    return None if value is None else clock.wire(value)


OPERATIONS = (
    pair(ak.LIST_LEGAL_HOLDS, list_legal_holds),
    pair(ak.PLACE_LEGAL_HOLD, place_legal_hold),
    pair(ak.RELEASE_LEGAL_HOLD, release_legal_hold),
    pair(ak.GET_RETENTION, get_retention),
    pair(ak.PUT_RETENTION, put_retention),
)
