"""Evidence: observations seen through a lens, one by one (spec section 1.9).

Newest first, by event time and then id, so that a page can begin behind any item. Nothing is
copied: an item is its observation, the place it is seen at, and whether a report will hold it.
`time` on the wire is the event's, as the folder it lies in is the event's day.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from auditkeep import clock
from auditkeep.clock import Day, Instant, day_of
from auditkeep.db.tx import Tx
from auditkeep.errors import NotFound
from auditkeep.evidence import selection
from auditkeep.evidence.attributes import attributes
from auditkeep.evidence.counts import Place, is_check
from auditkeep.evidence.ids import EvidenceIds, FolderIds
from auditkeep.evidence.lens import Lens, load
from auditkeep.evidence.reading import Reading, reading_of
from auditkeep.evidence.selection import Selection
from auditkeep.ids import iam_arn
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Stored, View
from auditkeep.lake.read import find, observations
from auditkeep.observations import Resource
from auditkeep.wire.models import auditmanager as am

LABELS = {
    "AWS_Config": "AWS Config",
    "AWS_Security_Hub": "AWS Security Hub",
    "AWS_Cloudtrail": "AWS CloudTrail",
    "AWS_API_Call": "AWS API calls",
    "SCANNER": "Security scanner",
    "MANUAL": "Manual",
}
"""`dataSource`: the display label of a source."""

CHECK = "Compliance check"
TYPES = {
    "AWS_Cloudtrail": "User activity",
    "AWS_API_Call": "Configuration data",
    "MANUAL": "Manual",
}
"""`evidenceByType` of a source, where it is no compliance check (`counts.is_check`)."""

_BATCH = 2000
"""Observations read at a time while a report is made: bounds its memory."""

_IAM_ARN = re.compile(r"arn:[^\n]*:iam:[^\n]*")
_SERVICE = re.compile(r"[a-zA-Z0-9-\s().]{1,40}")


@dataclass(frozen=True, slots=True)
class Item:
    """One evidence in its folder."""

    ordinal: int
    day: Day
    folder_id: str
    evidence_id: str
    stored: Stored
    reading: Reading

    @property
    def label(self) -> str:
        return LABELS.get(self.stored.source, self.stored.source)

    @property
    def kind(self) -> str:
        if is_check(self.stored.source, self.stored.verdict):
            return CHECK
        return TYPES.get(self.stored.source, self.stored.source)

    @property
    def attributes(self) -> dict[str, str]:
        return attributes(self.stored.source, self.stored.raw)

    @property
    def iam_id(self) -> str | None:
        """The ARN of the user or role behind the event, where that is IAM's."""
        arn = iam_arn(self.reading.actor or "")
        fits = len(arn) >= 20 and _IAM_ARN.fullmatch(arn[:2048])
        return arn[:2048] if fits else None


def page(
    tx: Tx,
    lake: Lake,
    secret: bytes,
    lens: Lens,
    day: Day,
    *,
    after: tuple[Instant, bytes] | None,
    limit: int,
) -> list[Item]:
    """A folder's evidence, newest first, from behind `after` on."""
    found = observations(tx, lake, lens.on(day).views(), after=after, limit=limit)
    return _items(secret, lens.assessment_id, lens.ordinal, found)


def get(tx: Tx, lake: Lake, secret: bytes, lens: Lens, day: Day, evidence_id: str) -> Item:
    """One evidence of a folder; NotFound for an id that stands for nothing this lens sees there."""
    found = many(tx, lake, secret, lens, day, [evidence_id])
    if evidence_id not in found:
        raise NotFound("evidence", evidence_id)
    return found[evidence_id]


def many(
    tx: Tx, lake: Lake, secret: bytes, lens: Lens, day: Day, evidence_ids: Sequence[str]
) -> dict[str, Item]:
    """Those of some evidence ids that stand for something this lens sees in a folder."""
    ids = EvidenceIds(secret, lens.assessment_id, lens.ordinal)
    wanted = {c for e in evidence_ids for c in ids.candidates(e)}
    daily = lens.on(day)
    seen = [o for o in find(tx, lake, wanted).values() if _sees(daily, o)] if wanted else []
    items = _items(secret, lens.assessment_id, lens.ordinal, seen)
    asked = set(evidence_ids)
    return {i.evidence_id: i for i in items if i.evidence_id in asked}


