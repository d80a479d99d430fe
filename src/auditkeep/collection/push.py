"""Records that are brought here, instead of fetched: one request -> one ingest unit.

Everything a request brings is kept in the caller's transaction, or nothing of it. The unit's id
follows from the records and from all that decides what is read of them, so a request that comes
again changes nothing, whoever sends it.

Judgements of AWS Config about an account that is asked by us anyway wait until it was asked about
them, where there is something to ask: whose the rule is, or the resource's configuration item
(`collection.pushed`). Of all others, a rule of which nothing is known is taken by its name.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

import msgspec
from msgspec import structs

from auditkeep.clock import Instant, iso
from auditkeep.collection import definitions, pushed
from auditkeep.collection.counts import Counts
from auditkeep.collection.definitions import Asks, Known, nobody_asks
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
from auditkeep.sources import config, configpull
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
    waiting: int = 0
    """Records that are kept when their account was asked about them."""


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
    asks: Asks = nobody_asks,
) -> Pushed:
    """Keep what `interest` wants of the records; InvalidRequest where they hold too many.

    Where records are to wait, whoever runs jobs is to be woken after the commit.
    """
    run = Run(new_id(), source, pusher.caller, now, secrets.token_bytes(32), pusher.collector)
    context = Context(tx.tenant, interest, Cutter(run.cut_key), reads, observed_at=observed_at)
    result = Pushed()
    known: list[tuple[str, str, str]] = []
    if source == "config":
        for record in records:
            config.collect_rules(iter([record]), context.rules)
        definitions.add(tx, context.rules, now)
        remembered = Known(tx, asks)
        waits = _Parking(tx, remembered, asks, pusher, now).waits
        context = replace(context, definitions=remembered)
        found = _read(source, records, context, result, waits)
        known = sorted(remembered.used)
        if result.waiting == len(records):
            return result
    else:
        found = _read(source, records, context, result)
    unit = Unit(_unit_id(question(source, context), records, known), "push", source)
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


_Waits = Callable[[bytes, Sequence[Observation], Tally], bool]
"""Whether a record is to wait, by what is read of it; it is put where it does."""


def _none_waits(record: bytes, found: Sequence[Observation], tally: Tally) -> bool:  # noqa: ARG001
    return False


@dataclass(frozen=True, slots=True)
class _Parking:
    """Has judgements wait whose account is asked by us, where it has something to say of them."""

    tx: Tx
    remembered: Known
    asks: Asks
    pusher: Pusher
    now: Instant

    def waits(self, record: bytes, found: Sequence[Observation], tally: Tally) -> bool:
        places = self.remembered.awaiting() if tally.unmatched[config.AWAITED] else []
        places += [
            (o.account, o.region)
            for o in found
            if configpull.has_item(o.resources[0].type or "")
            and o.match_key in (self.asks(o.account, o.region) or ())
        ]
        if not places:
            return False
        pushed.park(self.tx, places[0], record, self.pusher.caller, self.pusher.collector, self.now)
        return True


def _read(
    source: Source,
    records: Sequence[bytes],
    context: Context,
    result: Pushed,
    waits: _Waits = _none_waits,
) -> list[Observation]:
    """The observations of all records; positions begin with the number of the record and a `/`."""
    found: list[Observation] = []
    tally = Tally()
    for index, record in enumerate(records):
        own, some, refused = Tally(), [], []
        for item in PARSERS[source](iter([record]), context, own):
            if isinstance(item, Rejected):
                refused.append(Refusal(index, item.position, item.reason))
            else:
                some.append(structs.replace(item, position=f"{index}/{item.position}"))
            if len(found) + len(some) > MAX_ROWS:
                raise InvalidRequest.of_field(
                    "records", f"hold more than {MAX_ROWS} observations: send fewer at a time."
                )
        tally.records += own.records
        result.refused += refused
        if waits(record, some, own):
            result.waiting += 1
        else:
            found += some
            tally.unmatched += own.unmatched
    counts = result.counts
    counts.records = tally.records
    counts.unmatched = tally.unmatched.total()
    counts.reasons = tally.unmatched
    return found


def _unit_id(
    question_digest: bytes, records: Sequence[bytes], known: Sequence[tuple[str, str, str]]
) -> str:
    """`known` are the rules that were remembered, and decided what was read."""
    digests = b"".join(sha256(record).digest() for record in records)
    told = msgspec.json.encode(known) if known else b""
    return sha256(b"auditkeep/push/1" + question_digest + digests + told).hexdigest()
