"""Frameworks offered to other accounts and regions of the deployment (spec 2.6, 8.3, 10.7).

Both sides change in the transaction of the request, and so does the recipient's library when it
accepts. A request that cannot be delivered is answered as FAILED, not as an error.
"""

from msgspec.structs import replace

from auditkeep import clock
from auditkeep.accounts import organisation
from auditkeep.accounts import store as accounts
from auditkeep.errors import InvalidRequest
from auditkeep.frameworks import rules, sharing_rules, sharing_snapshot, sharing_store, store
from auditkeep.frameworks.sharing_model import ShareRequest, Snapshot
from auditkeep.ids import Tenant, new_id, person_of
from auditkeep.operations.auditmanager.pages import time_key
from auditkeep.operations.call import Call, pair
from auditkeep.operations.limits import limit
from auditkeep.wire import paging
from auditkeep.wire.models import auditmanager as am


def start_assessment_framework_share(
    call: Call, ask: am.StartAssessmentFrameworkShareRequest
) -> am.StartAssessmentFrameworkShareResponse:
    """Offers the framework as it is now, or renews an offer that was made before."""
    destination = Tenant(ask.destination_account, ask.destination_region)
    call.tx.lock_tenant()  # the quota holds, and one request is renewed once, at the same time too
    snapshot = _snapshot(call, ask.framework_id)
    if destination == call.tenant:
        raise InvalidRequest(
            f"A framework cannot be shared with account {destination.account} in "
            f"{destination.region}: that is where it is. Name another account or another region."
        )
    _check_recipients(call, destination)
    request = ShareRequest(
        id=new_id(),
        side="SENT",
        framework_id=ask.framework_id,
        source=call.tenant,
        destination=destination,
        status="ACTIVE" if _deliverable(call, destination) else "FAILED",
        subject=sharing_snapshot.described(snapshot),
        created_at=call.now,
        updated_at=call.now,
        expires_at=sharing_rules.expiry(call.now, limit(call, "share-days")),
        comment=ask.comment or None,
    )
    before = _renewable(call, request)
    if before is not None:
        request = replace(request, id=before.id, created_at=before.created_at)
    if request.status == "ACTIVE":
        sharing_store.send(call.tx, request, snapshot)
    else:
        sharing_store.fail(call.tx, request)
    return am.StartAssessmentFrameworkShareResponse(
        assessment_framework_share_request=to_wire(request, call)
    )


def list_assessment_framework_share_requests(
    call: Call, ask: am.ListAssessmentFrameworkShareRequestsRequest
) -> am.ListAssessmentFrameworkShareRequestsResponse:
    """Newest first; renewing a request does not move it."""
    secret = call.deps.id_secret
    scope = paging.scope("ListAssessmentFrameworkShareRequests", call.tenant, ask.request_type)
    after = time_key(paging.read(ask.next_token, secret, scope))
    found = sharing_store.page(call.tx, ask.request_type, after, paging.size(ask.max_results) + 1)
    page, token = paging.page(found, ask.max_results, lambda r: (r.created_at, r.id), secret, scope)
    return am.ListAssessmentFrameworkShareRequestsResponse(
        assessment_framework_share_requests=tuple(to_wire(r, call) for r in page),
        next_token=token,
    )


def update_assessment_framework_share(
    call: Call, ask: am.UpdateAssessmentFrameworkShareRequest
) -> am.UpdateAssessmentFrameworkShareResponse:
    """The recipient's ACCEPT or DECLINE, or the sender's REVOKE."""
    sharing_rules.check_side(ask.action, ask.request_type)
    call.tx.lock_tenant()  # what is accepted counts towards the recipient's quotas
    sharing_store.lock(call.tx, ask.request_id)
    request = sharing_store.get(call.tx, ask.request_id, ask.request_type)
    status = _status(request, call)
    lenient = call.deps.settings.lenient_share_revoke
    if not (lenient and ask.action == "REVOKE" and status == "SHARED"):
        answered = sharing_rules.after(ask.action, status)
        if ask.action == "ACCEPT":
            _accept(call, sharing_store.get_snapshot(call.tx, request.id))
        request = replace(request, status=answered, updated_at=call.now)
        sharing_store.settle(call.tx, request)
    return am.UpdateAssessmentFrameworkShareResponse(
        assessment_framework_share_request=to_wire(request, call)
    )


def delete_assessment_framework_share(
    call: Call, ask: am.DeleteAssessmentFrameworkShareRequest
) -> am.DeleteAssessmentFrameworkShareResponse:
    """Forgets this side's record; never a framework, and never the other side's record."""
    sharing_store.lock(call.tx, ask.request_id)
    request = sharing_store.get(call.tx, ask.request_id, ask.request_type)
    sharing_rules.check_delete(_status(request, call))
    sharing_store.delete(call.tx, request.id)
    return am.DeleteAssessmentFrameworkShareResponse()