def selected(
    tx: Tx, lake: Lake, secret: bytes, assessment_id: str, up_to_batch: int | None
) -> Iterator[Item]:
    """What a report holds: by ordinal, then newest first.

    `up_to_batch` is the assessment's `frozen_at_batch`. Reads as it goes, in bounded memory; who
    needs the controls joins them by ordinal (`assessments.store.controls`).
    """
    chosen = selection.of_assessment(tx, assessment_id)
    for ordinal, places in groupby(sorted(chosen), key=lambda p: p[0]):
        lens = load(tx, assessment_id, [ordinal], up_to_batch)[0]
        mine = {day: chosen[(ordinal, day)] for _, day in places}
        for batch in _selected_of(tx, lake, lens, mine):
            yield from _items(secret, assessment_id, ordinal, batch)


def count_selected(tx: Tx, lake: Lake, assessment_id: str, up_to_batch: int | None) -> int:
    """How many items a report of this assessment would hold now."""
    chosen = selection.of_assessment(tx, assessment_id)
    lenses = load(tx, assessment_id, {ordinal for ordinal, _ in chosen}, up_to_batch)
    return sum(selection.selected_counts(tx, lake, lenses, chosen).values())


def to_wire(item: Item, tenant_account: str, *, is_selected: bool) -> am.Evidence:
    """The evidence as the API shows it; what does not fit a member's shape is left out."""
    stored, reading = item.stored, item.reading
    source = reading.event_source
    return am.Evidence(
        id=item.evidence_id,
        evidence_folder_id=item.folder_id,
        data_source=item.label,
        evidence_by_type=item.kind,
        time=clock.wire(stored.event_time),
        event_source=source if _SERVICE.fullmatch(source) else None,
        event_name=reading.event_name[:100] or None,
        aws_account_id=tenant_account,
        evidence_aws_account_id=stored.account,
        iam_id=item.iam_id,
        compliance_check=stored.verdict,
        resources_included=tuple(_resource(r) for r in reading.resources),
        attributes=item.attributes,
        assessment_report_selection="Yes" if is_selected else "No",
    )


def _selected_of(
    tx: Tx, lake: Lake, lens: Lens, chosen: dict[Day, Selection]
) -> Iterator[list[Stored]]:
    """One control's selected observations, newest first."""
    added = {i for s in chosen.values() for i in s.added}
    loose = [o for o in find(tx, lake, added).values() if _sees(lens, o)] if added else []
    loose.sort(key=_order, reverse=True)
    for batch in _up_to_batches(tx, lake, lens, chosen):
        # Items added one by one go in where their time is: before what is older than them.
        oldest = _order(batch[-1])
        ahead = [o for o in loose if _order(o) > oldest]
        loose = loose[len(ahead) :]
        yield sorted([*ahead, *batch], key=_order, reverse=True)
    if loose:
        yield loose


def _up_to_batches(
    tx: Tx, lake: Lake, lens: Lens, chosen: dict[Day, Selection]
) -> Iterator[list[Stored]]:
    """What is selected by folder, without what was taken out of it or added to it."""
    views: list[View] = []
    for day, one in chosen.items():
        if one.up_to_batch is not None:
            views += lens.on(day).up_to(one.up_to_batch).views()
    after = None
    while views and (batch := observations(tx, lake, views, after=after, limit=_BATCH)):
        after = _order(batch[-1])
        exceptions = ((o, chosen[day_of(o.event_time)]) for o in batch)
        kept = [o for o, s in exceptions if o.id not in s.taken_out and o.id not in s.added]
        if kept:
            yield kept


def _items(secret: bytes, assessment_id: str, ordinal: int, found: Sequence[Stored]) -> list[Item]:
    folders = FolderIds(secret, assessment_id)
    ids = EvidenceIds(secret, assessment_id, ordinal)
    days = {day_of(o.event_time) for o in found}
    folder_ids = {day: folders.of(ordinal, day) for day in days}
    return [
        Item(
            ordinal=ordinal,
            day=day_of(o.event_time),
            folder_id=folder_ids[day_of(o.event_time)],
            evidence_id=ids.of(o.match_key, o.id),
            stored=o,
            reading=reading_of(o),
        )
        for o in found
    ]


def _sees(lens: Lens, o: Stored) -> bool:
    return lens.sees(o.match_key, o.account, o.region, o.event_time, o.batch_no)


def _order(o: Stored) -> tuple[Instant, bytes]:
    return o.event_time, o.id


def _resource(resource: Resource) -> am.Resource:
    arn = resource.arn
    fits = arn is not None and 20 <= len(arn) <= 2048 and "\n" not in arn
    return am.Resource(
        arn=arn if fits else None,
        value=resource.value.replace("\n", " ")[:2048],
        compliance_check=resource.verdict,
    )


def folder_place(secret: bytes, assessment_id: str, folder_id: str) -> Place:
    """The place a folder id stands for; NotFound for one that was not made by this server."""
    return FolderIds(secret, assessment_id).open(folder_id)
