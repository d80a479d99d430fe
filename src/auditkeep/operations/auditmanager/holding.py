"""What a legal hold keeps from being deleted, beside evidence: asked by whatever deletes.

A hold on an assessment keeps it, its reports, the control and the framework that it was made of; a
hold of a time keeps whatever was there in that time.
"""

from auditkeep.assessments import store
from auditkeep.assessments.model import Assessment
from auditkeep.clock import Instant
from auditkeep.frameworks.model import Control, Framework
from auditkeep.lake import holds
from auditkeep.operations.call import Call
from auditkeep.reports.model import Report


def require_assessment_free(call: Call, assessment: Assessment) -> None:
    _require(call, "This assessment", {assessment.id}, assessment.created_at)


def require_report_free(call: Call, report: Report) -> None:
    _require(call, "This report", {report.assessment_id}, report.created_at)


def require_control_free(call: Call, control: Control) -> None:
    users = {a for a in _held(call) if store.has_control(call.tx, a, control.id)}
    _require(call, "This control", users, control.created_at)


def require_framework_free(call: Call, framework: Framework) -> None:
    users = {a for a in _held(call) if store.get(call.tx, a).document.framework.id == framework.id}
    _require(call, "This framework", users, framework.created_at)


def _held(call: Call) -> list[str]:
    found = holds.in_force(call.tx)
    return [one.assessment_id for one in found if one.assessment_id is not None]


def _require(call: Call, what: str, assessments: set[str], since: Instant) -> None:
    holds.require_free(call.tx, what, assessments=assessments, since=since, now=call.now)
