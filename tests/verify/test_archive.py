"""An honest report is valid, and each attack is named by a sentence."""

import json
import re
import struct
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.vectors.make import jcs, number
from tests.verify.archives import FOLDER, TOP, Batch, House, Record, Report, batches, handed_in
from tests.verify.conftest import log_signer

from auditkeep.errors import InputError, KeyUnusable
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.tlog.merkle import Tree, leaf_hash
from auditkeep.tlog.note import sign
from auditkeep.verify import findings
from auditkeep.verify import format as fmt
from auditkeep.verify.archive import verify_archive
from auditkeep.verify.findings import Verdict


def check(report: Report, path: Path, *pinned: str, held: str | None = None) -> Verdict:
    return verify_archive(report.write(path), pinned or (report.house.vkey,), held)


def assert_invalid(verdict: Verdict, *sentences: str) -> None:
    assert verdict.state == "invalid"
    for sentence in sentences:
        assert any(re.search(sentence, problem) for problem in verdict.problems), verdict.problems


# --- honest reports ------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [True, False])
def test_an_honest_report_is_valid(house: House, zip_path: Path, compress: bool) -> None:
    report = Report(house).signed()
    seen: list[tuple[int, int]] = []
    verdict = verify_archive(
        report.write(zip_path, compress=compress),
        [house.vkey],
        progress=lambda done, total: seen.append((done, total)),
    )
    assert verdict.state == "valid"
    assert verdict.problems == verdict.doubts == ()
    assert (verdict.records, verdict.batches, verdict.attachments) == (8, 2, 1)
    assert verdict.files == len(report.members)
    assert verdict.bytes == sum(map(len, report.members.values()))
    assert (verdict.origin, verdict.log_key) == (house.origin, house.vkey)
    assert verdict.log_size == 7
    assert verdict.report_key_fingerprint == house.report_key.fingerprint
    assert seen[-1] == (verdict.bytes, verdict.bytes)
    assert json.loads(json.dumps(verdict.summary()))["state"] == "valid"


def test_a_report_without_evidence_is_valid(house: House, zip_path: Path) -> None:
    report = Report(house, [Batch(1, [Record(0, "unit-1", b"{}")])])
    del report.members[report.record_lines.pop()["file"]]
    report.batch_lines.clear()
    assert check(report.signed(), zip_path).state == "valid"


def test_a_streamed_zip_is_valid(house: House, zip_path: Path) -> None:
    """Written to a pipe, sizes follow each member's bytes in a data descriptor."""
    report = Report(house).signed()

    class Pipe:
        def __init__(self) -> None:
            self.file = zip_path.open("wb")

        def write(self, data: bytes) -> int:
            return self.file.write(data)

        def flush(self) -> None:
            self.file.flush()

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        for name, data in report.members.items():
            archive.writestr(name, data)
    pipe.file.close()
    assert verify_archive(zip_path, [house.vkey]).state == "valid"


