"""The statement of completeness, and who vouched for the log, as the plain data of the template."""

from collections.abc import Callable
from typing import Any

from auditkeep.clock import parse, to_datetime
from auditkeep.reports.model import Completeness, Lacking, RunGroup, Vouched
from auditkeep.verify.statement import ControlLine, DoubtLine, GapLine, Statement

Data = dict[str, Any]
Show = Callable[[str | None], str]

_SOURCES = {
    "AWS_Cloudtrail": "CloudTrail",
    "AWS_Config": "Config",
    "AWS_Security_Hub": "Security Hub",
    "AWS_API_Call": "API calls",
}
_REASONS = {
    "denied": "access denied",
    "throttled": "throttled",
    "gone": "account gone",
    "switched-off": "switched off",
    "region-off": "region not enabled",
    "not-running": "nobody asked",
    "nobody-asks": "nobody asks",
    "expired": "credentials expired",
    "unreachable": "not reachable",
    "paused": "paused by somebody",
    "refused": "refused",
    "no-collector": "cannot be asked",
    "failed": "failed",
    "wrong-time": "clock is wrong",
    "partial": "partly answered",
    "contradicted": "told in two ways",
}
_STATES = {
    "collecting": ("good", "complete"),
    "partly": ("bad", "partly"),
    "silent": ("bad", "nothing arrives"),
    "waiting": ("open", "not due yet"),
    "nobody-asks": ("open", "nobody asks"),
    "by-hand": ("open", "by hand"),
    "ended": ("open", "ended"),
}
_CONTROLS_SHOWN = 500
_PLACES_SHOWN = 5


def in_short(model: Completeness) -> str:
    """One line for the overview."""
    said = model.statement
    if said.state == "missing":
        return f"{_missing(model)}; see the section Completeness"
    return _HEADLINES[said.state]


_HEADLINES = {
    "nothing-missing": "Nothing that was due is missing",
    "missing": "Not all that was due has arrived",
    "nobody-asks": "Cannot be told: this deployment asks nobody, evidence is brought to it",
    "by-hand": "Cannot be told: all evidence is handed in by people",
}


def section(model: Completeness, show: Show) -> Data:
    said = model.statement
    return {
        "state": said.state,
        "headline": _HEADLINES[said.state],
        "sentences": [show(s) for s in _sentences(model)],
        "figures": _figures(model),
        "controls": [_control(c, model, show) for c in _worst_first(model)[:_CONTROLS_SHOWN]],
        "more_controls": _more(len(model.controls), _CONTROLS_SHOWN),
        "lacking": [_lacking(one, show) for one in model.lacking],
        "more_lacking": _more(model.things_lacking, len(model.lacking)),
        "gaps": [_gap(g, show) for g in model.gaps],
        "more_gaps": _more(said.gaps, len(model.gaps)),
        "doubts": [_doubt(one, model, show) for one in model.doubts],
        "more_doubts": _more(said.doubts, len(model.doubts)),
        "runs": [_run(r, show) for r in model.runs],
        "more_runs": _more(said.runs, sum(group.runs for group in model.runs)),
    }


def vouched(model: Vouched | None) -> Data:
    """Who outside had seen what the evidence is in; the template flags what was late."""
    if model is None or not model.names:
        return {
            "state": "nobody",
            "text": "Nobody outside this house vouches for the log's checkpoints: what was changed "
            "before somebody else held one, nothing here can show.",
            "late": "",
            "uncovered": "",
        }
    by = f" by {to_datetime(model.last):%Y-%m-%d %H:%M} UTC" if model.last is not None else ""
    days = ", ".join(model.late_days[:10]) + (" and later" if len(model.late_days) > 10 else "")
    return {
        "state": "late" if model.late or model.uncovered else "in-time",
        "text": f"{model.covered:,} evidence items lie in checkpoints that {_and(model.names)} "
        f"had seen{by}. Name whom you trust to auditkeep verify (--witness, --tsa): it counts "
        "their word anew.",
        "late": _late(model, days) if model.late else "",
        "uncovered": f"{model.uncovered:,} evidence items lie in no checkpoint that anybody "
        "outside had seen when this report was made."
        if model.uncovered
        else "",
    }


def _late(model: Vouched, days: str) -> str:
    items = _count(model.late, "evidence item was", "evidence items were")
    return (
        f"{items} vouched for more than {model.hours} hours after being logged (on {days}): what "
        "was changed in between, nobody outside could have noticed."
    )


def _sentences(model: Completeness) -> list[str]:
    said = model.statement
    span = f"from {_when(said.first)} to {_when(said.last)}"
    found = [_first(said, span)]
    if said.first < said.created:
        found.append(
            f"The assessment was made on {_when(said.created)} and reaches further back: of the "
            "time before, it shows what had been kept or was fetched from the sources' histories; "
            "nothing was due then."
        )
    waiting = said.expected - said.answered
    if said.state == "nothing-missing" and waiting:
        found.append(f"{waiting:,} questions are not due yet, and wait for their first turn.")
    if model.off:
        more = len(model.off) - _PLACES_SHOWN
        found.append(
            "Nothing is due, and nobody is asked, in regions that an account has not switched on: "
            f"{', '.join(model.off[:_PLACES_SHOWN])}{f' and {more:,} more' if more > 0 else ''}."
        )
    if said.unrecorded:
        runs = _count(said.unrecorded, "run has", "runs have")
        found.append(
            f"{runs} no record here: still under way when this was written, or destroyed since, as "
            "retention allows."
        )
    return found


