"""Custom frameworks, and reading the shipped ones (spec section 10.3).

An assessment is a copy of its framework: no edit or deletion here touches one that exists.
"""

from collections.abc import Iterable

import msgspec

from auditkeep import ids
from auditkeep.accounts import tags
from auditkeep.frameworks import rules, store
from auditkeep.frameworks.model import Control, ControlSet, Framework
from auditkeep.frameworks.wire import (
    control_arn,
    framework_arn,
    to_wire_control,
    to_wire_framework,
    to_wire_framework_metadata,
)
from auditkeep.operations.auditmanager.holding import require_framework_free
from auditkeep.operations.auditmanager.pages import time_key
from auditkeep.operations.auditmanager.propagation import framework_edited
from auditkeep.operations.auditmanager.sharing import framework_deleted
from auditkeep.operations.call import Call, pair
from auditkeep.operations.limits import limit
from auditkeep.wire import paging
from auditkeep.wire.models import auditmanager as am


def create_assessment_framework(
    call: Call, ask: am.CreateAssessmentFrameworkRequest
) -> am.CreateAssessmentFrameworkResponse:
    """The id of a set is its name (spec 12, decision 11)."""
    sets = tuple(_control_set(s.name, s.name, s.controls or ()) for s in ask.control_sets)
    call.tx.lock_tenant()  # the quota holds for requests at the same time, too
    _check_sets(call, sets)
    rules.check_quota(
        "framework", store.count_frameworks(call.tx), limit(call, "custom-frameworks")
    )
    person = ids.person_of(call.principal.arn)
    framework = Framework(
        id=ids.new_id(),
        name=ask.name,
        type="Custom",
        sets=sets,
        created_at=call.now,
        updated_at=call.now,
        description=ask.description,
        compliance_type=ask.compliance_type,
        created_by=person,
        updated_by=person,
    )
    store.save_framework(call.tx, framework)
    tags.add(call.tx, framework_arn(framework, call.tenant), ask.tags, limit(call, "tags"))
    return am.CreateAssessmentFrameworkResponse(framework=_shown(call, framework))


def get_assessment_framework(
    call: Call, ask: am.GetAssessmentFrameworkRequest
) -> am.GetAssessmentFrameworkResponse:
    framework = store.get_framework(call.tx, call.deps.library, ask.framework_id)
    return am.GetAssessmentFrameworkResponse(framework=_shown(call, framework))


def list_assessment_frameworks(
    call: Call, ask: am.ListAssessmentFrameworksRequest
) -> am.ListAssessmentFrameworksResponse:
    """Newest first."""
    secret = call.deps.id_secret
    scope = paging.scope("ListAssessmentFrameworks", call.tenant, ask.framework_type)
    key = paging.read(ask.next_token, secret, scope)
    found = store.list_frameworks(
        call.tx,
        call.deps.library,
        ask.framework_type,
        after=time_key(key),
        limit=paging.size(ask.max_results) + 1,
    )
    page, token = paging.page(found, ask.max_results, lambda f: (f.created_at, f.id), secret, scope)
    return am.ListAssessmentFrameworksResponse(
        framework_metadata_list=tuple(to_wire_framework_metadata(f, call.tenant) for f in page),
        next_token=token,
    )


def update_assessment_framework(
    call: Call, ask: am.UpdateAssessmentFrameworkRequest
) -> am.UpdateAssessmentFrameworkResponse:
    """Replaces all of it; a set keeps its id through a new name when the client sends the id."""
    call.tx.lock_tenant()
    before = store.get_framework(call.tx, call.deps.library, ask.framework_id)
    rules.check_custom("framework", before)
    set_ids = rules.set_ids(before, [(s.id, s.name) for s in ask.control_sets])
    sets = tuple(
        _control_set(set_id, s.name, s.controls)
        for set_id, s in zip(set_ids, ask.control_sets, strict=True)
    )
    _check_sets(call, sets)
    framework = msgspec.structs.replace(
        before,
        name=ask.name,
        sets=sets,
        description=ask.description,
        compliance_type=ask.compliance_type,
        updated_at=call.now,
        updated_by=ids.person_of(call.principal.arn),
    )
    store.save_framework(call.tx, framework)
    framework_edited(call)
    return am.UpdateAssessmentFrameworkResponse(framework=_shown(call, framework))


def delete_assessment_framework(
    call: Call, ask: am.DeleteAssessmentFrameworkRequest
) -> am.DeleteAssessmentFrameworkResponse:
    """Assessments made from it stay as they are; offers of it that nobody answered yet end."""
    call.tx.lock_tenant()  # or it could be offered once more at this moment
    framework = store.get_framework(call.tx, call.deps.library, ask.framework_id)
    rules.check_custom("framework", framework)
    require_framework_free(call, framework)
    framework_deleted(call, framework.id)
    store.delete_framework(call.tx, framework.id)
    framework_edited(call)
    tags.drop(call.tx, framework_arn(framework, call.tenant))
    return am.DeleteAssessmentFrameworkResponse()


def _control_set(
    set_id: str, name: str, members: Iterable[am.CreateAssessmentFrameworkControl]
) -> ControlSet:
    return ControlSet(id=set_id, name=name, control_ids=tuple(c.id for c in members))


def _check_sets(call: Call, sets: tuple[ControlSet, ...]) -> None:
    wanted = {i for s in sets for i in s.control_ids}
    rules.check_sets(sets, store.get_controls(call.tx, call.deps.library, wanted))


def _shown(call: Call, framework: Framework) -> am.Framework:
    library, tenant = call.deps.library, call.tenant
    members = store.get_controls(call.tx, library, framework.control_ids())
    arn = framework_arn(framework, tenant)
    labels = tags.of_many(call.tx, [arn, *_own_arns(members.values(), call)])
    shown = {
        i: to_wire_control(c, tenant, labels.get(control_arn(c, tenant), {}), library)
        for i, c in members.items()
    }
    return to_wire_framework(framework, tenant, labels[arn], shown)


def _own_arns(controls: Iterable[Control], call: Call) -> list[str]:
    """Shipped controls have no tags; asking for theirs would only make the query long."""
    return [control_arn(c, call.tenant) for c in controls if c.type == "Custom"]


OPERATIONS = (
    pair(am.CREATE_ASSESSMENT_FRAMEWORK, create_assessment_framework),
    pair(am.GET_ASSESSMENT_FRAMEWORK, get_assessment_framework),
    pair(am.LIST_ASSESSMENT_FRAMEWORKS, list_assessment_frameworks),
    pair(am.UPDATE_ASSESSMENT_FRAMEWORK, update_assessment_framework),
    pair(am.DELETE_ASSESSMENT_FRAMEWORK, delete_assessment_framework),
)
