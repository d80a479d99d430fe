"""The report model as the plain data that the templates read: strings, numbers, lists.

Every string passes through `text.printable`, and the templates take strings as text, never as
markup: what a source or a person wrote cannot become typst code.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from auditkeep.clock import Instant, to_datetime
from auditkeep.reports.model import (
    Assessed,
    ControlPage,
    DayFolder,
    Entry,
    Heading,
    Integrity,
    Listing,
    SetPage,
    Summary,
    Totals,
)
from auditkeep.reports.pdf import chart, completeness
from auditkeep.reports.pdf.text import BREAK, printable

Data = dict[str, Any]
Show = Callable[[str | None], str]

_CELL = 200
"""Longest text in a cell of a listing; pages of single items show more."""

_VERDICTS = {
    "compliant": "Compliant",
    "non-compliant": "Non-compliant",
    "inconclusive": "Inconclusive",
}
_ACCOUNTS_SHOWN = 40
_SUBJECTS_SHOWN = 100
_ATTRIBUTES_SHOWN = 200


def summary(model: Summary, *, ascii_only: bool = False) -> Data:
    """AssessmentReportSummary.pdf."""
    show = partial(printable, ascii_only=ascii_only)
    totals = model.overview.totals
    most = max((s.totals.items for s in model.sets), default=0)
    return {
        "heading": _heading(model.heading, show),
        "overview": _overview(model, show),
        "assessed": _assessed(model.assessed, show),
        "totals": _totals(totals),
        "ring": chart.ring(totals),
        "ring_words": chart.describe(totals),
        "sets": [_set(s, most, model, show) for s in model.sets],
        "evidence_pages": model.evidence_pages,
        "completeness": completeness.section(model.completeness, show),
        "vouched": completeness.vouched(model.vouched),
        "integrity": _integrity(model.integrity, show),
    }


def listing(model: Listing, *, ascii_only: bool = False) -> Data:
    """One volume."""
    show = partial(printable, ascii_only=ascii_only)
    return {
        "heading": _heading(model.heading, show),
        "number": model.control_number,
        "title": show(model.control_name).replace(BREAK, ""),
        "name": show(model.control_name),
        "set": show(model.control_set),
        "volume": model.number,
        "first": f"{model.first:,}",
        "last": f"{model.last:,}",
        "folders": [_folder(f, show) for f in model.folders],
    }


def _heading(heading: Heading, show: Show) -> Data:
    made = to_datetime(heading.generated_at)
    return {
        "title": show(heading.report_name).replace(BREAK, ""),
        "report": show(heading.report_name),
        "report_id": heading.report_id,
        "description": show(heading.description),
        "assessment": show(heading.assessment),
        "account": heading.account,
        # Words and order of the AWS report's cover, "UCT" included (spec section 5.4).
        "generated": f"Report generated on {made:%m/%d/%Y} at {made:%I:%M:%S %p} UCT by "
        f"{heading.account}",
        "when": f"{made:%Y-%m-%d %H:%M:%S} UTC",
    }


def _overview(model: Summary, show: Show) -> list[Data]:
    over = model.overview
    span = "-"
    if over.first_event is not None and over.last_event is not None:
        span = f"{_time(over.first_event)} to {_time(over.last_event)}"
    return [
        _pair("Report name", show(model.heading.report_name)),
        _pair("Description", show(model.heading.description)),
        _pair("Date generated", _time(model.heading.generated_at)),
        _pair("Total controls included", f"{over.controls:,}"),
        _pair("AWS accounts included", _accounts(over.accounts)),
        _pair("Assessment report selection", _count(over.totals)),
        _pair("Evidence dated", span),
        _pair("Completeness", completeness.in_short(model.completeness)),
        _pair("Report ID", model.heading.report_id),
    ]


def _assessed(assessed: Assessed, show: Show) -> list[Data]:
    kind = f" ({show(assessed.compliance_type)})" if assessed.compliance_type else ""
    return [
        _pair("Assessment name", show(assessed.name)),
        _pair("Description", show(assessed.description)),
        _pair("Status at generation", assessed.status.capitalize()),
        _pair("AWS Region", assessed.region),
        _pair("AWS accounts in scope", _accounts(assessed.accounts)),
        _pair("Framework", show(assessed.framework) + kind),
        _pair("Audit owners", "\n".join(show(o) for o in assessed.owners) or "-"),
        _pair("Last updated", _time(assessed.last_updated)),
        _pair("Assessment ID", assessed.id),
    ]


def _set(page: SetPage, most: int, model: Summary, show: Show) -> Data:
    return {
        "number": page.number,
        "name": show(page.name),
        "totals": _totals(page.totals),
        "bar": chart.bar(page.totals, most),
        "bar_words": chart.describe(page.totals),
        "controls": [_control(c, model, show) for c in page.controls],
    }


def _control(page: ControlPage, model: Summary, show: Show) -> Data:
    return {
        "number": page.number,
        "name": show(page.name),
        "pairs": [
            _pair("Control set", show(page.control_set)),
            _pair("Review status", page.status.replace("_", " ").capitalize()),
            _pair("Description", show(page.description)),
            _pair("Testing information", show(page.testing_information)),
            _pair("Action plan", _plan(page, show)),
            _pair("Assessment report selection", _count(page.totals)),
            _pair("Folder in this archive", show(page.path)),
        ],
        "totals": _totals(page.totals),
        "days": [{"day": d.day, "totals": _totals(d.totals)} for d in page.days],
        "folders": [_folder(f, show) for f in page.folders],
        "volumes": [
            {"file": show(v.file), "rows": f"{v.first:,} to {v.last:,}"} for v in page.volumes
        ],
        "evidence": [_page(e, f, page, model, show) for f in page.folders for e in f.entries]
        if model.evidence_pages
        else [],
    }


def _plan(page: ControlPage, show: Show) -> str:
    parts = [show(p) for p in (page.action_plan_title, page.action_plan_instructions) if p]
    return "\n".join(parts) or "-"


def _folder(folder: DayFolder, show: Show) -> Data:
    return {
        "day": folder.day,
        "source": folder.data_source,
        "path": show(folder.path),
        "totals": _totals(folder.totals),
        "rows": [_row(e, show) for e in folder.entries],
    }


def _row(entry: Entry, show: Show) -> Data:
    first = entry.subjects[0].name if entry.subjects else None
    return {
        "id": entry.evidence_id,
        "time": f"{to_datetime(entry.event_time):%H:%M:%S}",
        "event": _short(entry.event_name, show),
        "file": show(entry.file),
        "account": show(entry.account),
        "region": show(entry.region),
        "subject": _short(first, show),
        "more": max(len(entry.subjects) - 1, 0),
        "actor": _short(_actor(entry.iam_id), show) if entry.iam_id else "",
        "verdict": _VERDICTS[entry.verdict],
    }


def _actor(arn: str) -> str:
    """Who acted, without the part of the ARN that says the account again."""
    parts = arn.split(":", 5)
    return parts[5] if len(parts) == 6 and parts[5] else arn


def _page(entry: Entry, folder: DayFolder, page: ControlPage, model: Summary, show: Show) -> Data:
    """The evidence summary and detail of spec section 5.4, items 5 and 6."""
    check = _VERDICTS[entry.verdict]
    if entry.check:
        check += f" (reported as {show(entry.check)})"
    return {
        "id": entry.evidence_id,
        "name": _short(entry.event_name, show),
        "verdict": _VERDICTS[entry.verdict],
        "crumbs": [show(model.assessed.name), show(page.control_set)],
        "day": folder.day,
        "pairs": [
            _pair("Evidence ID", entry.evidence_id),
            _pair("Date collected", _time(entry.collected_at)),
            _pair("Description", _described(entry, show)),
            _pair("Assessment", show(model.assessed.name)),
            _pair("Framework", show(model.assessed.framework)),
            _pair("Control", show(page.name)),
            _pair("Control set", show(page.control_set)),
            _pair("Control description", show(page.description)),
            _pair("Testing information", show(page.testing_information)),
            _pair("Action plan", _plan(page, show)),
            _pair("AWS Region", show(entry.region)),
            _pair("IAM ID", show(entry.iam_id)),
            _pair("AWS account", show(entry.account)),
            _pair("Service", show(entry.service)),
            _pair("Event name", show(entry.event_name)),
            _pair("Event time", _time(entry.event_time)),
            _pair("Data source", show(entry.data_source)),
            _pair("Evidence by type", show(entry.kind)),
            _pair("Compliance status", check),
            _pair("File", show(f"{folder.path}/{entry.file}")),
            _pair("Attachment", show(entry.attachment)),
        ],
        "subjects": [[show(s.name), show(s.verdict)] for s in entry.subjects[:_SUBJECTS_SHOWN]],
        "attributes": [[show(k), show(v)] for k, v in entry.attributes[:_ATTRIBUTES_SHOWN]],
        "left_out": max(len(entry.attributes) - _ATTRIBUTES_SHOWN, 0)
        + max(len(entry.subjects) - _SUBJECTS_SHOWN, 0),
    }


def _described(entry: Entry, show: Show) -> str:
    about = f" about {show(entry.subjects[0].name)}" if entry.subjects else ""
    return f"{show(entry.kind)} from {show(entry.data_source)}{about}"


def _integrity(integrity: Integrity, show: Show) -> list[Data]:
    return [
        _pair("Log", show(integrity.origin)),
        _pair("Checkpoint", f"{integrity.log_size:,} entries"),
        _pair("Checkpoint root", show(integrity.log_root)),
        _pair("Log key", show(integrity.log_key)),
        _pair("Report key (SHA-256)", show(integrity.report_key)),
    ]


def _totals(totals: Totals) -> Data:
    def part(count: int) -> Data:
        return {"count": f"{count:,}", "share": chart.percent(count, totals.items)}

    return {
        "items": f"{totals.items:,}",
        "issues": totals.issues,
        "issues_shown": f"{totals.issues:,}",
        "compliant": part(totals.compliant),
        "non_compliant": part(totals.non_compliant),
        "inconclusive": part(totals.inconclusive),
    }


def _count(totals: Totals) -> str:
    items = "item" if totals.items == 1 else "items"
    issues = "issue" if totals.issues == 1 else "issues"
    return f"{totals.items:,} evidence {items}, {totals.issues:,} compliance {issues}"


def _accounts(accounts: tuple[str, ...]) -> str:
    shown = ", ".join(accounts[:_ACCOUNTS_SHOWN])
    more = len(accounts) - _ACCOUNTS_SHOWN
    return (shown + (f" and {more:,} more" if more > 0 else "")) or "-"


def _time(at: Instant) -> str:
    return f"{to_datetime(at):%Y-%m-%d %H:%M:%S} UTC"


def _short(text: str | None, show: Show) -> str:
    if text is not None and len(text) > _CELL:
        text = text[: _CELL - 1] + "…"
    return show(text)


def _pair(name: str, value: str) -> Data:
    return {"name": name, "value": value}
