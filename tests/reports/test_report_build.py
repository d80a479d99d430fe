"""Archives from end to end: what is in them, that they verify, and what a change to them says."""

import hashlib
import io
import json
import re
import shutil
import subprocess
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from pypdf import PdfReader
from tests.reports.report_house import House, check, log_signer, observation

from auditkeep.errors import ReportError, StorageError
from auditkeep.evidence.items import Item
from auditkeep.reports.build import MOST_EVIDENCE_PAGES, Attached, archive
from auditkeep.reports.model import Listing, Summary
from auditkeep.verify.archive import verify_archive
from auditkeep.verify.format import DIGEST, Digest

Change = Callable[[dict[str, bytes]], None]


@pytest.fixture
def house() -> House:
    house = House()
    first, second = house.control("AC-2 Account management"), house.control("Keys rotate")
    house.add([first], [observation(n) for n in range(5)])
    house.add(
        [first, second],
        [observation(n, source="AWS_Cloudtrail", event_name="CreateUser") for n in range(5, 8)],
    )
    text = b'{"form":"file","sha256":"%s"}' % hashlib.sha256(b"the policy").hexdigest().encode()
    house.uploads[text.decode()] = ("policy.pdf", b"the policy")
    house.add([second], [observation(8, source="MANUAL", event_name="", raw=text)])
    return house


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_a_report_verifies_against_the_log_key(house: House, tmp_path: Path) -> None:
    verdict = check(house.write(tmp_path / "r.zip"))
    assert verdict.problems == ()
    assert verdict.state == "valid"
    assert (verdict.records, verdict.batches, verdict.attachments) == (12, 3, 1)


def test_the_layout_is_the_specifications(house: House, tmp_path: Path) -> None:
    names = list(contents(house.write(tmp_path / "r.zip")))
    top = r"Access-keys-2026-[0-9a-f]{8}"
    own = rf"{top}/Q2-review-[0-9a-f]{{14}}"
    at = r"\d\d-\d\d-\d\d"
    end = r"111122223333_[0-9a-f]{12}"
    config = rf"{top}/AC-2-Account-management-[0-9a-f]{{13}}/Config/2026-\d\d-\d\d"
    keys = rf"{top}/Keys-rotate-[0-9a-f]{{13}}"
    wanted = [
        rf"{own}/AssessmentReportSummary\.pdf",
        rf"{own}/digest\.txt",
        rf"{own}/README\.txt",
        rf"{own}/proofs/checkpoint\.txt",
        rf"{own}/proofs/records\.jsonl",
        rf"{config}/{at}_IAM_IAM-PASSWORD-POLICY_{end}\.json",
        rf"{keys}/CloudTrail/2026-\d\d-\d\d/{at}_IAM_CreateUser_{end}\.json",
        rf"{keys}/Manual/2026-\d\d-\d\d/{at}_manual_{end}\.json",
        rf"{keys}/Manual/2026-\d\d-\d\d/{at}_manual_{end}_policy\.pdf",
    ]
    for pattern in wanted:
        assert any(re.fullmatch(pattern, name) for name in names), pattern
    assert names[-1].endswith(DIGEST)


def test_evidence_files_hold_the_bytes_as_kept(house: House, tmp_path: Path) -> None:
    files = contents(house.write(tmp_path / "r.zip"))
    kept = sorted(i.stored.raw for i in house.items)
    assert sorted(v for k, v in files.items() if k.endswith(".json")) == kept
    assert [v for k, v in files.items() if k.endswith("_policy.pdf")] == [b"the policy"]


def test_the_digest_lists_every_other_file(house: House, tmp_path: Path) -> None:
    files = contents(house.write(tmp_path / "r.zip"))
    name = next(n for n in files if n.endswith(DIGEST))
    digest = msgspec.json.decode(files[name], type=Digest)
    listed = [f.file_name for f in digest.files]
    assert listed == sorted(set(files) - {name})
    assert digest.generated_at == "2026-05-01T15:07:09Z"


def test_the_same_sources_give_the_same_bytes(house: House) -> None:
    assert b"".join(house.chunks()) == b"".join(house.chunks())


def _edit_evidence(files: dict[str, bytes]) -> None:
    name = next(n for n in files if n.endswith(".json"))
    files[name] = files[name].replace(b"as kept", b"as wished")


