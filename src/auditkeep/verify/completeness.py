"""Whether a report's statement of completeness says what its own lines and the log bear out.

Of the statement (docs/formats.md, "Statement of completeness") three things are held:

- what it says of a run is what the run's record says, and that record is proven like all evidence;
- every run that collected evidence of the report is named, with how much it collected;
- what it comes to, that nothing is missing for one, follows from its own lines.

Its other lines (what was due, the gap ledger) are not in the log: they are the word of who signed
the report. That a signed statement contradicts itself is found; that it leaves out is not.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from auditkeep.errors import ProofError
from auditkeep.verify.container import Container
from auditkeep.verify.findings import Findings
from auditkeep.verify.format import COMPLETENESS, Digest, Envelope, RecordLine
from auditkeep.verify.statement import (
    ControlLine,
    DoubtLine,
    GapLine,
    Line,
    PlaceLine,
    RunLine,
    Statement,
    UnrecordedLine,
    told,
)

_LINE_LIMIT = 8 << 20
_RECORD_LIMIT = 64 << 20
_RUN = "RUN"
BY_RUNS = frozenset({"pulled", "verified-log", "file", "pushed"})
"""Provenances whose `run` has a record of its own; what people hand in names their request."""

WAITS = "not-yet"
"""The reason of what is not due yet: nothing is missing by it."""
SHOWN = 20
"""Things that are missing, told one by one."""


@dataclass
class Completeness:
    """What a report says of its completeness, checked as its records are."""

    archive: Container
    folder: str
    found: Findings
    statement: Statement | None = None
    missing: list[dict[str, Any]] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    """The file of each run whose record is proven."""
    _cited: Counter[str] = field(default_factory=Counter)
    _counts: Counter[type] = field(default_factory=Counter)
    _named: dict[str, int] = field(default_factory=dict)
    _noted: set[str] = field(default_factory=set)
    _sums: Counter[str] = field(default_factory=Counter)

    def take(self, line: RecordLine, envelope: Envelope) -> bool:
        """Hear of a proven record; whether it is a run's."""
        if envelope.source == _RUN:
            self.runs[envelope.natural_key[0] if envelope.natural_key else ""] = line.file
            return True
        if envelope.provenance.how in BY_RUNS:
            self._cited[envelope.provenance.run] += 1
        return False

    def check(self, digest: Digest | None, *, proven: bool) -> None:
        """Check the statement; `proven`: whether all records were, so that they can be counted."""
        name = self.folder + COMPLETENESS
        if name not in self.archive:
            self.found.notice("The report makes no statement of completeness.")
            return
        for number, line in self._lines(name):
            if (number == 1) != isinstance(line, Statement):
                self._wrong(f"line {number} is in the wrong place")
                return
            self._take(line)
        if self.statement is None:
            self._wrong("it is empty")
            return
        self._owner(self.statement, digest)
        self._adds_up(self.statement)
        if proven:
            self._names_all()

    # --- line by line ---------------------------------------------------------------------------

    def _take(self, line: Line) -> None:
        self._counts[type(line)] += 1
        match line:
            case Statement():
                self.statement = line
            case ControlLine():
                self._sums["expected"] += line.expected
                self._sums["answered"] += line.answered
            case PlaceLine():
                for reason, detail, message, what in line.lacks:
                    if reason != WAITS:
                        self._sums["lacking"] += 1
                        self._lacks(line, reason, detail, message, what)
            case GapLine():
                self._sums["open"] += line.closes is None
                self._sums["lost"] += not line.filled
                if line.run:
                    self._noted.add(line.run)
                if not line.filled:
                    self._gap(line)
            case DoubtLine():
                self._lacks(line, "keyword-unknown", line.keyword, line.message, "")
            case RunLine():
                self._run(line)
            case UnrecordedLine():
                self._named[line.run] = line.items

    def _run(self, line: RunLine) -> None:
        run = line.told.run
        where = f"{COMPLETENESS} cites the run {run}"
        if run in self._named:
            self.found.problem(f"{where} more than once.")
        self._named[run] = line.items
        if run not in self.runs or self.runs[run] != line.file:
            self.found.problem(f"{where}, but no proven record of it is in {line.file}.")
            return
        try:
            said = told(self.archive.read(line.file, _RECORD_LIMIT))
        except ProofError as error:
            self.found.problem(f"{where}, but {str(error).removesuffix('.')}.")
            return
        if said != line.told:
            self.found.problem(f"{where} for other things than its record says.")

    def _lacks(
        self, line: PlaceLine | DoubtLine, reason: str, detail: str, message: str, what: str
    ) -> None:
        place = (
            {"account": line.account, "region": line.region} if isinstance(line, PlaceLine) else {}
        )
        self._tell({"reason": reason, "detail": detail, "source": line.source, **place,
                    "what": what, "control": line.control, "message": message})  # fmt: skip

    def _gap(self, line: GapLine) -> None:
        self._tell(
            {
                "reason": line.reason,
                "detail": line.detail,
                "source": line.source,
                "account": line.account,
                "region": line.region,
                "what": line.what,
                "from": line.opens,
                "to": line.closes or "",
                "message": line.message,
            }
        )

    def _tell(self, one: dict[str, Any]) -> None:
        if len(self.missing) < SHOWN:
            self.missing.append({name: value for name, value in one.items() if value != ""})

    # --- the whole ------------------------------------------------------------------------------

    def _owner(self, statement: Statement, digest: Digest | None) -> None:
        if statement.v != 1:
            self._wrong(f"it is of version {statement.v}, which this Auditkeep does not know")
        if digest is None:
            return
        own = (statement.account, statement.region, statement.assessment, statement.report)
        if own != (
            digest.account_id,
            digest.region,
            digest.assessment_id,
            digest.assessment_report_id,
        ):
            self._wrong("it is another report's")

    def _adds_up(self, said: Statement) -> None:
        counts, sums = self._counts, self._sums
        pairs = {
            "controls": (said.controls, counts[ControlLine]),
            "places": (said.places, counts[PlaceLine]),
            "gaps": (said.gaps, counts[GapLine]),
            "doubts": (said.doubts, counts[DoubtLine]),
            "runs": (said.runs, counts[RunLine]),
            "runs without a record": (said.unrecorded, counts[UnrecordedLine]),
            "questions": (said.expected, sums["expected"]),
            "answered questions": (said.answered, sums["answered"]),
            "open gaps": (said.open_gaps, sums["open"]),
            "gaps that were not filled": (said.lost_gaps, sums["lost"]),
        }
        for name, (told_of, there) in pairs.items():
            if told_of != there:
                self._wrong(f"it says that there are {told_of} {name}, and has {there}")
        if said.state == "nothing-missing" and self._names_missing():
            self._wrong("it says that nothing is missing, and names what is")

    def _names_missing(self) -> bool:
        return bool(self._sums["lacking"] or self._sums["lost"] or self._counts[DoubtLine])

    def _names_all(self) -> None:
        for run, items in self._cited.items():
            if run not in self._named:
                self._wrong(f"it does not name the run {run}, which collected {items} items")
        for run, items in self._named.items():
            if items != self._cited[run]:
                self._wrong(f"it says that the run {run} collected {items} items of the report, "
                            f"and their envelopes say {self._cited[run]}")  # fmt: skip
        for run in sorted(self._noted - self._named.keys()):
            self._wrong(f"it does not name the run {run}, which noted a gap")
        for run in sorted(self.runs.keys() - self._named.keys()):
            self._wrong(f"it does not name the run {run}, whose record is in the archive")

    def _wrong(self, clause: str) -> None:
        self.found.problem(f"{COMPLETENESS} cannot be believed: {clause}.")

    def _lines(self, name: str) -> Iterator[tuple[int, Line]]:
        decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
        try:
            for number, text in enumerate(self.archive.lines(name, _LINE_LIMIT), start=1):
                try:
                    line = decoder.decode(text)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    self.found.problem(f"Line {number} of {name} cannot be read: {error}.")
                else:
                    yield number, line
        except ProofError as error:
            self.found.problem(f"{name} cannot be read to its end: {error}")

    def summary(self) -> dict[str, Any]:
        """What it says, for people and scripts; empty where it says nothing."""
        said = self.statement
        if said is None:
            return {}
        body = {
            "state": said.state,
            "from": said.first,
            "to": said.last,
            "questions": said.expected,
            "answered": said.answered,
            "gaps": said.gaps,
            "openGaps": said.open_gaps,
            "gapsNotFilled": said.lost_gaps,
            "unknownKeywords": said.doubts,
            "runs": said.runs,
            "runsWithoutRecord": said.unrecorded,
        }
        return {**body, "missing": self.missing} if self.missing else body
