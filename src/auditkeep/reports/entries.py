"""An evidence item as a report shows it: its line, and the name of its file. Pure."""

from auditkeep.evidence.items import Item
from auditkeep.ids import uuid_text
from auditkeep.lake.model import Stored
from auditkeep.observations import verdict_of
from auditkeep.reports import names
from auditkeep.reports.model import Entry, Subject

_MANUAL = "MANUAL"


def is_manual(item: Item) -> bool:
    return item.stored.source == _MANUAL


def source_folder(item: Item) -> str:
    return names.SOURCE_FOLDERS.get(item.stored.source) or names.component(item.stored.source)


def file_name(item: Item) -> str:
    """The name wanted for an item's own bytes."""
    stored = item.stored
    if is_manual(item):
        return names.manual_record(stored.event_time, stored.account, item.evidence_id)
    service = item.reading.event_source.split(".", 1)[0].upper() or source_folder(item)
    return names.evidence_file(
        stored.event_time, service, item.reading.event_name, stored.account, item.evidence_id
    )


def run_file(stored: Stored) -> str:
    """The name of a run's record: `HH-MM-SS_RUN_collect_111122223333_a1b2c3d4e5f6.json`."""
    what = stored.match_key.partition(":")[2]
    id_ = uuid_text(stored.id)
    return names.evidence_file(stored.event_time, "RUN", what, stored.account, id_)


def entry(item: Item, file: str, attachment: str | None, *, detailed: bool) -> Entry:
    """The line of an item; its attributes only where pages show them."""
    stored, reading = item.stored, item.reading
    return Entry(
        evidence_id=item.evidence_id,
        file=file,
        verdict=verdict_of(stored.verdict),
        collected_at=stored.collected_at,
        event_time=stored.event_time,
        data_source=item.label,
        kind=item.kind,
        account=stored.account,
        region=stored.region,
        service=reading.event_source or None,
        event_name=_title(item, attachment),
        iam_id=reading.actor or None,
        check=stored.verdict,
        subjects=tuple(Subject(r.arn or r.value, r.verdict) for r in reading.resources),
        attributes=tuple(item.attributes.items()) if detailed else (),
        attachment=attachment,
    )


def _title(item: Item, attachment: str | None) -> str | None:
    """What happened; of manual evidence, what was handed in."""
    if is_manual(item):
        return attachment or "Text response"
    return item.reading.event_name or None
