"""Manual evidence: words and files, each item on its own, and what becomes of them."""

from __future__ import annotations

import dataclasses
import gzip
from hashlib import sha256
from typing import Any

import pytest
from tests.operations.making import again, assessment, at, by, folders_of, items_of, rows_of, shown

from auditkeep.accounts import quotas
from auditkeep.assessments.model import Delegation
from auditkeep.assessments.review import add_delegation
from auditkeep.clock import Instant, day_of
from auditkeep.db.schema import uploads
from auditkeep.errors import InvalidRequest, NotFound, StorageError
from auditkeep.evidence import items, lens
from auditkeep.evidence import manual as room
from auditkeep.ids import new_id
from auditkeep.lake.append import Appended, append
from auditkeep.lake.blobs import get_blob, object_name, put_blob, stored_name
from auditkeep.lake.read import find
from auditkeep.operations.auditmanager import assessments, evidence, manual, review
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am

UUID_LENGTH = 36


def test_words_are_evidence_at_once(call: Call) -> None:
    made = assessment(call)
    assert _import(call, made, am.ManualEvidence(text_response="we looked")) == []
    (folder,) = folders_of(call, made)
    assert folder["totalEvidence"] == folder["evidenceByTypeManualCount"] == 1
    assert (folder["dataSource"], folder["author"]) == ("Manual", call.principal.arn)
    (item,) = items_of(call, folder)
    assert item["dataSource"] == item["evidenceByType"] == "Manual"
    assert item["attributes"] == {
        "form": "text",
        "text": "we looked",
        "uploader": call.principal.arn,
    }
    assert "complianceCheck" not in item
    assert item["resourcesIncluded"] == []
    ask = am.GetEvidenceRequest(
        assessment_id=made["metadata"]["id"],
        control_set_id="Access",
        evidence_folder_id=folder["id"],
        evidence_id=item["id"],
    )
    assert shown(evidence.get_evidence(call, ask))["evidence"] == item


def test_long_words_are_shown_whole(call: Call) -> None:
    made = assessment(call)
    text = "".join(chr(ord("a") + n % 26) for n in range(1000))
    _import(call, made, am.ManualEvidence(text_response=text))
    (item,) = items_of(call, folders_of(call, made)[0])
    parts = ["text", *(f"text.{n}" for n in range(2, 6))]
    assert "".join(item["attributes"][p] for p in parts) == text
    assert all(len(v) <= 200 for v in item["attributes"].values())


def test_the_same_words_twice_are_two_pieces_of_evidence(call: Call) -> None:
    made = assessment(call)
    same = am.ManualEvidence(text_response="yes")
    _import(call, made, same, same)
    assert folders_of(call, made)[0]["totalEvidence"] == 2


def test_an_uploaded_file_is_copied_under_its_assessment(call: Call) -> None:
    made = assessment(call)
    answer = _upload_url(call, "policy.txt")
    name = answer["evidenceFileName"]
    assert name[UUID_LENGTH:] == "_policy.txt"
    assert f"/files/uploads/{name}" in answer["uploadUrl"]
    _put(call, name, b"the policy")
    assert _import(call, made, am.ManualEvidence(evidence_file_name=name)) == []
    file = _file(call, made)
    assert (file.name, file.size) == ("policy.txt", 10)
    assert file.sha256 == sha256(b"the policy").hexdigest()
    assert b"".join(get_blob(call.tx, call.deps.lake, file.object_id)) == b"the policy"
    (item,) = items_of(call, folders_of(call, made)[0])
    assert item["attributes"] == {
        "form": "file",
        "fileName": "policy.txt",
        "size": "10",
        "sha256": file.sha256,
        "uploader": call.principal.arn,
    }


