"""What a report says of its own completeness: the lines of `completeness.jsonl`.

Source: docs/formats.md, "Statement of completeness". Each line is canonical JSON with a `kind`, in
this order:

    statement    one: of which time, what it comes to, and how many lines of each kind follow
    control      what of each control was due, was answered, arrived, and was selected
    place        the same of a control, by account, region and source
    gap          a line of the gap ledger that touches a control
    doubt        a keyword that no list knows
    run          a run that collected evidence of the report, or noted a gap: what its record says
    unrecorded   a run that has no record to show

`told` reads a run's record as it was logged. Reports are written with it and checked with it, so
that what a statement says of a run is what the log holds.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from auditkeep.errors import ProofError

State = Literal["nothing-missing", "missing", "nobody-asks", "by-hand"]
"""`nobody-asks`: what should have arrived cannot be told; `by-hand`: nothing collects by itself."""


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """A line of the statement; what it leaves out is nothing, or none."""


class Statement(_Line, frozen=True, kw_only=True, tag="statement"):
    """The first line. `first` and `last` are the ends of the time it is about (iso), `created` is
    when the assessment was made, `minutes` how often what has no slot was asked.

    Of places, those at which nothing is missing are listed only where `all_places` says so.
    """

    v: int
    account: str
    region: str
    assessment: str
    report: str
    state: State
    first: str
    last: str
    created: str
    minutes: int
    all_places: bool
    expected: int
    answered: int
    controls: int
    places: int
    gaps: int
    open_gaps: int
    lost_gaps: int
    """How many gaps were not filled later."""
    doubts: int
    runs: int
    unrecorded: int


class ControlLine(_Line, frozen=True, kw_only=True, tag="control"):
    """One control: `expected` and `answered` count questions, `items` what its lens saw in the
    time, `selected` what of it the report holds.
    """

    control: int
    name: str
    set: str
    state: str
    expected: int
    answered: int
    items: int
    selected: int
    gaps: int = 0
    last_answer: str | None = None
    last_evidence: str | None = None


class PlaceLine(_Line, frozen=True, kw_only=True, tag="place"):
    """A control in one account and region, by one source: `days` on which something arrived, and
    `slots` that were due, of what has any; `off` if the account has not switched the region on,
    so that nothing is due there; `lacks` are [reason, detail, message, what].
    """

    control: int
    account: str
    region: str
    source: str
    expected: int
    answered: int
    items: int
    days: int
    slots: int | None = None
    ended: bool = False
    off: bool = False
    last_answer: str | None = None
    last_evidence: str | None = None
    lacks: tuple[tuple[str, str, str, str], ...] = ()


class GapLine(_Line, frozen=True, kw_only=True, tag="gap"):
    """A time in which something due was not collected; `run` noted it, if one did."""

    id: str
    account: str
    region: str
    source: str
    what: str
    opens: str
    closes: str | None
    reason: str
    detail: str
    message: str
    filled: bool
    run: str
    controls: tuple[int, ...]


class DoubtLine(_Line, frozen=True, kw_only=True, tag="doubt"):
    """A keyword of a control that will probably never bring anything."""

    control: int
    source: str
    keyword: str
    message: str
    suggestions: tuple[str, ...] = ()


class Stated(msgspec.Struct, frozen=True, kw_only=True):
    """All of a statement but the runs: what is known of an assessment before a report is written.

    `first`, `last` and `created` are *iso*; `controls` do not know yet what of them is selected.
    """

    state: State
    first: str
    last: str
    created: str
    minutes: int
    expected: int
    answered: int
    controls: tuple[ControlLine, ...]
    places: tuple[PlaceLine, ...]
    all_places: bool
    gaps: tuple[GapLine, ...]
    doubts: tuple[DoubtLine, ...]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the record of a run says, in short. `counted` and `agreed` are questions whose source
    counts by itself what it has, and those of them whose number is the one that was read.
    """

    run: str
    source: str
    caller: str
    software: str
    account: str
    region: str
    started: str
    ended: str
    outcome: str
    questions: int
    calls: int
    pages: int
    records: int
    observations: int
    rejected: int
    counted: int
    agreed: int
    failed: tuple[str, ...]
    """Of each question that was not answered whole: its outcome."""


class RunLine(_Line, frozen=True, kw_only=True, tag="run"):
    """A run and its record: `file` is its path in the archive, `items` how many of the report's
    evidence it collected.
    """

    file: str
    items: int
    told: Told


class UnrecordedLine(_Line, frozen=True, kw_only=True, tag="unrecorded"):
    """A run without a record: it is still under way, or its record was destroyed since."""

    run: str
    items: int


Line = Statement | ControlLine | PlaceLine | GapLine | DoubtLine | RunLine | UnrecordedLine


class _Counts(msgspec.Struct, frozen=True):
    observations: int = 0
    pages: int = 0
    records: int = 0
    rejected: int = 0
    unmatched: int = 0
    files: int = 0


class _Asked(msgspec.Struct, frozen=True):
    calls: dict[str, int]
    counts: _Counts
    outcome: str
    counted: int | None = msgspec.field(name="countedBySource", default=None)


class _Record(msgspec.Struct, frozen=True):
    """A run's record (docs/formats.md, "Runs"), of either form."""

    run: str
    source: str
    caller: str
    software: str
    started: str
    ended: str
    outcome: str
    account: str = ""
    region: str = ""
    asked: tuple[_Asked, ...] | None = None
    counts: _Counts = _Counts()


def told(raw: bytes) -> Told:
    """What the bytes of a run's record say; ProofError if they are none."""
    try:
        record = msgspec.json.decode(raw, type=_Record)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProofError(f"it does not read as the record of a run ({error})") from error
    asked = record.asked or ()
    parts: Sequence[_Counts] = [one.counts for one in asked] or [record.counts]
    counting = [one for one in asked if one.counted is not None]
    return Told(
        run=record.run,
        source=record.source,
        caller=record.caller,
        software=record.software,
        account=record.account,
        region=record.region,
        started=record.started,
        ended=record.ended,
        outcome=record.outcome,
        questions=len(asked),
        calls=sum(sum(one.calls.values()) for one in asked),
        pages=sum(one.pages for one in parts) if asked else record.counts.files,
        records=sum(one.records for one in parts),
        observations=sum(one.observations for one in parts),
        rejected=sum(one.rejected for one in parts),
        counted=len(counting),
        agreed=sum(one.counted == one.counts.records for one in counting),
        failed=tuple(one.outcome for one in asked if one.outcome not in ("complete", "")),
    )
