"""The report as values: the row that asks for one, and the pages it becomes. Pure.

`Report` is the noun of the API and the JSON of the table `reports`. Its life (spec section 2.7):

    state         its maker       GetAssessmentReportUrl   DeleteAssessmentReport
    IN_PROGRESS   → COMPLETE      refused                  refused: "is being generated"
                  → FAILED
    COMPLETE      (nothing)       a link                   row and object go
    FAILED        (nothing)       refused, with its reason row goes

`Summary` and what it holds is everything the PDF shows, in the order of spec section 5.4; the
template adds words and layout but decides nothing. None is a value the source did not give: shown
as a hyphen.
"""

from typing import Literal

import msgspec

from auditkeep.clock import Instant
from auditkeep.observations import Verdict
from auditkeep.verify.statement import ControlLine, DoubtLine, GapLine, Statement

JOB = "report"
"""The kind of job that makes a report; its key is the report's id."""

ReportStatus = Literal["IN_PROGRESS", "COMPLETE", "FAILED"]


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One report as asked for, and what became of it; `key` is its place in the destination."""

    id: str
    assessment_id: str
    name: str
    status: ReportStatus
    created_at: Instant
    assessment_name: str
    author: str
    author_arn: str
    bucket: str
    key: str
    description: str | None = None
    completed_at: Instant | None = None
    size: int | None = None
    items: int | None = None
    reason: str | None = None
    """Why it failed: a sentence for its owner."""


class Totals(msgspec.Struct, frozen=True):
    """How many evidence items, by the three classes of spec section 3.6."""

    compliant: int = 0
    non_compliant: int = 0
    inconclusive: int = 0

    @property
    def items(self) -> int:
        return self.compliant + self.non_compliant + self.inconclusive

    @property
    def issues(self) -> int:
        return self.non_compliant

    def plus(self, verdict: Verdict) -> "Totals":
        return Totals(
            self.compliant + (verdict == "compliant"),
            self.non_compliant + (verdict == "non-compliant"),
            self.inconclusive + (verdict == "inconclusive"),
        )

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.compliant + other.compliant,
            self.non_compliant + other.non_compliant,
            self.inconclusive + other.inconclusive,
        )


class Subject(msgspec.Struct, frozen=True):
    """A resource that an item is about, and the source's own verdict on it."""

    name: str
    verdict: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One evidence item as a line of a listing and, in small reports, a page of its own.

    `check` is the source's own word, `verdict` its class; `file` is the name inside the folder of
    its control, source and day; `attributes` are flattened members of the source's record.
    """

    evidence_id: str
    file: str
    verdict: Verdict
    collected_at: Instant
    event_time: Instant
    data_source: str
    kind: str
    account: str
    region: str
    service: str | None
    event_name: str | None
    iam_id: str | None
    check: str | None
    subjects: tuple[Subject, ...]
    attributes: tuple[tuple[str, str], ...]
    attachment: str | None = None


class DayFolder(msgspec.Struct, frozen=True, kw_only=True):
    """What one control collected from one source on one day; `path` is its folder in the zip."""

    day: str
    data_source: str
    path: str
    totals: Totals
    entries: tuple[Entry, ...]


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A listing kept in a PDF of its own: where, and which rows of how many."""

    file: str
    first: int
    last: int


class DayTotal(msgspec.Struct, frozen=True):
    """A line of a control's calendar: what one day holds over all its sources."""

    day: str
    totals: Totals


class ControlPage(msgspec.Struct, frozen=True, kw_only=True):
    """One control with selected evidence; the listing is in `folders` or else in `volumes`."""

    number: str
    name: str
    control_set: str
    status: str
    description: str | None
    testing_information: str | None
    action_plan_title: str | None
    action_plan_instructions: str | None
    path: str
    totals: Totals
    days: tuple[DayTotal, ...]
    folders: tuple[DayFolder, ...]
    volumes: tuple[Volume, ...]


class SetPage(msgspec.Struct, frozen=True, kw_only=True):
    """A control set and those of its controls that have selected evidence."""

    number: str
    name: str
    totals: Totals
    controls: tuple[ControlPage, ...]


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The report summary: what was chosen, and what it says as a whole."""

    controls: int
    accounts: tuple[str, ...]
    totals: Totals
    first_event: Instant | None
    last_event: Instant | None


class Assessed(msgspec.Struct, frozen=True, kw_only=True):
    """The assessment summary, as it stood when the report was generated."""

    id: str
    name: str
    description: str | None
    status: str
    region: str
    accounts: tuple[str, ...]
    framework: str
    compliance_type: str | None
    owners: tuple[str, ...]
    last_updated: Instant


class Vouched(msgspec.Struct, frozen=True, kw_only=True):
    """Who outside the house had seen what the evidence is in, and when.

    `late` items were vouched for more than `hours` after they were logged, `uncovered` by nobody
    yet; `last` is by when all the others were.
    """

    names: tuple[str, ...] = ()
    hours: int = 24
    covered: int = 0
    late: int = 0
    uncovered: int = 0
    last: Instant | None = None
    late_days: tuple[str, ...] = ()
    """The days on which late items were logged."""


class RunGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Runs of one caller over one source by one version, added up."""

    source: str
    caller: str
    software: str
    runs: int = 0
    items: int = 0
    questions: int = 0
    calls: int = 0
    pages: int = 0
    records: int = 0
    rejected: int = 0
    counted: int = 0
    agreed: int = 0
    first: str = ""
    last: str = ""
    failed: tuple[tuple[str, int], ...] = ()
    """Outcomes of questions that were not answered whole, and how many there are of each."""


class Lacking(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that does not arrive: why, where (the first places of `places`), and for whom."""

    reason: str
    detail: str
    message: str
    what: str
    source: str
    places: int
    examples: tuple[str, ...]
    controls: int


class Completeness(msgspec.Struct, frozen=True, kw_only=True):
    """What the pages show of the statement of completeness; all of it is in its file.

    `numbers` are the numbers of controls in this report, by ordinal, of those that are in it;
    `lacking` are the first of `things_lacking`; `gaps`, `doubts` and the runs in `runs` are the
    first of as many as the statement says.
    """

    statement: Statement
    controls: tuple[ControlLine, ...]
    numbers: dict[int, str]
    lacking: tuple[Lacking, ...]
    things_lacking: int
    gaps: tuple[GapLine, ...]
    doubts: tuple[DoubtLine, ...]
    runs: tuple[RunGroup, ...]
    off: tuple[str, ...] = ()
    """Accounts with a region each that they have not switched on."""


class Integrity(msgspec.Struct, frozen=True, kw_only=True):
    """What the closing page names: the log, its checkpoint, and the keys to check with."""

    origin: str
    log_size: int
    log_root: str
    log_key: str
    report_key: str


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """What the cover, every header and every volume say of the whole."""

    report_id: str
    report_name: str
    description: str | None
    account: str
    generated_at: Instant
    assessment: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """AssessmentReportSummary.pdf; `evidence_pages`: each item has a page of its own."""

    heading: Heading
    overview: Overview
    assessed: Assessed
    sets: tuple[SetPage, ...]
    completeness: Completeness
    vouched: Vouched | None
    integrity: Integrity
    evidence_pages: bool


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One volume: rows `first` to `last` of a control's `total`."""

    heading: Heading
    control_number: str
    control_name: str
    control_set: str
    number: int
    first: int
    last: int
    folders: tuple[DayFolder, ...]
