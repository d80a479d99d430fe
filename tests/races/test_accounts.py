"""Settings, registration and the organisation, changed by several at once.

What no lost update means here: settings merge member by member; an account is registered or not;
an organisation has one delegated administrator.
"""

import pytest
from tests.races.crowd import Ask, Crowd, role

pytestmark = pytest.mark.slow


def test_settings_merge_member_by_member(crowd: Crowd) -> None:
    changes = (
        {"snsTopic": "arn:aws:sns:us-east-1:111122223333:audit"},
        {
            "defaultAssessmentReportsDestination": {
                "destinationType": "S3",
                "destination": "s3://audit-reports/here",
            }
        },
        {"defaultProcessOwners": [{"roleType": "PROCESS_OWNER", "roleArn": role("Owner")}]},
        {"deregistrationPolicy": {"deleteResources": "ALL"}},
    )
    for _ in range(3):
        asks: list[Ask] = [("UpdateSettings", dict(change)) for change in changes]
        assert all(answer.ok for answer in crowd.meet(asks * 2))
        kept = crowd.must("GetSettings", attribute="ALL")["settings"]
        for change in changes:
            assert {name: kept[name] for name in change} == change
        crowd.must("UpdateSettings", snsTopic="NONE", defaultProcessOwners=[])


def test_registering_and_deregistering_end_in_one_state(crowd: Crowd, clients: int) -> None:
    for _ in range(3):
        answers = crowd.meet([("RegisterAccount", {}), ("DeregisterAccount", {})] * clients)
        assert {answer.status for answer in answers} <= {200, 400}
        status = crowd.must("GetAccountStatus")["status"]
        assert status in ("ACTIVE", "INACTIVE")
        listed = crowd.ask("ListAssessments")
        assert listed.ok == (status == "ACTIVE")
        crowd.must("RegisterAccount")


def test_an_account_is_registered_by_all_who_ask_at_once(crowd: Crowd, clients: int) -> None:
    answers = crowd.meet(
        [("RegisterAccount", {"region": "ap-south-1"}), ("GetAccountStatus", {})] * clients
    )
    assert all(answer.ok for answer in answers)
    assert crowd.ask("GetAccountStatus", region="ap-south-1").body["status"] == "ACTIVE"


def test_an_organisation_gets_one_administrator(crowd: Crowd, clients: int) -> None:
    answers = crowd.meet(
        [
            ("RegisterOrganizationAdminAccount", {"adminAccountId": f"99998888777{n}"})
            for n in range(clients)
        ]
    )
    (won,) = [answer for answer in answers if answer.ok]
    found = crowd.must("GetOrganizationAdminAccount")
    assert found["adminAccountId"] == won.body["adminAccountId"]
    answers = crowd.meet([("DeregisterOrganizationAdminAccount", {})] * clients)
    assert sum(answer.ok for answer in answers) == 1
    assert crowd.ask("GetOrganizationAdminAccount").status == 404


def test_a_setting_survives_a_registration_beside_it(crowd: Crowd) -> None:
    arn = "arn:aws:sns:us-east-1:111122223333:audit"
    answers = crowd.meet([("UpdateSettings", {"snsTopic": arn}), *[("RegisterAccount", {})] * 5])
    assert all(answer.ok for answer in answers)
    assert crowd.must("GetSettings", attribute="ALL")["settings"]["snsTopic"] == arn
