"""Making a report: from its row, in one snapshot, to an encrypted archive at its destination.

Idempotent: the row decides. Only the run that finds the row IN_PROGRESS at its end, under the
tenant's lock, keeps the archive and marks it COMPLETE in the same transaction; an archive left by
a run that died is replaced. What cannot succeed by trying again makes the report FAILED, with the
reason in its row and in the assessment's change log; anything else is left to the next try.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import msgspec

from auditkeep.accounts import quotas
from auditkeep.anchoring import store as anchored
from auditkeep.assessments import review
from auditkeep.assessments import store as assessments
from auditkeep.assessments.model import Assessment
from auditkeep.clock import MINUTE, Clock, Instant, day_name, day_of
from auditkeep.collection import completeness, recorded
from auditkeep.collection.looks import Plans
from auditkeep.crypto.asking import begun_again
from auditkeep.crypto.signing import DigestKey
from auditkeep.db.database import Database
from auditkeep.db.tx import Tx
from auditkeep.errors import NotFound, ReportError
from auditkeep.evidence import items, manual
from auditkeep.evidence.items import Item
from auditkeep.evidence.progress import last_batch_no
from auditkeep.ids import Tenant
from auditkeep.lake import handed_out
from auditkeep.lake.blobs import get_blob, put_blob
from auditkeep.lake.buckets import fetching
from auditkeep.lake.lake import Lake
from auditkeep.lake.proofs import LogReader, places, prove
from auditkeep.library.library import Library
from auditkeep.reports import build, store
from auditkeep.reports.build import Attached, Notes, Plan, Sources
from auditkeep.reports.model import Assessed, Heading, Integrity, Report, Vouched
from auditkeep.reports.pdf.process import render
from auditkeep.reports.proofs import Proven
from auditkeep.reports.spool import Spool
from auditkeep.settings import Settings
from auditkeep.tlog.note import sign
from auditkeep.verify.format import AnchorLine, ConsistencyLine, EpochLine, report_key_body
from auditkeep.verify.statement import Stated
from auditkeep.work.pump import Handler
from auditkeep.workflows.logged import await_log

MOST_ANCHORS = 2000
"""Of one outsider in one report; a year of them is then one for every four hours."""


class Deps(Protocol):
    """What of the house's parts the making of reports needs."""

    @property
    def settings(self) -> Settings: ...

    @property
    def lake(self) -> Lake: ...

    @property
    def id_secret(self) -> bytes: ...

    @property
    def library(self) -> Library: ...


@dataclass(frozen=True, slots=True)
class Maker:
    """The parts, the key that signs reports, and the time."""

    deps: Deps
    key: DigestKey
    clock: Clock

    @property
    def lake(self) -> Lake:
        return self.deps.lake

    @property
    def db(self) -> Database:
        return self.deps.lake.db


def report_handler(deps: Deps, key: DigestKey, clock: Clock) -> Handler:
    """How the pump runs jobs of kind `reports.model.JOB`."""
    maker = Maker(deps, key, clock)
    return Handler(partial(build_report, maker), partial(fail_report, maker))


def build_report(maker: Maker, tenant: Tenant, report_id: str) -> None:
    """Make a report, or find that it is made, failed or gone. Errors raised may pass by trying."""
    with maker.db.read(tenant) as tx:
        report = store.find(tx, report_id)
        upto = last_batch_no(tx)
    if report is None or report.status != "IN_PROGRESS":
        return
    await_log(maker.lake, tenant, upto)
    now = maker.clock.now()
    with Spool() as archive:
        try:
            with maker.db.read(tenant) as tx:
                for chunk in _archive(maker, tx, report, now):
                    archive.append(chunk)
        except (ReportError, NotFound) as error:
            fail_report(maker, tenant, report_id, str(error))
            return
        fetching(partial(_keep, maker, tenant, report_id, archive))


@begun_again
def fail_report(maker: Maker, tenant: Tenant, report_id: str, reason: str) -> None:
    """Mark a report FAILED and say why, where its owner will see it."""
    with maker.db.write(tenant) as tx:
        tx.lock_tenant()
        report = store.find(tx, report_id)
        if report is None or report.status != "IN_PROGRESS":
            return
        now = maker.clock.now()
        store.save(
            tx, msgspec.structs.replace(report, status="FAILED", reason=reason, completed_at=now)
        )
        review.log_change(
            tx,
            report.assessment_id,
            "ASSESSMENT_REPORT",
            f"{report.name} (failed: {reason[:1500]})",
            "UPDATE_METADATA",
            by=report.author_arn,
            now=now,
        )


def _keep(maker: Maker, tenant: Tenant, report_id: str, archive: Spool) -> None:
    """Put the archive and mark the report in one transaction, unless another run was first."""
    with maker.db.write(tenant) as tx:
        tx.lock_tenant()
        report = store.find(tx, report_id)
        if report is None or report.status != "IN_PROGRESS":
            return
        object_id = store.place(report).object_key
        now = maker.clock.now()
        with archive.stream() as stream:
            blob = put_blob(tx, maker.lake, store.klass(report), object_id, stream, now)
        done = msgspec.structs.replace(report, status="COMPLETE", completed_at=now, size=blob.size)
        store.save(tx, done)


