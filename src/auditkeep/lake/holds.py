"""Legal holds: what may not be destroyed, whoever asks for it, until somebody lets it go.

A hold is about one assessment or about a time; both are governance records, with who, when and why,
and so in the log: `log audit` names a destruction that was done under one. What is not in the log,
such as a control or a report, is kept by the operations that would delete it, which ask here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from auditkeep.clock import Instant, iso
from auditkeep.db.schema import holds
from auditkeep.db.tx import Tx
from auditkeep.errors import InvalidRequest, NotFound
from auditkeep.ids import new_id
from auditkeep.lake import governance
from auditkeep.lake.governance import Hold, Release
from auditkeep.lake.lake import Lake

MAX_REASON = 1_000


@dataclass(frozen=True, slots=True)
class Held:
    """A hold as it stands: `first` and `last` are when what it covers was collected."""

    id: str
    assessment_id: str | None
    first: Instant | None
    last: Instant | None
    placed_at: Instant
    released_at: Instant | None

    def reaches(self, first: Instant, last: Instant) -> bool:
        """Whether something collected, or there, between two moments is of its time."""
        return (self.first is None or self.first <= last) and (
            self.last is None or first <= self.last
        )

    def covers(self, klass: str, first: Instant, last: Instant) -> bool:
        """As `governance.forbids`, for what a bucket of a class holds between two moments."""
        if self.assessment_id is None:
            return self.reaches(first, last)
        if governance.belongs(klass, self.assessment_id):
            return True
        return governance.kind_of(klass) == "facts" and self.reaches(first, last)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, in which request, and why."""

    principal: str
    request: str
    reason: str
    now: Instant


def place(
    tx: Tx,
    lake: Lake,
    asked: Asked,
    *,
    assessment_id: str | None,
    first: Instant | None,
    last: Instant | None,
) -> str:
    """Place a hold, in force when the caller commits; its id. The caller knows the assessment.

    InvalidRequest for one without a reason, or whose time ends before it begins.
    """
    _require_reason(asked)
    if first is not None and last is not None and last < first:
        raise InvalidRequest.of_field("until", "must not be before from.")
    tx.lock_tenant()  # a destruction that has begun comes to its end before
    hold = Hold(
        assessment=assessment_id or "",
        at=iso(asked.now),
        first="" if first is None else iso(first),
        id=new_id(),
        last="" if last is None else iso(last),
        principal=asked.principal,
        reason=asked.reason,
        request=asked.request,
    )
    _record(tx, lake, hold, asked)
    row = {"id": hold.id, "assessment_id": assessment_id, "first": first, "last": last}
    tx.insert(holds, row | {"placed_at": asked.now})
    return hold.id


def release(tx: Tx, lake: Lake, asked: Asked, hold_id: str) -> None:
    """Let a hold go; NotFound if there is none of that id, InvalidRequest if it has ended."""
    _require_reason(asked)
    tx.lock_tenant()
    row = tx.first(tx.select(holds).where(holds.c.id == hold_id))
    if row is None:
        raise NotFound("legal hold", hold_id)
    if row.released_at is not None:
        raise InvalidRequest(f"The legal hold {hold_id} was released already.")
    ended = Release(
        at=iso(asked.now),
        hold=hold_id,
        principal=asked.principal,
        reason=asked.reason,
        request=asked.request,
    )
    _record(tx, lake, ended, asked)
    tx.run(tx.update(holds).where(holds.c.id == hold_id).values(released_at=asked.now))


def in_force(tx: Tx) -> list[Held]:
    """The tenant's holds that were not released, oldest first."""
    return [held for held in listed(tx) if held.released_at is None]


def listed(tx: Tx) -> list[Held]:
    """All holds there ever were, oldest first."""
    rows = tx.all(tx.select(holds).order_by(holds.c.placed_at, holds.c.id))
    return [Held(**{n: getattr(row, n) for n in Held.__slots__}) for row in rows]


def records(tx: Tx, lake: Lake) -> tuple[dict[str, Hold], dict[str, Release]]:
    """Who placed and released holds, and why: by the hold's id."""
    told = [record for _, record in governance.told_since(tx, lake, Instant(0))]
    placed = {one.id: one for one in told if isinstance(one, Hold)}
    return placed, {one.hold: one for one in told if isinstance(one, Release)}


def require_free(
    tx: Tx, what: str, *, assessments: Iterable[str] = (), since: Instant, now: Instant
) -> None:
    """InvalidRequest if a hold keeps something that belongs to assessments, or to none.

    It has been there since `since`; a hold of a time keeps what was there in that time.
    """
    mine = frozenset(assessments)
    for held in in_force(tx):
        if held.assessment_id in mine or (held.assessment_id is None and held.reaches(since, now)):
            raise InvalidRequest(
                f"{what} is under the legal hold {held.id}, placed at {iso(held.placed_at)}, and "
                "cannot be deleted until that is released."
            )


def require_none(tx: Tx) -> None:
    """InvalidRequest if the tenant has any hold: then not everything of it may be destroyed."""
    for held in in_force(tx):
        raise InvalidRequest(
            f"Account {tx.tenant.account} has the legal hold {held.id} in {tx.tenant.region}, "
            f"placed at {iso(held.placed_at)}. Nothing may be destroyed as a whole until it is "
            "released; with the deregistration policy DEFAULT everything is kept."
        )


def _record(tx: Tx, lake: Lake, record: Hold | Release, asked: Asked) -> None:
    governance.record(
        tx, lake, [record], principal=asked.principal, run=asked.request, now=asked.now
    )


def _require_reason(asked: Asked) -> None:
    if not asked.reason.strip() or len(asked.reason) > MAX_REASON:
        raise InvalidRequest.of_field(
            "reason", f"must say why, in at most {MAX_REASON:,} characters."
        )
