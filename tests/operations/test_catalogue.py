"""ListKeywordsForDataSource and GetServicesInScope."""

from typing import get_args

import pytest

from auditkeep.errors import InvalidRequest
from auditkeep.mapping import keywords
from auditkeep.operations.auditmanager.catalogue import (
    get_services_in_scope,
    list_keywords_for_data_source,
)
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am


def every(call: Call, source: am.DataSourceType, limit: int | None) -> list[str]:
    seen: list[str] = []
    token = None
    while True:
        answer = list_keywords_for_data_source(
            call,
            am.ListKeywordsForDataSourceRequest(source=source, max_results=limit, next_token=token),
        )
        assert answer.keywords is not None
        assert len(answer.keywords) <= (limit or 100)
        seen += answer.keywords
        token = answer.next_token
        if token is None:
            return seen


@pytest.mark.parametrize("source", get_args(am.DataSourceType))
def test_pages_join_to_the_sorted_catalogue(call: Call, source: am.DataSourceType) -> None:
    listed = every(call, source, 1000)
    assert listed == sorted(set(listed)) == keywords.keywords(source)


def test_the_catalogues_are_the_documented_ones(call: Call) -> None:
    assert len(every(call, "AWS_API_Call", 50)) >= 108
    assert "IAM_PASSWORD_POLICY" in every(call, "AWS_Config", None)
    assert every(call, "MANUAL", None) == []


def test_a_token_belongs_to_its_source_and_tenant(call: Call, elsewhere: Call) -> None:
    token = list_keywords_for_data_source(
        call, am.ListKeywordsForDataSourceRequest(source="AWS_Config", max_results=1)
    ).next_token
    other = am.ListKeywordsForDataSourceRequest(source="AWS_API_Call", next_token=token)
    same = am.ListKeywordsForDataSourceRequest(source="AWS_Config", next_token=token)
    for one, ask in ((call, other), (elsewhere, same)):
        with pytest.raises(InvalidRequest, match="nextToken"):
            list_keywords_for_data_source(one, ask)


def test_services_in_scope_are_whole(call: Call) -> None:
    services = get_services_in_scope(call, am.GetServicesInScopeRequest()).service_metadata
    assert services is not None
    assert len(services) == 154
    assert services[0].name == "ec2"
    assert services[0].display_name == "Amazon Elastic Compute Cloud"
    assert all(s.name and s.display_name and s.category and s.description for s in services)