def test_a_file_of_a_bucket_is_copied_too(call: Call) -> None:
    made = assessment(call)
    stocked = room.stocked("my-bucket", "a/b.md")
    put_blob(call.tx, call.deps.lake, room.STOCK, stocked, b"# hello", call.now)
    url = "s3://my-bucket/a/b.md"
    assert _import(call, made, am.ManualEvidence(s3_resource_path=url)) == []
    (item,) = items_of(call, folders_of(call, made)[0])
    assert item["attributes"]["path"] == url
    file = _file(call, made)
    assert b"".join(get_blob(call.tx, call.deps.lake, file.object_id)) == b"# hello"


def test_a_report_is_no_file_that_could_be_imported(call: Call) -> None:
    made = assessment(call)
    put_blob(call.tx, call.deps.lake, "reports", "reports/my-bucket/a/r.zip", b"PK", call.now)
    (error,) = _import(call, made, am.ManualEvidence(s3_resource_path="s3://my-bucket/a/r.zip"))
    assert error["errorCode"] == "404"


def test_what_the_lake_refuses_is_not_called_imported(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = assessment(call)
    name = _upload_url(call, "a.txt")["evidenceFileName"]
    _put(call, name, b"a")
    real = append

    def refusing(*where: Any, observations: Any, **how: Any) -> Appended:
        done = real(*where, observations=observations[:1], **how)
        return dataclasses.replace(done, refused=((observations[1].position, "Too odd."),))

    monkeypatch.setattr(room, "append", refusing)
    (error,) = _import(call, made, am.ManualEvidence(text_response="kept"), _named(name))
    assert (error["errorCode"], error["errorMessage"]) == ("400", "Too odd.")
    assert folders_of(call, made)[0]["totalEvidence"] == 1

    def forgetting(*where: Any, **how: Any) -> Appended:
        return dataclasses.replace(real(*where, **how), new=0, conflicts=1)

    monkeypatch.setattr(room, "append", forgetting)
    with pytest.raises(StorageError, match="Not all manual evidence"):
        _import(call, made, am.ManualEvidence(text_response="lost"))


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"evidence_file_name": "missing.txt"}, "404"),
        ({"s3_resource_path": "s3://my-bucket/none.txt"}, "404"),
        ({"s3_resource_path": "s3://my-bucket/program.exe"}, "400"),
        ({"s3_resource_path": "s3://my-bucket"}, "400"),
    ],
)
def test_a_missing_or_unfit_file_is_an_error_of_its_item_only(
    call: Call, wrong: Any, code: str
) -> None:
    made = assessment(call)
    asked = am.ManualEvidence(**wrong)
    errors = _import(call, made, asked, am.ManualEvidence(text_response="kept"))
    assert [(e["errorCode"], e["manualEvidence"]) for e in errors] == [(code, shown(asked))]
    assert folders_of(call, made)[0]["totalEvidence"] == 1


def test_an_upload_that_never_came_or_came_too_long_ago_is_missing(call: Call) -> None:
    made = assessment(call)
    never = _upload_url(call, "never.txt")["evidenceFileName"]
    late = _upload_url(call, "late.txt")["evidenceFileName"]
    _put(call, late, b"late")
    tomorrow = at(call, Instant(call.now + room.UPLOAD_KEPT))
    assert [e["errorCode"] for e in _import(call, made, _named(never))] == ["404"]
    assert [e["errorCode"] for e in _import(tomorrow, made, _named(late))] == ["404"]
    _upload_url(tomorrow, "next.txt")
    assert rows_of(call, "uploads") == 1  # the forgotten ones were cleared away


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.pdf", b"not a pdf", "does not begin"),
        ("a.txt", b"a\0b", "binary"),
        ("a.txt", b"", "empty"),
        ("a.txt", b"x" * 2000, "2000 bytes"),
    ],
)
def test_a_file_must_be_what_its_name_says(
    call: Call, name: str, content: bytes, fault: str
) -> None:
    made = assessment(call)
    settings = call.deps.settings.model_copy(update={"quotas": {"manual-file-bytes": 1000}})
    call = _with_settings(call, settings)
    given = _upload_url(call, name)["evidenceFileName"]
    _put(call, given, content)
    (error,) = _import(call, made, _named(given))
    assert error["errorCode"] == "400"
    assert fault in error["errorMessage"]
    kept = list(call.deps.lake.objects.list("blobs/"))
    assert kept == [
        object_name(call.tenant, stored_name(call.tx, f"uploads/{given[:UUID_LENGTH]}"))
    ]


