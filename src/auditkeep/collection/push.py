"""Records that are brought here, instead of fetched: one request -> one ingest unit.

Everything a request brings is kept in the caller's transaction, or nothing of it. The unit's id
follows from the records and from all that decides what is read of them, so a request that comes
again changes nothing, whoever sends it.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from msgspec import structs

from auditkeep.clock import Instant, iso
from auditkeep.collection.counts import Counts
from auditkeep.collection.ingest import PARSERS, Source, question
from auditkeep.collection.runs import Run
from auditkeep.db.tx import Tx
from auditkeep.errors import InvalidRequest
from auditkeep.ids import new_id
from auditkeep.lake.append import MAX_ROWS, Unit, append
from auditkeep.lake.keeping import FACTS, UNSEEN
from auditkeep.lake.lake import Lake
from auditkeep.mapping.interest import Interest
from auditkeep.observations import Observation
from auditkeep.sources import config
from auditkeep.sources.records import Context, Rejected, Tally
from auditkeep.sources.secrets import Cutter


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record, or one inside of it, that cannot be kept: which one, where in it, and why."""

    index: int
    position: str
    reason: str


@dataclass(slots=True)
class Pushed:
    """What became of a request's records; `run` is None where all were brought before."""

    counts: Counts = field(default_factory=Counts)
    refused: list[Refusal] = field(default_factory=list)
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Pusher:
    """Who brings records, by which door."""

    caller: str
    """An ARN, or what stands for one."""
    collector: str


def push(
    tx: Tx,
    lake: Lake,
    source: Source,
    records: Sequence[bytes],
    interest: Interest,
    pusher: Pusher,
    now: Instant,
    *,
    reads: bool = False,
    observed_at: Instant | None = None,
) -> Pushed:
    """Keep what `interest` wants of the records; InvalidRequest where they hold too many."""
    run = Run(new_id(), source, pusher.caller, now, secrets.token_bytes(32), pusher.collector)
    context = Context(tx.tenant, interest, Cutter(run.cut_key), reads, observed_at=observed_at)
    if source == "config":
        for record in records:
            config.collect_rules(iter([record]), context.rules)
    result = Pushed()
    found = _read(source, records, context, result)
    unit = Unit(_unit_id(question(source, context), records), "push", source)
    provenance = run.provenance("pushed")
    done = append(
        tx, lake, unit=unit, klass=FACTS, observations=found, provenance=provenance, now=now
    )
    counts = result.counts
    if done.repeated:
        counts.duplicates = len(found)
        return result
    counts.observations, counts.duplicates = done.new, done.duplicates
    counts.conflicts = done.conflicts
    if done.unkept:
        counts.unmatched += done.unkept
        counts.reasons[UNSEEN] += done.unkept
    counts.cuts = sum(len(o.cuts) for o in found)
    for position, reason in done.refused:
        index, _, inner = position.partition("/")
        result.refused.append(Refusal(int(index), inner, reason))
    for refusal in result.refused:
        counts.reject("", f"records[{refusal.index}] {refusal.position}".strip(), refusal.reason, 0)
    asked: dict[str, object] = {"records": len(records), "reads": reads}
    if observed_at is not None:
        asked["observedAt"] = iso(observed_at)
    about = run.observation(tx.tenant, asked, counts, outcome="completed", ended=now)
    append(
        tx,
        lake,
        unit=run.unit,
        klass=FACTS,
        observations=[about],
        provenance=provenance,
        now=now,
    )
    result.run = run.id
    return result


def _read(
    source: Source, records: Sequence[bytes], context: Context, result: Pushed
) -> list[Observation]:
    """The observations of all records; positions begin with the number of the record and a `/`."""
    found: list[Observation] = []
    tally = Tally()
    for index, record in enumerate(records):
        for item in PARSERS[source](iter([record]), context, tally):
            if isinstance(item, Rejected):
                result.refused.append(Refusal(index, item.position, item.reason))
            else:
                found.append(structs.replace(item, position=f"{index}/{item.position}"))
            if len(found) > MAX_ROWS:
                raise InvalidRequest.of_field(
                    "records", f"hold more than {MAX_ROWS} observations: send fewer at a time."
                )
    counts = result.counts
    counts.records = tally.records
    counts.unmatched = tally.unmatched.total()
    counts.reasons = tally.unmatched
    return found


def _unit_id(question_digest: bytes, records: Sequence[bytes]) -> str:
    digests = b"".join(sha256(record).digest() for record in records)
    return sha256(b"auditkeep/push/1" + question_digest + digests).hexdigest()