def test_a_zip64_is_valid(house: House, zip_path: Path) -> None:
    report = Report(house).signed()
    with zipfile.ZipFile(zip_path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in report.members.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(data)
    assert verify_archive(zip_path, [house.vkey]).state == "valid"


# --- whose word it is ----------------------------------------------------------------------------


def test_without_a_pinned_key_nobody_can_tell(house: House, zip_path: Path) -> None:
    verdict = verify_archive(Report(house).signed().write(zip_path), [])
    assert verdict.state == "cannot-tell"
    assert house.signer.verifier.fingerprint in verdict.doubts[0]
    assert verdict.fingerprint == house.signer.verifier.fingerprint
    assert verdict.records == 8


def test_a_key_of_another_log_does_not_help(house: House, zip_path: Path) -> None:
    other = log_signer("other.example.org", "other").vkey
    assert check(Report(house).signed(), zip_path, other).state == "cannot-tell"
    assert check(Report(house).signed(), zip_path, other, house.vkey).state == "valid"


def test_without_a_pinned_key_what_is_wrong_is_still_wrong(house: House, zip_path: Path) -> None:
    report = Report(house).signed()
    report.members[TOP + "extra"] = b""
    verdict = verify_archive(report.write(zip_path), [])
    assert_invalid(verdict, "extra was added")


def test_everything_made_anew_by_a_forger_is_told_by_the_pin(
    house: House, forger: House, zip_path: Path
) -> None:
    report = Report(forger).signed()
    assert verify_archive(report.write(zip_path), []).state == "cannot-tell"
    verdict = check(report, zip_path, house.vkey)
    assert_invalid(
        verdict,
        "another key of the log .* than the one that is pinned",
        r"checkpoint\.txt cannot be trusted: The note is signed by no known key",
        "not endorsed by the log's key",
    )


def test_a_new_key_of_the_log_may_be_pinned_beside_the_old(
    house: House, forger: House, zip_path: Path
) -> None:
    assert check(Report(house).signed(), zip_path, forger.vkey, house.vkey).state == "valid"


def test_the_checkpoint_of_another_log(house: House, zip_path: Path) -> None:
    report = Report(house)
    other = log_signer("other.example.org", "other")
    checkpoint = Checkpoint(other.name, report.log.size, report.log.root)
    report.set_note(fmt.CHECKPOINT, checkpoint.signed(other))
    report.signed()
    assert_invalid(check(report, zip_path), r"is the key of log\.example\.org.* is of other\.")
    assert_invalid(check(report, zip_path, other.vkey), "carries another key")


def test_a_checkpoint_that_does_not_hold_the_batches(house: House, zip_path: Path) -> None:
    report = Report(house)
    entries = [number(f"elsewhere {n}") for n in range(7)]
    checkpoint = Checkpoint(house.origin, 7, Tree([leaf_hash(e) for e in entries]).root)
    report.set_note(fmt.CHECKPOINT, checkpoint.signed(house.signer))
    verdict = check(report.signed(), zip_path)
    assert_invalid(
        verdict, r"Batch 1 \(line 1 .*\) is not proven: the log does not hold its record"
    )
    assert_invalid(verdict, "Evidence .*item, line 1 .*its batch 1 is missing or not proven")


def test_a_changed_checkpoint(house: House, zip_path: Path) -> None:
    report = Report(house)
    note = report.members[FOLDER + fmt.CHECKPOINT].decode()
    report.set_note(fmt.CHECKPOINT, note.replace("\n7\n", "\n8\n"))
    assert_invalid(check(report.signed(), zip_path), "The signature of .* does not hold")


def test_a_checkpoint_that_says_nothing(house: House, zip_path: Path) -> None:
    report = Report(house)
    report.set_note(fmt.CHECKPOINT, sign(f"{house.origin}\nnothing\n", [house.signer]))
    assert_invalid(check(report.signed(), zip_path), "This is not a checkpoint")


def test_a_report_key_of_the_forger(house: House, forger: House, zip_path: Path) -> None:
    report = Report(house).signed(forger.report_key)
    verdict = check(report, zip_path)
    assert_invalid(
        verdict, "names another report key than the one that the log endorses",
        r"digest\.txt was changed, or signed by somebody else",
    )  # fmt: skip
    report = Report(house)
    report.endorse(forger.signer, forger.report_key)
    verdict = check(report.signed(forger.report_key), zip_path)
    assert_invalid(verdict, "not endorsed by the log's key", "no endorsed key is known")


def test_an_endorsement_for_another_log_or_of_nothing(house: House, zip_path: Path) -> None:
    der = house.report_key.public_der
    report = Report(house)
    report.set_note(fmt.REPORT_KEY, sign(fmt.report_key_body("other", der), [house.signer]))
    assert_invalid(check(report.signed(), zip_path), "endorses a key of the log other")
    body = fmt.report_key_body(house.origin, der)
    for wrong in (
        body.replace("report-key/1", "report-key/2"),
        body.replace(house.report_key.fingerprint, "00" * 32),
        body.replace("\nMII", "\n!!!"),
        "text\n",
    ):
        report = Report(house)
        report.set_note(fmt.REPORT_KEY, sign(wrong, [house.signer]))
        assert_invalid(check(report.signed(), zip_path), "not endorsed by the log's key: proofs/")


# --- a checkpoint held from before or after ------------------------------------------------------


def held(house: House, entries: list[bytes]) -> str:
    tree = Tree([leaf_hash(entry) for entry in entries])
    return Checkpoint(house.origin, tree.size, tree.root).signed(house.signer)


def test_the_same_checkpoint_held(house: House, zip_path: Path) -> None:
    report = Report(house).signed()
    assert check(report, zip_path, held=held(house, report.entries)).state == "valid"
    assert check(report, zip_path, held=held(house, [])).state == "valid"


def test_two_histories_of_one_size(house: House, zip_path: Path) -> None:
    report = Report(house).signed()
    verdict = check(report, zip_path, held=held(house, report.entries[::-1]))
    assert_invalid(verdict, "signed two different histories of 7 entries")


def test_an_earlier_checkpoint_needs_a_proof(house: House, zip_path: Path) -> None:
    report = Report(house)
    earlier = held(house, report.entries[:3])
    verdict = check(report.signed(), zip_path, held=earlier)
    assert verdict.state == "cannot-tell"
    assert "no proof that one continues the other" in verdict.doubts[0]

    path = [step.hex() for step in report.log.consistency(3)]
    lines = [{"old": 2, "new": 7, "path": []}, {"old": 3, "new": 7, "path": path}]
    report.set_lines(fmt.CONSISTENCY, lines)
    assert check(report.signed(), zip_path, held=earlier).state == "valid"

    forged = held(house, [number("rewritten"), *report.entries[1:3]])
    assert_invalid(check(report, zip_path, held=forged), "are not states of one history")


def test_a_later_checkpoint_needs_a_proof_too(house: House, zip_path: Path) -> None:
    report = Report(house)
    entries = [*report.entries, number("later")]
    verdict = check(report.signed(), zip_path, held=held(house, entries))
    assert verdict.state == "cannot-tell"
    path = Tree([leaf_hash(entry) for entry in entries]).consistency(7)
    report.set_lines(fmt.CONSISTENCY, [{"old": 7, "new": 8, "path": [step.hex() for step in path]}])
    assert check(report.signed(), zip_path, held=held(house, entries)).state == "valid"


def test_a_consistency_file_that_cannot_be_read(house: House, zip_path: Path) -> None:
    report = Report(house)
    report.members[FOLDER + fmt.CONSISTENCY] = b'{"old":3,"new":7,"path":["xy"]}\nnoise\ncut'
    verdict = check(report.signed(), zip_path, held=held(house, report.entries[:3]))
    assert_invalid(verdict, "Line 1 of .*consistency", "Line 2 of", "last line does not end")


def test_a_held_checkpoint_of_somebody_else(house: House, forger: House, zip_path: Path) -> None:
    report = Report(house).signed()
    verdict = check(report, zip_path, held=held(forger, report.entries))
    assert_invalid(verdict, "The checkpoint you hold cannot be compared")
    assert_invalid(check(report, zip_path, held="noise"), "The checkpoint you hold cannot be")


# --- bytes that were changed ---------------------------------------------------------------------


def flip(data: bytes, at: int = 3) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_every_changed_file_is_named(house: House, zip_path: Path) -> None:
    honest = Report(house).signed().members
    for name in honest:
        report = Report(house).signed()
        report.members[name] = flip(report.members[name], len(report.members[name]) // 2)
        verdict = check(report, zip_path)
        assert verdict.state == "invalid", name
        assert any(name in problem for problem in verdict.problems), name


def test_a_changed_raw_file_fails_digest_and_proof(house: House, zip_path: Path) -> None:
    report = Report(house).signed()
    name = report.record_lines[2]["file"]
    report.members[name] = flip(report.members[name])
    assert_invalid(
        check(report, zip_path),
        f"{name} was changed: its SHA-256",
        rf"Evidence .*\({name}, line 3 of proofs/records.jsonl\) is not proven: the source's bytes",
    )


def test_a_forger_with_the_report_key_still_fails_the_log(house: House, zip_path: Path) -> None:
    report = Report(house)
    name = report.record_lines[2]["file"]
    report.members[name] = flip(report.members[name])
    verdict = check(report.signed(), zip_path)
    assert len(verdict.problems) == 1
    assert_invalid(verdict, f"{name}, line 3 .*is not proven")


def test_a_changed_envelope_is_named(house: House, zip_path: Path) -> None:
    report = Report(house)
    line = report.record_lines[4]
    line["envelope"] = line["envelope"].replace('"match_key":"k"', '"match_key":"j"')
    assert_invalid(check(report.signed(), zip_path), f"{line['file']}, line 5 .*the envelope")


def test_swapped_records_are_named(house: House, zip_path: Path) -> None:
    report = Report(house)
    a, b = report.record_lines[0], report.record_lines[1]
    a["file"], b["file"] = b["file"], a["file"]
    verdict = check(report.signed(), zip_path)
    assert len(verdict.problems) == 2
    assert_invalid(verdict, "line 1 of .* is not proven", "line 2 of .* is not proven")


def test_swapped_files_are_named(house: House, zip_path: Path) -> None:
    report = Report(house)
    a, b = report.record_lines[0]["file"], report.record_lines[6]["file"]
    members = report.members
    members[a], members[b] = members[b], members[a]
    assert_invalid(check(report.signed(), zip_path), f"{a}, line 1 ", f"{b}, line 7 ")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("index", 3, "the source's bytes, the envelope, or their place"),
        ("index", 99, "There is no entry 99 in a tree of 5"),
        ("index", -1, "There is no entry -1"),
        ("batch_no", 2, "their place are not those that were logged"),
        ("batch_no", 3, "its batch 3 is missing"),
        ("nonce", "00" * 32, "not those that were logged"),
        ("nonce", "AB" * 32, "not a hash in lower-case hex"),
        ("nonce", "xy", "not a hash in hex"),
        ("path", [], "does not fit entry"),
        ("path", ["00" * 32] * 3, "not those that were logged"),
        ("path", ["00" * 31] * 3, "not a hash"),
        ("path", ["zz" * 32] * 3, "not hex"),
        ("file", TOP + "elsewhere", "its file is missing"),
    ],
)
def test_a_record_line_that_lies(
    house: House, zip_path: Path, key: str, value: Any, sentence: str
) -> None:
    report = Report(house)
    report.record_lines[1][key] = value
    assert_invalid(check(report.signed(), zip_path), rf"line 2 of .* is not proven: .*{sentence}")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("record", "{}", "does not read as one"),
        ("record", "noise", "does not read as one"),
        ("salt", "00" * 32, "the log does not hold its record"),
        ("salt", "00", "not a hash"),
        ("index", 4, "the log does not hold its record"),
        ("index", 99, "no entry 99 in a tree of 7"),
        ("inclusion", [], "does not fit entry"),
        ("batch_no", 9, "its record is that of batch 1"),
    ],
)
def test_a_batch_line_that_lies(
    house: House, zip_path: Path, key: str, value: Any, sentence: str
) -> None:
    report = Report(house)
    report.batch_lines[0][key] = value
    assert_invalid(check(report.signed(), zip_path), rf"line 1 of .*batches.*{sentence}")


