"""Governance: who asked for evidence to be destroyed, and what was, as observations of their own.

Purpose (design section 5, "Destruction needs authority"): what is missing from the lake must be
named by a destruction record, which cites the authority it was done under, and both are logged
like any other observation, in a class that no destruction takes. docs/formats.md gives the bytes.

- An *authority* says who asked whom for what, in which request.
- A *destruction* cites it and names buckets, their keys and the batches that went.
- *Unseen* says of a destruction what kind of facts went, where they went because nobody sees them.
- *Openings* are the salts and batch records of those batches, without which nobody could tell any
  more what the log's entries stood for once their bucket's key is gone.
- A *hold* forbids destructions until its *release*.
- A *recovery* says which entries of the log lost their batches in a restore.

`allows`, `too_early` and `forbids` are the rules: which batches an authority may destroy, from when
on, and which a hold keeps.
"""

from collections.abc import Iterable, Sequence
from typing import Final, get_args

import msgspec

from auditkeep import __version__
from auditkeep.clock import DAY, Instant, iso, parse
from auditkeep.db.tx import Tx
from auditkeep.ids import Tenant, new_id
from auditkeep.lake import buckets, read
from auditkeep.lake.append import Unit, append
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Stored, View
from auditkeep.observations import Observation, Provenance

CLASS: Final = buckets.GOVERNANCE
SOURCE: Final = "GOVERNANCE"
READER: Final = "governance/1"

DELETE_ASSESSMENT: Final = "DeleteAssessment"
DELETE_REPORT: Final = "DeleteAssessmentReport"
"""Its `subject` is the assessment's id, "/", and the report's."""
DEREGISTER_ACCOUNT: Final = "DeregisterAccount"
PUT_RETENTION: Final = "PutRetention"
"""An authority of a class: `subject` is the kind of class and how many days it is kept, or "-"."""

PUT_KEEP_POLICY: Final = "PutKeepPolicy"
"""What is kept of the facts that arrive from then on: `subject` is the policy."""

MATCHED: Final = "matched"
"""Its subject that keeps what is seen and nothing else."""

OPENINGS_EACH = 1_000
"""Openings of one observation: some 400 KB."""
_NEVER = Instant(2**62)
MOST_TOLD = 10_000
"""Governance records looked through for one question."""


class Authority(msgspec.Struct, frozen=True, tag="authority", tag_field="kind", kw_only=True):
    """Who asked for what: `subject` is what the request named, "" if nothing."""

    action: str
    at: str
    id: str
    principal: str
    request: str
    subject: str
    v: int = 1


