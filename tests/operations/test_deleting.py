"""What the deletion of one thing destroys: its content is nowhere any more, and the log says who.

Manual evidence and report archives lie under keys of their own, which go: an old copy of the files
opens no more. Controls, frameworks and assessments are rows: they go, and were never kept in clear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.operations.keep import Keep
from tests.operations.test_keeping import HERE, audited, destructions, reported, run, select
from tests.operations.world import MANUAL, Made, World

from auditkeep.activity.batcher import Batcher
from auditkeep.activity.reading import Wanted, records
from auditkeep.clock import DAY
from auditkeep.db import schema
from auditkeep.errors import StorageError
from auditkeep.lake.blobs import get_blob, object_name, put_blob, stored_name
from auditkeep.reports import store as reports

WORD = "Peregrine-7731"
"""Stands in everything that is deleted here."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "data")
    yield made
    made.close()


def found(world: World, word: str = WORD) -> list[str]:
    """Files of the data directory, the database, its log and free pages among them, that hold it."""
    needle = word.encode()
    return [
        path.name
        for path in world.deps.lake.data.rglob("*")
        if path.is_file() and needle in path.read_bytes()
    ]


def row_of(world: World, table: str, noun_id: str) -> bytes:
    """The sealed text of a row, as it lies in the database."""
    with world.db.system_read() as tx:
        query = text(f"SELECT document FROM {table} WHERE id = :id")
        return bytes(tx.driver().execute(query, {"id": noun_id}).scalar_one())


def archive_of(world: World, report: str) -> str:
    with world.db.read(HERE) as tx:
        held = reports.find(tx, report)
        assert held is not None
        return object_name(HERE, stored_name(tx, reports.place(held).object_key))


def told(world: World, operation: str) -> list[str]:
    """Who called an operation, by the activity log."""
    Batcher(world.deps.lake, world.deps.heard, world.clock).flush()
    kept = records(world.deps.lake, Wanted())
    return [r["userIdentity"]["arn"] for r in kept if r["eventName"] == operation]


def test_a_report_goes_with_its_key_and_other_reports_stay(world: World) -> None:
    made = world.assessment()
    world.write_evidence(made)
    select(world, made)
    doomed, other = reported(world, made), reported(world, made)
    before = set(world.deps.lake.keystore.bucket_ids())
    name = archive_of(world, doomed)
    copy = world.deps.lake.objects.get(name)
    with world.db.read(HERE) as tx:
        place = reports.place(reports.get(tx, made.id, doomed)).object_key
        stays = reports.place(reports.get(tx, made.id, other)).object_key
    world.ask("delete_assessment_report", assessmentId=made.id, assessmentReportId=doomed)
    assert not world.deps.lake.objects.exists(name)
    assert len(before - set(world.deps.lake.keystore.bucket_ids())) == 1
    world.deps.lake.objects.put(name, copy)  # somebody has kept the file
    with world.db.read(HERE) as tx:
        with pytest.raises(StorageError, match="destroyed"):
            b"".join(get_blob(tx, world.deps.lake, place))
        assert b"".join(get_blob(tx, world.deps.lake, stays)) == b"zip"
    ((given, done),) = destructions(world)
    assert (given.action, given.subject) == ("DeleteAssessmentReport", f"{made.id}/{doomed}")
    assert given.principal == world.api.admin.arn
    assert (done.authority, done.files, done.rows) == (given.id, 1, 0)
    assert [b.klass for b in done.buckets] == [f"reports/{made.id}/{doomed}"]
    assert audited(world) == ()


def test_a_report_that_failed_has_nothing_to_destroy(world: World) -> None:
    made = world.assessment()
    world.write_evidence(made)
    select(world, made)
    ask = {"assessmentId": made.id, "name": "r"}
    report = world.ask("create_assessment_report", **ask)["assessmentReport"]["id"]
    world.finish_report(report, "FAILED")
    world.ask("delete_assessment_report", assessmentId=made.id, assessmentReportId=report)
    assert destructions(world) == []
    assert world.ask("list_assessment_reports")["assessmentReports"] == []


