"""docs/verification.md is true: its commands, run as they stand, accept and refuse what they should."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.conftest import missing
from tests.verify.archives import House, Report

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "verification.md"
SHELL = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
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
