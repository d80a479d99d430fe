"""The control catalogue over the wire: an unmodified client, every page, every filter."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.operations.in_process import Api
from tests.wire.model_cases import Sent

from auditkeep.clock import FixedClock, wire
from auditkeep.db.database import Database
from auditkeep.operations.call import Deps

LISTS = [
    ("list_domains", "Domains"),
    ("list_objectives", "Objectives"),
    ("list_common_controls", "CommonControls"),
]


@pytest.fixture
def api(db: Database, deps: Deps, clock: FixedClock) -> Api:
    return Api(db, deps, clock)


@pytest.fixture
def client(api: Api) -> Any:
    return api.client(service="controlcatalog")


def every(api: Api, client: Any, name: str, member: str, size: int, **ask: Any) -> Iterator[Any]:
    token: dict[str, str] = {}
    while True:
        page = api.call(getattr(client, name), MaxResults=size, **token, **ask)
        assert len(page[member]) <= size
        yield from page[member]
        if "NextToken" not in page:
            return
        token = {"NextToken": page["NextToken"]}


@pytest.mark.parametrize(("name", "member"), LISTS)
@pytest.mark.parametrize("size", [1, 7, 100])
def test_pages_join_to_the_whole_catalogue(
    api: Api, client: Any, name: str, member: str, size: int
) -> None:
    catalogue = api.deps.library.catalogue
    entries: Any = {
        "Domains": catalogue.domains,
        "Objectives": catalogue.objectives,
        "CommonControls": catalogue.common_controls,
    }[member]
    listed = list(every(api, client, name, member, size))
    assert [e["Arn"] for e in listed] == [e.arn for e in entries]
    assert [e["Name"] for e in listed] == [e.name for e in entries]
    assert all(e["Description"] for e in listed)
    assert {e["CreateTime"].timestamp() for e in listed} == {wire(catalogue.released)}


def test_objectives_are_filtered_by_their_domain(api: Api, client: Any) -> None:
    first, second, *_ = api.deps.library.catalogue.domains
    wanted = {"Domains": [{"Arn": first.arn}, {"Arn": second.arn}]}
    found = list(every(api, client, "list_objectives", "Objectives", 2, ObjectiveFilter=wanted))
    assert {o["Domain"]["Arn"] for o in found} == {first.arn, second.arn}
    assert [o["Arn"] for o in found] == [
        o.arn for o in api.deps.library.catalogue.objectives if o.domain in (first, second)
    ]


def test_common_controls_are_filtered_by_their_objective(api: Api, client: Any) -> None:
    objective = api.deps.library.catalogue.objectives[3]
    wanted = {"Objectives": [{"Arn": objective.arn}]}
    found = api.call(client.list_common_controls, CommonControlFilter=wanted)["CommonControls"]
    assert {c["Objective"]["Arn"] for c in found} == {objective.arn}
    assert {c["Objective"]["Name"] for c in found} == {objective.name}
    assert {c["Domain"]["Arn"] for c in found} == {objective.domain.arn}


def test_an_empty_filter_filters_nothing_and_an_unknown_entry_everything(
    api: Api, client: Any
) -> None:
    everything = api.call(client.list_objectives)["Objectives"]
    assert api.call(client.list_objectives, ObjectiveFilter={})["Objectives"] == everything
    empty = {"Domains": list[Any]()}
    assert api.call(client.list_objectives, ObjectiveFilter=empty)["Objectives"] == everything
    unknown = {"Domains": [{"Arn": "arn:aws:controlcatalog:::domain/nosuch"}]}
    assert api.call(client.list_objectives, ObjectiveFilter=unknown)["Objectives"] == []


def test_a_token_continues_only_the_list_it_was_given_for(api: Api, client: Any) -> None:
    token = api.call(client.list_domains, MaxResults=1)["NextToken"]
    with pytest.raises(ClientError) as caught:
        api.call(client.list_objectives, MaxResults=1, NextToken=token)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    for wrong in ("", "x", token[:-4] + "AAAA"):
        with pytest.raises(ClientError):
            api.call(client.list_domains, NextToken=wrong)


@pytest.mark.parametrize("size", ["0", "101", "x"])
def test_a_page_size_beyond_the_model_is_refused(api: Api, size: str) -> None:
    sent = Sent("POST", b"/domains", f"maxResults={size}".encode(), b"{}")
    response = api.ask(sent, service="controlcatalog")
    assert response.status == 400
    assert b"MaxResults" in response.body


def test_no_registration_is_asked_for_but_a_policy_is(api: Api) -> None:
    reader = api.client(api.key("reader", "AuditkeepReadOnly"), service="controlcatalog")
    assert api.call(reader.list_domains)["Domains"]
    collector = api.client(api.key("collector", "AuditkeepCollector"), service="controlcatalog")
    with pytest.raises(ClientError, match="controlcatalog:ListDomains"):
        api.call(collector.list_domains)


def test_what_audit_manager_says_of_a_domain_the_catalogue_knows(api: Api, client: Any) -> None:
    manager = api.client()
    api.call(manager.register_account)
    domain = api.call(client.list_domains)["Domains"][0]["Arn"]
    ask = {"controlType": "Standard", "controlCatalogId": domain}
    controls = api.call(manager.list_controls, **ask)["controlMetadataList"]
    assert controls


def test_a_common_control_listed_here_can_be_a_mapping_source(api: Api, client: Any) -> None:
    manager = api.client()
    api.call(manager.register_account)
    listed = api.call(client.list_common_controls, MaxResults=2)["CommonControls"][1]
    source = {
        "sourceName": "shared",
        "sourceSetUpOption": "System_Controls_Mapping",
        "sourceType": "Common_Control",
        "sourceKeyword": {"keywordInputType": "SELECT_FROM_LIST", "keywordValue": listed["Arn"]},
    }
    made = api.call(manager.create_control, name="mine", controlMappingSources=[source])["control"]
    for level in ("Domain", "Objective"):
        ask = {"controlType": "Custom", "controlCatalogId": listed[level]["Arn"]}
        found = api.call(manager.list_controls, **ask)["controlMetadataList"]
        assert [c["id"] for c in found] == [made["id"]]


@pytest.mark.parametrize("path", ["/get-control", "/list-controls", "/list-control-mappings"])
def test_the_rest_of_the_catalogue_answers_501(api: Api, path: str) -> None:
    response = api.ask(Sent("POST", path.encode(), b"", b"{}"), service="controlcatalog")
    assert response.status == 501
