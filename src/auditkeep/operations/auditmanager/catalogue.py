"""Keywords to choose from and services in scope: the same lists for every tenant."""

from bisect import bisect_right

from auditkeep.mapping import keywords
from auditkeep.operations.call import Call, pair
from auditkeep.wire import paging
from auditkeep.wire.models import auditmanager as am


def list_keywords_for_data_source(
    call: Call, ask: am.ListKeywordsForDataSourceRequest
) -> am.ListKeywordsForDataSourceResponse:
    """Sorted. MANUAL has no keywords; Config's custom rules are known to AWS Config only."""
    known = keywords.keywords(ask.source)
    secret = call.deps.id_secret
    scope = paging.scope("ListKeywordsForDataSource", call.tenant, ask.source)
    key = paging.read(ask.next_token, secret, scope)
    start = bisect_right(known, str(key[0])) if key else 0
    rows = known[start : start + paging.size(ask.max_results) + 1]
    page, token = paging.page(rows, ask.max_results, lambda word: (word,), secret, scope)
    return am.ListKeywordsForDataSourceResponse(keywords=tuple(page), next_token=token)


def get_services_in_scope(
    call: Call, _ask: am.GetServicesInScopeRequest
) -> am.GetServicesInScopeResponse:
    return am.GetServicesInScopeResponse(
        service_metadata=tuple(
            am.ServiceMetadata(
                name=s.name,
                display_name=s.display_name,
                description=s.description,
                category=s.category,
            )
            for s in call.deps.library.services
        )
    )


OPERATIONS = (
    pair(am.LIST_KEYWORDS_FOR_DATA_SOURCE, list_keywords_for_data_source),
    pair(am.GET_SERVICES_IN_SCOPE, get_services_in_scope),
)
