"""Assessments: made from a framework, changed, ended, deleted (spec sections 2.2 and 10.4)."""

from msgspec.structs import replace

from auditkeep.accounts import organisation, tags
from auditkeep.assessments import review, rules, store, wire
from auditkeep.assessments.model import Assessment, ControlSet, Document
from auditkeep.clock import Instant
from auditkeep.errors import InvalidRequest
from auditkeep.evidence import lens, selection
from auditkeep.evidence.ids import manual_class
from auditkeep.evidence.progress import last_batch_no
from auditkeep.frameworks import store as frameworks
from auditkeep.ids import iam_arn, new_id, same_principal
from auditkeep.lake import governance, keeping
from auditkeep.lake.destruction import destroy_class
from auditkeep.operations.auditmanager import answers, scoping, telling
from auditkeep.operations.auditmanager.copying import assessed, copy_of_framework
from auditkeep.operations.auditmanager.holding import require_assessment_free
from auditkeep.operations.auditmanager.listing import listed, shown
from auditkeep.operations.auditmanager.pages import time_key
from auditkeep.operations.auditmanager.people import require_known
from auditkeep.operations.auditmanager.standing import assessment_for, log_assessment, require
from auditkeep.operations.call import Call, pair
from auditkeep.operations.limits import limit
from auditkeep.wire import paging
from auditkeep.wire.models import auditmanager as am
from auditkeep.work.jobs import enqueue


def create_assessment(call: Call, ask: am.CreateAssessmentRequest) -> am.CreateAssessmentResponse:
    """A copy of a framework begins to look at its accounts, from now on."""
    accounts = scoping.accounts(ask.scope)
    owners = scoping.owners(ask.roles)
    destination = scoping.destination(ask.assessment_reports_destination)
    require_known(call, owners)
    library = call.deps.library
    framework = frameworks.get_framework(call.tx, library, ask.framework_id)
    controls = frameworks.get_controls(call.tx, library, framework.control_ids())
    members = list(assessed(framework, controls, library))
    call.tx.lock_tenant()  # or two requests at once could each be within the quota
    organisation.require_not_handed_over(call.tx)
    scoping.check_accounts(call, frozenset(a.id for a in accounts))
    scoping.check_quotas(call, frozenset(a.id for a in accounts), None)
    creator = iam_arn(call.principal.arn)
    if not any(same_principal(owner, creator) for owner in owners):
        owners = (*owners, creator)
    assessment = Assessment(
        id=new_id(),
        name=ask.name,
        status=rules.ASSESSMENT.initial,
        document=Document(
            framework=copy_of_framework(framework, call.tenant),
            accounts=accounts,
            destination=destination,
            owners=owners,
            created_by=creator,
            description=ask.description,
            services=scoping.services(call, ask.scope),
        ),
        created_at=call.now,
        updated_at=call.now,
        version=1,
        next_ordinal=len(members) + 1,
        dormant=False,
        frozen_at_batch=None,
    )
    sets = [
        ControlSet(s.name, position, rules.CONTROL_SET.initial)
        for position, s in enumerate(framework.sets)
    ]
    store.insert(call.tx, assessment, sets, members)
    tags.add(call.tx, assessment.arn(call.tenant), ask.tags, limit(call, "tags"))
    scoping.open_lenses(call, assessment, members, call.now)
    log_assessment(call, assessment, "CREATE")
    telling.emit(call, assessment, "Assessment Created")
    return am.CreateAssessmentResponse(assessment=answers.answer_of(call, assessment))


def get_assessment(call: Call, ask: am.GetAssessmentRequest) -> am.GetAssessmentResponse:
    assessment, last_batch = store.get_with_last_batch(call.tx, ask.assessment_id)
    require(call, assessment, "GetAssessment")
    return answers.kept_answer(call, assessment, last_batch)