def test_reports_of_a_held_assessment_outlive_their_policy(world: World) -> None:
    keep = Keep(world)
    made, free = world.assessment(), world.assessment()
    kept = {}
    for one in (made, free):
        world.write_evidence(one)
        select(world, one)
        kept[one.id] = reported(world, one)
    keep.put_retention(**{"class": "reports", "days": 1})
    hold = keep.place_legal_hold(assessmentId=made.id, reason="case")["legalHold"]["id"]
    world.clock.advance(60 * DAY)
    done = run(world)
    assert [one.klass for one in done.gone] == [f"reports/{free.id}/{kept[free.id]}"]
    assert [(one.klass, one.held) for one in done.held] == [
        (f"reports/{made.id}/{kept[made.id]}", hold)
    ]
    listed = world.ask("list_assessment_reports")["assessmentReports"]
    assert [r["id"] for r in listed] == [kept[made.id]]
    assert audited(world) == ()


def test_an_assessment_goes_with_its_manual_evidence_and_its_files(world: World) -> None:
    control = world.control(MANUAL, name=f"{WORD} control")["id"]
    framework = world.framework({"Set": [control]}, name=f"{WORD} framework")["id"]
    made = world.assessment(name=f"{WORD} assessment", frameworkId=framework)
    world.write_evidence(made, f"{WORD} in words")
    with world.db.write(HERE) as tx:
        name = f"manual/{made.id}/file"
        put_blob(tx, world.deps.lake, f"manual/{made.id}", name, WORD.encode(), world.clock.now())
        stored = object_name(HERE, stored_name(tx, name))
    copy = world.deps.lake.objects.get(stored)
    sealed = row_of(world, "assessments", made.id)
    world.ask("delete_assessment", assessmentId=made.id)
    assert not world.deps.lake.objects.exists(stored)
    world.deps.lake.objects.put(stored, copy)
    with world.db.read(HERE) as tx, pytest.raises(StorageError, match="destroyed"):
        b"".join(get_blob(tx, world.deps.lake, name))
    ((given, done),) = destructions(world)
    assert (given.action, given.subject) == ("DeleteAssessment", made.id)
    assert (done.rows, done.files) == (1, 1)
    assert [b.klass for b in done.buckets] == [f"manual/{made.id}"]
    assert left_of(world, made) == {}
    assert WORD.encode() not in sealed
    assert found(world) == []
    assert audited(world) == ()


def left_of(world: World, made: Made) -> dict[str, int]:
    """Rows that name an assessment, by table."""
    counts = {}
    with world.db.system_read() as tx:
        for table in schema.metadata.sorted_tables:
            for name in ("assessment_id", "id"):
                if name not in table.c or (name == "id" and table.name != "assessments"):
                    continue
                rows = tx.all(tx.select(table.c[name]).where(table.c[name] == made.id))
                if rows:
                    counts[table.name] = len(rows)
    return counts


def delete_control(world: World, noun: str) -> None:
    world.ask("delete_control", controlId=noun)


def delete_framework(world: World, noun: str) -> None:
    world.ask("delete_assessment_framework", frameworkId=noun)


@pytest.mark.parametrize(
    ("table", "operation", "make", "delete"),
    [
        (
            "controls",
            "DeleteControl",
            lambda w: w.control(MANUAL, name=WORD, description=f"{WORD} told", tags={"k": WORD}),
            delete_control,
        ),
        (
            "frameworks",
            "DeleteAssessmentFramework",
            lambda w: w.framework(name=WORD, description=f"{WORD} told", tags={"k": WORD}),
            delete_framework,
        ),
    ],
)
def test_a_control_or_a_framework_leaves_no_row_and_the_log_says_who_deleted_it(
    world: World,
    table: str,
    operation: str,
    make: Callable[[World], dict[str, Any]],
    delete: Callable[[World, str], None],
) -> None:
    noun = make(world)
    assert WORD.encode() not in row_of(world, table, noun["id"])
    delete(world, noun["id"])
    with world.db.system_read() as tx:
        for where in (f"{table} WHERE id = :id", "tags WHERE arn LIKE '%' || :id"):
            query = text(f"SELECT count(*) FROM {where}")
            assert tx.driver().execute(query, {"id": noun["id"]}).scalar_one() == 0
    assert found(world) == []
    assert told(world, operation) == [world.api.admin.arn]
