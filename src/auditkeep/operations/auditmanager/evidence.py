"""Evidence folders and evidence, read through lenses (spec sections 1.8, 1.9 and 10.5)."""

from auditkeep import clock
from auditkeep.assessments import store
from auditkeep.assessments.model import AssessedControl, Assessment
from auditkeep.clock import Day, Instant, day_of
from auditkeep.errors import NotFound
from auditkeep.evidence import folders, items, lens, selection
from auditkeep.evidence.counts import Place
from auditkeep.evidence.folders import Folder
from auditkeep.evidence.ids import FolderIds
from auditkeep.evidence.lens import Lens
from auditkeep.operations.auditmanager.standing import assessment_for, require
from auditkeep.operations.call import Call, pair
from auditkeep.wire import paging
from auditkeep.wire.models import auditmanager as am


def get_evidence_folders_by_assessment(
    call: Call, ask: am.GetEvidenceFoldersByAssessmentRequest
) -> am.GetEvidenceFoldersByAssessmentResponse:
    """All folders of an assessment, newest day first."""
    assessment = assessment_for(call, ask.assessment_id, "GetEvidenceFoldersByAssessment")
    controls = store.controls(call.tx, assessment.id)
    scope = paging.scope("GetEvidenceFoldersByAssessment", call.tenant, assessment.id)
    shown, token = _page(call, assessment, controls, scope, ask.next_token, ask.max_results)
    return am.GetEvidenceFoldersByAssessmentResponse(evidence_folders=shown, next_token=token)


def get_evidence_folders_by_assessment_control(
    call: Call, ask: am.GetEvidenceFoldersByAssessmentControlRequest
) -> am.GetEvidenceFoldersByAssessmentControlResponse:
    """The folders of one control, newest day first."""
    assessment = store.get(call.tx, ask.assessment_id)
    action = "GetEvidenceFoldersByAssessmentControl"
    require(call, assessment, action, ask.control_set_id)
    control = store.get_control(call.tx, assessment.id, ask.control_set_id, ask.control_id)
    scope = paging.scope(action, call.tenant, assessment.id, str(control.ordinal))
    shown, token = _page(call, assessment, [control], scope, ask.next_token, ask.max_results)
    return am.GetEvidenceFoldersByAssessmentControlResponse(
        evidence_folders=shown, next_token=token
    )


def get_evidence_folder(
    call: Call, ask: am.GetEvidenceFolderRequest
) -> am.GetEvidenceFolderResponse:
    assessment = store.get(call.tx, ask.assessment_id)
    require(call, assessment, "GetEvidenceFolder", ask.control_set_id)
    control, one, day = opened_folder(call, assessment, ask.evidence_folder_id, ask.control_set_id)
    found = folders.folder(call.tx, call.deps.lake, call.deps.caches.folders, one, day)
    if found is None:
        raise NotFound("evidence folder", ask.evidence_folder_id)
    place = (control.ordinal, day)
    chosen = {place: selection.of_folder(call.tx, assessment.id, place)}
    selected = selection.selected_counts(call.tx, call.deps.lake, [one], chosen)
    return am.GetEvidenceFolderResponse(
        evidence_folder=_to_wire(call, assessment, control, found, selected[place])
    )


def get_evidence_by_evidence_folder(
    call: Call, ask: am.GetEvidenceByEvidenceFolderRequest
) -> am.GetEvidenceByEvidenceFolderResponse:
    """A folder's evidence, newest first."""
    assessment = store.get(call.tx, ask.assessment_id)
    require(call, assessment, "GetEvidenceByEvidenceFolder", ask.control_set_id)
    control, one, day = opened_folder(call, assessment, ask.evidence_folder_id, ask.control_set_id)
    secret = call.deps.id_secret
    scope = paging.scope("GetEvidenceByEvidenceFolder", call.tenant, ask.evidence_folder_id)
    key = paging.read(ask.next_token, secret, scope)
    found = items.page(
        call.tx,
        call.deps.lake,
        secret,
        one,
        day,
        after=None if key is None else (Instant(int(key[0])), bytes.fromhex(str(key[1]))),
        limit=paging.size(ask.max_results) + 1,
    )
    if not found and key is None:
        raise NotFound("evidence folder", ask.evidence_folder_id)
    shown, token = paging.page(
        found,
        ask.max_results,
        lambda i: (i.stored.event_time, i.stored.id.hex()),
        secret,
        scope,
    )
    chosen = selection.of_folder(call.tx, assessment.id, (control.ordinal, day))
    return am.GetEvidenceByEvidenceFolderResponse(
        evidence=tuple(
            items.to_wire(
                i,
                call.tenant.account,
                is_selected=chosen.holds(i.stored.id, i.stored.batch_no),
            )
            for i in shown
        ),
        next_token=token,
    )


