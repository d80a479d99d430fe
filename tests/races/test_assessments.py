"""Assessments and everything in them, changed by several at once.

What no lost update means here: members that a request leaves out stay as another one has set them;
every comment, delegation and piece of evidence that was answered with success is there; a move of
a lifecycle is made once; each change is one entry of the change log; counts are those of the rows.
"""

from typing import Any

import pytest
from tests.fuzz.running import HOME
from tests.races.crowd import SET, SOURCE, Ask, Crowd, asked, role

pytestmark = pytest.mark.slow


@pytest.fixture
def control(crowd: Crowd) -> str:
    return crowd.control()


@pytest.fixture
def assessment(crowd: Crowd, control: str) -> str:
    return crowd.assessment(crowd.framework(control))


def where(assessment: str, control: str) -> dict[str, str]:
    return {"assessmentId": assessment, "controlSetId": SET, "controlId": control}


def first_set(crowd: Crowd, assessment: str) -> dict[str, Any]:
    found: dict[str, Any] = crowd.read(assessment)["framework"]["controlSets"][0]
    return found


def test_each_client_s_member_of_an_assessment_is_kept(crowd: Crowd, assessment: str) -> None:
    scope = {"awsAccounts": [{"id": HOME}]}
    asks: list[Ask] = [
        ("UpdateAssessment", {"assessmentId": assessment, "scope": scope, **changed})
        for changed in (
            {"assessmentName": "renamed"},
            {"assessmentDescription": "described"},
            {"roles": [{"roleType": "PROCESS_OWNER", "roleArn": role("Second")}]},
            {
                "assessmentReportsDestination": {
                    "destinationType": "S3",
                    "destination": "s3://audit-reports/elsewhere",
                }
            },
        )
    ]
    assert all(answer.ok for answer in crowd.meet(asks))
    kept = crowd.read(assessment)["metadata"]
    assert (kept["name"], kept["description"]) == ("renamed", "described")
    assert kept["assessmentReportsDestination"]["destination"] == "s3://audit-reports/elsewhere"
    assert role("Second") in [r["roleArn"] for r in kept["roles"]]
    assert len([e for e in crowd.log(assessment) if e["action"] == "UPDATE_METADATA"]) == 4


def test_every_comment_is_kept(crowd: Crowd, clients: int, assessment: str, control: str) -> None:
    before = len(crowd.log(assessment))
    asks: list[Ask] = [
        ("UpdateAssessmentControl", {**where(assessment, control), "commentBody": f"comment {n}"})
        for n in range(clients)
    ]
    assert all(answer.ok for answer in crowd.meet(asks))
    comments = first_set(crowd, assessment)["controls"][0]["comments"]
    assert sorted(c["commentBody"] for c in comments) == [f"comment {n}" for n in range(clients)]
    assert len(crowd.log(assessment)) == before + clients


def test_a_control_is_reviewed_once(
    crowd: Crowd, clients: int, assessment: str, control: str
) -> None:
    ask = {**where(assessment, control), "controlStatus": "REVIEWED"}
    answers = crowd.meet([("UpdateAssessmentControl", ask)] * clients)
    assert any(answer.ok for answer in answers)
    assert first_set(crowd, assessment)["controls"][0]["status"] == "REVIEWED"
    entries = [e for e in crowd.log(assessment) if e["action"] == "REVIEWED"]
    assert len(entries) == 1


def test_a_control_set_is_submitted_and_reviewed_once(
    crowd: Crowd, clients: int, assessment: str
) -> None:
    for status, action in (("UNDER_REVIEW", "UNDER_REVIEW"), ("REVIEWED", "REVIEWED")):
        ask = {
            "assessmentId": assessment,
            "controlSetId": SET,
            "status": status,
            "comment": "done",
        }
        answers = crowd.meet([("UpdateAssessmentControlSetStatus", ask)] * clients)
        assert any(answer.ok for answer in answers)
        assert first_set(crowd, assessment)["status"] == status
        entries = [
            e
            for e in crowd.log(assessment)
            if e["action"] == action and e["objectType"] == "CONTROL_SET"
        ]
        assert len(entries) == 1, "repeating a move changes nothing"


def test_a_role_is_delegated_a_set_once(crowd: Crowd, clients: int, assessment: str) -> None:
    one = {"controlSetId": SET, "roleArn": role("Expert"), "roleType": "RESOURCE_OWNER"}
    ask = {"assessmentId": assessment, "createDelegationRequests": [one]}
    answers = crowd.meet([("BatchCreateDelegationByAssessment", ask)] * clients)
    assert all(answer.ok for answer in answers)
    assert sum(not answer.body.get("errors") for answer in answers) == 1
    kept = crowd.read(assessment)["metadata"]["delegations"]
    assert [d["roleArn"] for d in kept] == [role("Expert")]


