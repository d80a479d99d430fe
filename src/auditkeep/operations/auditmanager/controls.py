"""Custom controls, and reading all kinds (spec section 10.3).

An edit reaches every active assessment that uses the control in the same transaction; what that
means for them is in `propagation`.
"""

import logging

import msgspec

from auditkeep import ids
from auditkeep.accounts import tags
from auditkeep.frameworks import rules, store, warnings
from auditkeep.frameworks.model import Control, MappingSource
from auditkeep.frameworks.wire import (
    control_arn,
    from_wire_source,
    to_wire_control,
    to_wire_control_metadata,
)
from auditkeep.operations.auditmanager.holding import require_control_free
from auditkeep.operations.auditmanager.pages import time_key
from auditkeep.operations.auditmanager.propagation import control_deleted, control_edited
from auditkeep.operations.call import Call, pair
from auditkeep.operations.limits import limit
from auditkeep.wire import paging
from auditkeep.wire.models import auditmanager as am

_LOG = logging.getLogger("auditkeep.controls")


def create_control(call: Call, ask: am.CreateControlRequest) -> am.CreateControlResponse:
    sources = tuple(from_wire_source(s) for s in ask.control_mapping_sources)
    _check_sources(call, sources)
    call.tx.lock_tenant()  # the quota holds for requests at the same time, too
    rules.check_quota("control", store.count_controls(call.tx), limit(call, "custom-controls"))
    person = ids.person_of(call.principal.arn)
    control = Control(
        id=ids.new_id(),
        name=ask.name,
        type="Custom",
        sources=sources,
        created_at=call.now,
        updated_at=call.now,
        description=ask.description,
        testing_information=ask.testing_information,
        action_plan_title=ask.action_plan_title,
        action_plan_instructions=ask.action_plan_instructions,
        created_by=person,
        updated_by=person,
    )
    store.save_control(call.tx, control)
    _tell_doubts(call, control)
    tags.add(call.tx, control_arn(control, call.tenant), ask.tags, limit(call, "tags"))
    return am.CreateControlResponse(control=_shown(call, control))


def get_control(call: Call, ask: am.GetControlRequest) -> am.GetControlResponse:
    control = store.get_control(call.tx, call.deps.library, ask.control_id)
    return am.GetControlResponse(control=_shown(call, control))


def list_controls(call: Call, ask: am.ListControlsRequest) -> am.ListControlsResponse:
    """Newest first; of an entry of the catalogue, or of none of them, where one is named."""
    entry = ask.control_catalog_id
    secret = call.deps.id_secret
    scope = paging.scope("ListControls", call.tenant, ask.control_type, ask.control_catalog_id)
    key = paging.read(ask.next_token, secret, scope)
    found = store.list_controls(
        call.tx,
        call.deps.library,
        ask.control_type,
        after=time_key(key),
        limit=paging.size(ask.max_results) + 1,
        keep=None if entry is None else lambda c: call.deps.library.belongs(c, entry),
    )
    page, token = paging.page(found, ask.max_results, lambda c: (c.created_at, c.id), secret, scope)
    return am.ListControlsResponse(
        control_metadata_list=tuple(
            to_wire_control_metadata(c, call.tenant, call.deps.library) for c in page
        ),
        next_token=token,
    )


def update_control(call: Call, ask: am.UpdateControlRequest) -> am.UpdateControlResponse:
    """Replaces all of it: an optional text that is left out is cleared (it is a PUT)."""
    call.tx.lock_tenant()
    before = store.get_control(call.tx, call.deps.library, ask.control_id)
    rules.check_custom("control", before)
    known = frozenset(s.id for s in before.sources)
    sources = tuple(from_wire_source(s, known) for s in ask.control_mapping_sources)
    _check_sources(call, sources)
    control = msgspec.structs.replace(
        before,
        name=ask.name,
        sources=sources,
        description=ask.description,
        testing_information=ask.testing_information,
        action_plan_title=ask.action_plan_title,
        action_plan_instructions=ask.action_plan_instructions,
        updated_at=call.now,
        updated_by=ids.person_of(call.principal.arn),
    )
    store.save_control(call.tx, control)
    _tell_doubts(call, control)
    control_edited(call, control)
    return am.UpdateControlResponse(control=_shown(call, control))


def delete_control(call: Call, ask: am.DeleteControlRequest) -> am.DeleteControlResponse:
    """Takes it out of frameworks and assessments; evidence it has collected stays readable."""
    call.tx.lock_tenant()
    control = store.get_control(call.tx, call.deps.library, ask.control_id)
    rules.check_custom("control", control)
    require_control_free(call, control)
    store.delete_control(call.tx, control.id)
    tags.drop(call.tx, control_arn(control, call.tenant))
    control_deleted(call, control.id)
    return am.DeleteControlResponse()


def _check_sources(call: Call, sources: tuple[MappingSource, ...]) -> None:
    most = rules.MostSources(
        own=limit(call, "sources-per-control"),
        core=limit(call, "core-controls"),
        common=limit(call, "common-controls"),
    )
    rules.check_sources(sources, call.deps.library.group, most)
    if call.deps.settings.strict_keywords:
        warnings.refuse_doubtful(sources)


def _tell_doubts(call: Call, control: Control) -> None:
    for source_type, word in warnings.doubtful_keywords(control.sources):
        said = warnings.sentence(source_type, word)
        call.doubts.append(f"The control names {said} It will probably collect nothing.")
        _LOG.warning("control %s names %s It will probably collect nothing.", control.id, said)


def _shown(call: Call, control: Control) -> am.Control:
    tenant = call.tenant
    return to_wire_control(
        control, tenant, tags.of(call.tx, control_arn(control, tenant)), call.deps.library
    )


OPERATIONS = (
    pair(am.CREATE_CONTROL, create_control),
    pair(am.GET_CONTROL, get_control),
    pair(am.LIST_CONTROLS, list_controls),
    pair(am.UPDATE_CONTROL, update_control),
    pair(am.DELETE_CONTROL, delete_control),
)
