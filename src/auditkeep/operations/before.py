"""What an operation needs from outside before its transaction begins.

A transaction holds its tenant's other writers up, so nothing in it may wait for the network. What
has to be fetched is fetched here, after the identity policy allowed the call, and handed to the
operation in `Call.fetched`; a request that is refused later has fetched in vain, and kept nothing.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Any, Final

from auditkeep.clock import Instant
from auditkeep.db.database import Database
from auditkeep.evidence.manual import Outside
from auditkeep.ids import Tenant
from auditkeep.operations.auditmanager import buckets
from auditkeep.operations.call import Deps
from auditkeep.wire.model import AnyOperation
from auditkeep.wire.models import auditmanager as am

Fetched = Mapping[str, Outside]
Fetch = Callable[[Database, Deps, Tenant, Any, Instant], AbstractContextManager[Fetched]]

NONE: Final[Fetched] = MappingProxyType({})
NOTHING: Final = nullcontext(NONE)

FETCHES: Final[Mapping[AnyOperation, Fetch]] = {
    am.BATCH_IMPORT_EVIDENCE_TO_ASSESSMENT_CONTROL: buckets.fetched,
}
