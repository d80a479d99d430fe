"""Reports: the queries. Every function takes the caller's transaction and never commits."""

from typing import Any

import msgspec
from sqlalchemy import Row, and_, or_

from auditkeep.clock import Instant
from auditkeep.db.schema import reports
from auditkeep.db.tx import Tx
from auditkeep.errors import NotFound
from auditkeep.lake.buckets import REPORTS
from auditkeep.reports.destination import Place
from auditkeep.reports.model import Report

_COLUMNS = (reports.c.status, reports.c.document)


def insert(tx: Tx, report: Report) -> None:
    tx.insert(reports, _row(report))


def save(tx: Tx, report: Report) -> None:
    tx.set(reports, {"id": report.id}, _row(report))


def find(tx: Tx, report_id: str) -> Report | None:
    row = tx.first(tx.select(*_COLUMNS).where(reports.c.id == report_id))
    return None if row is None else _report(row)


def get(tx: Tx, assessment_id: str, report_id: str) -> Report:
    """NotFound for an id that is no report of this assessment, whoever else may have one."""
    report = find(tx, report_id)
    if report is None or report.assessment_id != assessment_id:
        raise NotFound("assessment report", report_id)
    return report


def page(tx: Tx, after: tuple[Instant, str] | None, limit: int) -> list[Report]:
    """Newest first, ids breaking ties, from behind `after` on."""
    created, key = reports.c.created_at, reports.c.id
    query = tx.select(*_COLUMNS).order_by(created.desc(), key.desc()).limit(limit)
    if after is not None:
        query = query.where(or_(created < after[0], and_(created == after[0], key < after[1])))
    return [_report(r) for r in tx.all(query)]


def delete(tx: Tx, report_id: str) -> None:
    tx.run(tx.delete(reports).where(reports.c.id == report_id))


def klass(report: Report) -> str:
    """The class of its archive: under a key of its own, which goes with it."""
    return f"{REPORTS}{report.assessment_id}/{report.id}"


def place(report: Report) -> Place:
    return Place(report.bucket, report.key)


def _row(report: Report) -> dict[str, Any]:
    return {
        "id": report.id,
        "assessment_id": report.assessment_id,
        "name": report.name,
        "status": report.status,
        "document": msgspec.json.encode(report).decode(),
        "created_at": report.created_at,
    }


def _report(row: Row[Any]) -> Report:
    return msgspec.json.decode(row.document, type=Report)