def glance(call: Call, ask: am.GetAssessmentRequest) -> bytes | None:
    """What GetAssessment answered last, where neither assessment, evidence nor access changed."""
    found = store.glance(call.tx, ask.assessment_id)
    if found is None or found.status != "ACTIVE":
        return None
    return answers.still_right(call, ask.assessment_id, found.version, found.last_evidence_batch)


def list_assessments(call: Call, ask: am.ListAssessmentsRequest) -> am.ListAssessmentsResponse:
    """The assessments that the caller owns or works on, newest first; all for an administrator.

    Delegates see the delegations that are theirs.
    """
    secret = call.deps.id_secret
    scope = paging.scope("ListAssessments", call.tenant, ask.status)
    after = time_key(paging.read(ask.next_token, secret, scope))
    wanted = paging.size(ask.max_results) + 1
    visible: list[tuple[tuple[Instant, str], am.AssessmentMetadataItem]] = []
    while len(visible) < wanted:
        heads = store.page(call.tx, ask.status, after, wanted)
        found = ((one.key, shown(call.principal, one)) for one in listed(call, heads))
        visible += [(key, item) for key, item in found if item is not None]
        if len(heads) < wanted:
            break
        after = heads[-1].created_at, heads[-1].id
    page, token = paging.page(visible[:wanted], ask.max_results, lambda one: one[0], secret, scope)
    return am.ListAssessmentsResponse(
        assessment_metadata=tuple(item for _, item in page), next_token=token
    )


def update_assessment(call: Call, ask: am.UpdateAssessmentRequest) -> am.UpdateAssessmentResponse:
    """Members that are left out stay; a changed scope, or dormancy, opens the lenses anew.

    An account that has handed its organisation over does not collect: nothing wakes.
    """
    call.tx.lock_tenant()  # what is read here is written back: nothing must change it meanwhile
    assessment = assessment_for(call, ask.assessment_id, "UpdateAssessment")
    rules.require_active(assessment.status)
    before = assessment.document
    document = replace(
        before,
        accounts=scoping.accounts(ask.scope),
        services=scoping.services(call, ask.scope),
    )
    if ask.assessment_description is not None:
        document = replace(document, description=ask.assessment_description or None)
    if ask.assessment_reports_destination is not None:
        destination = scoping.destination(ask.assessment_reports_destination)
        document = replace(document, destination=destination)
    if ask.roles is not None:
        document = replace(document, owners=_owners_after(call, before, ask.roles))
    rescoped = document.account_ids != before.account_ids
    if rescoped:
        scoping.check_accounts(call, document.account_ids - before.account_ids)
        scoping.check_quotas(call, document.account_ids, assessment.id)
    asleep = organisation.has_handed_over(call.tx)
    changed = store.save(
        call.tx,
        replace(
            assessment,
            name=assessment.name if ask.assessment_name is None else ask.assessment_name,
            document=document,
            updated_at=call.now,
            dormant=asleep,
        ),
    )
    if not asleep and (rescoped or assessment.dormant):
        scoping.reopen_lenses(call, changed)
    log_assessment(call, changed, "UPDATE_METADATA")
    telling.emit(call, changed, "Assessment Updated")
    return am.UpdateAssessmentResponse(assessment=answers.answer_of(call, changed))


def update_assessment_status(
    call: Call, ask: am.UpdateAssessmentStatusRequest
) -> am.UpdateAssessmentStatusResponse:
    """INACTIVE ends collection for good and fixes what this assessment will ever show."""
    # Under the tenant's lock no append can commit between reading the number and our commit.
    call.tx.lock_tenant()
    assessment = assessment_for(call, ask.assessment_id, "UpdateAssessmentStatus")
    if rules.ASSESSMENT.move(assessment.status, ask.status) != assessment.status:
        assessment = _close(call, assessment)
        log_assessment(call, assessment, "INACTIVE")
    return am.UpdateAssessmentStatusResponse(assessment=answers.answer_of(call, assessment))