def test_packed_files_are_kept_as_they_are(call: Call) -> None:
    made = assessment(call)
    name = _upload_url(call, "logs.gz")["evidenceFileName"]
    packed = gzip.compress(b"x" * 100)
    _put(call, name, packed)
    assert _import(call, made, _named(name)) == []
    file = _file(call, made)
    assert b"".join(get_blob(call.tx, call.deps.lake, file.object_id)) == packed


def test_a_long_name_keeps_its_end(call: Call) -> None:
    answer = _upload_url(call, "x" * 290 + ".json")
    assert len(answer["evidenceFileName"]) == 300
    assert answer["evidenceFileName"].endswith("xx.json")


@pytest.mark.parametrize("name", ["program.exe", "noextension", ".txt"])
def test_a_file_of_another_kind_gets_no_link(call: Call, name: str) -> None:
    with pytest.raises(InvalidRequest, match="fileName must end in"):
        _upload_url(call, name)


@pytest.mark.parametrize("forms", [{}, {"text_response": "a", "evidence_file_name": "b.txt"}])
def test_an_item_has_exactly_one_form(call: Call, forms: Any) -> None:
    made = assessment(call)
    with pytest.raises(InvalidRequest, match="exactly one"):
        _import(call, made, am.ManualEvidence(**forms))


