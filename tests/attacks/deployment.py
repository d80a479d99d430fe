"""A deployment that has lived a little, its backups, and the auditor outside who holds three things:
the log's public key, a checkpoint from before, and a report.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cli.conftest import Run
from tests.operations.making import assessment, observe, select_all, shown

from auditkeep import app
from auditkeep.app import Parts, backups
from auditkeep.clock import SECOND, FixedClock, Instant, parse
from auditkeep.db.schema import assessments
from auditkeep.evidence import manual
from auditkeep.ids import Tenant
from auditkeep.lake import published
from auditkeep.lake.blobs import get_blob
from auditkeep.lake.seal import seal
from auditkeep.lake.sequencer import Sequencer
from auditkeep.operations.auditmanager import reports
from auditkeep.operations.call import Call
from auditkeep.reports import store
from auditkeep.settings import load
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.wire.models import auditmanager as am
from auditkeep.workflows.report import Maker, build_report

ACCOUNT = "111122223333"
TENANT = Tenant(ACCOUNT, "us-east-1")
AT = parse("2026-05-01T12:00:00Z")


@dataclass
class Deployment:
    """The data directory that an administrator holds, and what left the house."""

    data: Path
    clock: FixedClock
    key: str = ""

    @property
    def held(self) -> Path:
        return self.data.parent / "held.txt"

    @property
    def early(self) -> Path:
        """A checkpoint from before the report was made."""
        return self.data.parent / "early.txt"

    @property
    def report(self) -> Path:
        return self.data.parent / "report.zip"

    @contextmanager
    def parts(self) -> Iterator[Parts]:
        with app.opened(load(self.data), self.clock) as parts:
            yield parts

    def observe(self, parts: Parts, count: int, *, verdict: str = "FAILED") -> None:
        """One batch, and the log."""
        times = [Instant(self.clock.now() + n * SECOND) for n in range(count)]
        with parts.db.write(TENANT) as tx:
            observe(_call(parts, tx, self.clock), *times, verdict=verdict, resources=("arn:x",))
        self.clock.advance(10 * SECOND)
        self.log(parts)

    def log(self, parts: Parts) -> Checkpoint:
        with Sequencer(parts.lake) as sequencer:
            checkpoint = sequencer.step(self.clock.now())
        assert checkpoint is not None
        return checkpoint

    def hand_out(self, parts: Parts, file: Path) -> None:
        """The auditor takes a copy of the newest checkpoint."""
        file.write_text(parts.lake.objects.get(published.NAME).decode())

    def back_up(self, name: str) -> Path:
        """A consistent copy of the whole directory."""
        target = self.data.parent / name
        shutil.copytree(self.data, target, ignore=shutil.ignore_patterns("audit.db*", "*.lock"))
        with (
            closing(sqlite3.connect(self.data / "audit.db")) as source,
            closing(sqlite3.connect(target / "audit.db")) as copy,
        ):
            source.backup(copy)
        return target

    def restore(self, backup: Path, *, database_only: bool = False) -> None:
        if database_only:
            for file in self.data.glob("audit.db*"):
                file.unlink()
            shutil.copy(backup / "audit.db", self.data / "audit.db")
            return
        shutil.rmtree(self.data)
        shutil.copytree(backup, self.data)

    def back_up_by_command(self) -> None:
        """What `auditkeep backup create` makes, each kind in its place."""
        with self.parts() as parts:
            parts.log_now()
            parent = self.data.parent
            backups.create(parts, parent / "backups", parent / "keys", None, lambda *_: None)

    def restore_by_command(self, run: Run, *words: str) -> None:
        """Into an empty directory, with nothing left but the master key.

        The backup was made by the clock of this deployment: by the machine's it may be old.
        """
        lost = self.data.rename(self.data.parent / "lost")
        (self.data / "keys").mkdir(parents=True, mode=0o700)
        shutil.copy(lost / "keys" / "master.key", self.data / "keys" / "master.key")
        shutil.rmtree(lost)
        parent = self.data.parent
        code, _, errors = run(
            *("backup", "restore", "--data", str(self.data), "--outdated-keys", *words),
            *("--from", str(parent / "backups"), "--keys", str(parent / "keys")),
        )
        assert code == 0, errors

    def another_report(self, parts: Parts) -> None:
        """A report of the same selection, made now, in place of the one that left before."""
        with parts.db.read(TENANT) as tx:
            (where,) = [str(row.id) for row in tx.all(tx.select(assessments.c.id))]
        self.report.unlink()
        _report(parts, self.clock, where, self.report)

    def audit(self, run: Run, *words: str, held: Path | None = None) -> tuple[int, str]:
        """`auditkeep log audit`, with the key and the checkpoint that the auditor holds."""
        code, out, errors = run(
            *("log", "audit", "--data", str(self.data), "--fresh", "--json"),
            *("--key", self.key, "--checkpoint", str(held or self.held), *words),
        )
        return code, out + errors

    def verify(self, run: Run, *words: str) -> tuple[int, str]:
        """`auditkeep verify`, with the same, on the auditor's own machine."""
        code, out, errors = run(
            *("verify", str(self.report), "--json", "--key", self.key),
            *("--checkpoint", str(self.early), *words),
        )
        return code, out + errors


