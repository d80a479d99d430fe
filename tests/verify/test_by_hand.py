"""docs/verification.md is true: its commands, run as they stand, accept and refuse what they should."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.conftest import missing
from tests.verify.archives import FOLDER, House, Report

from auditkeep.sources.secrets import Cutter
from auditkeep.verify import format as fmt

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "verification.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
SHELL = [block for block in BLOCKS if "OFFSET" not in block]
(CUT,) = [block for block in BLOCKS if "OFFSET" in block]
(PYTHON,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def by_hand(folder: Path, house: House) -> subprocess.CompletedProcess[str]:
    for tool in ("bash", "openssl", "sha256sum", "python3"):
        if shutil.which(tool) is None:
            missing(f"{tool} is not installed")
    (folder / "records.py").write_text(PYTHON)
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(SHELL)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "KEY": house.vkey, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_honest_report_passes_every_step(house: House, tmp_path: Path) -> None:
    report = Report(house).signed()
    report.write(tmp_path / "report.zip")
    done = by_hand(tmp_path, house)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split()[0] == house.signer.verifier.fingerprint.replace(" ", "")
    assert lines[1] == "the archive names the same key"
    assert lines[2:4] == ["Signature Verified Successfully"] * 2
    assert lines[4] == "Verified OK"
    assert lines[5] == "all files are as signed"
    assert [int(n) for n in lines[6:8]] == [len(report.members), len(report.members) - 1]
    assert lines[8] == f"8 records, 0 faults, log {house.origin} of 7 entries"
    assert lines[9:] == ["record 1 is in batch 1", "batch 1 is in the log"]


@pytest.mark.parametrize("signed_again", [False, True])
def test_a_changed_file_fails(house: House, tmp_path: Path, signed_again: bool) -> None:
    report = Report(house).signed()
    report.members[report.record_lines[0]["file"]] += b" "
    if signed_again:
        report.signed()
    report.write(tmp_path / "report.zip")
    done = by_hand(tmp_path, house)
    assert done.returncode != 0
    assert ("1 faults" if signed_again else "FAILED") in done.stdout


def one_record(folder: Path, number: int, report: Report) -> subprocess.CompletedProcess[str]:
    """The block for a single record, on an archive that lies unpacked."""
    (block,) = [text for text in SHELL if "climb()" in text]
    for name, data in report.members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.replace("N=1", f"N={number}")],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "R": FOLDER.rstrip("/"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("number", [1, 5, 6, 8])
def test_one_record_is_led_to_the_checkpoint_with_sha256sum(
    house: House, tmp_path: Path, number: int
) -> None:
    done = one_record(tmp_path, number, Report(house).signed())
    batch = 1 if number <= 5 else 2
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"record {number} is in batch {batch}",
        f"batch {batch} is in the log",
    ]


@pytest.mark.parametrize("what", ["file", "envelope", "salt", "root"])
def test_one_record_that_was_changed_is_refused(house: House, tmp_path: Path, what: str) -> None:
    report = Report(house)
    if what == "file":
        report.members[report.record_lines[1]["file"]] += b" "
    elif what == "envelope":
        report.record_lines[1]["envelope"] = report.record_lines[1]["envelope"].replace("1", "2")
    elif what == "salt":
        report.batch_lines[0]["salt"] = "00" * 32
    else:
        note = report.checkpoint.body().split("\n")
        note[2] = "A" * 43 + "="
        report.set_note(fmt.CHECKPOINT, "\n".join(note))
    done = one_record(tmp_path, 2, report.signed())
    assert done.returncode != 0
    assert "in the log" not in done.stdout


def test_another_key_fails(house: House, forger: House, tmp_path: Path) -> None:
    Report(forger).signed().write(tmp_path / "report.zip")
    assert by_hand(tmp_path, house).returncode != 0
    report = Report(house).signed(forger.report_key)
    report.write(tmp_path / "report.zip")
    done = by_hand(tmp_path, house)
    assert done.returncode != 0
    assert "Verified OK" not in done.stdout


def test_the_sentences_that_the_guide_promises_are_those_of_the_verifier() -> None:
    source = "".join(file.read_text() for file in (ROOT / "src/auditkeep/verify").glob("*.py"))
    source = re.sub(r'"\n\s*f?"', "", source)  # sentences that are written over several lines
    source = re.sub(r"\{[^{}]*\}", "…", source.replace("{DIGEST}", "digest.txt"))
    _, table = GUIDE.read_text().split("## Which attack is caught by what")
    promised = re.findall(r"\*([^*]+)\*", table)
    assert len(promised) > 15
    for sentence in promised:
        for part in sentence.split("…"):
            assert part.strip() in source, sentence


@pytest.mark.parametrize("changed", [False, True])
def test_a_cut_is_shown_to_be_the_only_change(tmp_path: Path, *, changed: bool) -> None:
    original = json.dumps({"a": 1, "password": "hunter2", "b": 2}).encode()
    key = b"k" * 32
    kept, (cut,) = Cutter(key).cut(original)
    (tmp_path / "original.json").write_bytes(original)
    (tmp_path / "kept.json").write_bytes(kept.replace(b"1", b"7") if changed else kept)
    told = {"OFFSET": str(cut.offset), "LENGTH": str(cut.length), "CUTKEY": key.hex()}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", CUT],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **told},
        capture_output=True,
        text=True,
        check=False,
    )
    assert cut.mac in done.stdout
    assert (tmp_path / "removed").read_bytes() == b"hunter2"
    assert (done.returncode == 0) is not changed, done.stderr
