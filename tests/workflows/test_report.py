"""Reports from request to archive on a real lake: made once, whatever happens on the way."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.operations.making import assessment, control_of, observe, select_all, shown

from auditkeep import settings as settings_room
from auditkeep.access.principals import Principal
from auditkeep.accounts import store as accounts
from auditkeep.anchoring import store as anchored
from auditkeep.anchoring.store import Anchor
from auditkeep.clock import MINUTE, SECOND, FixedClock, Instant
from auditkeep.crypto.signing import ReportKey, SigningKey
from auditkeep.db.database import Database
from auditkeep.db.schema import change_logs
from auditkeep.errors import LogError, ReportError, StorageFull
from auditkeep.evidence import manual
from auditkeep.evidence import selection as selections
from auditkeep.ids import Tenant
from auditkeep.lake.blobs import get_blob, put_blob
from auditkeep.lake.lake import Lake
from auditkeep.lake.sequencer import Sequencer
from auditkeep.library.library import Library
from auditkeep.operations.auditmanager import assessments, reports
from auditkeep.operations.call import Call, Deps
from auditkeep.reports import store
from auditkeep.reports.model import JOB, Report
from auditkeep.tlog.cosignature import WitnessKey, cosign
from auditkeep.verify.anchors import Outsiders
from auditkeep.verify.archive import verify_archive
from auditkeep.wire.links import Links
from auditkeep.wire.models import auditmanager as am
from auditkeep.work.jobs import LEASE, DatabaseJobs
from auditkeep.work.pump import Pump
from auditkeep.work.retry import STANDARD
from auditkeep.workflows import logged
from auditkeep.workflows import report as workflow
from auditkeep.workflows.report import Maker, build_report, report_handler

POLICY = b"%PDF-1.4 the policy"


@cache
def report_key() -> ReportKey:
    return ReportKey(rsa.generate_private_key(65537, 3072))


@cache
def library() -> Library:
    return Library.load()


class House:
    """A tenant with committed requests, and what makes its reports."""

    def __init__(self, db: Database, lake: Lake, tenant: Tenant, clock: FixedClock) -> None:
        self.db, self.lake, self.tenant, self.clock = db, lake, tenant, clock
        self.deps = Deps(
            settings=settings_room.load(lake.data),
            library=library(),
            lake=lake,
            links=Links(b"l" * 32, 15 * MINUTE),
            id_secret=b"i" * 32,
        )
        with db.write(tenant) as tx:
            accounts.register(tx, None, clock.now())

    @property
    def maker(self) -> Maker:
        return Maker(self.deps, report_key(), self.clock)

    @contextmanager
    def call(self) -> Iterator[Call]:
        with self.db.write(self.tenant) as tx:
            yield Call(
                tx=tx,
                tenant=self.tenant,
                principal=Principal(
                    account=self.tenant.account,
                    user="alice",
                    arn=f"arn:aws:iam::{self.tenant.account}:user/alice",
                    policies=("AWSAuditManagerAdministratorAccess",),
                    access_key_id="AKIATEST",
                ),
                now=self.clock.now(),
                request_id="11111111-2222-4333-8444-555555555555",
                base_url="http://127.0.0.1:8080",
                deps=self.deps,
            )

    def assessment(self, rows: int = 5) -> str:
        """An assessment with observations, text and a file, all of it selected."""
        with self.call() as call:
            made = assessment(call, sets={"Access": ["a"], "Data": ["b"]})
            where = str(made["metadata"]["id"])
            times = [Instant(call.now + n * SECOND) for n in range(rows)]
            observe(call, *times, resources=("arn:aws:iam::111122223333:user/bob",))
            put_blob(call.tx, self.lake, "reports", "stock/policy", POLICY, call.now)
            pin = manual.Pin(where, 2, call.principal.arn, call.request_id, call.now)
            offers: list[manual.Offer] = [
                manual.Text("we looked"),
                manual.Stocked("s3://stock/policy.pdf", "stock/policy"),
            ]
            outcomes = manual.import_all(call.tx, self.lake, pin, offers, largest=1000, daily=100)
            assert outcomes == [None, None]
        with self.call() as call:
            select_all(call, where)
        return where

    def ask(self, where: str) -> str:
        with self.call() as call:
            made = reports.create_assessment_report(
                call, am.CreateAssessmentReportRequest(name="q2", assessment_id=where)
            )
            return str(shown(made)["assessmentReport"]["id"])

    def report(self, report_id: str) -> Report:
        with self.db.read(self.tenant) as tx:
            found = store.find(tx, report_id)
        assert found
        return found

    def archive(self, report_id: str, folder: Path) -> Path:
        path = folder / "report.zip"
        with self.db.read(self.tenant) as tx:
            key = store.place(self.report(report_id)).object_key
            path.write_bytes(b"".join(get_blob(tx, self.lake, key)))
        return path

    def validate(self, report_id: str) -> dict[str, Any]:
        url = store.place(self.report(report_id)).url
        with self.call() as call:
            ask = am.ValidateAssessmentReportIntegrityRequest(s3_relative_path=url)
            answer: dict[str, Any] = shown(reports.validate_assessment_report_integrity(call, ask))
        return answer


@pytest.fixture
def house(db: Database, lake: Lake, tenant: Tenant, clock: FixedClock) -> House:
    return House(db, lake, tenant, clock)


def blank(monkeypatch: pytest.MonkeyPatch, draw: Callable[..., bytes] | None = None) -> None:
    """Leave the drawing out, where a test is about something else."""
    monkeypatch.setattr(workflow, "render", draw or (lambda _model, **_: b"%PDF-"))


@pytest.mark.both_databases
def test_a_report_is_made_from_request_to_valid_archive(house: House, tmp_path: Path) -> None:
    report_id = house.ask(house.assessment())
    pump = Pump(
        DatabaseJobs(house.db),
        {JOB: report_handler(house.deps, report_key(), house.clock)},
        house.clock,
    )
    assert pump.drain() == 1
    made = house.report(report_id)
    assert (made.status, made.reason) == ("COMPLETE", None)
    path = house.archive(report_id, tmp_path)
    assert made.size == path.stat().st_size
    verdict = verify_archive(path, [house.lake.signer.vkey])
    assert verdict.problems == ()
    assert verdict.state == "valid"
    assert (verdict.records, verdict.attachments) == (7, 1)
    with zipfile.ZipFile(path) as opened:
        (copy,) = [n for n in opened.namelist() if n.endswith("_policy.pdf")]
        assert opened.read(copy) == POLICY
        texts = [opened.read(n) for n in opened.namelist() if "_manual_" in n]
    assert any(b'"text":"we looked"' in t for t in texts)


def test_the_server_validates_what_it_made(house: House) -> None:
    report_id = house.ask(house.assessment())
    build_report(house.maker, house.tenant, report_id)
    assert house.validate(report_id) == {
        "signatureValid": True,
        "signatureAlgorithm": "SHA256withRSA",
        "signatureDateTime": "2026-05-01T12:00:00Z",
        "signatureKeyId": report_key().fingerprint,
    }


def test_a_second_run_changes_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    blank(monkeypatch)
    report_id = house.ask(house.assessment())
    build_report(house.maker, house.tenant, report_id)
    names = sorted(house.lake.objects.list("blobs/"))
    kept = {n: house.lake.objects.get(n) for n in names}
    build_report(house.maker, house.tenant, report_id)
    assert {n: house.lake.objects.get(n) for n in house.lake.objects.list("blobs/")} == kept


def test_a_crash_before_the_commit_is_made_good_by_the_next_run(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blank(monkeypatch)
    report_id = house.ask(house.assessment())

    class Killed(BaseException):
        """What no handler of ours catches."""

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(store, "save", die)
        build_report(house.maker, house.tenant, report_id)
    assert house.report(report_id).status == "IN_PROGRESS"
    left = [n for n in house.lake.objects.list("blobs/") if "/reports/" in n]
    assert len(left) == 1
    build_report(house.maker, house.tenant, report_id)
    assert house.report(report_id).status == "COMPLETE"
    assert [n for n in house.lake.objects.list("blobs/") if "/reports/" in n] == left
    assert house.validate(report_id)["signatureValid"] is True


def test_of_two_runs_at_once_the_first_to_end_counts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_id = house.ask(house.assessment())
    inner: list[str] = []

    def draw(_model: object, **_: object) -> bytes:
        if not inner:
            inner.append("begun")
            build_report(house.maker, house.tenant, report_id)
            inner.append(house.report(report_id).status)
            return b"%PDF- of the slow one"
        return b"%PDF-"

    blank(monkeypatch, draw)
    build_report(house.maker, house.tenant, report_id)
    assert inner == ["begun", "COMPLETE"]
    assert house.validate(report_id)["signatureValid"] is True


def test_what_cannot_be_drawn_fails_with_its_reason(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise ReportError("Drawing the summary needs more than 128 MB.")

    blank(monkeypatch, refuse)
    report_id = house.ask(house.assessment())
    build_report(house.maker, house.tenant, report_id)
    failed = house.report(report_id)
    assert failed.status == "FAILED"
    assert "needs more than 128 MB" in str(failed.reason)
    with house.db.read(house.tenant) as tx:
        logged = tx.select(change_logs.c.object_name).where(
            change_logs.c.object_type == "ASSESSMENT_REPORT"
        )
        names = [row.object_name for row in tx.all(logged)]
    assert any("needs more than 128 MB" in name for name in names)


def test_a_full_disk_is_tried_again_and_told_in_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_id = house.ask(house.assessment())

    def full(*_: object, **__: object) -> bytes:
        raise StorageFull("The disk is full.")

    blank(monkeypatch, full)
    handler = report_handler(house.deps, report_key(), house.clock)
    pump = Pump(DatabaseJobs(house.db), {JOB: handler}, house.clock)
    for _ in range(STANDARD.tries):
        assert house.report(report_id).status == "IN_PROGRESS"
        assert pump.step()
        house.clock.advance(LEASE * 10)
    failed = house.report(report_id)
    assert (failed.status, failed.reason) == ("FAILED", "The disk is full.")
    assert not pump.step()


def test_deselected_meanwhile_is_a_failure_not_an_empty_report(house: House) -> None:
    where = house.assessment()
    report_id = house.ask(where)
    with house.call() as call:
        selections.delete(call.tx, where)
    build_report(house.maker, house.tenant, report_id)
    assert "No evidence is selected" in str(house.report(report_id).reason)


def test_a_report_of_a_deleted_assessment_is_forgotten(house: House) -> None:
    where = house.assessment()
    report_id = house.ask(where)
    with house.call() as call:
        assessments.delete_assessment(call, am.DeleteAssessmentRequest(assessment_id=where))
    build_report(house.maker, house.tenant, report_id)
    assert [n for n in house.lake.objects.list("blobs/") if "/reports/" in n] == []


def test_an_inactive_assessment_can_still_be_reported(house: House, tmp_path: Path) -> None:
    where = house.assessment()
    house.clock.advance(MINUTE)
    with house.call() as call:
        assessments.update_assessment_status(
            call, am.UpdateAssessmentStatusRequest(assessment_id=where, status="INACTIVE")
        )
    report_id = house.ask(where)
    build_report(house.maker, house.tenant, report_id)
    verdict = verify_archive(house.archive(report_id, tmp_path), [house.lake.signer.vkey])
    assert (verdict.state, verdict.records) == ("valid", 7)


def test_later_evidence_stays_out(house: House, tmp_path: Path) -> None:
    where = house.assessment()
    with house.call() as call:
        observe(call, Instant(call.now + MINUTE))
    report_id = house.ask(where)
    build_report(house.maker, house.tenant, report_id)
    verdict = verify_archive(house.archive(report_id, tmp_path), [house.lake.signer.vkey])
    assert verdict.records == 7


def test_a_log_that_nobody_writes_is_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    blank(monkeypatch)
    monkeypatch.setattr(logged, "_PATIENCE", 0.2)
    report_id = house.ask(house.assessment())
    with Sequencer(house.lake), pytest.raises(LogError, match="sequencer"):
        build_report(house.maker, house.tenant, report_id)
    assert house.report(report_id).status == "IN_PROGRESS"


def test_reports_at_rest_are_encrypted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    blank(monkeypatch)
    report_id = house.ask(house.assessment())
    build_report(house.maker, house.tenant, report_id)
    for name in house.lake.objects.list("blobs/"):
        assert b"AssessmentReportSummary" not in house.lake.objects.get(name)


def test_evidence_of_a_control_is_in_its_folder(house: House, tmp_path: Path) -> None:
    where = house.assessment()
    report_id = house.ask(where)
    build_report(house.maker, house.tenant, report_id)
    with house.call() as call:
        control = control_of(call, "a").id.replace("-", "")[:13]
    with zipfile.ZipFile(house.archive(report_id, tmp_path)) as opened:
        digest = json.loads(
            next(opened.read(n) for n in opened.namelist() if n.endswith("digest.txt"))
        )
        mine = [n for n in opened.namelist() if f"/a-{control}/CloudTrail/2026-05-01/" in n]
        assert len(mine) == 5
        hashes = {f["fileName"]: f["fileHashValue"] for f in digest["files"]}
        for name in mine:
            assert hashlib.sha256(opened.read(name)).hexdigest() == hashes[name]


def test_a_report_carries_the_first_checkpoint_that_each_outsider_vouches_for(
    house: House, tmp_path: Path
) -> None:
    key = SigningKey(Ed25519PrivateKey.generate())
    witness = WitnessKey("witness.example.org", key.public)
    where = house.assessment()
    sizes: list[int] = []
    for _ in range(3):
        with Sequencer(house.lake) as sequencer:
            checkpoint = sequencer.step(house.clock.now())
        assert checkpoint is not None
        note = checkpoint.signed(house.lake.signer)
        proof = cosign(checkpoint.body(), witness.name, key, house.clock.now())
        said = Anchor(
            *(house.lake.origin, checkpoint.size, witness.name, "witness"),
            *(note, proof, house.clock.now()),
        )
        with house.db.system_write() as tx:
            anchored.keep(tx, said, house.clock.now())
        sizes.append(checkpoint.size)
        house.clock.advance(MINUTE)
        with house.call() as call:
            observe(call, call.now)
    report_id = house.ask(where)
    build_report(house.maker, house.tenant, report_id)
    path = house.archive(report_id, tmp_path)
    with zipfile.ZipFile(path) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("proofs/anchors.jsonl")]
        lines = [json.loads(line) for line in archive.read(name).splitlines()]
    assert [int(line["note"].split("\n")[1]) for line in lines] == [sizes[0]]
    verdict = verify_archive(path, [house.lake.signer.vkey], outsiders=Outsiders([witness]))
    assert (verdict.state, verdict.anchored) == ("valid", 7), verdict.problems
    assert verdict.anchored_late == 0


def test_of_very_many_anchors_a_part_is_carried_that_still_covers_all() -> None:
    from auditkeep.workflows import report as workflow

    sizes = list(range(10, 100_000, 10))
    entries = list(range(0, 99_990, 3))
    kept = sorted(workflow._first_after(sizes, entries))
    assert len(kept) <= workflow.MOST_ANCHORS + 1
    assert kept[-1] == 99_990
    assert all(any(size > entry for size in kept[-1:]) for entry in entries)
    assert workflow._first_after([5], [5, 7]) == set()
    assert workflow._first_after([3, 6, 9], [0, 1, 6]) == {3, 9}
