"""The statement of completeness while a report is written: which runs collected what is in it.

Runs are counted as the evidence passes by; at the end their records go into the archive like
evidence, each with its proof, and the statement names them. Lines wait sealed on disk, so that
memory holds one number a run and what the pages show.
"""

from collections import Counter
from collections.abc import Iterator

import msgspec

from auditkeep.clock import Instant
from auditkeep.ids import Tenant
from auditkeep.reports.model import Completeness, ControlPage, Heading, Lacking, RunGroup
from auditkeep.reports.spool import Spool
from auditkeep.verify.completeness import BY_RUNS, WAITS
from auditkeep.verify.format import Origin, canonical
from auditkeep.verify.statement import (
    ControlLine,
    RunLine,
    Stated,
    Statement,
    Told,
    UnrecordedLine,
)

MOST_GAPS = 100
"""Lines of the gap ledger that the pages show; all are in the file, as is what follows."""
MOST_LACKING = 100
MOST_DOUBTS = 100
MOST_GROUPS = 40
_EXAMPLES = 3


class _Envelope(msgspec.Struct, frozen=True):
    provenance: Origin


_envelope = msgspec.json.Decoder(_Envelope)


class Gathering:
    """What becomes the statement, from the first item to the last run."""

    def __init__(self, stated: Stated, lines: Spool) -> None:
        self.stated = stated
        self.earliest: Instant | None = None
        self.latest: Instant | None = None
        """When the first and last of what runs collected was taken in."""
        self._cited: Counter[str] = Counter()
        self._found: set[str] = set()
        self._lines = lines
        self._groups: dict[tuple[str, str, str], RunGroup] = {}
        self._failed: dict[tuple[str, str, str], Counter[str]] = {}

    def hear(self, envelope: bytes, collected_at: Instant) -> None:
        """Count an item for the run that collected it."""
        origin = _envelope.decode(envelope).provenance
        if origin.how not in BY_RUNS:
            return
        self._cited[origin.run] += 1
        at = collected_at
        self.earliest = at if self.earliest is None else min(self.earliest, at)
        self.latest = at if self.latest is None else max(self.latest, at)

    @property
    def wanted(self) -> frozenset[str]:
        """The runs whose records belong here: those that are cited, and those that noted gaps."""
        noted = (gap.run for gap in self.stated.gaps if gap.run)
        return frozenset(self._cited) | frozenset(noted)

    def cite(self, told: Told, file: str) -> None:
        """Name a run whose record is in the archive."""
        items = self._cited[told.run]
        self._found.add(told.run)
        self._lines.append(canonical(RunLine(file=file, items=items, told=told)))
        key = (told.source, told.caller, told.software)
        group = self._groups.get(key) or RunGroup(
            source=told.source, caller=told.caller, software=told.software, first=told.started
        )
        self._failed.setdefault(key, Counter()).update(told.failed)
        self._groups[key] = msgspec.structs.replace(
            group,
            runs=group.runs + 1,
            items=group.items + items,
            questions=group.questions + told.questions,
            calls=group.calls + told.calls,
            pages=group.pages + told.pages,
            records=group.records + told.records,
            rejected=group.rejected + told.rejected,
            counted=group.counted + told.counted,
            agreed=group.agreed + told.agreed,
            first=min(group.first, told.started),
            last=max(group.last, told.ended),
        )

    def _controls(self, pages: dict[int, ControlPage]) -> tuple[ControlLine, ...]:
        return tuple(
            msgspec.structs.replace(line, selected=pages[line.control].totals.items)
            if line.control in pages
            else line
            for line in self.stated.controls
        )

    def statement(self, tenant: Tenant, heading: Heading, assessment_id: str) -> Statement:
        """The first line."""
        stated = self.stated
        return Statement(
            v=1,
            account=tenant.account,
            region=tenant.region,
            assessment=assessment_id,
            report=heading.report_id,
            state=stated.state,
            first=stated.first,
            last=stated.last,
            created=stated.created,
            minutes=stated.minutes,
            all_places=stated.all_places,
            expected=stated.expected,
            answered=stated.answered,
            controls=len(stated.controls),
            places=len(stated.places),
            gaps=len(stated.gaps),
            open_gaps=sum(g.closes is None for g in stated.gaps),
            lost_gaps=sum(not g.filled for g in stated.gaps),
            doubts=len(stated.doubts),
            runs=len(self._found),
            unrecorded=len(self.wanted - self._found),
        )

    def file(self, statement: Statement, pages: dict[int, ControlPage]) -> Iterator[bytes]:
        """completeness.jsonl, line by line."""
        stated = self.stated
        yield canonical(statement) + b"\n"
        for part in (self._controls(pages), stated.places, stated.gaps, stated.doubts):
            for line in part:
                yield canonical(line) + b"\n"
        for written in self._lines:
            yield written + b"\n"
        for run in sorted(self.wanted - self._found):
            yield canonical(UnrecordedLine(run=run, items=self._cited[run])) + b"\n"

    def shown(self, statement: Statement, pages: dict[int, ControlPage]) -> Completeness:
        """What the pages show of it."""
        stated = self.stated
        worst_first = sorted(stated.gaps, key=lambda g: (g.filled, g.closes is not None, g.opens))
        lacking = list(_lacking(stated))
        groups = sorted(self._groups.items(), key=lambda one: (-one[1].items, one[0]))
        return Completeness(
            statement=statement,
            controls=self._controls(pages),
            numbers={ordinal: page.number for ordinal, page in pages.items()},
            lacking=tuple(lacking[:MOST_LACKING]),
            things_lacking=len(lacking),
            gaps=tuple(worst_first[:MOST_GAPS]),
            doubts=stated.doubts[:MOST_DOUBTS],
            runs=tuple(
                msgspec.structs.replace(group, failed=tuple(sorted(self._failed[key].items())))
                for key, group in groups[:MOST_GROUPS]
            ),
            off=tuple(sorted({f"{p.account} {p.region}" for p in stated.places if p.off})),
        )


def _lacking(stated: Stated) -> Iterator[Lacking]:
    """What does not arrive, each reason once, however many places and controls it meets."""
    found: dict[tuple[str, str, str, str, str], tuple[dict[str, None], set[int]]] = {}
    for place in stated.places:
        for reason, detail, message, what in place.lacks:
            if reason != WAITS:
                key = (reason, detail, message, what, place.source)
                places, controls = found.setdefault(key, ({}, set()))
                places[f"{place.account} {place.region}"] = None
                controls.add(place.control)
    for (reason, detail, message, what, source), (places, controls) in sorted(
        found.items(), key=lambda one: (-len(one[1][0]), one[0])
    ):
        yield Lacking(
            reason=reason,
            detail=detail,
            message=message,
            what=what,
            source=source,
            places=len(places),
            examples=tuple(places)[:_EXAMPLES],
            controls=len(controls),
        )