def test_a_batch_or_evidence_given_twice(house: House, zip_path: Path) -> None:
    report = Report(house)
    report.batch_lines.append(report.batch_lines[0])
    report.record_lines.append(report.record_lines[0])
    assert_invalid(
        check(report.signed(), zip_path),
        r"Batch 1 \(line 3 .*more than once",
        "line 9 of .*more than once",
    )


# --- what the log holds, but should not ----------------------------------------------------------


def one_batch(record: Record) -> list[Batch]:
    return [Batch(1, [record])]


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (one_batch(Record(1, "unit-1", b"{}", id="00" * 16)), "its id does not follow"),
        (one_batch(Record(1, "unit-2", b"{}")), "another ingest unit"),
        (one_batch(Record(1, "unit-1", b"{}", account="999999999999")), "another account"),
        (one_batch(Record(1, "unit-1", b"{}", v=2)), "envelope is of version 2.*newer version"),
        ([Batch(1, [Record(1, "unit-1", b"{}")], account="999999999999")], "account 999999999999"),
        ([Batch(1, [Record(1, "unit-1", b"{}")], v=2)], "batch record is of version 2"),
    ],
)
def test_what_was_logged_contradicts_itself(
    house: House, zip_path: Path, made: list[Batch], sentence: str
) -> None:
    assert_invalid(check(Report(house, made).signed(), zip_path), sentence)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("2026-05-01T10:00:01.000000Z", "yesterday", "its event time 'yesterday' is none"),
        ("2026-05-01T10:00:01.000000Z", "1969-05-01T10:00:01.000000Z", "event time '1969"),
        ('"natural_key":["event-1"]', '"natural_key":"event-1"', "envelope does not read as one"),
        ("{", "[", "envelope does not read as one"),
    ],
)
def test_an_envelope_that_cannot_be_read(
    house: House, zip_path: Path, old: str, new: str, sentence: str
) -> None:
    class Odd(Record):
        @property
        def envelope(self) -> str:
            return super().envelope.replace(old, new)

    assert_invalid(
        check(Report(house, one_batch(Odd(1, "unit-1", b"{}"))).signed(), zip_path), sentence
    )