def test_the_days_limit_is_an_error_of_the_items_beyond_it(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    quotas.save(call.tx, "manual-items-per-day", 3)
    made = assessment(call)
    say = am.ManualEvidence(text_response="a")
    assert _import(call, made, say, say) == []
    assert [e["errorCode"] for e in _import(call, made, say, say)] == ["429"]
    assert [e["errorCode"] for e in _import(call, made, say)] == ["429"]
    assert folders_of(call, made)[0]["totalEvidence"] == 3


def test_inactive_controls_and_assessments_take_nothing(call: Call) -> None:
    made = assessment(call)
    say = am.ManualEvidence(text_response="a")
    _set_control(call, made, "INACTIVE")
    with pytest.raises(InvalidRequest, match="INACTIVE"):
        _import(call, made, say)
    _set_control(call, made, "REVIEWED")
    assert _import(call, made, say) == []
    assessments.update_assessment_status(
        call,
        am.UpdateAssessmentStatusRequest(assessment_id=made["metadata"]["id"], status="INACTIVE"),
    )
    with pytest.raises(InvalidRequest, match="INACTIVE"):
        _import(call, made, say)
    assert folders_of(call, made)[0]["totalEvidence"] == 1


def test_manual_evidence_is_seen_by_its_own_control_only(call: Call) -> None:
    made = assessment(call, sets={"Access": ["a", "b"]})
    other = assessment(call)
    _import(call, made, am.ManualEvidence(text_response="mine"))
    assert [f["controlName"] for f in folders_of(call, made)] == ["a"]
    assert folders_of(call, other) == []
    (one,) = again(call, made)["framework"]["controlSets"]
    assert (one["systemEvidenceCount"], one["manualEvidenceCount"]) == (0, 1)
    assert [c["evidenceCount"] for c in one["controls"]] == [1, 0]


def test_an_import_is_in_the_change_log(call: Call) -> None:
    made = assessment(call)
    _import(call, made, am.ManualEvidence(text_response="a"))
    _import(call, made, _named("missing.txt"))
    ask = am.GetChangeLogsRequest(assessment_id=made["metadata"]["id"])
    log = shown(assessments.get_change_logs(call, ask))["changeLogs"]
    assert [c["action"] for c in log].count("IMPORT_EVIDENCE") == 1


def test_deleting_the_assessment_destroys_its_manual_evidence(call: Call) -> None:
    made = assessment(call)
    name = _upload_url(call, "policy.txt")["evidenceFileName"]
    _put(call, name, b"the policy")
    _import(call, made, am.ManualEvidence(text_response="a"), _named(name))
    stored = _stored(call, made)
    copies = "blobs/111122223333/us-east-1/manual/"
    assert list(call.deps.lake.objects.list(copies))
    assessments.delete_assessment(
        call, am.DeleteAssessmentRequest(assessment_id=made["metadata"]["id"])
    )
    assert find(call.tx, call.deps.lake, [o.id for o in stored]) == {}
    # One batch says that they are gone and who asked for it, in three records.
    assert rows_of(call, "tail") == 1
    assert rows_of(call, "rollups") == 4  # ids and counts go afterwards, see lake.remains
    before = call.deps.lake.keystore.bucket_ids()
    call.tx.run_after_commit()
    assert list(call.deps.lake.objects.list(copies)) == []
    gone = set(before) - set(call.deps.lake.keystore.bucket_ids())
    assert len(gone) == 1  # the class's one bucket; that of uploads is still there
    with pytest.raises(NotFound):
        folders_of(call, made)


def test_a_delegate_may_import_into_the_delegated_set(call: Call) -> None:
    made = assessment(call)
    expert = by(call, "expert")
    add_delegation(
        call.tx,
        Delegation(
            id=new_id(),
            assessment_id=made["metadata"]["id"],
            set_id="Access",
            role_arn=expert.principal.arn,
            status="IN_PROGRESS",
            comment=None,
            created_by="alice",
            created_at=call.now,
            updated_at=call.now,
        ),
    )
    assert _import(expert, made, am.ManualEvidence(text_response="done")) == []
    assert folders_of(call, made)[0]["author"] == expert.principal.arn


def _with_settings(call: Call, settings: Any) -> Call:
    return dataclasses.replace(call, deps=dataclasses.replace(call.deps, settings=settings))


def _named(name: str) -> am.ManualEvidence:
    return am.ManualEvidence(evidence_file_name=name)


def _upload_url(call: Call, name: str) -> Any:
    ask = am.GetEvidenceFileUploadUrlRequest(file_name=name)
    return shown(manual.get_evidence_file_upload_url(call, ask))


def _put(call: Call, name: str, content: bytes) -> None:
    """What the link's handler does."""
    one = uploads.c.name_key == call.tx.digest(uploads.c.name_key, name)
    key = call.tx.scalar(call.tx.select(uploads.c.object_key).where(one))
    blob = put_blob(call.tx, call.deps.lake, "uploads", key, content, call.now)
    call.tx.run(call.tx.update(uploads).where(one).values(size=blob.size, sha256=blob.sha256))


def _import(call: Call, made: Any, *asked: am.ManualEvidence) -> Any:
    control = made["framework"]["controlSets"][0]["controls"][0]
    answer = manual.batch_import_evidence(
        call,
        am.BatchImportEvidenceToAssessmentControlRequest(
            assessment_id=made["metadata"]["id"],
            control_set_id="Access",
            control_id=control["id"],
            manual_evidence=asked,
        ),
    )
    return shown(answer)["errors"]


def _stored(call: Call, made: Any) -> Any:
    (one,) = lens.load(call.tx, made["metadata"]["id"], [1], None)
    found = items.page(
        call.tx, call.deps.lake, b"s" * 32, one, day_of(call.now), after=None, limit=100
    )
    return [i.stored for i in found]


def _file(call: Call, made: Any) -> room.File:
    (stored,) = _stored(call, made)
    file = room.file_of(stored)
    assert file is not None
    return file


def _set_control(call: Call, made: Any, status: Any) -> None:
    control = made["framework"]["controlSets"][0]["controls"][0]
    ask = am.UpdateAssessmentControlRequest(
        assessment_id=made["metadata"]["id"],
        control_set_id="Access",
        control_id=control["id"],
        control_status=status,
    )
    review.update_assessment_control(call, ask)
