"""A report's archive from its sources, as a stream of bytes.

In this order: the evidence, control by control and newest first; the records of the runs that
collected it; volumes of listings; the summary; README.txt; the statement of completeness; the
proofs; the digest over all of it, signed, last. Items are read, written and forgotten one by one:
what stays is totals, at most one volume of rows, and what `Proofs`, `Volumes` and `Gathering` keep
sealed on disk. The same sources and plan give the same bytes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import msgspec

from auditkeep import clock
from auditkeep.assessments.model import AssessedControl
from auditkeep.clock import Instant, day_name, day_of
from auditkeep.crypto.signing import DigestKey
from auditkeep.errors import ReportError, StorageError
from auditkeep.evidence.items import Item
from auditkeep.ids import Tenant, uuid_text
from auditkeep.lake.model import Stored
from auditkeep.reports import entries, names, readme
from auditkeep.reports.archive import Archive
from auditkeep.reports.completeness import Gathering
from auditkeep.reports.listing import ControlListing
from auditkeep.reports.model import (
    Assessed,
    ControlPage,
    Heading,
    Integrity,
    Listing,
    Overview,
    SetPage,
    Summary,
    Totals,
    Volume,
    Vouched,
)
from auditkeep.reports.proofs import Pending, Proofs, Prove
from auditkeep.reports.spool import Spool
from auditkeep.reports.volumes import Draw, Volumes
from auditkeep.verify import format as formats
from auditkeep.verify.format import Digest
from auditkeep.verify.statement import Stated, Statement, told

MOST_EVIDENCE_PAGES = 150
"""Items up to which each has a page of its own in the summary; others are lines of listings."""

SUMMARY = "AssessmentReportSummary.pdf"
README = "README.txt"


@dataclass(frozen=True, slots=True)
class Attached:
    """A customer's file that belongs to a manual item."""

    name: str
    sha256: str
    content: Iterable[bytes]


Runs = Callable[[frozenset[str], Instant | None, Instant | None], Iterable[Stored]]
"""The records of runs, by id; and when the first and last of what they collected was taken in."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a report's content comes from; all of one snapshot."""

    items: Iterable[Item]
    """By control, newest first: `evidence.items.selected`."""
    prove: Prove
    attached: Callable[[Item], Attached | None]
    runs: Runs
    vouched: Callable[[Mapping[int, int]], Vouched | None]
    """How outsiders stand to so many items of each batch."""


@dataclass(frozen=True, slots=True)
class Notes:
    """What carries trust: the signed checkpoint, how it continues earlier ones, and the keys."""

    checkpoint: str
    log_key: str
    report_key: str
    consistency: Sequence[formats.ConsistencyLine]
    epochs: Sequence[formats.EpochLine]
    anchors: Callable[[Sequence[int]], Sequence[formats.AnchorLine]]
    """For the places of log entries, ascending: the first checkpoints others vouch for them in."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about a report that is known before its items are read."""

    tenant: Tenant
    heading: Heading
    assessed: Assessed
    integrity: Integrity
    notes: Notes
    set_names: Sequence[str]
    """In the assessment's order."""
    controls: Mapping[int, AssessedControl]
    """By ordinal."""
    expected: int
    """How many items there will be: decides where listings go, and nothing else."""
    volume_rows: int
    key: DigestKey
    stated: Stated
    """What is known of how complete the evidence is."""


def archive(plan: Plan, sources: Sources, draw: Draw) -> Iterator[bytes]:
    """The zip; ReportError if it cannot be made or nothing is selected."""
    with Proofs(sources.prove) as proofs, Volumes(draw) as volumes, Spool() as lines:
        gathering = Gathering(plan.stated, lines)
        yield from _Builder(plan, sources, draw, proofs, volumes, gathering).chunks()