# --- files --------------------------------------------------------------------------------------


def test_a_missing_file_is_named(house: House, zip_path: Path) -> None:
    report = Report(house).signed()
    name = report.record_lines[3]["file"]
    del report.members[name]
    assert_invalid(
        check(report, zip_path), f"{name} is missing", rf"\({name}, .*its file is missing"
    )


def test_an_added_file_is_named(house: House, zip_path: Path) -> None:
    report = Report(house).signed()
    report.members[TOP + "control-0a1b2c3d/new evidence"] = b"made up"
    assert_invalid(check(report, zip_path), "new evidence was added: it is not listed")


def test_evidence_that_no_record_proves_is_named(house: House, zip_path: Path) -> None:
    report = Report(house)
    report.members[TOP + "control-0a1b2c3d/made-up"] = b"signed, but never logged"
    assert_invalid(check(report.signed(), zip_path), "made-up is in the archive, but no record")


@pytest.mark.parametrize("name", ["made-up.json", "volumes/made-up.json", "volumes/a/b.pdf"])
def test_evidence_does_not_hide_in_the_report_s_folder(
    house: House, zip_path: Path, name: str
) -> None:
    report = Report(house)
    report.members[FOLDER + "volumes/control-0a1b2c3d-01.pdf"] = b"%PDF-1.7 a listing"
    assert check(report.signed(), zip_path).state == "valid"
    report = Report(house)
    report.members[FOLDER + name] = b"signed, but never logged"
    assert_invalid(check(report.signed(), zip_path), f"{name} is in the archive, but no record")