def get_evidence(call: Call, ask: am.GetEvidenceRequest) -> am.GetEvidenceResponse:
    assessment = store.get(call.tx, ask.assessment_id)
    require(call, assessment, "GetEvidence", ask.control_set_id)
    control, one, day = opened_folder(call, assessment, ask.evidence_folder_id, ask.control_set_id)
    lake, secret = call.deps.lake, call.deps.id_secret
    item = items.get(call.tx, lake, secret, one, day, ask.evidence_id)
    chosen = selection.of_folder(call.tx, assessment.id, (control.ordinal, day))
    return am.GetEvidenceResponse(
        evidence=items.to_wire(
            item,
            call.tenant.account,
            is_selected=chosen.holds(item.stored.id, item.stored.batch_no),
        )
    )


def opened_folder(
    call: Call, assessment: Assessment, folder_id: str, set_id: str | None = None
) -> tuple[AssessedControl, Lens, Day]:
    """The control, lens and day a folder id stands for; NotFound for an id that is not ours, or
    that belongs to another control set than the one named.
    """
    ordinal, day = items.folder_place(call.deps.id_secret, assessment.id, folder_id)
    control = store.find_by_ordinal(call.tx, assessment.id, ordinal)
    if control is None or (set_id is not None and control.set_id != set_id):
        raise NotFound("evidence folder", folder_id)
    one = lens.load(call.tx, assessment.id, [ordinal], assessment.frozen_at_batch)[0]
    return control, one, day


def _page(
    call: Call,
    assessment: Assessment,
    controls: list[AssessedControl],
    scope: str,
    next_token: str | None,
    max_results: int | None,
) -> tuple[tuple[am.AssessmentEvidenceFolder, ...], str | None]:
    lake, secret = call.deps.lake, call.deps.id_secret
    by_ordinal = {c.ordinal: c for c in controls}
    lenses = lens.load(call.tx, assessment.id, by_ordinal, assessment.frozen_at_batch)
    key = paging.read(next_token, secret, scope)
    found = folders.page(
        call.tx,
        lake,
        call.deps.caches.folders,
        lenses,
        after=None if key is None else _place(key),
        limit=paging.size(max_results) + 1,
        today=day_of(call.now),
    )
    shown, token = paging.page(found, max_results, lambda f: f.place, secret, scope)
    places = {f.place for f in shown}
    chosen = selection.of_assessment(call.tx, assessment.id)
    wanted = {p: s for p, s in chosen.items() if p in places}
    selected = selection.selected_counts(call.tx, lake, lenses, wanted)
    folder_ids = FolderIds(secret, assessment.id)
    return tuple(
        _to_wire(call, assessment, by_ordinal[f.ordinal], f, selected.get(f.place, 0), folder_ids)
        for f in shown
    ), token


def _place(key: paging.Key) -> Place:
    return int(key[0]), Day(int(key[1]))


def _to_wire(
    call: Call,
    assessment: Assessment,
    control: AssessedControl,
    folder: Folder,
    selected: int,
    folder_ids: FolderIds | None = None,
) -> am.AssessmentEvidenceFolder:
    ids = folder_ids or FolderIds(call.deps.id_secret, assessment.id)
    counts = folder.counts
    source = counts.first_source
    return am.AssessmentEvidenceFolder(
        name=clock.day_name(folder.day),
        date=clock.wire(counts.first_time),
        assessment_id=assessment.id,
        control_set_id=control.set_id,
        control_id=control.control_id,
        id=ids.of(folder.ordinal, folder.day),
        data_source=items.LABELS.get(source, source),
        author=folder.author,
        total_evidence=counts.total,
        assessment_report_selection_count=selected,
        control_name=control.copy.name,
        evidence_resources_included_count=counts.resources,
        evidence_by_type_configuration_data_count=counts.configuration,
        evidence_by_type_manual_count=counts.manual,
        evidence_by_type_compliance_check_count=counts.compliance,
        evidence_by_type_compliance_check_issues_count=counts.issues,
        evidence_by_type_user_activity_count=counts.activity,
        evidence_aws_service_source_count=counts.distinct,
    )


OPERATIONS = (
    pair(am.GET_EVIDENCE_FOLDERS_BY_ASSESSMENT, get_evidence_folders_by_assessment),
    pair(am.GET_EVIDENCE_FOLDERS_BY_ASSESSMENT_CONTROL, get_evidence_folders_by_assessment_control),
    pair(am.GET_EVIDENCE_FOLDER, get_evidence_folder),
    pair(am.GET_EVIDENCE_BY_EVIDENCE_FOLDER, get_evidence_by_evidence_folder),
    pair(am.GET_EVIDENCE, get_evidence),
)
