"""The demo: the main job from an empty folder to a report that proves itself, told step by step.

It uses what a user would: the command line's own ingest, and the API through an unmodified
botocore client against a real server on this machine.
"""

import shutil
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.config
import botocore.session
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from auditkeep import app
from auditkeep.clock import Day, SystemClock, day_name, day_of, day_start
from auditkeep.demo.delivery import Delivered, deliver
from auditkeep.demo.organisation import ACCOUNTS, HOME_REGION, MANAGEMENT
from auditkeep.demo.weeks import Weeks
from auditkeep.errors import SetupError
from auditkeep.ids import Tenant
from auditkeep.settings import Settings
from auditkeep.verify.archive import verify_archive
from auditkeep.workflows.ingest import Counts, ingest

DAYS = 28
FRAMEWORK = "NIST SP 800-53"
"""Part of the name of the shipped framework that the demo assesses."""


@dataclass(frozen=True)
class Stage:
    """Where the story plays: a running server, a client for it, and the log's public key."""

    service: app.Service
    client: Any
    url: str
    access_key: str
    secret_key: str
    tenant: Tenant


class Teller:
    """Numbered lines on the terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._step = 0

    def step(self, text: str) -> None:
        self._step += 1
        self.console.print(f"[bold cyan]{self._step:>2}[/] {text}", highlight=False, soft_wrap=True)

    def more(self, text: str) -> None:
        self.console.print(f"   {text}", highlight=False, soft_wrap=True)

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Any]:
        columns = (
            TextColumn("   {task.description}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        quiet = not self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=quiet) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, completed=done)


def run(data: Path, *, logs: Path | None, port: int, stay: bool) -> int:
    """Tell the story; 0 when every step held."""
    teller = Teller(Console())
    _fresh(data)
    with _stage(data, port, teller) as stage:
        if logs is None:
            first, accounts = _own_organisation(stage, data, teller)
        else:
            first, accounts = _readers_logs(stage, logs, teller)
        assessment = _assess(stage, first, accounts, teller)
        _review(stage, assessment, teller)
        report = _report(stage, assessment, data, teller)
        sound = _verify(stage, report, teller)
        _farewell(stage, data, report, teller, stay=stay)
        if stay and sound:
            stage.service.wait()
    return 0 if sound else 1


def _fresh(data: Path) -> None:
    """An empty folder; only a folder that an earlier demo made is ever removed."""
    if data.exists():
        if not (data / ".demo").exists() and any(data.iterdir()):
            raise SetupError(
                f"{data} holds something that no demo made. Name another folder with --data."
            )
        shutil.rmtree(data)
    data.mkdir(parents=True)
    (data / ".demo").touch()


@contextmanager
def _stage(data: Path, port: int, teller: Teller) -> Iterator[Stage]:
    settings = Settings(data=data.absolute() / "server", assessment_regions="all")
    tenant = Tenant(MANAGEMENT.id, HOME_REGION)
    made = app.initialise(settings, tenant, SystemClock())
    teller.step(f"A data directory, its keys and an administrator of account {tenant.account}.")
    teller.more(f"log key to pin: [dim]{made.log_key}[/]")
    started = time.perf_counter()
    service = app.Service(app.open_parts(settings, SystemClock()))
    try:
        url = service.start("127.0.0.1", port)
        client = botocore.session.Session().create_client(
            "auditmanager",
            region_name=tenant.region,
            endpoint_url=url,
            aws_access_key_id=made.access_key_id,
            aws_secret_access_key=made.secret_access_key,
            config=botocore.config.Config(retries={"max_attempts": 0}, read_timeout=120),
        )
        client.get_account_status()
        took = time.perf_counter() - started
        teller.step(f"The server answers at {url} after {took:.1f} s.")
        yield Stage(service, client, url, made.access_key_id, made.secret_access_key, tenant)
    finally:
        service.stop()


def _own_organisation(stage: Stage, data: Path, teller: Teller) -> tuple[Day, list[str]]:
    first = Day(day_of(SystemClock().now()) - DAYS)
    teller.step(
        f"Four weeks in the life of a made-up organisation: {len(ACCOUNTS)} accounts, two regions, "
        f"{day_name(first)} to {day_name(Day(first + DAYS - 1))}."
    )
    with teller.progress("days", DAYS) as done:
        days: list[Delivered] = []
        for day in deliver(Weeks(first, DAYS), data / "organisation"):
            days.append(day)
            done(len(days))
    delivered = days[-1]
    teller.more(f"{delivered.records:,} records, delivered as AWS delivers them")
    teller.step("Reading the files through the same path as `auditkeep ingest`.")
    for source, folder in (
        ("cloudtrail", delivered.cloudtrail),
        ("config", delivered.config),
        ("securityhub", delivered.securityhub),
    ):
        _read(stage, source, folder, teller)
    _seal(stage, teller)
    return first, [a.id for a in ACCOUNTS]


def _readers_logs(stage: Stage, logs: Path, teller: Teller) -> tuple[Day, list[str]]:
    if not logs.exists():
        raise SetupError(f"There is nothing at {logs}.")
    teller.step(f"Reading your CloudTrail files below {logs}.")
    counts = _read(stage, "cloudtrail", logs, teller)
    for rejection in counts.rejected[:5]:
        teller.more(f"[yellow]not readable:[/] {rejection.file} {rejection.position}: "
                    f"{rejection.reason}")  # fmt: skip
    _seal(stage, teller)
    seen = stage.service.parts.origins(stage.tenant)
    if not seen.accounts:
        raise SetupError("No event in these files is evidence for a shipped control.")
    return seen.first_day, list(seen.accounts[:200])


def _read(stage: Stage, source: str, folder: Path, teller: Teller) -> Counts:
    parts = stage.service.parts
    started = time.perf_counter()
    with teller.progress(source, None) as done:
        counts = ingest(
            parts.lake,
            stage.tenant,
            source,
            [folder],
            parts.interest(stage.tenant),
            progress=lambda c: done(c.records),
            principal=f"arn:aws:iam::{stage.tenant.account}:user/demo",
        )
    took = max(time.perf_counter() - started, 1e-6)
    rate = counts.records / took
    teller.more(
        f"{source:<12} {counts.files:>4} files {counts.records:>7,} records → "
        f"[bold]{counts.observations:,}[/] observations, {counts.unmatched:,} of no use to any "
        f"control, {counts.duplicates:,} seen before, {len(counts.rejected):,} rejected "
        f"[dim]({rate:,.0f} records/s)[/]"
    )
    return counts


def _seal(stage: Stage, teller: Teller) -> None:
    checkpoint, segments = stage.service.settle(stage.tenant)
    teller.more(
        f"sealed into {segments} encrypted segments; the log has {checkpoint.size} entries, "
        f"root [dim]{checkpoint.root.hex()[:16]}…[/]"
    )


def _assess(stage: Stage, first: Day, accounts: list[str], teller: Teller) -> str:
    client = stage.client
    frameworks = client.list_assessment_frameworks(frameworkType="Standard")
    framework = next(f for f in frameworks["frameworkMetadataList"] if FRAMEWORK in f["name"])
    made = client.create_assessment(
        name="Autumn review",
        description="Made by `auditkeep demo`.",
        assessmentReportsDestination={
            "destinationType": "S3", "destination": "s3://audit-reports/demo",
        },
        scope={"awsAccounts": [{"id": a} for a in accounts]},
        roles=[],
        frameworkId=framework["id"],
    )["assessment"]  # fmt: skip
    assessment: str = made["metadata"]["id"]
    stage.service.parts.backfill(stage.tenant, assessment, day_start(first))
    controls = sum(len(s["controls"]) for s in made["framework"]["controlSets"])
    teller.step(
        f"An assessment of {len(accounts)} accounts against {framework['name']} "
        f"({controls} controls), looking back to {day_name(first)}."
    )
    days: dict[str, list[int]] = {}
    for folder in _pages(client.get_evidence_folders_by_assessment, "evidenceFolders",
                         assessmentId=assessment):  # fmt: skip
        row = days.setdefault(folder["name"], [0, 0])
        row[0] += folder["totalEvidence"]
        row[1] += folder["evidenceByTypeComplianceCheckIssuesCount"]
    total = sum(r[0] for r in days.values())
    teller.more(f"{total:,} evidence items at once, from facts that are stored once each:")
    recent = sorted(days.items())[-10:]
    most = max((row[0] for _, row in recent), default=1)
    for name, (items, issues) in recent:
        teller.more(f"  {name} {_bar(items, issues, most)} {items:>6,} items, {issues:>4,} issues")
    return assessment


def _bar(items: int, issues: int, most: int, width: int = 30) -> str:
    """A day's evidence beside the fullest day's; issues in red, and never too few to be seen."""
    length = max(1, round(width * items / most))
    red = min(length, max(1, round(length * issues / items))) if issues else 0
    return f"[red]{'█' * red}[/][green]{'█' * (length - red)}[/]{' ' * (width - length)}"


def _pages(call: Any, member: str, **arguments: Any) -> Iterator[Any]:
    token: dict[str, str] = {}
    while True:
        page = call(maxResults=1000, **arguments, **token)
        yield from page[member]
        if "nextToken" not in page:
            return
        token = {"nextToken": page["nextToken"]}


def _review(stage: Stage, assessment: str, teller: Teller) -> None:
    client = stage.client
    whole = client.get_assessment(assessmentId=assessment)["assessment"]
    sets = whole["framework"]["controlSets"]
    chosen, control, folders = _worst(client, assessment, sets)
    at = {"assessmentId": assessment, "controlSetId": chosen["id"], "controlId": control["id"]}
    client.batch_import_evidence_to_assessment_control(
        **at,
        manualEvidence=[{"textResponse": "Walked through the tickets with the platform team: every "
                         "finding of these weeks has one."}],
    )  # fmt: skip
    client.update_assessment_control(
        **at, controlStatus="REVIEWED", commentBody="Looked at every issue; see the attached note."
    )
    issues = sum(f["evidenceByTypeComplianceCheckIssuesCount"] for f in folders)
    teller.step(
        f"A review: “{control['name']}” had {issues} issues in {len(folders)} days. A note is "
        "attached, a comment written, the control is REVIEWED."
    )
    selected = 0
    folders = list(_pages(
        client.get_evidence_folders_by_assessment_control, "evidenceFolders", **at
    ))  # fmt: skip
    for folder in folders:
        client.associate_assessment_report_evidence_folder(
            assessmentId=assessment, evidenceFolderId=folder["id"]
        )
        selected += folder["totalEvidence"]
    teller.more(f"{selected:,} items of that control selected for the report")


def _worst(client: Any, assessment: str, sets: list[Any]) -> tuple[Any, Any, list[Any]]:
    """The control with the most issues among those of moderate size, its set and its folders."""
    by_control: dict[str, list[Any]] = {}
    for folder in _pages(client.get_evidence_folders_by_assessment, "evidenceFolders",
                         assessmentId=assessment):  # fmt: skip
        by_control.setdefault(folder["controlId"], []).append(folder)
    if not by_control:
        raise SetupError("No control of the framework collected any evidence from these files.")

    def weight(control_id: str) -> tuple[bool, int, int]:
        folders = by_control[control_id]
        size = sum(f["totalEvidence"] for f in folders)
        issues = sum(f["evidenceByTypeComplianceCheckIssuesCount"] for f in folders)
        return size <= 1500, issues, size

    best = max(by_control, key=weight)
    for chosen in sets:
        for control in chosen["controls"]:
            if control["id"] == best:
                return chosen, control, by_control[best]
    raise SetupError("A folder names a control that the assessment does not have.")


def _report(stage: Stage, assessment: str, data: Path, teller: Teller) -> Path:
    client = stage.client
    made = client.create_assessment_report(
        assessmentId=assessment, name="autumn-review", description="Made by the demo."
    )["assessmentReport"]
    started = time.perf_counter()
    with teller.console.status("writing the report"):
        while True:
            found = [
                r
                for r in client.list_assessment_reports()["assessmentReports"]
                if r["id"] == made["id"]
            ]
            if found[0]["status"] != "IN_PROGRESS":
                break
            time.sleep(0.2)
    if found[0]["status"] != "COMPLETE":
        raise SetupError("The report could not be written; the server's messages say why.")
    link = client.get_assessment_report_url(assessmentId=assessment, assessmentReportId=made["id"])[
        "preSignedUrl"
    ]["link"]
    path = data / "autumn-review.zip"
    with urllib.request.urlopen(link) as answer, path.open("wb") as out:  # noqa: S310 - our own server
        shutil.copyfileobj(answer, out)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        summary = next(n for n in names if n.endswith("AssessmentReportSummary.pdf"))
        (data / "AssessmentReportSummary.pdf").write_bytes(archive.read(summary))
    took = time.perf_counter() - started
    size = path.stat().st_size / 1_000_000
    teller.step(f"The report: {len(names):,} files, {size:.1f} MB, after {took:.1f} s.")
    return path


def _verify(stage: Stage, report: Path, teller: Teller) -> bool:
    key = stage.service.parts.log_key
    good = verify_archive(report, pinned=[key])
    teller.step(f"auditkeep verify, offline, with the pinned log key: [bold green]{good.state}[/].")
    for line in good.problems[:5]:
        teller.more(f"[red]{line}[/]")
    damaged, name, offset = _flip(report)
    bad = verify_archive(damaged, pinned=[key])
    damaged.unlink()
    teller.step(f"One bit flipped in byte {offset} of {Path(name).name}: [bold red]{bad.state}[/].")
    for line in bad.problems[:3]:
        teller.more(f"[red]{line}[/]")
    named = any(Path(name).name in line for line in bad.problems)
    return good.state == "valid" and bad.state == "invalid" and named


def _flip(report: Path) -> tuple[Path, str, int]:
    """A copy of the archive in which one bit of one evidence file differs."""
    copy = report.with_name("damaged.zip")
    with zipfile.ZipFile(report) as source, zipfile.ZipFile(copy, "w") as target:
        files = [n for n in source.namelist() if n.endswith(".json") and "/proofs/" not in n]
        name = next((n for n in files if "_manual_" not in n), files[0])
        offset = source.getinfo(name).file_size // 2
        for entry in source.infolist():
            body = bytearray(source.read(entry))
            if entry.filename == name:
                body[offset] ^= 1
            target.writestr(entry, bytes(body), zipfile.ZIP_DEFLATED)
    return copy, name, offset


def _farewell(stage: Stage, data: Path, report: Path, teller: Teller, *, stay: bool) -> None:
    console = teller.console
    console.rule()
    lines = [
        ("report", str(report)),
        ("its summary", str(data / "AssessmentReportSummary.pdf")),
        ("check it yourself", f"auditkeep verify {report} --key '{stage.service.parts.log_key}'"),
    ]
    for name, text in lines:
        console.print(f"{name:<18} {text}", highlight=False, soft_wrap=True)
    if stay:
        console.print(f"{'API':<18} {stage.url}", highlight=False)
        console.print("\nFor the AWS CLI, in another terminal:", highlight=False)
        for line in (
            f"export AWS_ACCESS_KEY_ID={stage.access_key}",
            f"export AWS_SECRET_ACCESS_KEY={stage.secret_key}",
            f"export AWS_DEFAULT_REGION={stage.tenant.region}",
            f"export AWS_ENDPOINT_URL_AUDITMANAGER={stage.url}",
            "aws auditmanager list-assessments",
        ):
            console.print(f"  {line}", highlight=False, soft_wrap=True)
        console.print("\nServing until Ctrl-C.", highlight=False)