def test_a_digest_outside_any_folder_does_not_hide_evidence(house: House, zip_path: Path) -> None:
    report = Report(house)
    report.members[TOP + "control-0a1b2c3d/made-up"] = b"signed, but never logged"
    report.members = {n.removeprefix(FOLDER): d for n, d in report.members.items()}
    for file, lines in ((fmt.BATCHES, report.batch_lines), (fmt.RECORDS, report.record_lines)):
        report.members[file] = b"".join(jcs(line) + b"\n" for line in lines)
    listed = [
        {"fileName": n, "fileHashValue": sha256(d).hexdigest(), "size": len(d)}
        for n, d in sorted(report.members.items())
    ]
    report.signed(files=listed)
    report.members[fmt.DIGEST] = report.members.pop(DIGEST)
    for name in (fmt.BATCHES, fmt.RECORDS):
        del report.members[FOLDER + name]
    verdict = check(report, zip_path)
    assert_invalid(verdict, "made-up is in the archive, but no record")
    assert len(verdict.problems) == 1, "nothing else is wrong with it"


@pytest.mark.parametrize("name", [fmt.CHECKPOINT, fmt.REPORT_KEY, fmt.BATCHES, fmt.RECORDS])
def test_missing_proofs_are_named(house: House, zip_path: Path, name: str) -> None:
    report = Report(house).signed()
    del report.members[FOLDER + name]
    assert_invalid(check(report, zip_path), f"lacks {FOLDER + name}")
    assert verify_archive(zip_path, []).state == "invalid"


def test_a_missing_log_key_is_named_even_when_one_is_pinned(house: House, zip_path: Path) -> None:
    report = Report(house)
    del report.members[FOLDER + fmt.LOG_KEY]
    assert_invalid(check(report.signed(), zip_path), "lacks .*log-key.txt")
    assert_invalid(verify_archive(zip_path, []), "lacks .*log-key.txt", "no endorsed key")


@pytest.mark.parametrize("text", [b"noise", b"\xff\xfe", b"a" * (1 << 21)])
def test_garbled_notes_are_named(house: House, zip_path: Path, text: bytes) -> None:
    for name in (fmt.CHECKPOINT, fmt.REPORT_KEY, fmt.LOG_KEY):
        report = Report(house)
        report.members[FOLDER + name] = text
        assert_invalid(check(report.signed(), zip_path), name)


@pytest.mark.parametrize("text", [b"noise\n", b'{"batch_no":1}\n', b"\xff\n", b"[]", b"\n"])
def test_garbled_proof_lines_are_named(house: House, zip_path: Path, text: bytes) -> None:
    for name in (fmt.BATCHES, fmt.RECORDS):
        report = Report(house)
        report.members[FOLDER + name] = text
        assert_invalid(check(report.signed(), zip_path), name)


def test_an_attachment_is_proven_by_what_was_logged(house: House, zip_path: Path) -> None:
    report = Report(house)
    attachment = report.record_lines[-1]["attachment"]
    report.members[attachment["file"]] = b"another file"
    verdict = check(report.signed(), zip_path)
    assert_invalid(verdict, f"its attachment {attachment['file']} was changed")
    attachment["sha256"] = sha256(b"another file").hexdigest()
    del report.members[FOLDER + fmt.RECORDS]
    verdict = check(report.signed(), zip_path)
    assert_invalid(verdict, "the logged bytes do not name its attachment")
    del report.members[attachment["file"]]
    assert_invalid(check(report.signed(), zip_path), "its attachment .* is missing")


