"""The service table: every operation of every service this server speaks, and its function.

One router and one table serve them all; the path finds the operation, and the service named in the
signature's scope must be the operation's own. What has no function answers 501.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from auditkeep.operations.auditkeep import (
    backfill,
    collection,
    erasure,
    holds,
    keeping,
    log,
    observations,
)
from auditkeep.operations.auditmanager import (
    accounts,
    assessments,
    catalogue,
    controls,
    delegations,
    evidence,
    frameworks,
    insights,
    manual,
    notifications,
    organisation,
    reports,
    review,
    selection,
    sharing,
    tags,
)
from auditkeep.operations.call import Call, Handler
from auditkeep.operations.controlcatalog import catalogue as control_catalogue
from auditkeep.wire.model import AnyOperation
from auditkeep.wire.models import auditkeep as ak
from auditkeep.wire.models import auditmanager as am
from auditkeep.wire.models import controlcatalog as cc

OPERATIONS: Final = (*am.OPERATIONS, *ak.OPERATIONS, *cc.OPERATIONS)
"""All there is to ask for, service by service."""

_PAIRS: Final = (
    *accounts.OPERATIONS,
    *assessments.OPERATIONS,
    *catalogue.OPERATIONS,
    *controls.OPERATIONS,
    *delegations.OPERATIONS,
    *evidence.OPERATIONS,
    *frameworks.OPERATIONS,
    *insights.OPERATIONS,
    *manual.OPERATIONS,
    *notifications.OPERATIONS,
    *organisation.OPERATIONS,
    *reports.OPERATIONS,
    *review.OPERATIONS,
    *selection.OPERATIONS,
    *sharing.OPERATIONS,
    *tags.OPERATIONS,
    *control_catalogue.OPERATIONS,
    *log.OPERATIONS,
    *backfill.OPERATIONS,
    *collection.OPERATIONS,
    *observations.OPERATIONS,
    *holds.OPERATIONS,
    *keeping.OPERATIONS,
    *erasure.OPERATIONS,
)

OPEN_TO_UNREGISTERED: Final = frozenset(
    {
        am.GET_ACCOUNT_STATUS,
        am.REGISTER_ACCOUNT,
        am.DEREGISTER_ACCOUNT,  # again and again, as its own rule has it (spec 10.2)
        am.REGISTER_ORGANIZATION_ADMIN_ACCOUNT,
        am.LIST_TAGS_FOR_RESOURCE,
        ak.GET_ERASURE,  # what became of a registration that has ended
        am.TAG_RESOURCE,
        am.UNTAG_RESOURCE,
        ak.GET_CHECKPOINT,  # the log is the deployment's, and outlives a registration
        ak.GET_CONSISTENCY_PROOF,
        *cc.OPERATIONS,  # a service of its own, which knows no registration
    }
)
"""What works before RegisterAccount (specification section 2.1)."""

Glance = Callable[[Call, Any], bytes | None]
GLANCES: Final[Mapping[AnyOperation, Glance]] = {
    am.GET_ASSESSMENT: assessments.glance,
}
"""Tried before the operation: the bytes of an answer that still holds, found by one query alone.

None where there is no such answer, for whatever reason; the operation then says which.
"""

_READING_POSTS: Final = frozenset({am.VALIDATE_ASSESSMENT_REPORT_INTEGRITY, *cc.OPERATIONS})
_WRITING_GETS: Final = frozenset({am.GET_EVIDENCE_FILE_UPLOAD_URL})


def only_reads(operation: AnyOperation) -> bool:
    """Whether a snapshot is enough for the operation."""
    if operation.method == "GET":
        return operation not in _WRITING_GETS
    return operation in _READING_POSTS


def _tabled(pairs: Iterable[tuple[AnyOperation, Handler]]) -> Mapping[AnyOperation, Handler]:
    table: dict[AnyOperation, Handler] = {}
    for operation, function in pairs:
        if operation in table:
            raise ValueError(f"two functions answer {operation.name}")
        table[operation] = function
    return table


TABLE: Final = _tabled(_PAIRS)


def written() -> list[tuple[str, bool]]:
    """Every operation as `service:Name`, and whether it is written."""
    return [(f"{o.service}:{o.name}", o in TABLE) for o in OPERATIONS]
