"""Ingest: exactly once, whatever is repeated or interrupted; and the run is a fact itself."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.lake.making import register

from auditkeep.clock import DAY, FixedClock, Instant
from auditkeep.db.database import Database
from auditkeep.db.schema import units
from auditkeep.errors import SetupError, StorageError
from auditkeep.ids import Tenant
from auditkeep.lake.append import append
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Stored, View
from auditkeep.lake.read import observations
from auditkeep.mapping.interest import Interest
from auditkeep.workflows import ingest as workflow
from auditkeep.workflows.ingest import Counts, ingest


@pytest.fixture(autouse=True)
def registered(db: Database, tenant: Tenant) -> None:
    register(db, tenant)


def event(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "eventID": f"0828c0d2-3589-4390-b954-{number:012}",
        "eventName": "CreateUser",
        "eventSource": "iam.amazonaws.com",
        "eventTime": "2026-04-01T00:00:00Z",
        "recipientAccountId": "111122223333",
    } | changes


def write(path: Path, *events: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"Records": list(events)}))
    return path


def kept(lake: Lake, tenant: Tenant, *keys: str) -> list[Stored]:
    view = View(frozenset(keys), None, None, Instant(0), Instant(10**17))
    with lake.db.read(tenant) as tx:
        return observations(tx, lake, [view], limit=10_000)


class House:
    """A tenant's lake and files, and the reading of them."""

    def __init__(self, lake: Lake, tenant: Tenant, clock: FixedClock, folder: Path) -> None:
        self.lake, self.tenant, self.clock, self.folder = lake, tenant, clock, folder

    def read(self, source: str = "cloudtrail", **changes: Any) -> Counts:
        interest = changes.pop("interest", Interest.everything())
        return ingest(
            self.lake,
            self.tenant,
            source,
            [self.folder],
            interest,
            principal="arn:aws:iam::111122223333:user/a",
            clock=self.clock,
            **changes,
        )

    def kept(self, *keys: str) -> list[Stored]:
        return kept(self.lake, self.tenant, *(keys or ("iam:CreateUser", "iam:DeleteUser")))

    def runs(self, source: str = "cloudtrail") -> list[dict[str, Any]]:
        return [json.loads(run.raw) for run in self.kept(f"run:{source}")]


@pytest.fixture
def house(lake: Lake, tenant: Tenant, clock: FixedClock, tmp_path: Path) -> House:
    (tmp_path / "in").mkdir()
    return House(lake, tenant, clock, tmp_path / "in")


@pytest.mark.both_databases
def test_files_become_observations_and_reading_them_again_changes_nothing(house: House) -> None:
    write(
        house.folder / "b" / "2.json",
        event(1),
        event(2),
        event(3, readOnly=True, eventName="ListUsers"),
    )
    write(house.folder / "a.json", event(4), event(2), {"eventName": "x"})
    counts = house.read()
    assert (counts.files, counts.records, counts.observations) == (2, 6, 3)
    assert (counts.duplicates, counts.unmatched, counts.rejections) == (1, 1, 1)
    assert counts.reasons == {"read-only": 1}
    (rejected,) = counts.rejected
    assert (rejected.file, rejected.position) == (str(house.folder / "a.json"), "Records[2]")
    assert len(house.kept()) == 3

    again = house.read()
    assert (again.files, again.repeated_files) == (2, 2)
    assert (again.records, again.observations, again.duplicates) == (0, 0, 0)
    assert len(house.kept()) == 3


def test_a_renamed_copy_is_not_read_twice(house: House) -> None:
    write(house.folder / "a", event(1))
    write(house.folder / "b", event(1))
    assert house.read().repeated_files == 1
    assert len(house.kept()) == 1


def test_a_file_is_read_again_when_more_is_of_interest(house: House) -> None:
    write(house.folder / "a", event(1), event(2, eventName="DeleteUser"))
    assert house.read(interest=Interest.of(["iam:CreateUser"])).observations == 1
    more = house.read(interest=Interest.of(["iam:CreateUser", "iam:DeleteUser"]))
    assert (more.observations, more.duplicates, more.repeated_files) == (1, 1, 0)
    assert len(house.kept()) == 2


def test_a_contradiction_is_counted_and_the_first_one_stays(house: House) -> None:
    write(house.folder / "a", event(1))
    write(house.folder / "b", event(1, errorCode="AccessDenied"))
    assert house.read().conflicts == 1
    (stored,) = house.kept()
    assert b"AccessDenied" not in stored.raw


def test_what_the_lake_refuses_is_a_rejection(house: House) -> None:
    write(house.folder / "a", event(1), event(2, eventTime="2099-01-01T00:00:00Z"))
    counts = house.read()
    (rejected,) = counts.rejected
    assert rejected.position == "Records[1]"
    assert "future" in rejected.reason


def test_what_is_not_there_is_a_rejection(house: House) -> None:
    write(house.folder / "a", event(1))
    (house.folder / "b").write_text("# no JSON")
    (house.folder / "c").symlink_to("missing")
    counts = house.read()
    assert [(Path(r.file).name, r.position) for r in counts.rejected] == [("b", ""), ("c", "")]
    assert counts.observations == 1