def framework_deleted(call: Call, framework_id: str) -> None:
    """Revokes what this tenant has offered of a framework and nobody has answered.

    The caller holds the tenant's lock.
    """
    for known in sharing_store.sent_of(call.tx, framework_id):
        sharing_store.lock(call.tx, known.id)  # in the order of ids: nobody waits in a circle
        request = sharing_store.get(call.tx, known.id, "SENT")  # as it is under the lock
        if _status(request, call) in sharing_rules.OPEN:
            revoked = sharing_rules.after("REVOKE", _status(request, call))
            sharing_store.settle(call.tx, replace(request, status=revoked, updated_at=call.now))


def to_wire(request: ShareRequest, call: Call) -> am.AssessmentFrameworkShareRequest:
    subject = request.subject
    return am.AssessmentFrameworkShareRequest(
        id=request.id,
        framework_id=request.framework_id,
        framework_name=subject.name,
        framework_description=subject.description,
        status=_status(request, call),
        source_account=request.source.account,
        destination_account=request.destination.account,
        destination_region=request.destination.region,
        expiration_time=clock.wire(request.expires_at),
        creation_time=clock.wire(request.created_at),
        last_updated=clock.wire(request.updated_at),
        comment=request.comment,
        standard_controls_count=subject.standard_controls,
        custom_controls_count=subject.custom_controls,
        compliance_type=subject.compliance_type,
    )


def _status(request: ShareRequest, call: Call) -> am.ShareRequestStatus:
    return sharing_rules.status_at(request.status, request.expires_at, call.now)


def _snapshot(call: Call, framework_id: str) -> Snapshot:
    framework = store.get_framework(call.tx, call.deps.library, framework_id)
    if framework.type != "Custom":
        raise InvalidRequest(
            f"The framework '{framework.name}' is shipped with Auditkeep; the recipient has it "
            "already. Only custom frameworks can be shared."
        )
    controls = store.get_controls(call.tx, call.deps.library, framework.control_ids())
    return sharing_snapshot.taken(framework, controls)


def _check_recipients(call: Call, destination: Tenant) -> None:
    open_to = sharing_store.recipients(call.tx, call.now) | {destination.account}
    most = limit(call, "share-recipients")
    if len(open_to) > most:
        # The model gives this operation no quota error (spec 10.7).
        raise InvalidRequest(
            f"Frameworks are being shared with {len(open_to) - 1} accounts, and the quota is "
            f"{most}. Revoke a request that is still open first."
        )


def _deliverable(call: Call, destination: Tenant) -> bool:
    """Only to who is registered there, and not to who has handed its organisation over."""
    there = call.tx.system().of(destination)
    return accounts.status(there) == "ACTIVE" and not organisation.has_handed_over(there)


def _renewable(call: Call, request: ShareRequest) -> ShareRequest | None:
    """The request for the same framework and recipient that is renewed instead, under its lock."""
    for known in sharing_store.sent_of(call.tx, request.framework_id, request.destination):
        sharing_store.lock(call.tx, known.id)
        before = sharing_store.get(call.tx, known.id, "SENT")
        if _status(before, call) in sharing_rules.RENEWED:
            return before
    return None


def _accept(call: Call, snapshot: Snapshot) -> None:
    library = call.deps.library
    rules.check_quota(
        "framework", store.count_frameworks(call.tx), limit(call, "custom-frameworks")
    )
    if snapshot.controls:
        existing = store.count_controls(call.tx)
        most = limit(call, "custom-controls")
        rules.check_quota("control", existing, most, len(snapshot.controls))
    framework, controls = sharing_snapshot.copied(snapshot, person_of(call.principal.arn), call.now)
    for control in controls:
        store.save_control(call.tx, control)
    rules.check_sets(framework.sets, store.get_controls(call.tx, library, framework.control_ids()))
    store.save_framework(call.tx, framework)


OPERATIONS = (
    pair(am.START_ASSESSMENT_FRAMEWORK_SHARE, start_assessment_framework_share),
    pair(am.LIST_ASSESSMENT_FRAMEWORK_SHARE_REQUESTS, list_assessment_framework_share_requests),
    pair(am.UPDATE_ASSESSMENT_FRAMEWORK_SHARE, update_assessment_framework_share),
    pair(am.DELETE_ASSESSMENT_FRAMEWORK_SHARE, delete_assessment_framework_share),
)