def _edit_pdf(files: dict[str, bytes]) -> None:
    name = next(n for n in files if n.endswith("Summary.pdf"))
    files[name] += b" "


def _edit_upload(files: dict[str, bytes]) -> None:
    files[next(n for n in files if n.endswith("_policy.pdf"))] = b"another policy"


def _drop(files: dict[str, bytes]) -> None:
    del files[next(n for n in files if n.endswith(".json"))]


def _add(files: dict[str, bytes]) -> None:
    files["Access-keys/extra.json"] = b"{}"


def _edit_digest(files: dict[str, bytes]) -> None:
    name = next(n for n in files if n.endswith(DIGEST))
    files[name] = files[name].replace(b"Q2-review", b"Q3-review")


def _edit_proof(files: dict[str, bytes]) -> None:
    name = next(n for n in files if n.endswith("records.jsonl"))
    line, rest = files[name].split(b"\n", 1)
    record = json.loads(line)
    record["nonce"] = "00" * 32
    files[name] = json.dumps(record).encode() + b"\n" + rest


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_edit_evidence, r"\.json was changed"),
        (_edit_pdf, r"AssessmentReportSummary\.pdf was changed"),
        (_edit_upload, r"_policy\.pdf was changed"),
        (_drop, r"\.json is missing"),
        (_add, r"extra\.json was added"),
        (_edit_digest, r"digest\.txt was changed"),
        (_edit_proof, r"records\.jsonl was changed"),
    ],
)
def test_a_change_is_named(house: House, tmp_path: Path, change: Change, words: str) -> None:
    files = contents(house.write(tmp_path / "r.zip"))
    change(files)
    forged = tmp_path / "forged.zip"
    with zipfile.ZipFile(forged, "w") as out:
        for name, data in files.items():
            out.writestr(name, data)
    verdict = check(forged)
    assert verdict.state == "invalid"
    assert any(re.search(words, problem) for problem in verdict.problems), verdict.problems


def test_an_upload_that_is_not_the_logged_one_stops_the_report(house: House) -> None:
    def swapped(item: Item) -> Attached | None:
        found = house.attached(item)
        return found and replace(found, content=[b"swapped"])

    with pytest.raises(StorageError, match=r"policy\.pdf"):
        list(archive(house.plan(), replace(house.sources(), attached=swapped), _blank))


def _blank(_model: Summary | Listing) -> bytes:
    return b"%PDF-"


def test_nothing_selected_is_no_report() -> None:
    house = House()
    house.control("Empty")
    house.add([], [observation(1)])
    with pytest.raises(ReportError, match="No evidence is selected"):
        list(house.chunks(_blank))


def test_hostile_names_stay_in_their_folders_and_apart(tmp_path: Path) -> None:
    house = House()
    house.heading = msgspec.structs.replace(
        house.heading, assessment="../../" + "é日本語/" * 60, report_name="r" * 300
    )
    hostile = ["../../../etc/passwd", "a" * 300, "\u202egnp.exe", "CON", "日本", "日木"]
    for number, name in enumerate(hostile):
        ordinal = house.control(name, set_id=f"set/{name}"[:300])
        rows = [
            observation(number * 10 + n, event_name="../" * 60 + name, source="AWS_Cloudtrail")
            for n in range(2)
        ]
        house.add([ordinal], rows)
    path = house.write(tmp_path / "r.zip")
    assert check(path).state == "valid"
    names = list(contents(path))
    assert len({n.lower() for n in names}) == len(names)
    assert max(map(len, names)) < 259
    for name in names:
        parts = name.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+", p) and len(p) <= 80 for p in parts)
        assert len({parts[0]}) == 1


def test_small_reports_have_a_page_for_each_item(house: House) -> None:
    seen: list[Summary | Listing] = []

    def draw(model: Summary | Listing) -> bytes:
        seen.append(model)
        return b"%PDF-"

    list(house.chunks(draw))
    summary = seen[-1]
    assert isinstance(summary, Summary)
    assert summary.evidence_pages
    entries = [e for s in summary.sets for c in s.controls for f in c.folders for e in f.entries]
    assert len(entries) == 12
    assert any(e.attributes for e in entries)
    assert summary.overview.totals.items == 12


