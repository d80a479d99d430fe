"""License Manager: three calls make one observation for each configuration, given to its product."""

import json
from typing import Any

import pytest
from tests.conftest import ROOT, missing
from tests.sources.asking import Stubbed, until
from tests.sources.reading import EVERYTHING, Read, read_pages

from auditkeep.clock import day_from_name
from auditkeep.mapping import calls, licences
from auditkeep.mapping.calls import Call
from auditkeep.mapping.interest import Interest
from auditkeep.sources.apicalls import ApiCalls
from auditkeep.sources.pull import Ask, Page
from auditkeep.sources.records import Context

ACCOUNT = "111122223333"
PULLER = ApiCalls()
SERVICE = "license-manager"
LISTING = "ListLicenseConfigurations"
USAGE = "ListUsageForLicenseConfiguration"
ASSOCIATIONS = "ListAssociationsForLicenseConfiguration"


def ask(what: str = licences.EVERYTHING) -> Ask:
    return Ask("AWS_API_Call", ACCOUNT, "eu-west-1", what, day_from_name("2026-05-01"))


def configuration(name: str, *products: str) -> dict[str, Any]:
    made: dict[str, Any] = {"LicenseConfigurationArn": f"arn:lic:{name}", "Name": name}
    if products:
        one = {
            "ProductInformationFilterName": "Application Name",
            "ProductInformationFilterValue": list(products),
            "ProductInformationFilterComparator": "EQUALS",
        }
        information = {"ResourceType": "SSM_MANAGED", "ProductInformationFilterList": [one]}
        made["ProductInformationList"] = [information]
    return made


def details(clients: Stubbed, name: str) -> None:
    asked = {"LicenseConfigurationArn": f"arn:lic:{name}"}
    for token in ("", "more"):
        clients.answer(
            SERVICE,
            USAGE,
            {
                "LicenseConfigurationUsageList": [{"ResourceArn": f"arn:i-{name}{token}"}],
                **({} if token else {"NextToken": "more"}),
            },
            {**asked, **({"NextToken": token} if token else {})},
        )
    clients.answer(
        SERVICE, ASSOCIATIONS,
        {"LicenseConfigurationAssociations": [{"ResourceArn": f"arn:ami-{name}"}]}, asked,
    )  # fmt: skip


def told(pages: list[Page], context: Context = EVERYTHING) -> Read:
    return read_pages(PULLER, pages, context)


def test_a_configuration_comes_with_all_that_uses_it_and_is_associated_with_it() -> None:
    clients = Stubbed()
    listed = {"LicenseConfigurations": [configuration("a")], "NextToken": "two"}
    clients.answer(SERVICE, LISTING, listed, {})
    details(clients, "a")
    clients.answer(SERVICE, LISTING, {"LicenseConfigurations": [configuration("b")]})
    details(clients, "b")
    pages = list(PULLER.get(clients, ask()))
    clients.done()
    result = told(pages)
    assert result.rejected == []
    assert [o.resources[0].arn for o in result.observations] == ["arn:lic:a", "arn:lic:b"]
    found = result.observations[0]
    body = json.loads(found.raw)
    assert body["LicenseConfiguration"]["Name"] == "a"
    assert [u["ResourceArn"] for u in body["LicenseConfigurationUsageList"]] == [
        "arn:i-a",
        "arn:i-amore",
    ]
    assert [u["ResourceArn"] for u in body["LicenseConfigurationAssociations"]] == ["arn:ami-a"]
    assert found.match_key == "api:license-manager_GetLicenseManagerSummary"
    assert found.natural_key[-1] == "2026-05-01"
    assert found.verdict is None


