"""Reports of a log that had to begin anew, for an auditor who knows the one before."""

from pathlib import Path
from typing import Any

import pytest
from tests.verify.archives import FOLDER, House, Report
from tests.verify.test_archive import assert_invalid, check

from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.tlog.epoch import Epoch
from auditkeep.tlog.merkle import Tree
from auditkeep.verify import format as fmt

KEPT, LAST = 4, 9


@pytest.fixture
def successor(house: House) -> House:
    return House(house.signer.renamed(house.origin + "/epoch-2"), house.report_key)


def root_of(report: Report, size: int) -> bytes:
    return Tree([report.log.node(0, i) for i in range(size)]).root


def epoch_of(report: Report, house: House, **changes: Any) -> Epoch:
    members: dict[str, Any] = {
        "former": house.origin,
        "vkey": report.house.vkey,
        "kept_size": KEPT,
        "kept_root": root_of(report, KEPT),
        "last_size": LAST,
        "last_root": b"l" * 32,
    }
    return Epoch(**(members | changes))


def made(house: House, successor: House) -> Report:
    report = Report(successor)
    note = epoch_of(report, house).signed(house.signer)
    report.set_lines(fmt.EPOCHS, [{"note": note}])
    lines = [
        {
            "old": size,
            "new": report.log.size,
            "path": [step.hex() for step in report.log.consistency(size)],
        }
        for size in range(1, report.log.size)
    ]
    report.set_lines(fmt.CONSISTENCY, lines)
    return report


def held(house: House, report: Report, size: int) -> str:
    root = root_of(report, size) if size <= KEPT else b"x" * 32
    return Checkpoint(house.origin, size, root).signed(house.signer)


def test_who_pinned_the_former_key_can_follow(
    house: House, successor: House, zip_path: Path
) -> None:
    verdict = check(made(house, successor).signed(), zip_path, house.vkey)
    assert verdict.problems == verdict.doubts == ()
    assert verdict.state == "valid"
    assert verdict.origin == successor.origin


def test_without_the_note_nobody_can(house: House, successor: House, zip_path: Path) -> None:
    report = made(house, successor)
    del report.members[FOLDER + fmt.EPOCHS]
    verdict = check(report.signed(), zip_path, house.vkey)
    assert verdict.state == "cannot-tell"


def test_a_note_that_somebody_else_signed_leads_nowhere(
    house: House, forger: House, zip_path: Path
) -> None:
    theirs = House(forger.signer.renamed(house.origin + "/epoch-2"), forger.report_key)
    report = Report(theirs)
    note = epoch_of(report, house).signed(forger.signer)
    report.set_lines(fmt.EPOCHS, [{"note": note}])
    assert check(report.signed(), zip_path, house.vkey).state == "cannot-tell"


def test_a_note_that_cannot_be_read_is_told(house: House, successor: House, zip_path: Path) -> None:
    report = made(house, successor)
    report.set_lines(fmt.EPOCHS, [["note"]])
    assert_invalid(check(report.signed(), zip_path, successor.vkey), "epochs.jsonl cannot be read")


@pytest.mark.parametrize("size", [1, 3, 4])
def test_a_checkpoint_of_the_former_log_is_a_state_of_the_new_one(
    house: House, successor: House, zip_path: Path, size: int
) -> None:
    report = made(house, successor).signed()
    for key in (house.vkey, successor.vkey):
        keys = {key, house.vkey}  # the former key is what opens the checkpoint
        verdict = check(report, zip_path, *keys, held=held(house, report, size))
        assert verdict.problems == verdict.doubts == ()


@pytest.mark.parametrize("size", [5, 9])
def test_what_was_lost_is_a_doubt(
    house: House, successor: House, zip_path: Path, size: int
) -> None:
    report = made(house, successor).signed()
    verdict = check(report, zip_path, house.vkey, held=held(house, report, size))
    assert verdict.state == "cannot-tell"
    assert f"keeps {KEPT} of its entries: the checkpoint you hold has {size}" in verdict.doubts[0]


def test_what_was_concealed_is_a_problem(house: House, successor: House, zip_path: Path) -> None:
    report = made(house, successor).signed()
    verdict = check(report, zip_path, house.vkey, held=held(house, report, LAST + 1))
    assert_invalid(verdict, f"is said to have ended with {LAST}: some of it was concealed")


def test_what_was_kept_cannot_be_rewritten(house: House, successor: House, zip_path: Path) -> None:
    report = made(house, successor).signed()
    forged = Checkpoint(house.origin, 3, b"x" * 32).signed(house.signer)
    verdict = check(report, zip_path, house.vkey, held=forged)
    assert_invalid(verdict, "are not states of one history")