class _Builder:
    """One report under way."""

    def __init__(
        self,
        plan: Plan,
        sources: Sources,
        draw: Draw,
        proofs: Proofs,
        volumes: Volumes,
        gathering: Gathering,
    ) -> None:
        heading = plan.heading
        self._plan = plan
        self._sources = sources
        self._draw = draw
        self._proofs = proofs
        self._volumes = volumes
        self._zip = Archive(heading.generated_at)
        self._root = names.assessment_folder(heading.assessment, plan.assessed.id)
        self._folders = names.Taken()
        self._volume_names = names.Taken()
        own = names.report_folder(heading.report_name, heading.report_id)
        self._own = f"{self._root}/{self._folders.give(own)}"
        self._detailed = plan.expected <= MOST_EVIDENCE_PAGES
        self._inline = plan.expected <= plan.volume_rows
        self._pages: dict[str, list[ControlPage]] = {}
        self._page_of: dict[int, ControlPage] = {}
        self._gathering = gathering
        self._in_batches: Counter[int] = Counter()
        self._accounts: set[str] = set()
        self._first: Instant | None = None
        self._last: Instant | None = None

    def chunks(self) -> Iterator[bytes]:
        for ordinal, items in groupby(self._sources.items, key=lambda item: item.ordinal):
            yield from self._control(self._plan.controls[ordinal], items)
        if not self._proofs.count:
            raise ReportError("No evidence is selected for this report any more.")
        count = self._proofs.count
        yield from self._runs()
        for name, pdf in self._volumes.drawn():
            yield from self._add(name, pdf)
        statement = self._gathering.statement(
            self._plan.tenant, self._plan.heading, self._plan.assessed.id
        )
        yield from self._add(SUMMARY, self._summary(statement))
        yield from self._add(
            README,
            readme.text(
                self._plan.heading,
                self._plan.integrity,
                folder=self._own,
                items=count,
                stated=statement,
            ),
        )
        yield from self._add(formats.COMPLETENESS, self._gathering.file(statement, self._page_of))
        yield from self._proof_files()
        yield from self._zip.add(
            f"{self._own}/{formats.DIGEST}", self._digest().file_bytes(), listed=False
        )
        yield from self._zip.end()

    def _add(self, name: str, data: bytes | Iterable[bytes]) -> Iterator[bytes]:
        """A file of the report's own folder."""
        yield from self._zip.add(f"{self._own}/{name}", data)

    # --- evidence ----------------------------------------------------------------------------

    def _control(self, control: AssessedControl, items: Iterator[Item]) -> Iterator[bytes]:
        wanted = names.control_folder(control.copy.name, control.control_id)
        listing = ControlListing(self._folders.give(wanted))
        pages = self._pages.setdefault(control.set_id, [])
        number = f"{self._plan.set_names.index(control.set_id) + 1}.{len(pages) + 1}"
        volumes: list[Volume] = []
        for item in items:
            yield from self._item(listing, item)
            if not self._inline and listing.rows >= self._plan.volume_rows:
                volumes.append(self._volume(control, number, listing, volumes))
        if not self._inline and listing.rows:
            volumes.append(self._volume(control, number, listing, volumes))
        page = ControlPage(
            number=number,
            name=control.copy.name,
            control_set=control.set_id,
            status=control.status,
            description=control.copy.description,
            testing_information=control.copy.testing_information,
            action_plan_title=control.copy.action_plan_title,
            action_plan_instructions=control.copy.action_plan_instructions,
            path=listing.path,
            totals=listing.totals,
            days=listing.days,
            folders=listing.take(),
            volumes=tuple(volumes),
        )
        pages.append(page)
        self._page_of[control.ordinal] = page

    def _item(self, listing: ControlListing, item: Item) -> Iterator[bytes]:
        stored = item.stored
        folder = entries.source_folder(item)
        path, name = listing.name(item.day, folder, entries.file_name(item))
        file = f"{self._root}/{path}/{name}"
        yield from self._zip.add(file, stored.raw)
        attachment = None
        attached = self._sources.attached(item)
        if attached is not None:
            wanted = names.manual_file(
                stored.event_time, stored.account, item.evidence_id, attached.name
            )
            _, copy = listing.name(item.day, folder, wanted)
            attachment = formats.Attachment(f"{self._root}/{path}/{copy}", attached.sha256)
            yield from self._attach(attachment, attached)
        self._proofs.add(
            Pending(
                evidence_id=item.evidence_id,
                file=file,
                batch_no=stored.batch_no,
                index=stored.index,
                nonce=stored.nonce,
                envelope=stored.envelope,
                attachment=attachment,
            )
        )
        self._gathering.hear(stored.envelope, stored.collected_at)
        self._in_batches[stored.batch_no] += 1
        shown = attached.name if attached is not None else None
        listing.add(item.day, path, entries.entry(item, name, shown, detailed=self._detailed))
        self._accounts.add(stored.account)
        at = stored.event_time
        self._first = at if self._first is None else min(at, self._first)
        self._last = at if self._last is None else max(at, self._last)

    def _runs(self) -> Iterator[bytes]:
        """The records of the runs that collected the evidence, or noted that some is missing."""
        gathering = self._gathering
        folder, given = self._folders.give(names.SOURCE_FOLDERS["RUN"]), names.Taken()
        found = self._sources.runs(gathering.wanted, gathering.earliest, gathering.latest)
        for stored in found:
            run = told(stored.raw)
            name = given.give(f"{day_name(day_of(stored.event_time))}/{entries.run_file(stored)}")
            file = f"{self._root}/{folder}/{name}"
            yield from self._zip.add(file, stored.raw)
            self._proofs.add(
                Pending(
                    evidence_id=uuid_text(stored.id),
                    file=file,
                    batch_no=stored.batch_no,
                    index=stored.index,
                    nonce=stored.nonce,
                    envelope=stored.envelope,
                )
            )
            gathering.cite(run, file)

    def _attach(self, attachment: formats.Attachment, attached: Attached) -> Iterator[bytes]:
        yield from self._zip.add(attachment.file, attached.content)
        if self._zip.files[-1].file_hash_value != attached.sha256:
            raise StorageError(
                f"The uploaded file {attached.name!r} is not the one that was logged; the report "
                "was not made."
            )

    def _volume(
        self,
        control: AssessedControl,
        number: str,
        listing: ControlListing,
        before: Sequence[Volume],
    ) -> Volume:
        """Begin to draw the open rows; where they will be found."""
        first = before[-1].last + 1 if before else 1
        last = first + listing.rows - 1
        volume = Volume(
            file=self._volume_names.give(names.volume_file(listing.path, len(before) + 1)),
            first=first,
            last=last,
        )
        self._volumes.add(
            volume.file,
            Listing(
                heading=self._plan.heading,
                control_number=number,
                control_name=control.copy.name,
                control_set=control.set_id,
                number=len(before) + 1,
                first=first,
                last=last,
                folders=listing.take(),
            ),
        )
        return volume

    # --- what closes the report --------------------------------------------------------------

    def _summary(self, statement: Statement) -> bytes:
        model = self._model(statement)
        try:
            return self._draw(model)
        except ReportError:
            if not model.evidence_pages:
                raise
            # Very wide items: the listing alone is far smaller, and the files hold all of it.
            return self._draw(msgspec.structs.replace(model, evidence_pages=False))

    def _model(self, statement: Statement) -> Summary:
        sets = tuple(
            SetPage(number=str(n), name=name, totals=_sum(pages), controls=tuple(pages))
            for n, name in enumerate(self._plan.set_names, start=1)
            if (pages := self._pages.get(name))
        )
        return Summary(
            heading=self._plan.heading,
            overview=Overview(
                controls=sum(len(s.controls) for s in sets),
                accounts=tuple(sorted(self._accounts)),
                totals=_sum(sets),
                first_event=self._first,
                last_event=self._last,
            ),
            assessed=self._plan.assessed,
            sets=sets,
            completeness=self._gathering.shown(statement, self._page_of),
            vouched=self._sources.vouched(self._in_batches),
            integrity=self._plan.integrity,
            evidence_pages=self._detailed,
        )

    def _proof_files(self) -> Iterator[bytes]:
        notes = self._plan.notes
        yield from self._add(formats.CHECKPOINT, notes.checkpoint.encode())
        yield from self._add(formats.LOG_KEY, notes.log_key.encode())
        yield from self._add(formats.REPORT_KEY, notes.report_key.encode())
        if notes.consistency:
            lines = b"".join(msgspec.json.encode(line) + b"\n" for line in notes.consistency)
            yield from self._add(formats.CONSISTENCY, lines)
        if notes.epochs:
            lines = b"".join(msgspec.json.encode(line) + b"\n" for line in notes.epochs)
            yield from self._add(formats.EPOCHS, lines)
        yield from self._add(formats.RECORDS, self._proofs.records())
        yield from self._add(formats.BATCHES, self._proofs.batches())
        anchors = notes.anchors(self._proofs.entries)
        if anchors:
            lines = b"".join(formats.canonical(line) + b"\n" for line in anchors)
            yield from self._add(formats.ANCHORS, lines)

    def _digest(self) -> Digest:
        heading, key = self._plan.heading, self._plan.key
        at = clock.iso(heading.generated_at)[:19] + "Z"
        return Digest(
            version="1.0",
            region=self._plan.tenant.region,
            account_id=self._plan.tenant.account,
            assessment_id=self._plan.assessed.id,
            assessment_report_id=heading.report_id,
            report_name=heading.report_name,
            generated_at=at,
            files=tuple(sorted(self._zip.files, key=lambda f: f.file_name)),
            hash_algorithm="SHA-256",
            signature_algorithm="SHA256withRSA",
            signature_date_time=at,
            signature_key_id=key.fingerprint,
            public_key_fingerprint=key.fingerprint,
        ).signed(key)


def _sum(parts: Iterable[ControlPage] | Iterable[SetPage]) -> Totals:
    totals = Totals()
    for part in parts:
        totals = totals + part.totals
    return totals