def _first(said: Statement, span: str) -> str:
    what = "a question being one source of one account and region for one control"
    match said.state:
        case "by-hand":
            return (
                f"No control of this assessment collects by itself. This is about the time {span}."
            )
        case "nobody-asks":
            return (
                "This deployment asks no source by itself: files, pushes and trails bring what "
                f"they bring. What arrived {span} is counted below; what should have, "
                "nobody can tell."
            )
        case "nothing-missing":
            lines = (
                f"{said.gaps:,} lines, all of which were filled later" if said.gaps else "no line"
            )
            return (
                f"Nothing that was due {span} is missing: {said.answered:,} of {said.expected:,} "
                f"questions are answered, {what}. No keyword is unknown, and the gap ledger has "
                f"{lines}."
            )
        case "missing":
            return (
                f"Of {said.expected:,} questions that were due {span}, {said.answered:,} are "
                f"answered, {what}. What is missing is listed here with its reason."
            )


def _figures(model: Completeness) -> list[Data]:
    said = model.statement
    return [
        {"name": "questions answered", "value": f"{said.answered:,} / {said.expected:,}"},
        {"name": "gaps not filled", "value": f"{said.lost_gaps:,} of {said.gaps:,}"},
        {"name": "gaps that last", "value": f"{said.open_gaps:,}"},
        {"name": "keywords unknown", "value": f"{said.doubts:,}"},
        {"name": "runs cited", "value": f"{said.runs:,}"},
    ]


def _worst_first(model: Completeness) -> list[ControlLine]:
    order = {"bad": 0, "open": 1, "good": 2}
    return sorted(
        model.controls,
        key=lambda c: (
            order[_STATES.get(c.state, ("open", ""))[0]],
            not c.gaps,
            c.set,
            c.control,
        ),
    )


def _control(line: ControlLine, model: Completeness, show: Show) -> Data:
    mark, word = _STATES.get(line.state, ("open", line.state))
    return {
        "number": _number(line.control, model),
        "name": show(line.name),
        "mark": mark,
        "state": word,
        "answered": f"{line.answered:,} / {line.expected:,}" if line.expected else "-",
        "items": f"{line.items:,}",
        "selected": f"{line.selected:,}",
        "last": _when(line.last_evidence) if line.last_evidence else "-",
        "gaps": f"{line.gaps:,}" if line.gaps else "",
    }


def _lacking(one: Lacking, show: Show) -> Data:
    more = one.places - len(one.examples)
    return {
        "reason": _reason(one.reason),
        "what": show(_about(one.source, one.what)),
        "where": show(", ".join(one.examples)) + (f" and {more:,} more" if more > 0 else ""),
        "message": show(_words(one.message, one.detail)),
        "controls": f"{one.controls:,}",
    }


def _doubt(line: DoubtLine, model: Completeness, show: Show) -> Data:
    number = _number(line.control, model)
    return {"control": number, "keyword": show(line.keyword), "message": show(line.message)}


def _gap(gap: GapLine, show: Show) -> Data:
    return {
        "from": _when(gap.opens),
        "to": _when(gap.closes) if gap.closes else "lasts",
        "where": show(f"{gap.account} {gap.region}"),
        "what": show(_about(gap.source, gap.what)),
        "reason": _reason(gap.reason),
        "message": show(_words(gap.message, gap.detail)),
        "controls": f"{len(gap.controls):,}",
        "filled": gap.filled,
    }


def _run(group: RunGroup, show: Show) -> Data:
    counted = f"{group.agreed:,} of {group.counted:,} agree" if group.counted else "-"
    failed = ", ".join(f"{count:,} {_reason(word)}" for word, count in group.failed)
    return {
        "source": show(_SOURCES.get(group.source, group.source)),
        "caller": show(group.caller),
        "software": show(group.software),
        "span": f"{_when(group.first)} to {_when(group.last)}",
        "runs": f"{group.runs:,}",
        "calls": f"{group.calls:,}",
        "pages": f"{group.pages:,}",
        "records": f"{group.records:,}",
        "items": f"{group.items:,}",
        "counted": counted,
        "failed": failed or ("-" if group.questions else ""),
        "rejected": f"{group.rejected:,} records could not be read" if group.rejected else "",
    }


def _missing(model: Completeness) -> str:
    said = model.statement
    parts = []
    if model.things_lacking:
        parts.append(_count(model.things_lacking, "thing does", "things do") + " not arrive")
    if said.lost_gaps:
        parts.append(_count(said.lost_gaps, "gap was", "gaps were") + " not filled")
    if said.doubts:
        parts.append(_count(said.doubts, "keyword is", "keywords are") + " unknown")
    return ", ".join(parts) or "Not all that was due has arrived"


def _more(there: int, shown: int) -> str:
    """How many are not on the pages; empty where all are."""
    return f"{there - shown:,}" if there > shown else ""


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _number(ordinal: int, model: Completeness) -> str:
    return model.numbers.get(ordinal, "")


def _reason(word: str) -> str:
    return _REASONS.get(word, word)


def _about(source: str, what: str) -> str:
    label = _SOURCES.get(source, source)
    return f"{label}: {what}" if what else label


def _words(message: str, detail: str) -> str:
    return f"{message} ({detail})" if detail and detail not in message else message


def _and(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _when(iso: str) -> str:
    return f"{to_datetime(parse(iso)):%Y-%m-%d %H:%M}"