UPLOAD = b"%PDF-1.7 the customer's own file"


@pytest.mark.parametrize(
    ("source", "raw", "attached", "problem"),
    [
        # The hash stands somewhere in the logged bytes, but not as that of the file.
        (
            "MANUAL",
            handed_in(form="file", sha256="0" * 64, text=sha256(UPLOAD).hexdigest()),
            True,
            "the logged bytes do not name its attachment",
        ),
        (
            "MANUAL",
            handed_in(form="file", fileName=sha256(UPLOAD).hexdigest()),
            True,
            "the logged bytes do not name its attachment",
        ),
        (
            "MANUAL",
            handed_in(form="file", sha256=sha256(UPLOAD).hexdigest()),
            False,
            "handed in with a file, but the report does not carry it",
        ),
        (
            "MANUAL",
            handed_in(form="s3", sha256=sha256(UPLOAD).hexdigest()),
            False,
            "handed in with a file, but the report does not carry it",
        ),
        (
            "MANUAL",
            handed_in(form="text", text=sha256(UPLOAD).hexdigest()),
            True,
            "given in words, but carries the attachment",
        ),
        (
            "AWS_Cloudtrail",
            handed_in(form="file", sha256=sha256(UPLOAD).hexdigest()),
            True,
            "only manual evidence has any",
        ),
        ("MANUAL", b"[]", True, "do not say what was handed in"),
        ("MANUAL", handed_in(form="fax"), False, "do not say what was handed in"),
    ],
)
def test_an_attachment_is_there_exactly_when_the_log_says_so(
    house: House, zip_path: Path, source: str, raw: bytes, attached: bool, problem: str
) -> None:
    """Forged with all keys, before anything was logged: the record itself is in the log."""
    record = Record(0, "unit-1", raw, attachment=UPLOAD if attached else None, source=source)
    verdict = check(Report(house, [Batch(1, [record])]).signed(), zip_path)
    assert_invalid(verdict, problem)


def test_a_file_named_by_its_bucket_is_proven_alike(house: House, zip_path: Path) -> None:
    raw = handed_in(form="s3", path="s3://b/policy.pdf", sha256=sha256(UPLOAD).hexdigest())
    record = Record(0, "unit-1", raw, attachment=UPLOAD, source="MANUAL")
    assert check(Report(house, [Batch(1, [record])]).signed(), zip_path).state == "valid"


def test_words_need_no_file(house: House, zip_path: Path) -> None:
    raw = handed_in(form="text", text="yes")
    record = Record(0, "unit-1", raw, source="MANUAL")
    assert check(Report(house, [Batch(1, [record])]).signed(), zip_path).state == "valid"


def test_problems_are_capped_with_a_count(house: House, zip_path: Path) -> None:
    report = Report(house).signed()
    for n in range(findings.MAX_PROBLEMS + 5):
        report.members[f"{TOP}extra-{n:03d}"] = b""
    verdict = check(report, zip_path)
    assert len(verdict.problems) == findings.MAX_PROBLEMS + 1
    assert re.fullmatch(r"… and \d+ more problems\.", verdict.problems[-1])


# --- the digest ---------------------------------------------------------------------------------


DIGEST = FOLDER + fmt.DIGEST


@pytest.mark.parametrize(
    "change",
    [
        {"reportName": "other"},
        {"signatureDateTime": "2020-01-01T00:00:00Z"},
        {"accountId": "999999999999"},
        {"hashSignature": "00"},
        {"hashSignature": "not hex"},
        {"files": []},
    ],
)
def test_a_changed_digest_is_named(house: House, zip_path: Path, change: dict[str, Any]) -> None:
    report = Report(house).signed()
    report.edit_json(DIGEST, lambda digest: digest.update(change))
    assert_invalid(check(report, zip_path), r"digest\.txt was changed, or signed by somebody else")


@pytest.mark.parametrize(
    "change",
    [
        {"version": "2.0"},
        {"extra": "member"},
        {"hashAlgorithm": "MD5"},
        {"signatureAlgorithm": "none"},
        {"files": [{"fileName": "a"}]},
    ],
)
def test_a_digest_of_another_shape_is_refused(
    house: House, zip_path: Path, change: dict[str, Any]
) -> None:
    report = Report(house).signed(**change)
    assert_invalid(check(report, zip_path), r"digest\.txt cannot be read as a digest")