def test_delegations_of_different_roles_are_all_kept_and_each_deleted_once(
    crowd: Crowd, clients: int, assessment: str
) -> None:
    asks: list[Ask] = [
        (
            "BatchCreateDelegationByAssessment",
            {
                "assessmentId": assessment,
                "createDelegationRequests": [
                    {
                        "controlSetId": SET,
                        "roleArn": role(f"Expert{n}"),
                        "roleType": "RESOURCE_OWNER",
                    }
                ],
            },
        )
        for n in range(clients)
    ]
    assert not any(answer.body.get("errors") for answer in crowd.meet(asks))
    kept = crowd.read(assessment)["metadata"]["delegations"]
    assert {d["roleArn"] for d in kept} == {role(f"Expert{n}") for n in range(clients)}
    ids = [d["id"] for d in kept]
    ask = {"assessmentId": assessment, "delegationIds": ids}
    answers = crowd.meet([("BatchDeleteDelegationByAssessment", ask)] * clients)
    refused = sum(len(answer.body.get("errors", [])) for answer in answers)
    assert refused == clients * len(ids) - len(ids), "each is deleted for exactly one of them"
    assert not crowd.read(assessment)["metadata"].get("delegations")


def test_all_evidence_that_was_taken_is_there_and_counted(
    crowd: Crowd, clients: int, assessment: str, control: str
) -> None:
    asks: list[Ask] = [
        (
            "BatchImportEvidenceToAssessmentControl",
            {
                **where(assessment, control),
                "manualEvidence": [{"textResponse": f"{n}.{m}"} for m in range(3)],
            },
        )
        for n in range(clients)
    ]
    answers = crowd.meet(asks)
    assert all(answer.ok and not answer.body.get("errors") for answer in answers)
    folders = crowd.must("GetEvidenceFoldersByAssessmentControl", **where(assessment, control))
    (folder,) = folders["evidenceFolders"]
    assert folder["totalEvidence"] == folder["evidenceByTypeManualCount"] == clients * 3
    items = crowd.must(
        "GetEvidenceByEvidenceFolder",
        assessmentId=assessment,
        controlSetId=SET,
        evidenceFolderId=folder["id"],
        maxResults=1000,
    )["evidence"]
    assert len({item["id"] for item in items}) == clients * 3
    assert first_set(crowd, assessment)["controls"][0]["evidenceCount"] == clients * 3
    entries = [e for e in crowd.log(assessment) if e["action"] == "IMPORT_EVIDENCE"]
    assert len(entries) >= clients


def test_a_day_takes_a_hundred_pieces_of_manual_evidence_and_no_more(
    crowd: Crowd, assessment: str, control: str
) -> None:
    asks: list[Ask] = [
        (
            "BatchImportEvidenceToAssessmentControl",
            {
                **where(assessment, control),
                "manualEvidence": [{"textResponse": f"{n}.{m}"} for m in range(20)],
            },
        )
        for n in range(8)
    ]
    answers = crowd.meet(asks)
    refused = sum(len(answer.body.get("errors", [])) for answer in answers if answer.ok)
    refused += sum(20 for answer in answers if not answer.ok)
    assert refused == 60
    assert first_set(crowd, assessment)["controls"][0]["evidenceCount"] == 100


def imported(crowd: Crowd, assessment: str, control: str, count: int) -> tuple[str, list[str]]:
    """A folder with as much manual evidence, and the ids of that."""
    texts = [{"textResponse": str(n)} for n in range(count)]
    crowd.must(
        "BatchImportEvidenceToAssessmentControl",
        **where(assessment, control),
        manualEvidence=texts,
    )
    folders = crowd.must("GetEvidenceFoldersByAssessmentControl", **where(assessment, control))
    folder = folders["evidenceFolders"][0]["id"]
    items = crowd.must(
        "GetEvidenceByEvidenceFolder",
        assessmentId=assessment,
        controlSetId=SET,
        evidenceFolderId=folder,
    )["evidence"]
    return folder, [item["id"] for item in items]


def selected(crowd: Crowd, assessment: str, folder: str) -> int:
    return int(
        crowd.must(
            "GetEvidenceFolder",
            assessmentId=assessment,
            controlSetId=SET,
            evidenceFolderId=folder,
        )["evidenceFolder"]["assessmentReportSelectionCount"]
    )


def test_every_client_s_selection_counts(
    crowd: Crowd, clients: int, assessment: str, control: str
) -> None:
    folder, ids = imported(crowd, assessment, control, clients * 2)
    place = {"assessmentId": assessment, "evidenceFolderId": folder}
    asks: list[Ask] = [
        ("BatchAssociateAssessmentReportEvidence", {**place, "evidenceIds": [ids[n]]})
        for n in range(clients)
    ]
    assert all(answer.ok for answer in crowd.meet(asks))
    assert selected(crowd, assessment, folder) == clients
    asks = [
        ("BatchDisassociateAssessmentReportEvidence", {**place, "evidenceIds": [ids[n]]})
        for n in range(clients)
    ]
    asks += [
        ("BatchAssociateAssessmentReportEvidence", {**place, "evidenceIds": [ids[clients + n]]})
        for n in range(clients)
    ]
    assert all(answer.ok for answer in crowd.meet(asks))
    assert selected(crowd, assessment, folder) == clients
    crowd.meet(
        [
            ("AssociateAssessmentReportEvidenceFolder", place),
            ("DisassociateAssessmentReportEvidenceFolder", place),
        ]
        * clients
    )
    assert selected(crowd, assessment, folder) in (0, clients * 2)