def delete_assessment(call: Call, ask: am.DeleteAssessmentRequest) -> am.DeleteAssessmentResponse:
    """Lenses, selections, the review and what was pinned to it go; shared observations stay, but
    for what nobody sees any more where only what is seen is kept.
    """
    call.tx.lock_tenant()
    assessment = assessment_for(call, ask.assessment_id, "DeleteAssessment")
    require_assessment_free(call, assessment)
    lens.delete(call.tx, assessment.id)
    selection.delete(call.tx, assessment.id)
    asked = call.authority(governance.DELETE_ASSESSMENT, assessment.id)
    lake = call.deps.lake
    matched = keeping.of(call.tx).policy == governance.MATCHED
    if matched:  # facts that it alone saw go too, behind this request (`workflows.unseen`)
        governance.record_given(call.tx, lake, asked, [asked], call.now)
        enqueue(call.tx, keeping.FORGOTTEN, assessment.id, call.now)
        call.tx.after_commit(call.deps.wake)
    destroy_class(call.tx, lake, manual_class(assessment.id), asked, call.now, logged=matched)
    tags.drop(call.tx, assessment.arn(call.tenant))
    store.delete(call.tx, assessment.id)
    telling.emit(call, assessment, "Assessment Deleted")
    return am.DeleteAssessmentResponse()


def get_change_logs(call: Call, ask: am.GetChangeLogsRequest) -> am.GetChangeLogsResponse:
    """What was done to an assessment, or to one control set or control of it, newest first."""
    assessment = assessment_for(call, ask.assessment_id, "GetChangeLogs")
    if ask.control_set_id is not None:
        store.get_set(call.tx, assessment.id, ask.control_set_id)
    if ask.control_id is not None:
        store.require_control(call.tx, assessment.id, ask.control_id, ask.control_set_id)
    secret = call.deps.id_secret
    scope = paging.scope(
        "GetChangeLogs", call.tenant, assessment.id, ask.control_set_id, ask.control_id
    )
    changes = review.change_page(
        call.tx,
        assessment.id,
        set_id=ask.control_set_id,
        control_id=ask.control_id,
        after=time_key(paging.read(ask.next_token, secret, scope)),
        limit=paging.size(ask.max_results) + 1,
    )
    shown, token = paging.page(
        changes, ask.max_results, lambda c: (c.created_at, c.id), secret, scope
    )
    return am.GetChangeLogsResponse(
        change_logs=tuple(wire.to_change(c) for c in shown), next_token=token
    )


def _close(call: Call, assessment: Assessment) -> Assessment:
    lens.freeze(call.tx, assessment.id, call.now)
    controls = store.controls(call.tx, assessment.id)
    open_reviews = [c.ordinal for c in controls if rules.closed_control(c.status) != c.status]
    store.set_control_status(call.tx, assessment.id, open_reviews, "REVIEWED")
    store.set_set_status(call.tx, assessment.id, "REVIEWED")
    return store.save(
        call.tx,
        replace(
            assessment,
            status="INACTIVE",
            updated_at=call.now,
            frozen_at_batch=last_batch_no(call.tx),
        ),
    )


def _owners_after(call: Call, before: Document, roles: tuple[am.Role, ...]) -> tuple[str, ...]:
    """The new owners. An owner who changes them stays one: nobody locks themselves out."""
    owners = scoping.owners(roles)
    if not owners:
        raise InvalidRequest.of_field("roles", "must hold at least one audit owner.")
    require_known(call, (o for o in owners if o not in before.owners))
    kept = (o for o in before.owners if same_principal(o, call.principal.arn))
    return (*owners, *(o for o in kept if not any(same_principal(o, new) for new in owners)))


OPERATIONS = (
    pair(am.CREATE_ASSESSMENT, create_assessment),
    pair(am.GET_ASSESSMENT, get_assessment),
    pair(am.LIST_ASSESSMENTS, list_assessments),
    pair(am.UPDATE_ASSESSMENT, update_assessment),
    pair(am.UPDATE_ASSESSMENT_STATUS, update_assessment_status),
    pair(am.DELETE_ASSESSMENT, delete_assessment),
    pair(am.GET_CHANGE_LOGS, get_change_logs),
)
