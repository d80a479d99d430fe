"""By when others had seen what a report's records are in, and what is no anchor."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.authorities import Tsa
from tests.vectors.make import number
from tests.verify.archives import FOLDER, House, Report

from auditkeep.clock import MINUTE, Instant, parse
from auditkeep.crypto import timestamps
from auditkeep.crypto.signing import SigningKey
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.tlog.cosignature import WitnessKey, cosign
from auditkeep.tlog.merkle import Tree, leaf_hash
from auditkeep.verify import format as fmt
from auditkeep.verify.anchors import Outsiders
from auditkeep.verify.archive import verify_archive
from auditkeep.verify.findings import Verdict

LOGGED = parse("2026-05-02T00:00:00Z")
"""When the batches of these reports were committed, says their records."""
SECRET = SigningKey(Ed25519PrivateKey.from_private_bytes(number("witness")))
WITNESS = WitnessKey("witness.example.org", SECRET.public)
TRUSTED = Outsiders([WITNESS])


def at(report: Report, size: int) -> Checkpoint:
    leaves = [leaf_hash(entry) for entry in report.entries]
    return Checkpoint(report.house.origin, size, Tree(leaves[:size]).root)


def anchor(report: Report, size: int, minutes: int = 1, **changes: Any) -> dict[str, Any]:
    """A checkpoint of the log when it had `size` entries, cosigned so long after it was logged."""
    checkpoint = at(report, size)
    seen = Instant(LOGGED + minutes * MINUTE)
    line = {
        "note": checkpoint.signed(report.house.signer)
        + cosign(checkpoint.body(), WITNESS.name, SECRET, seen),
        "timestamps": [],
        "path": [step.hex() for step in report.log.consistency(size)],
    }
    return {**line, **changes}


def check(
    report: Report, path: Path, *lines: dict[str, Any], outsiders: Outsiders | None = TRUSTED
) -> Verdict:
    if lines:
        report.set_lines(fmt.ANCHORS, lines)
    return verify_archive(report.signed().write(path), [report.house.vkey], outsiders=outsiders)


def test_every_record_is_covered_by_the_first_that_holds_its_batch(
    house: House, zip_path: Path
) -> None:
    report = Report(house)  # batches are entries 2 and 3 of 7
    verdict = check(report, zip_path, anchor(report, 3, 5), anchor(report, 6, 50))
    assert verdict.state == "valid", (verdict.problems, verdict.doubts)
    assert (verdict.anchored, verdict.anchored_late) == (8, 0)
    assert verdict.anchored_by == "2026-05-02T00:50:00.000000Z"
    assert verdict.vouched == ("witness.example.org",)
    assert verdict.summary()["anchored"] == 8


def test_a_larger_checkpoint_that_was_seen_earlier_counts(house: House, zip_path: Path) -> None:
    report = Report(house)
    verdict = check(report, zip_path, anchor(report, 4, 90), anchor(report, 7, 10))
    assert verdict.anchored_by == "2026-05-02T00:10:00.000000Z"


def test_a_late_anchor_is_flagged_and_the_report_stays_valid(house: House, zip_path: Path) -> None:
    report = Report(house)
    verdict = check(report, zip_path, anchor(report, 3, 5), anchor(report, 7, 25 * 60))
    assert (verdict.state, verdict.anchored, verdict.anchored_late) == ("valid", 8, 3)
    assert any(re.search(r"3 records .* more than 24 hours", n) for n in verdict.notices)


@pytest.mark.parametrize("sizes", [(), (2,), (1, 2)])
def test_records_that_nobody_covers_leave_the_question_open(
    house: House, zip_path: Path, sizes: tuple[int, ...]
) -> None:
    report = Report(house)
    verdict = check(report, zip_path, *(anchor(report, size) for size in sizes))
    assert verdict.state == "cannot-tell"
    assert any(re.search("8 records lie in no checkpoint", d) for d in verdict.doubts)


def test_without_trust_in_anybody_anchors_are_only_mentioned(house: House, zip_path: Path) -> None:
    report = Report(house)
    verdict = check(report, zip_path, anchor(report, 7), outsiders=None)
    assert (verdict.state, verdict.anchored) == ("valid", 0)
    assert any("1 checkpoints that others vouch for" in n for n in verdict.notices)


def test_a_witness_that_nobody_named_counts_for_nothing(house: House, zip_path: Path) -> None:
    report = Report(house)
    other = WitnessKey("other.example.org", WITNESS.public)
    verdict = check(report, zip_path, anchor(report, 7), outsiders=Outsiders([other]))
    assert verdict.state == "cannot-tell"


def test_what_is_no_anchor_is_a_fault(house: House, forger: House, zip_path: Path) -> None:
    def told(line: dict[str, Any]) -> str:
        verdict = check(Report(house), zip_path, line)
        assert verdict.state == "invalid"
        (problem,) = verdict.problems
        return problem

    report = Report(house)
    good = anchor(report, 3)
    other = Checkpoint(house.origin, 3, bytes(32))
    elsewhere = Checkpoint(house.origin + "x", 3, at(report, 3).root)
    assert "Two states of the log do not agree" in told(
        anchor(report, 3, note=other.signed(house.signer))
    )
    assert "signed by no known key" in told(
        anchor(report, 3, note=at(report, 3).signed(forger.signer))
    )
    assert "no known key" in told(
        anchor(report, 3, note=elsewhere.signed(house.signer.renamed(elsewhere.origin)))
    )
    assert "anchors nothing" in told({**good, "path": good["path"][:-1]})
    assert "anchors nothing" in told({**good, "path": ["zz"]})
    assert "cannot be older" in told(
        anchor(report, 3, note=Checkpoint(house.origin, 99, bytes(32)).signed(house.signer))
    )
    assert "anchors nothing" in told({"note": 5})
    broken = cosign(other.body(), WITNESS.name, SECRET, LOGGED)
    assert "does not hold" in told({**good, "note": at(report, 3).signed(house.signer) + broken})


def test_timestamps_count_for_whoever_trusts_their_authority(
    house: House, zip_path: Path, tmp_path: Path
) -> None:
    authority, stranger = Tsa.make(tmp_path / "tsa"), Tsa.make(tmp_path / "other")
    report = Report(house)
    body = at(report, 5).body().encode()
    reply = base64.b64encode(authority.reply(timestamps.query(body).body)).decode()
    line = anchor(report, 5, timestamps=[reply])

    def trusting(who: Tsa) -> Outsiders:
        return Outsiders([], timestamps.certificates(who.ca.read_bytes(), "ca"), late=10**18)

    verdict = check(report, zip_path, line, outsiders=trusting(authority))
    assert (verdict.state, verdict.anchored) == ("valid", 8)
    assert verdict.vouched == ("a timestamp authority",)
    assert check(report, zip_path, line, outsiders=trusting(stranger)).state == "cannot-tell"
    moved = anchor(report, 6, timestamps=[reply])
    assert check(report, zip_path, moved, outsiders=trusting(authority)).state == "cannot-tell"
    garbage = anchor(report, 5, timestamps=["%"])
    assert check(report, zip_path, garbage, outsiders=trusting(authority)).state == "invalid"


def test_anchors_are_signed_with_the_report(house: House, zip_path: Path) -> None:
    report = Report(house)
    report.set_lines(fmt.ANCHORS, [anchor(report, 7)])
    report.signed()
    report.members[FOLDER + fmt.ANCHORS] = b""
    verdict = verify_archive(report.write(zip_path), [house.vkey], outsiders=TRUSTED)
    assert verdict.state == "invalid"
