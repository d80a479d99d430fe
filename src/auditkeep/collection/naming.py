"""What those who look are called: controls of assessments, and of the frameworks of the baseline.

Whoever was deleted while the plan still had it is called by its id.
"""

from collections.abc import Collection
from dataclasses import dataclass

from auditkeep.assessments import store as assessments
from auditkeep.collection.plan import Reason
from auditkeep.db.tx import Tx
from auditkeep.errors import NotFound
from auditkeep.frameworks import store as frameworks
from auditkeep.frameworks.model import Shelf


@dataclass(frozen=True, slots=True)
class Named:
    """`whole` is the assessment or the framework; `control` one of its controls."""

    whole: str
    control: str


def of(tx: Tx, library: Shelf, reasons: Collection[Reason]) -> dict[Reason, Named]:
    """The names behind some reasons."""
    wholes: dict[tuple[str, str], list[Reason]] = {}
    for reason in reasons:
        wholes.setdefault((reason.of, reason.id), []).append(reason)
    found: dict[Reason, Named] = {}
    for (kind, whole), some in wholes.items():
        names_of = _assessment if kind == "assessment" else _framework
        name, controls = names_of(tx, library, whole)
        for reason in some:
            found[reason] = Named(name, controls.get(reason.control, reason.control))
    return found


def _assessment(tx: Tx, library: Shelf, assessment_id: str) -> tuple[str, dict[str, str]]:
    del library  # an assessment has copies of its own
    try:
        name = assessments.get(tx, assessment_id).name
    except NotFound:
        return assessment_id, {}
    controls = assessments.controls(tx, assessment_id)
    return name, {str(c.ordinal): c.copy.name for c in controls}


def _framework(tx: Tx, library: Shelf, framework_id: str) -> tuple[str, dict[str, str]]:
    try:
        framework = frameworks.get_framework(tx, library, framework_id)
    except NotFound:
        return framework_id, {}
    controls = frameworks.get_controls(tx, library, framework.control_ids())
    return framework.name, {c.id: c.name for c in controls.values()}