def test_pages_too_wide_to_draw_are_left_to_the_files(house: House) -> None:
    tried: list[bool] = []

    def draw(model: Summary | Listing) -> bytes:
        assert isinstance(model, Summary)
        tried.append(model.evidence_pages)
        if model.evidence_pages:
            raise ReportError("needs more than it may have")
        return b"%PDF-"

    list(house.chunks(draw))
    assert tried == [True, False]


def test_long_listings_become_volumes(tmp_path: Path) -> None:
    house = House(volume_rows=100)
    first, second = house.control("Long"), house.control("Short")
    house.add([first], [observation(n) for n in range(250)])
    house.add([second], [observation(n) for n in range(250, 253)])
    path = house.write(tmp_path / "r.zip")
    assert check(path).state == "valid"
    files = contents(path)
    volumes = {k.rsplit("/", 1)[1]: v for k, v in files.items() if "/volumes/" in k}
    assert [re.sub(r"-[0-9a-f]{13}", "", v) for v in volumes] == [
        "Long-01.pdf",
        "Long-02.pdf",
        "Long-03.pdf",
        "Short-01.pdf",
    ]
    texts = [_words(v) for v in volumes.values()]
    assert "evidence items 101 to 200" in texts[1]
    summary = _words(next(v for k, v in files.items() if k.endswith("Summary.pdf")))
    assert "201 to 250" in summary
    assert len(house.items) > MOST_EVIDENCE_PAGES
    assert "Evidence detail" not in summary


def _words(pdf: bytes) -> str:
    pages = PdfReader(io.BytesIO(pdf)).pages
    text = " ".join(page.extract_text() for page in pages).replace("\u200b", "")
    return re.sub(r"\s+", " ", text)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_listing() -> None:
    house = House(volume_rows=500)
    ordinal = house.control("Large")
    for batch in range(4):
        house.add([ordinal], [observation(n) for n in range(batch * 1000, batch * 1000 + 1000)])
    drawn: list[int] = []

    def draw(model: Summary | Listing) -> bytes:
        if isinstance(model, Listing):
            drawn.append(sum(len(f.entries) for f in model.folders))
        return b"%PDF-" + bytes(200_000)

    plan, sources = house.plan(), house.sources()
    tracemalloc.start()
    size = sum(len(chunk) for chunk in archive(plan, sources, draw))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert drawn == [500] * 8
    assert size > 1_000_000
    assert peak < 40_000_000


def test_the_readme_is_golden(house: House, tmp_path: Path) -> None:
    files = contents(house.write(tmp_path / "r.zip"))
    text = next(v for k, v in files.items() if k.endswith("README.txt")).decode("ascii")
    golden = Path(__file__).with_name("readme.golden.txt").read_text()
    key = house.plan().integrity.report_key  # made anew for each run
    assert text.replace(key, "REPORT_KEY") == golden
    assert max(map(len, golden.splitlines())) <= 78


def test_the_signature_can_be_checked_by_hand(house: House, tmp_path: Path) -> None:
    """The commands of README.txt, run as they stand there."""
    files = contents(house.write(tmp_path / "r.zip"))
    (tmp_path / "proofs").mkdir()
    for name in (DIGEST, "proofs/report-key.txt"):
        own = next(k for k in files if k.endswith(f"/{name}"))
        (tmp_path / name).write_bytes(files[own])
    readme = next(v for k, v in files.items() if k.endswith("README.txt")).decode()
    start = readme.index("    tail -n +4")
    commands = readme[start : readme.index("\n\n", start)]
    missing = [t for t in ("openssl", "xxd") if shutil.which(t) is None]
    if missing:
        pytest.skip(f"this machine has no {missing[0]}")
    done = subprocess.run(
        ["bash", "-e", "-c", commands], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "Verified OK\n", done.stderr


def test_without_a_trusted_key_nobody_can_tell(house: House, tmp_path: Path) -> None:
    path = house.write(tmp_path / "r.zip")
    verdict = verify_archive(path, [])
    assert verdict.state == "cannot-tell"
    assert verdict.log_key == log_signer().vkey
    assert verdict.signed_at.startswith("2026-05-01T15:07:09")