def build(folder: Path) -> Deployment:
    """A year in short: facts sealed and unsealed, manual evidence, records of calls, a report."""
    clock = FixedClock(AT)
    data = folder / "audit"
    made = Deployment(data, clock)
    made.key = app.initialise(load(data), TENANT, clock).log_key
    with made.parts() as parts:
        with parts.db.write(TENANT) as tx:
            call = _call(parts, tx, clock)
            where = str(assessment(call, sets={"Access": ["a"]})["metadata"]["id"])
        for count in (6, 5, 4, 3):
            made.observe(parts, count)
        for rows in (11, 7):
            segment = seal(parts.lake, TENANT, now=clock.now(), min_rows=rows)
            assert segment is not None
        made.observe(parts, 5)
        with parts.db.write(TENANT) as tx:
            call = _call(parts, tx, clock)
            pin = manual.Pin(where, 1, call.principal.arn, call.request_id, call.now)
            said = manual.import_all(
                tx, parts.lake, pin, [manual.Text("we looked")], largest=1000, daily=100
            )
            assert said == [None]
            select_all(call, where)
        parts.log_now()
        made.hand_out(parts, made.early)
        _report(parts, clock, where, made.report)
        made.back_up("early")
        made.observe(parts, 4)
        made.observe(parts, 2)
        with parts.db.system_write() as tx2:
            parts.note(tx2, "CreateAccessKey", {"userName": "mallory"}, ACCOUNT)
        parts.log_now()
        made.hand_out(parts, made.held)
    return made


def copy_of(made: Deployment, folder: Path) -> Deployment:
    """The same, to be attacked."""
    target = folder / "house"
    shutil.copytree(made.data.parent, target)
    return Deployment(target / "audit", FixedClock(made.clock.now()), made.key)


def _call(parts: Parts, tx: object, clock: FixedClock) -> Call:
    return parts.operator(tx, TENANT)


def _report(parts: Parts, clock: FixedClock, where: str, target: Path) -> None:
    with parts.db.write(TENANT) as tx:
        ask = am.CreateAssessmentReportRequest(name="q2", assessment_id=where)
        answer = reports.create_assessment_report(_call(parts, tx, clock), ask)
        report_id = str(shown(answer)["assessmentReport"]["id"])
    build_report(Maker(parts.deps, parts.report_key, clock), TENANT, report_id)
    with parts.db.read(TENANT) as tx:
        report = store.find(tx, report_id)
        assert report is not None, report
        assert report.status == "COMPLETE", report.reason
        target.write_bytes(b"".join(get_blob(tx, parts.lake, store.place(report).object_key)))
