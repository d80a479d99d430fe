"""A report's statement of completeness: borne out by the runs' records, or named as false."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.reports.report_house import (
    NOW,
    STATED,
    House,
    check,
    observation,
    report_key,
    run_record,
)

from auditkeep.clock import iso
from auditkeep.verify.findings import Verdict
from auditkeep.verify.format import COMPLETENESS, DIGEST, Digest, ListedFile
from auditkeep.verify.statement import ControlLine, GapLine, PlaceLine

Lines = list[dict[str, Any]]

CONTROL = ControlLine(
    control=1,
    name="C",
    set="S",
    state="partly",
    expected=2,
    answered=1,
    items=5,
    selected=0,
    gaps=1,
)
PLACE = PlaceLine(
    control=1,
    account="444455556666",
    region="us-east-1",
    source="AWS_API_Call",
    expected=2,
    answered=1,
    items=5,
    days=1,
    lacks=(("denied", "iam:ListUsers", "No.", "iam_ListUsers"),),
)
GAP = GapLine(
    id="g",
    account="444455556666",
    region="us-east-1",
    source="AWS_API_Call",
    what="iam_ListUsers",
    opens=iso(NOW),
    closes=None,
    reason="denied",
    detail="iam:ListUsers",
    message="No.",
    filled=False,
    run="noted",
    controls=(1,),
)
LACKING = msgspec.structs.replace(
    STATED,
    state="missing",
    expected=2,
    answered=1,
    controls=(CONTROL,),
    places=(PLACE,),
    gaps=(GAP,),
)


@pytest.fixture
def house() -> House:
    house = House(stated=LACKING)
    house.add([house.control("C")], [observation(n) for n in range(5)])
    house.add_run("r")
    house.add_run("noted")
    return house


def write(house: House, path: Path) -> Path:
    path.write_bytes(b"".join(house.chunks(draw=lambda _: b"%PDF-1.7 pages")))
    return path


def changed(house: House, path: Path, change: Callable[[dict[str, bytes]], None]) -> Verdict:
    """The report as somebody with the real report key signs it after changing its files."""
    with zipfile.ZipFile(write(house, path)) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    digest = next(name for name in files if name.endswith(DIGEST))
    old = msgspec.json.decode(files.pop(digest), type=Digest)
    change(files)
    listed = tuple(
        ListedFile(name, hashlib.sha256(data).hexdigest(), len(data))
        for name, data in sorted(files.items())
    )
    signed = msgspec.structs.replace(old, files=listed, hash_signature="").signed(report_key())
    with zipfile.ZipFile(path, "w") as again:
        for name, data in {**files, digest: signed.file_bytes()}.items():
            again.writestr(name, data)
    return check(path)


def restated(house: House, path: Path, change: Callable[[Lines], None]) -> Verdict:
    def edit(files: dict[str, bytes]) -> None:
        name = next(n for n in files if n.endswith(COMPLETENESS))
        lines = [json.loads(line) for line in files[name].splitlines()]
        change(lines)
        text = [json.dumps(one, sort_keys=True, separators=(",", ":")) for one in lines]
        files[name] = "\n".join(text).encode() + b"\n"

    return changed(house, path, edit)


def of(lines: Lines, kind: str) -> Lines:
    return [line for line in lines if line["kind"] == kind]


def test_what_is_missing_is_told_with_its_reason(house: House, tmp_path: Path) -> None:
    verdict = check(write(house, tmp_path / "r.zip"))
    assert (verdict.state, verdict.problems) == ("valid", ())
    assert verdict.records == 5  # the records of runs are not evidence
    said = verdict.summary()["completeness"]
    told = {name: said[name] for name in ("state", "questions", "answered", "gaps", "runs")}
    assert told == {"state": "missing", "questions": 2, "answered": 1, "gaps": 1, "runs": 2}
    lack, gap = said["missing"]
    assert (lack["reason"], lack["detail"]) == ("denied", "iam:ListUsers")
    assert (gap["account"], gap["from"]) == ("444455556666", iso(NOW))


def test_nothing_missing_is_said_as_such(tmp_path: Path) -> None:
    house = House()
    house.add([house.control("C")], [observation(1)])
    house.add_run("r")
    verdict = check(write(house, tmp_path / "r.zip"))
    assert verdict.state == "valid"
    assert verdict.completeness["state"] == "nothing-missing"
    assert "missing" not in verdict.completeness


def test_a_run_is_cited_for_what_its_record_says(house: House, tmp_path: Path) -> None:
    path = write(house, tmp_path / "r.zip")
    with zipfile.ZipFile(path) as opened:
        (name,) = [n for n in opened.namelist() if n.endswith(COMPLETENESS)]
        lines = [json.loads(line) for line in opened.read(name).splitlines()]
        cited = {one["told"]["run"]: one for one in of(lines, "run")}
        raw = opened.read(cited["r"]["file"])
    assert raw == run_record("r").raw
    assert {run: one["items"] for run, one in cited.items()} == {"r": 5, "noted": 0}
    told = cited["r"]["told"]
    assert (told["calls"], told["pages"], told["records"]) == (4, 4, 6)
    assert (told["counted"], told["agreed"], told["failed"]) == (1, 1, ["denied"])
    assert of(lines, "control")[0]["selected"] == 5


def test_a_run_without_a_record_is_said_to_have_none(tmp_path: Path) -> None:
    house = House()
    house.add([house.control("C")], [observation(1)])
    verdict = check(write(house, tmp_path / "r.zip"))
    assert verdict.state == "valid"
    assert verdict.completeness["runsWithoutRecord"] == 1


def nothing_missing(lines: Lines) -> None:
    lines[0]["state"] = "nothing-missing"


def other_outcome(lines: Lines) -> None:
    of(lines, "run")[0]["told"]["outcome"] = "completed"


def more_items(lines: Lines) -> None:
    next(one for one in of(lines, "run") if one["told"]["run"] == "r")["items"] = 50


def no_run(lines: Lines) -> None:
    lines[:] = [one for one in lines if one.get("told", {}).get("run") != "r"]
    lines[0]["runs"] -= 1


def no_gap(lines: Lines) -> None:
    lines[:] = [one for one in lines if one["kind"] != "gap"]


def answered(lines: Lines) -> None:
    lines[0]["answered"] = 2


def not_noted(lines: Lines) -> None:
    of(lines, "gap")[0]["run"] = "another"


def another_report(lines: Lines) -> None:
    lines[0]["report"] = "99999999-0000-4000-8000-000000000000"


def newer(lines: Lines) -> None:
    lines[0]["v"] = 2


def headless(lines: Lines) -> None:
    del lines[0]


def nothing(lines: Lines) -> None:
    lines[:] = []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (nothing_missing, "says that nothing is missing, and names what is"),
        (other_outcome, "for other things than its record says"),
        (more_items, "collected 50 items of the report, and their envelopes say 5"),
        (no_run, "does not name the run r, which collected 5 items"),
        (no_gap, "there are 1 gaps, and has 0"),
        (answered, "there are 2 answered questions, and has 1"),
        (not_noted, "does not name the run another, which noted a gap"),
        (another_report, "it is another report's"),
        (newer, "it is of version 2"),
        (headless, "line 1 is in the wrong place"),
        (nothing, "cannot be read|it is empty"),
    ],
)
def test_a_statement_that_is_signed_and_false_is_refused(
    house: House, tmp_path: Path, change: Callable[[Lines], None], sentence: str
) -> None:
    verdict = restated(house, tmp_path / "r.zip", change)
    assert verdict.state == "invalid"
    assert any(part in problem for problem in verdict.problems for part in sentence.split("|")), (
        verdict.problems
    )


def test_a_run_s_record_that_was_changed_is_refused(house: House, tmp_path: Path) -> None:
    def quieter(files: dict[str, bytes]) -> None:
        name = next(n for n in files if "/Runs/" in n)
        files[name] = files[name].replace(b"denied", b"complete")

    verdict = changed(house, tmp_path / "r.zip", quieter)
    assert verdict.state == "invalid"
    assert any("not those that were logged" in problem for problem in verdict.problems)


def test_a_report_without_a_statement_says_so(house: House, tmp_path: Path) -> None:
    def silent(files: dict[str, bytes]) -> None:
        del files[next(n for n in files if n.endswith(COMPLETENESS))]

    verdict = changed(house, tmp_path / "r.zip", silent)
    assert "The report makes no statement of completeness." in verdict.notices
    assert verdict.completeness == {}