class DestroyedBucket(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket whose key was destroyed; `key` names the master key that wrapped it, `next` the
    bucket in which what was not destroyed goes on, "" where all of it was.
    """

    generation: int
    id: str
    key: str
    klass: str = msgspec.field(name="class")
    month: str
    next: str = ""


class Destruction(msgspec.Struct, frozen=True, tag="destruction", tag_field="kind", kw_only=True):
    """What was destroyed: `batches` are ranges of batch numbers, both ends included, all rows;
    `parts` are ranges of indexes, both ends included, of batches of which the rest stays.
    """

    at: str
    authority: str
    batches: tuple[tuple[int, int], ...]
    buckets: tuple[DestroyedBucket, ...]
    files: int
    id: str
    parts: tuple[tuple[int, tuple[tuple[int, int], ...]], ...] = ()
    rows: int
    v: int = 1


class Openings(msgspec.Struct, frozen=True, tag="openings", tag_field="kind", kw_only=True):
    """Salt (hex) and batch record of destroyed batches."""

    destruction: str
    openings: tuple[tuple[str, str], ...]
    v: int = 1


class Unseen(msgspec.Struct, frozen=True, tag="unseen", tag_field="kind", kw_only=True):
    """What a destruction of shared facts took after an assessment was deleted: facts that nobody
    sees. `policy` is the authority by which only what is seen is kept, `version` that of what was
    wanted, and `spans` are match key, account, region, first and last time of an event (iso, of one
    day), and how many: within a span, one fact is seen as all are. Large ones are in several.
    """

    destruction: str
    policy: str
    spans: tuple[tuple[str, str, str, str, str, int], ...]
    v: int = 1
    version: int


class Hold(msgspec.Struct, frozen=True, tag="hold", tag_field="kind", kw_only=True):
    """Nothing it covers may be destroyed until it is released.

    With an `assessment`, that is what was pinned to it, and facts collected between `first` and
    `last` (iso, "" for no limit), which it may see; without one, everything collected then.
    """

    assessment: str
    at: str
    first: str
    id: str
    last: str
    principal: str
    reason: str
    request: str
    v: int = 1


class Release(msgspec.Struct, frozen=True, tag="release", tag_field="kind", kw_only=True):
    """The end of a hold."""

    at: str
    hold: str
    principal: str
    reason: str
    request: str
    v: int = 1


class Recovery(msgspec.Struct, frozen=True, tag="recovery", tag_field="kind", kw_only=True):
    """What a restore cost: entries of the log, both ends included, whose batches are lost.

    `keys` are buckets of this tenant that came back without their keys: they were destroyed after
    the backup, and what says so is among what was lost. `backup` is set where the log went back to
    one and nobody could say how much it had published since.
    """

    at: str
    backup: str = ""
    id: str
    keys: tuple[str, ...] = ()
    lost: tuple[tuple[int, int], ...]
    origin: str
    principal: str
    size: int
    v: int = 1


Record = Authority | Destruction | Openings | Unseen | Hold | Release | Recovery
Told = Authority | Destruction | Hold | Release

_decoder = msgspec.json.Decoder(Record)


def encode(record: Record) -> bytes:
    """The raw bytes of a record: canonical JSON."""
    return msgspec.json.encode(record, order="sorted")


def decode(raw: bytes) -> Record:
    """A record from its raw bytes; msgspec's error if it is none that this version knows."""
    found: Record = _decoder.decode(raw)
    return found


def authority(action: str, principal: str, request: str, subject: str, now: Instant) -> Authority:
    """The authority of one request."""
    return Authority(
        action=action,
        at=iso(now),
        id=new_id(),
        principal=principal,
        request=request,
        subject=subject,
    )


def allows(given: Authority, klass: str) -> bool:
    """Whether an authority may destroy batches of a class.

    Deleting an assessment takes what was pinned to it, deleting a report its archive, deregistering
    everything, a retention policy its kind of class; nothing takes governance records themselves.
    """
    if klass == CLASS:
        return False
    if given.action == DELETE_ASSESSMENT:
        return klass == f"{buckets.MANUAL}{given.subject}"
    if given.action == DELETE_REPORT:
        return klass == f"{buckets.REPORTS}{given.subject}"
    if given.action == PUT_RETENTION:
        kind, days = policy_of(given)
        return days is not None and kind == kind_of(klass)
    return given.action == DEREGISTER_ACCOUNT


def may_be_unseen(given: Authority, klass: str) -> bool:
    """Whether an authority may destroy batches of a class for as far as nobody sees them, where
    a policy keeps only what is seen: shared facts, once an assessment is deleted.
    """
    return given.action == DELETE_ASSESSMENT and kind_of(klass) == "facts"


def too_early(given: Authority, committed_at: str, destroyed_at: str) -> str | None:
    """Until when (iso) a retention policy keeps a batch, if it was destroyed before that."""
    if given.action != PUT_RETENTION:
        return None
    _, days = policy_of(given)
    kept = iso(Instant(parse(committed_at) + (days or 0) * DAY))
    return kept if destroyed_at < kept else None


def forbids(hold: Hold, klass: str, committed_at: str) -> bool:
    """Whether a hold covers a batch of a class."""
    collected = (not hold.first or hold.first <= committed_at) and (
        not hold.last or committed_at <= hold.last
    )
    if not hold.assessment:
        return collected
    return belongs(klass, hold.assessment) or (kind_of(klass) == "facts" and collected)


def belongs(klass: str, assessment_id: str) -> bool:
    """Whether a class is of what is private to an assessment: its manual evidence, its reports."""
    return klass == f"{buckets.MANUAL}{assessment_id}" or klass.startswith(
        f"{buckets.REPORTS}{assessment_id}/"
    )


def kind_of(klass: str) -> str:
    """What retention policies are about: all assessments' manual evidence is of one kind."""
    return klass.partition("/")[0]


def policy(kind: str, days: int | None) -> str:
    """The subject of a retention policy."""
    return f"{kind} {'-' if days is None else days}"


def policy_of(given: Authority) -> tuple[str, int | None]:
    """Kind of class and days of a retention policy; None: for ever, also where it is not read."""
    kind, _, days = given.subject.partition(" ")
    return kind, int(days) if days.isdecimal() else None


def record(
    tx: Tx, lake: Lake, records: Sequence[Record], *, principal: str, run: str, now: Instant
) -> int:
    """Log records as one batch of the tenant; its number."""
    appended = append(
        tx,
        lake,
        unit=Unit(f"governance/{new_id()}", CLASS),
        klass=CLASS,
        observations=[
            _observation(tx.tenant, one, number, principal, now)
            for number, one in enumerate(records)
        ],
        provenance=Provenance(
            how="witnessed", collector=CLASS, run=run, software=f"auditkeep/{__version__}"
        ),
        now=now,
    )
    assert appended.batch_no is not None
    return appended.batch_no


def record_given(
    tx: Tx, lake: Lake, given: Authority, records: Sequence[Record], now: Instant
) -> int:
    """The same in the name of who gave an authority, which may be among the records."""
    return record(tx, lake, records, principal=given.principal, run=given.request, now=now)


def told_since(
    tx: Tx, lake: Lake, start: Instant, until: Instant = _NEVER
) -> list[tuple[Stored, Told]]:
    """Authorities, destructions and holds that were recorded from `start` on, oldest first."""
    kinds = frozenset(f"{CLASS}:{one.__struct_config__.tag}" for one in get_args(Told))
    view = View(kinds, None, None, start, until)
    found = read.observations(tx, lake, [view], limit=MOST_TOLD, klass=CLASS)
    told = [(stored, decode(stored.raw)) for stored in found]
    told.sort(key=lambda one: (one[0].batch_no, one[0].index))
    return [(s, r) for s, r in told if isinstance(r, Told)]


def ranges(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Ascending numbers as ranges, both ends included."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return tuple(found)


def _observation(
    tenant: Tenant, one: Record, number: int, principal: str, now: Instant
) -> Observation:
    kind = str(one.__struct_config__.tag)
    return Observation(
        source=SOURCE,
        natural_key=(new_id(),),
        event_time=now,
        match_key=f"{CLASS}:{kind}",
        account=tenant.account,
        region=tenant.region,
        raw=encode(one),
        reader=READER,
        position=str(number),
        actor=principal,
        event_name=kind,
        event_source="auditkeep",
    )