def test_the_run_is_a_fact(house: House) -> None:
    write(house.folder / "a", event(1), "bad")
    house.read(interest=Interest.of(["iam:CreateUser"]))
    house.clock.advance(DAY)
    house.read(interest=Interest.of(["iam:CreateUser"]))
    second, first = house.runs()
    assert first["caller"] == "arn:aws:iam::111122223333:user/a"
    assert first["outcome"] == "completed"
    assert first["counts"]["observations"] == 1
    assert first["counts"]["rejected"] == 1
    assert first["rejected"][0]["position"] == "Records[1]"
    assert first["parameters"]["paths"] == [str(house.folder)]
    assert first["parameters"]["interest"] == "1 match keys"
    assert "cutKey" not in first
    assert second["counts"]["repeatedFiles"] == 1
    assert json.loads(house.kept()[0].envelope)["provenance"]["run"] == first["run"]


def test_the_key_of_cuts_is_in_the_run(house: House) -> None:
    write(house.folder / "a", event(1, responseElements={"sessionToken": "secret-text"}))
    assert house.read().cuts == 1
    (run,) = house.runs()
    assert len(bytes.fromhex(run["cutKey"])) == 32
    (stored,) = house.kept()
    assert b"secret-text" not in stored.raw
    assert json.loads(stored.envelope)["cuts"][0]["rule"] == "member"


def test_large_files_are_appended_in_parts(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditkeep.collection.ingest.MAX_ROWS", 10)
    write(house.folder / "a", *(event(n) for n in range(25)))
    assert house.read().observations == 25
    with house.lake.db.read(house.tenant) as tx:
        kinds = [row.kind for row in tx.all(tx.select(units.c.kind))]
    assert kinds.count("cloudtrail") == 3
    assert house.read().repeated_files == 1


@pytest.mark.parametrize("at", range(6))
def test_an_interrupted_run_is_told_and_simply_started_again(
    house: House, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(workflow, "TOGETHER_UNITS", 2)
    for n in range(5):
        write(house.folder / f"{n}", event(2 * n), event(2 * n + 1))
    heard = 0

    def stop(_: Counts) -> None:
        nonlocal heard
        heard += 1
        if heard == 2 * at + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        house.read(progress=stop)
    committed = len(house.kept())
    (run,) = house.runs()
    assert run["outcome"] == "interrupted"
    assert run["counts"]["observations"] == committed
    counts = house.read()
    assert counts.observations == 10 - committed
    assert counts.duplicates == 0
    assert len(house.kept()) == 10


def test_a_failing_lake_ends_the_run_and_what_was_committed_stays(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "TOGETHER_UNITS", 1)
    write(house.folder / "a", event(1))
    write(house.folder / "b", event(2))
    real, calls = append, []

    def failing(*args: Any, **named: Any) -> Any:
        calls.append(named)
        if len(calls) > 1:
            raise StorageError("The disk is gone.")
        return real(*args, **named)

    monkeypatch.setattr(workflow, "append", failing)
    with pytest.raises(StorageError):
        house.read()
    monkeypatch.setattr(workflow, "append", real)
    assert len(house.kept()) == 1
    assert house.read().observations == 1


def test_a_file_changed_while_it_was_read_does_not_count_as_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditkeep.sources.files.IN_MEMORY", 0)
    path = write(house.folder / "a", event(1))
    size = path.stat().st_size

    def touch(_: Counts) -> None:
        if path.stat().st_size % 2 == size % 2:
            with path.open("a") as file:
                file.write(" ")

    counts = house.read(progress=touch)
    assert counts.rejected[0].reason.startswith("It was changed while it was read")
    assert house.kept() == []
    assert house.read().observations == 1


def test_progress_hears_of_records_while_a_file_is_read(house: House) -> None:
    write(house.folder / "a", *(event(n, filling="x" * 1_000) for n in range(2_000)))
    heard: list[int] = []
    counts = house.read(progress=lambda c: heard.append(c.records))
    assert heard == sorted(heard)
    assert len(set(heard)) > 3
    assert heard[-1] == counts.records == 2_000


def test_config_rules_are_known_before_their_results_are_read(house: House) -> None:
    qualifier = {"ConfigRuleName": "mine", "ResourceType": "T", "ResourceId": "r"}
    result = {
        "EvaluationResultIdentifier": {"EvaluationResultQualifier": qualifier},
        "ComplianceType": "COMPLIANT",
        "ResultRecordedTime": "2026-04-01T00:00:00Z",
    }
    rule = {"ConfigRuleName": "mine", "Source": {"Owner": "AWS", "SourceIdentifier": "X_Y"}}
    (house.folder / "a.json").write_text(json.dumps({"EvaluationResults": [result]}))
    (house.folder / "b.json").write_text(json.dumps({"ConfigRules": [rule]}))
    assert house.read("config").observations == 1
    (stored,) = house.kept("config:X_Y")
    assert stored.verdict == "COMPLIANT"


def test_an_unknown_source_is_refused(house: House) -> None:
    with pytest.raises(SetupError, match="cloudtrail, securityhub, config"):
        house.read("syslog")


def test_the_corpus_is_read_exactly_once(house: House, corpus: Path) -> None:
    house.folder = corpus / "cloudtrail"
    counts = house.read()
    assert counts.records == 23_231
    # of which 43 are flagged as reads, and no reads by name: kms:Encrypt and bedrock:InvokeModel
    assert counts.observations + counts.duplicates + counts.conflicts == 633
    assert counts.records == (
        counts.unmatched
        + counts.observations
        + counts.duplicates
        + counts.conflicts
        + sum(1 for r in counts.rejected if r.position)
    )
    again = house.read()
    assert again.repeated_files == again.files == counts.files
    assert again.observations == 0
