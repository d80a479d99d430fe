"""AWS Control Catalog's three lists that Audit Manager's users need: domains, objectives in them,
and the common controls under those.

All are the shipped catalogue (`library.domains`), the same for every tenant, in its own order; its
ARNs are the ones that mapping sources, insights and `ListControls` know. A filter names entries by
ARN: what lies under any of them is listed, and an empty filter filters nothing, as does a filter
entry without an ARN.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from auditkeep import clock
from auditkeep.errors import InvalidRequest
from auditkeep.library.domains import CommonControl, Domain, Objective
from auditkeep.operations.call import Call, pair
from auditkeep.wire import paging
from auditkeep.wire.models import controlcatalog as cc


class _Entry(Protocol):
    @property
    def arn(self) -> str: ...


E = TypeVar("E", bound=_Entry)


def list_domains(call: Call, ask: cc.ListDomainsRequest) -> cc.ListDomainsResponse:
    entries = call.deps.library.catalogue.domains
    page, token = _page(call, "ListDomains", entries, (), ask.max_results, ask.next_token)
    return cc.ListDomainsResponse(
        domains=tuple(_domain(call, domain) for domain in page), next_token=token
    )


def list_objectives(call: Call, ask: cc.ListObjectivesRequest) -> cc.ListObjectivesResponse:
    wanted = _arns(ask.objective_filter.domains if ask.objective_filter else None)
    entries = [
        o for o in call.deps.library.catalogue.objectives if not wanted or o.domain.arn in wanted
    ]
    page, token = _page(call, "ListObjectives", entries, wanted, ask.max_results, ask.next_token)
    return cc.ListObjectivesResponse(
        objectives=tuple(_objective(call, objective) for objective in page), next_token=token
    )


def list_common_controls(
    call: Call, ask: cc.ListCommonControlsRequest
) -> cc.ListCommonControlsResponse:
    wanted = _arns(ask.common_control_filter.objectives if ask.common_control_filter else None)
    entries = [
        c
        for c in call.deps.library.catalogue.common_controls
        if not wanted or c.objective.arn in wanted
    ]
    page, token = _page(
        call, "ListCommonControls", entries, wanted, ask.max_results, ask.next_token
    )
    return cc.ListCommonControlsResponse(
        common_controls=tuple(_common_control(call, control) for control in page),
        next_token=token,
    )


def _page(
    call: Call,
    operation: str,
    entries: Sequence[E],
    wanted: Sequence[str],
    max_results: int | None,
    next_token: str | None,
) -> tuple[Sequence[E], str | None]:
    """One page of a list, continued after the entry that the token names."""
    secret = call.deps.id_secret
    scope = paging.scope(operation, call.tenant, *wanted)
    key = paging.read(next_token, secret, scope)
    start = 0 if key is None else _after(entries, str(key[0]))
    rows = entries[start : start + paging.size(max_results) + 1]
    return paging.page(rows, max_results, lambda entry: (entry.arn,), secret, scope)


def _after(entries: Sequence[E], arn: str) -> int:
    for number, entry in enumerate(entries, 1):
        if entry.arn == arn:
            return number
    raise InvalidRequest.of_field(
        "nextToken", "is of an earlier version of the catalogue. Begin at the first page."
    )


def _arns(
    filters: Iterable[cc.DomainResourceFilter | cc.ObjectiveResourceFilter] | None,
) -> tuple[str, ...]:
    return tuple(sorted({f.arn for f in filters or () if f.arn is not None}))


def _domain(call: Call, domain: Domain) -> cc.DomainSummary:
    at = clock.wire(call.deps.library.catalogue.released)
    return cc.DomainSummary(
        arn=domain.arn,
        name=domain.name,
        description=domain.description,
        create_time=at,
        last_update_time=at,
    )


def _objective(call: Call, objective: Objective) -> cc.ObjectiveSummary:
    at = clock.wire(call.deps.library.catalogue.released)
    return cc.ObjectiveSummary(
        arn=objective.arn,
        name=objective.name,
        description=objective.description,
        domain=_domain_of(objective),
        create_time=at,
        last_update_time=at,
    )


def _common_control(call: Call, control: CommonControl) -> cc.CommonControlSummary:
    at = clock.wire(call.deps.library.catalogue.released)
    objective = control.objective
    return cc.CommonControlSummary(
        arn=control.arn,
        name=control.name,
        description=control.description,
        domain=_domain_of(objective),
        objective=cc.AssociatedObjectiveSummary(arn=objective.arn, name=objective.name),
        create_time=at,
        last_update_time=at,
    )


def _domain_of(objective: Objective) -> cc.AssociatedDomainSummary:
    return cc.AssociatedDomainSummary(arn=objective.domain.arn, name=objective.domain.name)


OPERATIONS = (
    pair(cc.LIST_DOMAINS, list_domains),
    pair(cc.LIST_OBJECTIVES, list_objectives),
    pair(cc.LIST_COMMON_CONTROLS, list_common_controls),
)