def test_reports_are_each_made_once_and_deleted_once(
    crowd: Crowd, clients: int, assessment: str, control: str
) -> None:
    folder, _ = imported(crowd, assessment, control, 2)
    crowd.must(
        "AssociateAssessmentReportEvidenceFolder",
        assessmentId=assessment,
        evidenceFolderId=folder,
    )
    answers = crowd.meet(
        [
            ("CreateAssessmentReport", {"assessmentId": assessment, "name": f"report-{n}"})
            for n in range(clients)
        ]
    )
    assert all(answer.ok for answer in answers)
    made = {answer.body["assessmentReport"]["id"] for answer in answers}
    listed = crowd.must("ListAssessmentReports")["assessmentReports"]
    assert {r["id"] for r in listed} == made
    assert len(made) == clients
    one = made.pop()
    crowd.target.make_reports()
    ask = {"assessmentId": assessment, "assessmentReportId": one}
    answers = crowd.meet([("DeleteAssessmentReport", ask)] * clients)
    assert sorted(answer.status for answer in answers) == [200] + [404] * (clients - 1)
    assert one not in {r["id"] for r in crowd.must("ListAssessmentReports")["assessmentReports"]}


def test_an_assessment_ends_once_and_takes_nothing_after_that(
    crowd: Crowd, assessment: str, control: str
) -> None:
    scope = {"awsAccounts": [{"id": HOME}]}
    expert = {"controlSetId": SET, "roleArn": role("Expert"), "roleType": "RESOURCE_OWNER"}
    ended = {"assessmentId": assessment, "status": "INACTIVE"}
    answers = crowd.meet(
        [
            *[("UpdateAssessmentStatus", ended)] * 3,
            ("UpdateAssessment", {"assessmentId": assessment, "scope": scope}),
            ("UpdateAssessmentControl", {**where(assessment, control), "commentBody": "late"}),
            (
                "BatchImportEvidenceToAssessmentControl",
                {**where(assessment, control), "manualEvidence": [{"textResponse": "late"}]},
            ),
            (
                "BatchCreateDelegationByAssessment",
                {"assessmentId": assessment, "createDelegationRequests": [expert]},
            ),
        ]
    )
    assert any(answer.ok for answer in answers[:3])
    found = crowd.read(assessment)
    assert found["metadata"]["status"] == "INACTIVE"
    control_ = found["framework"]["controlSets"][0]["controls"][0]
    assert len(control_.get("comments", [])) == answers[4].ok
    assert control_["evidenceCount"] == answers[5].ok
    assert len(found["metadata"].get("delegations", [])) == answers[6].ok
    entries = [e for e in crowd.log(assessment) if e["action"] == "INACTIVE"]
    assert len(entries) == 1


def test_an_assessment_is_deleted_once_while_others_read_and_write(
    crowd: Crowd, assessment: str, control: str
) -> None:
    readers: list[Ask] = [
        ("GetAssessment", {"assessmentId": assessment}),
        ("ListAssessments", {}),
        ("GetInsights", {}),
        ("GetInsightsByAssessment", {"assessmentId": assessment}),
        ("GetEvidenceFoldersByAssessment", {"assessmentId": assessment}),
        ("GetDelegations", {}),
        ("UpdateAssessmentControl", {**where(assessment, control), "commentBody": "late"}),
    ]
    answers = crowd.meet([*[("DeleteAssessment", {"assessmentId": assessment})] * 4, *readers])
    assert sorted(answer.status for answer in answers[:4]) == [200, 404, 404, 404]
    assert crowd.ask("GetAssessment", assessmentId=assessment).status == 404
    assert assessment not in [m["id"] for m in crowd.must("ListAssessments")["assessmentMetadata"]]


def test_a_control_that_changes_while_assessments_open_is_the_same_for_all(crowd: Crowd) -> None:
    control = crowd.control()
    framework = crowd.framework(control)
    asks: list[Ask] = [("CreateAssessment", asked(framework, f"a {n}")) for n in range(4)]
    asks += [
        (
            "UpdateControl",
            {"controlId": control, "name": f"name {n}", "controlMappingSources": [SOURCE]},
        )
        for n in range(4)
    ]
    answers = crowd.meet(asks)
    assert all(answer.ok for answer in answers)
    name = crowd.must("GetControl", controlId=control)["control"]["name"]
    for answer in answers[:4]:
        found = crowd.read(answer.body["assessment"]["metadata"]["id"])
        assert found["framework"]["controlSets"][0]["controls"][0]["name"] == name