def test_a_failure_keeps_the_pages_before_it() -> None:
    clients = Stubbed()
    listed = {"LicenseConfigurations": [configuration("a")], "NextToken": "two"}
    clients.answer(SERVICE, LISTING, listed)
    details(clients, "a")
    clients.answer(SERVICE, LISTING, {"LicenseConfigurations": [configuration("b")]})
    clients.refuse(SERVICE, USAGE, "AccessDeniedException", status=400)
    got, error = until(PULLER.get(clients, ask()))
    assert error.reason == "denied"
    assert len(told(got).observations) == 1
    clients.answer(
        SERVICE, LISTING, {"LicenseConfigurations": [configuration("b")]}, {"NextToken": "two"}
    )
    details(clients, "b")
    rest = list(PULLER.get(clients, ask(), got[-1].resume))
    assert told(rest).only.resources[0].value == "arn:lic:b"


@pytest.mark.parametrize(
    ("made", "keyword"),
    [
        (configuration("x", "Microsoft SQL Server 2019"), "license-manager_SQL Server"),
        (configuration("x", "SQL Server on Windows"), "license-manager_SQL Server"),
        (configuration("Windows Server Datacenter"), "license-manager_Windows Server"),
        (configuration("for windows", "oracle-ee"), "license-manager_Oracle Database"),
        (configuration("rhel 9"), "license-manager_Red Hat Enterprise Linux"),
        (configuration("my-license-configuration"), "license-manager_Other"),
    ],
)
def test_a_configuration_is_given_to_the_product_it_names(
    made: dict[str, Any], keyword: str
) -> None:
    for word in licences.keywords():
        clients = Stubbed()
        clients.answer(SERVICE, LISTING, {"LicenseConfigurations": [made]})
        name = made["Name"]
        if word in (keyword, licences.EVERYTHING):
            details(clients, name)
        result = told(list(PULLER.get(clients, ask(word))))
        clients.done()
        assert len(result.observations) == (word in (keyword, licences.EVERYTHING))


def test_what_no_control_looks_at_is_not_kept() -> None:
    clients = Stubbed()
    clients.answer(SERVICE, LISTING, {"LicenseConfigurations": [configuration("a")]})
    details(clients, "a")
    narrow = Context(EVERYTHING.tenant, Interest.of(["x"]), EVERYTHING.cutter)
    result = told(list(PULLER.get(clients, ask())), narrow)
    assert result.observations == []
    assert result.tally.unmatched.total() == 1


def test_its_keywords_name_calls_and_its_actions_are_three() -> None:
    for word in licences.keywords():
        assert isinstance(calls.find(word), Call)
        assert len(PULLER.actions(word)) == 3
    assert not licences.is_keyword("license-manager_ListLicenseConfigurations")


def test_a_page_that_is_none_is_rejected() -> None:
    assert "JSON" in told([Page(ask(), "u", b"no", ())]).reason


def test_documented_answers_are_read() -> None:
    """The examples of the AWS CLI, as its manual prints them."""
    folder = (
        ROOT.parent / "shared/corpus/licensemanager/aws__aws-cli/awscli/examples/license-manager"
    )
    if not folder.is_dir():
        missing("the corpus of real files is not beside this checkout")

    def answer(name: str) -> dict[str, Any]:
        text = (folder / f"{name}.rst").read_text().partition("Output::")[2]
        text = text.partition("**Example 2")[0].replace(
            ",\n            {\n                ...\n            }", ""
        )
        made: dict[str, Any] = json.loads(text)
        return made

    listed, used, associated = (
        answer("list-license-configurations"),
        answer("list-usage-for-license-configuration"),
        answer("list-associations-for-license-configuration"),
    )
    arn = listed["LicenseConfigurations"][0]["LicenseConfigurationArn"]
    parameters = {"LicenseConfigurationArn": arn}
    body = json.dumps(
        [
            {"operation": LISTING, "parameters": {}, "answer": listed},
            {"operation": USAGE, "parameters": parameters, "answer": used},
            {"operation": ASSOCIATIONS, "parameters": parameters, "answer": associated},
        ]
    )
    found = json.loads(told([Page(ask(), "u", body.encode(), ())]).only.raw)
    assert found["LicenseConfigurationUsageList"] == used["LicenseConfigurationUsageList"]
    assert len(found["LicenseConfigurationAssociations"]) == 2
