"""Tags on assessments, controls and frameworks (spec sections 8.5 and 10.7).

An ARN of another tenant, or of something that is not there, is not found: the answer does not
tell which. What is shipped can be named, has no tags and takes none.
"""

import re

from auditkeep.accounts import tags
from auditkeep.assessments import store as assessments
from auditkeep.errors import InvalidRequest, NotFound
from auditkeep.frameworks import store as frameworks
from auditkeep.frameworks.wire import control_arn, framework_arn
from auditkeep.operations.call import Call, pair
from auditkeep.operations.limits import limit
from auditkeep.wire.models import auditmanager as am

_ARN = re.compile(
    r"arn:aws:auditmanager:[^:/]*:[0-9]*:(assessment|assessmentFramework|control)/([0-9a-f-]{36})"
)


def list_tags_for_resource(
    call: Call, ask: am.ListTagsForResourceRequest
) -> am.ListTagsForResourceResponse:
    _require(call, ask.resource_arn)
    return am.ListTagsForResourceResponse(tags=tags.of(call.tx, ask.resource_arn))


def tag_resource(call: Call, ask: am.TagResourceRequest) -> am.TagResourceResponse:
    _require_own(call, ask.resource_arn)
    tags.add(call.tx, ask.resource_arn, ask.tags, limit(call, "tags"))
    _changed(call, ask.resource_arn)
    return am.TagResourceResponse()


def untag_resource(call: Call, ask: am.UntagResourceRequest) -> am.UntagResourceResponse:
    """Keys that the resource does not have are ignored."""
    _require_own(call, ask.resource_arn)
    tags.remove(call.tx, ask.resource_arn, ask.tag_keys)
    _changed(call, ask.resource_arn)
    return am.UntagResourceResponse()


def _changed(call: Call, arn: str) -> None:
    """Tags are part of an assessment's answer, which is kept under its version."""
    match = _ARN.fullmatch(arn)
    if match is not None and match[1] == "assessment":
        assessments.touch(call.tx, match[2])


def _require_own(call: Call, arn: str) -> None:
    if not _require(call, arn):
        raise InvalidRequest.of_field(
            "resourceArn", "names something shipped with Auditkeep, which takes no tags."
        )


def _require(call: Call, arn: str) -> bool:
    """Whether the resource is the tenant's own; NotFound when it can see none of that ARN."""
    match = _ARN.fullmatch(arn)
    if match is None:
        raise NotFound("resource", arn)
    kind, resource_id = match.groups()
    library, tenant = call.deps.library, call.tenant
    own = True
    try:
        if kind == "control":
            control = frameworks.get_control(call.tx, library, resource_id)
            real, own = control_arn(control, tenant), control.type == "Custom"
        elif kind == "assessmentFramework":
            framework = frameworks.get_framework(call.tx, library, resource_id)
            real, own = framework_arn(framework, tenant), framework.type == "Custom"
        else:
            found = assessments.glance(call.tx, resource_id) is not None
            real = tenant.arn("assessment", resource_id) if found else ""
    except NotFound:
        raise NotFound("resource", arn) from None
    if arn != real:
        raise NotFound("resource", arn)
    return own


OPERATIONS = (
    pair(am.LIST_TAGS_FOR_RESOURCE, list_tags_for_resource),
    pair(am.TAG_RESOURCE, tag_resource),
    pair(am.UNTAG_RESOURCE, untag_resource),
)
