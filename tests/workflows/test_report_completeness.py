"""A report says what was due, what arrived, what did not and why, and which runs say so."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.operations.making import ACCOUNT, assessment, select_all
from tests.workflows.collect_house import Made, Nobody
from tests.workflows.test_report import House, blank, library

from auditkeep.clock import DAY, MINUTE, FixedClock, Instant
from auditkeep.collection import trails
from auditkeep.collection.looks import Plans
from auditkeep.collection.trails import Progress, Trail
from auditkeep.db.database import Database
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake
from auditkeep.mapping.interest import Interest
from auditkeep.operations.auditmanager import assessments
from auditkeep.sources.pull import Denied
from auditkeep.verify.archive import verify_archive
from auditkeep.wire.models import auditmanager as am
from auditkeep.work.jobs import DatabaseJobs
from auditkeep.work.pump import Pump
from auditkeep.workflows.asking import Asking
from auditkeep.workflows.collect import KIND, Collector
from auditkeep.workflows.report import build_report
from auditkeep.workflows.rounds import Rounds

TWO = "444455556666"


class OfAccount(Nobody):
    """Clients that know whose they are."""

    def __init__(self, account: str) -> None:
        super().__init__()
        self.account = account


class Collecting(House):
    """A tenant whose deployment asks two accounts, one of which may refuse."""

    def __init__(self, db: Database, lake: Lake, tenant: Tenant, clock: FixedClock) -> None:
        super().__init__(db, lake, tenant, clock)
        settings = self.deps.settings.model_copy(update={"collect": "aws"})
        self.deps = replace(self.deps, settings=settings)
        self.trail = Made("AWS_Cloudtrail", clock)
        self.trail.resources = {(ACCOUNT, ""): ["alice", "bob", "carol"], (TWO, ""): ["dora"]}
        self.collector = Collector(
            db=db,
            lake=lake,
            settings=settings,
            clock=clock,
            plans=Plans(library(), settings),
            pullers={"AWS_Cloudtrail": self.trail},
            clients=lambda _: Nobody(),
            interest=lambda _: Interest.everything(),
            secret=b"s" * 32,
        )
        self.begin()

    def begin(self) -> None:
        self.rounds = Rounds(self.collector)
        handlers = {KIND: Asking(self.collector).handler()}
        self.pump = Pump(DatabaseJobs(self.db), handlers, self.clock, threads=1)

    def asked_in(self, *names: str, on: dict[str, frozenset[str]]) -> None:
        """Ask in these regions, of which accounts have some or all switched on."""
        chosen = {"assessment_regions": "all", "collect_regions": ",".join(names)}
        settings = self.deps.settings.model_copy(update=chosen)
        self.deps = replace(self.deps, settings=settings)
        self.collector = replace(
            self.collector,
            settings=settings,
            plans=Plans(library(), settings),
            clients=lambda who: OfAccount(who.account),
            regions=lambda clients: on.get(getattr(clients, "account", ""), frozenset(names)),
        )
        self.begin()

    def made(self, control: str = "a") -> str:
        with self.call() as call:
            found = assessment(call, sets={"Access": [control]}, accounts=(ACCOUNT, TWO))
        return str(found["metadata"]["id"])

    def collect(self, rounds: int = 1) -> None:
        for _ in range(rounds):
            self.rounds.queue()
            self.pump.drain()
            self.clock.advance(self.deps.settings.collect_minutes * MINUTE)

    def trailed(self, *, since: Instant | None = None) -> None:
        """A trail brings the events of the second account, from now on or since earlier."""
        now = self.clock.now()
        read = Progress(read_from=since or now, read_to=Instant(now + DAY))
        folder = f"AWSLogs/o-exampleorg/{TWO}/CloudTrail/us-east-1/"
        with self.lake.db.write(self.tenant) as tx:
            trails.save(tx, Trail(name="main", bucket="central-logs"), now)
            trails.keep_progress(tx, "main", folder, read, now)

    def select(self, where: str) -> None:
        with self.call() as call:
            select_all(call, where)

    def reported(self, where: str, folder: Path) -> tuple[Path, list[dict[str, Any]]]:
        """The archive of a report, and the lines of its statement."""
        report_id = self.ask(where)
        build_report(self.maker, self.tenant, report_id)
        path = self.archive(report_id, folder)
        with zipfile.ZipFile(path) as archive:
            (name,) = [n for n in archive.namelist() if n.endswith("completeness.jsonl")]
            return path, [json.loads(line) for line in archive.read(name).splitlines()]


@pytest.fixture
def house(
    db: Database,
    lake: Lake,
    tenant: Tenant,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Collecting:
    blank(monkeypatch)
    return Collecting(db, lake, tenant, clock)


def kinds(lines: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["kind"] == kind]


def test_where_all_was_answered_nothing_is_missing(house: Collecting, tmp_path: Path) -> None:
    where = house.made()
    house.collect(2)
    house.select(where)
    path, lines = house.reported(where, tmp_path)
    head = lines[0]
    assert (head["state"], head["expected"], head["answered"]) == ("nothing-missing", 2, 2)
    assert (head["gaps"], head["doubts"], head["unrecorded"]) == (0, 0, 0)
    (control,) = kinds(lines, "control")
    assert (control["state"], control["items"], control["selected"]) == ("collecting", 4, 4)
    places = {
        p["account"]: (p["expected"], p["answered"], p["items"]) for p in kinds(lines, "place")
    }
    assert places == {ACCOUNT: (1, 1, 3), TWO: (1, 1, 1)}
    verdict = verify_archive(path, [house.lake.signer.vkey])
    assert (verdict.state, verdict.problems) == ("valid", ())
    assert (verdict.records, verdict.completeness["runs"]) == (4, 2)


def test_a_refused_account_is_named_with_the_action_and_the_run_that_noted_it(
    house: Collecting, tmp_path: Path
) -> None:
    refused = Denied("Account 444455556666 does not allow it.", action="cloudtrail:LookupEvents")
    house.trail.troubles[(TWO, "")] = [refused] * 9
    where = house.made()
    house.collect()
    house.select(where)
    path, lines = house.reported(where, tmp_path)
    assert (lines[0]["state"], lines[0]["open_gaps"], lines[0]["answered"]) == ("missing", 1, 1)
    (gap,) = kinds(lines, "gap")
    assert (gap["account"], gap["reason"], gap["detail"]) == (
        TWO, "denied", "cloudtrail:LookupEvents",
    )  # fmt: skip
    assert gap["controls"] == [1]
    noting = {one["told"]["run"]: one for one in kinds(lines, "run")}[gap["run"]]
    assert (noting["items"], noting["told"]["failed"]) == (0, ["denied"])
    (lacking,) = [p for p in kinds(lines, "place") if p.get("lacks")]
    assert lacking["lacks"][0][:2] == ["denied", "cloudtrail:LookupEvents"]
    assert verify_archive(path, [house.lake.signer.vkey]).state == "valid"


def test_what_a_source_tells_afterwards_fills_the_gap(house: Collecting, tmp_path: Path) -> None:
    house.trail.troubles[(TWO, "")] = [Denied("No.", action="cloudtrail:LookupEvents")]
    where = house.made()
    house.collect(3)
    house.select(where)
    _, lines = house.reported(where, tmp_path)
    (gap,) = kinds(lines, "gap")
    assert gap["filled"]
    assert gap["closes"]
    assert (lines[0]["state"], lines[0]["lost_gaps"]) == ("nothing-missing", 0)


def test_what_a_trail_brings_is_not_missing(house: Collecting, tmp_path: Path) -> None:
    house.trailed()
    where = house.made()
    house.collect(2)
    assert {a.account for a in house.trail.asked} == {ACCOUNT}
    house.select(where)
    _, lines = house.reported(where, tmp_path)
    assert (lines[0]["state"], lines[0]["expected"], lines[0]["answered"]) == (
        "nothing-missing", 2, 2,
    )  # fmt: skip
    assert [p["answered"] for p in kinds(lines, "place")] == [1, 1]


def test_what_was_missed_before_a_trail_stays_told(house: Collecting, tmp_path: Path) -> None:
    house.trail.troubles[(TWO, "")] = [Denied("No.", action="cloudtrail:LookupEvents")] * 9
    where = house.made()
    house.collect()
    house.trailed()
    house.collect()
    house.select(where)
    _, lines = house.reported(where, tmp_path)
    (gap,) = kinds(lines, "gap")
    assert (gap["account"], gap["reason"], gap["filled"]) == (TWO, "denied", False)
    assert gap["controls"] == [1]
    assert (lines[0]["state"], lines[0]["lost_gaps"]) == ("missing", 1)
    assert (lines[0]["expected"], lines[0]["answered"]) == (2, 2)


def test_what_a_trail_still_brought_is_not_missing(house: Collecting, tmp_path: Path) -> None:
    house.trail.troubles[(TWO, "")] = [Denied("No.", action="cloudtrail:LookupEvents")] * 9
    begun = house.clock.now()
    where = house.made()
    house.collect()
    house.trailed(since=begun)
    house.collect()
    house.select(where)
    _, lines = house.reported(where, tmp_path)
    assert [(gap["account"], gap["filled"]) for gap in kinds(lines, "gap")] == [(TWO, True)]
    assert (lines[0]["state"], lines[0]["lost_gaps"]) == ("nothing-missing", 0)


def test_where_a_region_is_off_nothing_is_due(house: Collecting, tmp_path: Path) -> None:
    house.asked_in("us-east-1", "af-south-1", on={TWO: frozenset({"us-east-1"})})
    where = house.made("b")  # events of a service that has regions
    house.collect(2)
    house.select(where)
    path, lines = house.reported(where, tmp_path)
    assert (lines[0]["state"], lines[0]["expected"], lines[0]["answered"]) == (
        "nothing-missing", 3, 3,
    )  # fmt: skip
    (off,) = [p for p in kinds(lines, "place") if p.get("off")]
    assert (off["account"], off["region"], off["expected"]) == (TWO, "af-south-1", 0)
    assert kinds(lines, "control")[0]["state"] == "collecting"
    assert verify_archive(path, [house.lake.signer.vkey]).state == "valid"


def test_an_ended_assessment_tells_what_was_until_then(house: Collecting, tmp_path: Path) -> None:
    where = house.made()
    house.collect()
    house.select(where)
    with house.call() as call:
        ask = am.UpdateAssessmentStatusRequest(assessment_id=where, status="INACTIVE")
        assessments.update_assessment_status(call, ask)
    house.clock.advance(DAY)
    path, lines = house.reported(where, tmp_path)
    assert (lines[0]["state"], lines[0]["answered"]) == ("nothing-missing", 2)
    assert all(p["ended"] for p in kinds(lines, "place"))
    assert kinds(lines, "control")[0]["state"] == "ended"
    assert lines[0]["last"] < "2027"
    assert verify_archive(path, [house.lake.signer.vkey]).state == "valid"


def test_who_asks_nobody_cannot_tell_what_is_missing(house: Collecting, tmp_path: Path) -> None:
    settings = house.deps.settings.model_copy(update={"collect": ""})
    house.deps = replace(house.deps, settings=settings)
    where = house.assessment()
    _, lines = house.reported(where, tmp_path)
    assert lines[0]["state"] == "nobody-asks"
    assert [(c["items"], c["selected"]) for c in kinds(lines, "control")] == [(5, 5), (2, 2)]