def test_a_digest_written_another_way_is_refused(house: House, zip_path: Path) -> None:
    report = Report(house).signed()
    text = report.members[DIGEST]
    for other in (text + b"\n", text.replace(b",", b", ", 1), b'{"version":"1.0",' + text[1:]):
        report.members[DIGEST] = other
        assert_invalid(check(report, zip_path), "not written in its one exact form")


def test_a_digest_that_lists_twice_or_wrong_sizes(house: House, zip_path: Path) -> None:
    report = Report(house).signed()
    files = json.loads(report.members[DIGEST])["files"]
    assert_invalid(check(report.signed(files=[*files, files[0]]), zip_path), "listed twice")
    report = Report(house)
    files[0]["size"] += 1
    assert_invalid(check(report.signed(files=files), zip_path), "another size than digest.txt")


@pytest.mark.parametrize("names", [[], [DIGEST, TOP + "digest.txt"]])
def test_there_is_exactly_one_digest(house: House, zip_path: Path, names: list[str]) -> None:
    report = Report(house).signed()
    text = report.members.pop(DIGEST)
    for name in names:
        report.members[name] = text
    assert_invalid(check(report, zip_path), f"has {len(names)} files named digest.txt")


def test_the_product_s_own_digest_is_the_documented_one(house: House) -> None:
    report = Report(house).signed()
    text = report.members[DIGEST]
    digest = msgspec.json.decode(text, type=fmt.Digest)
    assert digest.file_bytes() == text
    unsigned = msgspec.structs.replace(digest, hash_signature="")
    assert unsigned.signed(house.report_key) == digest
    by_hand = re.sub(rb'"hashSignature":"[0-9a-f]*",', b"", text)
    assert by_hand == digest.signed_bytes()


# --- the zip ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../escape",
        "/absolute",
        TOP + "a/../../b",
        TOP + "./a",
        "a//b",
        "back\\slash",
        "C:evil",
        TOP,
    ],
)
def test_path_tricks_are_named(house: House, zip_path: Path, name: str) -> None:
    report = Report(house)
    report.members[name] = b""
    sentence = "path leads elsewhere|name that is not plain"
    assert_invalid(check(report.signed(), zip_path), sentence)


