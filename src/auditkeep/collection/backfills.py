"""Backfills: what sources still know of a time that an assessment reaches back into.

    state       a page was kept     its last page was kept     it cannot be had
    RUNNING     stays               → COMPLETE                 → FAILED, with the reason
    FAILED      – (asking for the same backfill again makes it RUNNING)

One fetch is one source of one account and region; only sources that keep a history have any. How
far it is, is written with each page, so that whoever takes over goes on behind it. Where a trail
brings an account's events, its past is read by whoever reads the trail (`read_by_trails`): a fetch
of that kind is no job.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Row

from auditkeep.clock import DAY, Instant
from auditkeep.collection.plan import HOME, TRAIL, Duty, Plan, Question
from auditkeep.collection.targets import Place
from auditkeep.db.schema import backfills
from auditkeep.db.tx import Tx
from auditkeep.ids import GLOBAL_REGION, named_id
from auditkeep.observations import SourceType

JOB = "backfill"
"""Jobs that fetch; their keys are the ids of fetches."""

IN_TRAIL = "It is read from the account's trail: `auditkeep trail list` says how far."
NO_TRAIL = "No trail brings its events any more: ask for the backfill again."

FetchState = Literal["RUNNING", "COMPLETE", "FAILED"]

KEPT: dict[SourceType, int] = {"AWS_Cloudtrail": 90 * DAY, "AWS_Config": 2557 * DAY}
"""How far back sources know: LookupEvents 90 days, Config seven years unless told otherwise."""

KEPT_IN_STORE: dict[SourceType, int] = {**KEPT, "AWS_Cloudtrail": 3653 * DAY}
"""The same where an event data store has the events: ten years at most."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """One source of one account and region, of one time."""

    id: str
    assessment_id: str
    place: Place
    start: Instant
    end: Instant
    state: FetchState
    resume: str | None
    observations: int
    message: str
    created_at: Instant
    what: str = ""

    def went_on(self, resume: str | None, observations: int) -> "Fetch":
        return replace(self, resume=resume, observations=self.observations + observations)


def planned(
    plan: Plan,
    assessment_id: str,
    start: Instant,
    until: Callable[[str, Duty], Instant],
    now: Instant,
    kept: Mapping[SourceType, int] = KEPT,
) -> Iterator[Fetch]:
    """What to fetch for an assessment, from where the plan asks for it now.

    `until` says up to when an account was not asked a question for it.
    """
    for account, region, duty in plan.questions():
        source = duty.question.source
        if source not in kept or all(r.id != assessment_id for r in duty.reasons):
            continue
        by_trail = duty.question == TRAIL
        begin = start if by_trail else max(start, Instant(now - kept[source]))
        end = until(account, duty)
        if begin >= end:
            continue
        named = (assessment_id, account, region, source, duty.question.what, str(start), str(end))
        yield Fetch(
            id=named_id("backfill", *named),
            assessment_id=assessment_id,
            place=Place(account, region, source),
            what=duty.question.what,
            start=begin,
            end=end,
            state="RUNNING",
            resume=None,
            observations=0,
            message=IN_TRAIL if by_trail else "",
            created_at=now,
        )


def question(fetch: Fetch) -> Question:
    return Question(fetch.place.source, fetch.what)


def read_by_trails(tx: Tx, far: Mapping[tuple[str, str], Instant]) -> int:
    """End those fetches that trails were to bring, and have: how far back each place was read.

    What no trail brings any more is not fetched. How many fetches ended.
    """
    t = backfills.c
    query = tx.select(backfills).where(t.state == "RUNNING", t.what == TRAIL.what)
    ended = []
    for fetch in map(_fetch, tx.all(query)):
        region = HOME if fetch.place.region == GLOBAL_REGION else fetch.place.region
        back = far.get((fetch.place.account, region))
        if back is None:
            ended.append(replace(fetch, state="FAILED", message=NO_TRAIL))
        elif back <= fetch.start:
            ended.append(replace(fetch, state="COMPLETE"))
    save(tx, ended)
    return len(ended)


def listed(tx: Tx, assessment_id: str) -> list[Fetch]:
    t = backfills.c
    query = tx.select(backfills).where(t.assessment_id == assessment_id)
    return [_fetch(row) for row in tx.all(query.order_by(t.created_at, t.id))]


def find(tx: Tx, id_: str) -> Fetch | None:
    row = tx.first(tx.select(backfills).where(backfills.c.id == id_))
    return None if row is None else _fetch(row)


def save(tx: Tx, fetches: Iterable[Fetch]) -> None:
    changing = ["state", "resume", "observations", "message", "created_at"]
    rows = [
        {
            "id": f.id,
            "assessment_id": f.assessment_id,
            "origin_account": f.place.account,
            "origin_region": f.place.region,
            "source": f.place.source,
            "what": f.what,
            "start_at": f.start,
            "end_at": f.end,
            "state": f.state,
            "resume": f.resume,
            "observations": f.observations,
            "message": f.message,
            "created_at": f.created_at,
        }
        for f in fetches
    ]
    tx.upsert(backfills, rows, replace=changing)


def _fetch(row: Row[Any]) -> Fetch:
    return Fetch(
        id=row.id,
        assessment_id=row.assessment_id,
        place=Place(row.origin_account, row.origin_region, row.source),
        what=row.what,
        start=Instant(row.start_at),
        end=Instant(row.end_at),
        state=row.state,
        resume=row.resume,
        observations=row.observations,
        message=row.message,
        created_at=Instant(row.created_at),
    )