def _archive(maker: Maker, tx: Tx, report: Report, now: Instant) -> Iterator[bytes]:
    """The archive of one snapshot."""
    lake = maker.lake
    assessment = assessments.get(tx, report.assessment_id)
    frozen = assessment.frozen_at_batch
    expected = items.count_selected(tx, lake, assessment.id, frozen)
    most = quotas.limit(tx, maker.deps.settings, "report-items")
    if expected > most:
        raise ReportError(f"{expected:,} evidence items are selected; a report may hold {most:,}.")
    log = LogReader.newest(tx, lake)
    plan = Plan(
        tenant=tx.tenant,
        heading=Heading(
            report_id=report.id,
            report_name=report.name,
            description=report.description,
            account=tx.tenant.account,
            generated_at=now,
            assessment=assessment.name,
        ),
        assessed=_assessed(tx.tenant, assessment),
        integrity=_integrity(maker, log),
        notes=_notes(maker, tx, log),
        set_names=[s.id for s in assessments.sets(tx, assessment.id)],
        controls={c.ordinal: c for c in assessments.controls(tx, assessment.id)},
        expected=expected,
        volume_rows=maker.deps.settings.report_volume_rows,
        key=maker.key,
        stated=_stated(maker, tx, assessment, now),
    )
    sources = Sources(
        items=items.selected(tx, lake, maker.deps.id_secret, assessment.id, frozen),
        prove=partial(_prove, tx, lake, log),
        attached=partial(_attached, tx, lake),
        runs=partial(recorded.records, tx, lake),
        vouched=partial(_vouched, maker, tx, log),
    )
    draw = partial(render, memory_mb=maker.deps.settings.report_memory_mb)
    return build.archive(plan, sources, draw)


def _stated(maker: Maker, tx: Tx, assessment: Assessment, now: Instant) -> Stated:
    plans = Plans(maker.deps.library, maker.deps.settings)
    return completeness.of_assessment(tx, maker.lake, plans, assessment, now)


def _assessed(tenant: Tenant, assessment: Assessment) -> Assessed:
    document = assessment.document
    return Assessed(
        id=assessment.id,
        name=assessment.name,
        description=document.description,
        status=assessment.status,
        region=tenant.region,
        accounts=tuple(sorted(document.account_ids)),
        framework=document.framework.name,
        compliance_type=document.framework.compliance_type,
        owners=document.owners,
        last_updated=assessment.updated_at,
    )


def _integrity(maker: Maker, log: LogReader) -> Integrity:
    return Integrity(
        origin=maker.lake.origin,
        log_size=log.checkpoint.size,
        log_root=log.checkpoint.root.hex(),
        log_key=maker.lake.signer.vkey,
        report_key=maker.key.fingerprint,
    )


def _notes(maker: Maker, tx: Tx, log: LogReader) -> Notes:
    signer = maker.lake.signer
    body = report_key_body(maker.lake.origin, maker.key.public_der)
    return Notes(
        checkpoint=log.checkpoint.note,
        log_key=signer.vkey + "\n",
        report_key=sign(body, [signer]),
        consistency=[
            ConsistencyLine(
                size, log.checkpoint.size, tuple(h.hex() for h in log.consistency(size))
            )
            for size in handed_out.sizes(tx.system(), log.checkpoint.size)
        ],
        epochs=[EpochLine(former.note) for former in maker.lake.former],
        anchors=partial(_anchors, tx, log, maker.lake.origin),
    )


def _anchors(tx: Tx, log: LogReader, origin: str, entries: Sequence[int]) -> list[AnchorLine]:
    """For each entry the first checkpoint that each outsider vouches for; `entries` ascend."""
    system = tx.system()
    wanted: set[int] = set()
    for sizes in anchored.sizes(system, origin, log.checkpoint.size).values():
        wanted |= _first_after(sizes, entries)
    lines = []
    for size in sorted(wanted):
        said = anchored.of_size(system, origin, size)
        lines.append(
            AnchorLine(
                anchored.cosigned(said[0].note, said),
                tuple(one.proof for one in said if one.kind == "timestamp"),
                tuple(step.hex() for step in log.consistency(size)),
            )
        )
    return lines


def _vouched(maker: Maker, tx: Tx, log: LogReader, items: Mapping[int, int]) -> Vouched:
    """How outsiders stand to so many items of each batch."""
    hours = maker.deps.settings.anchor_late_hours
    system, origin = tx.system(), maker.lake.origin
    said = anchored.earliest(system, origin, log.checkpoint.size)
    sizes = [size for size, _ in said]
    covered = late = uncovered = 0
    last: Instant | None = None
    late_days: set[str] = set()
    for batch_no, index, committed_at in places(tx, items):
        place = bisect_right(sizes, index)
        if place == len(sizes):
            uncovered += items[batch_no]
            continue
        covered += items[batch_no]
        at = said[place][1]
        last = at if last is None else max(last, at)
        if at - committed_at > hours * 60 * MINUTE:
            late += items[batch_no]
            late_days.add(day_name(day_of(committed_at)))
    return Vouched(
        names=tuple(sorted(anchored.sizes(system, origin, log.checkpoint.size))),
        hours=hours,
        covered=covered,
        late=late,
        uncovered=uncovered,
        last=last,
        late_days=tuple(sorted(late_days)),
    )


def _first_after(sizes: Sequence[int], entries: Sequence[int]) -> set[int]:
    """The smallest size that holds each entry; of very many a part that still holds all of them."""
    places = sorted({bisect_right(sizes, entry) for entry in entries})
    found = [sizes[place] for place in places if place < len(sizes)]
    apart = -(-len(found) // MOST_ANCHORS) or 1
    return set(found[apart - 1 :: apart]) | set(found[-1:])


def _prove(tx: Tx, lake: Lake, log: LogReader, batch_no: int, indexes: Sequence[int]) -> Proven:
    found = prove(tx, lake, batch_no, indexes, log)
    return Proven(found.record, found.salt, found.log_index, found.inclusion, found.paths)


def _attached(tx: Tx, lake: Lake, item: Item) -> Attached | None:
    """The file that a manual item came with, out of the tenant's store."""
    file = manual.file_of(item.stored)
    if file is None:
        return None
    return Attached(file.name, file.sha256, get_blob(tx, lake, file.object_id))