def test_a_link_is_named(house: House, zip_path: Path) -> None:
    report = Report(house).signed()
    report.write(zip_path)
    with zipfile.ZipFile(zip_path, "a") as archive:
        link = zipfile.ZipInfo(TOP + "link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert_invalid(verify_archive(zip_path, [house.vkey]), "which is a link or a device")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_names_are_named(house: House, zip_path: Path) -> None:
    report = Report(house).signed()
    name = report.record_lines[0]["file"]
    report.write(zip_path)
    with zipfile.ZipFile(zip_path, "a") as archive:
        archive.writestr(name, b"another content under the same name")
    assert_invalid(verify_archive(zip_path, [house.vkey]), f"holds '{name}' more than once")


def test_a_truncated_zip_is_refused(house: House, zip_path: Path) -> None:
    whole = Report(house).signed().write(zip_path).read_bytes()
    for cut in (0, 1, 100, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        zip_path.write_bytes(whole[:cut])
        assert_invalid(verify_archive(zip_path, [house.vkey]), "not a whole zip archive")


@pytest.mark.parametrize("where", ["before", "after", "between"])
def test_bytes_that_belong_to_no_file(house: House, zip_path: Path, where: str) -> None:
    report = Report(house).signed()
    whole = report.write(zip_path).read_bytes()
    if where == "between":
        with zipfile.ZipFile(zip_path) as archive:
            start = archive.start_dir
        # A gap before the central directory, whose place the end record still tells.
        moved = bytearray(whole[:start] + b"hidden" + whole[start:])
        struct.pack_into("<I", moved, len(moved) - 6, start + 6)
        zip_path.write_bytes(moved)
    else:
        zip_path.write_bytes(b"hidden" + whole if where == "before" else whole + b"hidden")
    verdict = verify_archive(zip_path, [house.vkey])
    assert_invalid(verdict, "bytes (before|after|that belong)|not a whole zip")


def test_a_zip_comment_is_refused(house: House, zip_path: Path) -> None:
    Report(house).signed().write(zip_path)
    with zipfile.ZipFile(zip_path, "a") as archive:
        archive.comment = b"trust me"
    assert_invalid(verify_archive(zip_path, [house.vkey]), "belong to none of its files")


def patched(path: Path, name: str, offset: int, value: int) -> None:
    """Write a 32-bit value into the central directory entry of a member."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        at = data.index(name.encode(), archive.start_dir) - 46
    struct.pack_into("<I", data, at + offset, value)
    path.write_bytes(data)


def patched_local(path: Path, name: str, offset: int, value: int) -> None:
    """Likewise in its local header."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(name.encode()) - 30 + offset, value)
    path.write_bytes(data)


@pytest.mark.parametrize("compress", [True, False])
def test_a_file_larger_than_it_says(house: House, zip_path: Path, compress: bool) -> None:
    report = Report(house)
    name = TOP + "bomb"
    report.members[name] = bytes(5_000_000)
    report.signed().write(zip_path, compress=compress)
    patched(zip_path, name, 24, 10)
    patched_local(zip_path, name, 22, 10)
    assert_invalid(verify_archive(zip_path, [house.vkey]), f"{name} unpacks to more than the 10")


def test_a_file_smaller_than_it_says(house: House, zip_path: Path) -> None:
    report = Report(house).signed()
    name = report.record_lines[0]["file"]
    report.write(zip_path)
    patched(zip_path, name, 24, 1_000_000)
    patched_local(zip_path, name, 22, 1_000_000)
    assert_invalid(verify_archive(zip_path, [house.vkey]), f"{name} unpacks to 12 bytes, not the 1")


@pytest.mark.parametrize("offset", [16, 20, 24])
def test_two_headers_that_disagree(house: House, zip_path: Path, offset: int) -> None:
    report = Report(house).signed()
    name = report.record_lines[0]["file"]
    report.write(zip_path)
    patched(zip_path, name, offset, 11)
    assert_invalid(verify_archive(zip_path, [house.vkey]), f"contradicts itself about '{name}'")


def test_a_wrong_zip_checksum(house: House, zip_path: Path) -> None:
    report = Report(house).signed()
    name = report.record_lines[0]["file"]
    report.write(zip_path)
    patched(zip_path, name, 16, 11)
    patched_local(zip_path, name, 14, 11)
    assert_invalid(verify_archive(zip_path, [house.vkey]), f"{name} is damaged: its zip checksum")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(house: House, zip_path: Path, method: int) -> None:
    report = Report(house).signed()
    with zipfile.ZipFile(zip_path, "w", method) as archive:
        for name, data in report.members.items():
            archive.writestr(name, data)
    assert_invalid(verify_archive(zip_path, [house.vkey]), "compressed in a way that is not used")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_flipped_bit_anywhere_gives_a_valid_report_of_other_content(
    house: House, tmp_path: Path, data: st.DataObject
) -> None:
    """What a flip may change unseen is only what a zip says beside its files: times and modes."""
    path = tmp_path / "report.zip"
    if not path.exists():
        Report(house).signed().write(path)
    whole = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[place // 8] ^= 1 << place % 8
    flipped = tmp_path / "flipped.zip"
    flipped.write_bytes(whole)
    if verify_archive(flipped, [house.vkey]).state != "invalid":
        with zipfile.ZipFile(path) as before, zipfile.ZipFile(flipped) as after:
            assert before.namelist() == after.namelist()
            assert all(before.read(name) == after.read(name) for name in before.namelist())


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(noise=st.binary(max_size=200))
def test_noise_is_never_more_than_invalid(house: House, tmp_path: Path, noise: bytes) -> None:
    path = tmp_path / "noise.zip"
    path.write_bytes(noise)
    assert verify_archive(path, [house.vkey]).state == "invalid"


# --- questions that cannot be asked ---------------------------------------------------------------


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        verify_archive(tmp_path / "none.zip", [])


def test_a_pin_that_is_no_key(house: House, zip_path: Path) -> None:
    with pytest.raises(KeyUnusable, match="not a log key"):
        check(Report(house).signed(), zip_path, "noise")


def test_lines_are_read_in_bounded_memory(
    house: House, zip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditkeep.verify.proofs._LINE_LIMIT", 2000)
    report = Report(house)
    report.members[FOLDER + fmt.RECORDS] = b" " * 3000 + b"\n"
    assert_invalid(check(report.signed(), zip_path), "has a line of more than 2000 bytes")


def test_many_batches_are_checked_whatever_is_remembered(
    house: House, zip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditkeep.verify.proofs._REMEMBERED_BATCHES", 1)
    report = Report(house, batches())
    report.record_lines.sort(key=lambda line: line["index"])  # the batches in turns
    assert check(report.signed(), zip_path).state == "valid"
    assert jcs(report.record_lines[0]) != jcs(report.record_lines[1])
