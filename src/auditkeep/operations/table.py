"""Every operation that is written, paired with its function. What is missing here answers 501."""

from collections.abc import Iterable, Mapping
from typing import Final

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
from auditkeep.operations.call import Handler
from auditkeep.wire.model import AnyOperation
from auditkeep.wire.models.auditmanager import OPERATIONS

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
)


def _tabled(pairs: Iterable[tuple[AnyOperation, Handler]]) -> Mapping[AnyOperation, Handler]:
    table: dict[AnyOperation, Handler] = {}
    for operation, function in pairs:
        if operation in table:
            raise ValueError(f"two functions answer {operation.name}")
        table[operation] = function
    return table


TABLE: Final = _tabled(_PAIRS)


def written() -> list[tuple[str, bool]]:
    """Every operation of the service by name, and whether it is written."""
    return [(operation.name, operation in TABLE) for operation in OPERATIONS]
