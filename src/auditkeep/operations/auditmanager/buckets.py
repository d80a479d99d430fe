"""Manual evidence out of S3: objects that `s3ResourcePath` names in buckets an operator admits.

They are read with this process's AWS credentials, so only the buckets of
`AUDITKEEP_MANUAL_S3_BUCKETS` are: otherwise whoever may import evidence could read whatever the
server may. Files of this deployment's own buckets (`auditkeep stock`) need none of this.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from auditkeep.accounts import quotas
from auditkeep.clock import Instant
from auditkeep.db.database import Database
from auditkeep.errors import InputError, InvalidRequest, NotCollected
from auditkeep.evidence.manual import Outside, Refused
from auditkeep.ids import Tenant
from auditkeep.operations.call import Deps
from auditkeep.reports import destination
from auditkeep.reports.spool import Spool
from auditkeep.sources.s3 import Bucket, Vanished
from auditkeep.wire.models import auditmanager as am

_BLOCK = 256 * 1024


def admitted(deps: Deps) -> frozenset[str]:
    """The names of buckets that may be read."""
    names = deps.settings.manual_s3_buckets.split(",")
    return frozenset(name.strip() for name in names if name.strip())


@contextmanager
def fetched(
    db: Database,
    deps: Deps,
    tenant: Tenant,
    ask: am.BatchImportEvidenceToAssessmentControlRequest,
    _now: Instant,
) -> Iterator[Mapping[str, Outside]]:
    """Each object that the request names in an admitted bucket: set aside sealed, or refused."""
    names = admitted(deps)
    places = {
        url: place
        for one in ask.manual_evidence
        if names and (url := one.s3_resource_path) and (place := _place(url)) is not None
        if place.bucket in names
    }
    if not places:
        yield {}
        return
    with db.read(tenant) as tx:
        largest = quotas.limit(tx, deps.settings, "manual-file-bytes")
    with ExitStack() as open_spools:
        found: dict[str, Outside] = {}
        for url, place in places.items():
            found[url] = _set_aside(deps, place, largest, open_spools)
        yield found


def _place(url: str) -> destination.Place | None:
    try:
        return destination.place(url, "s3ResourcePath")
    except InvalidRequest:
        return None  # the operation answers it with an error of its own


def _set_aside(deps: Deps, place: destination.Place, largest: int, spools: ExitStack) -> Outside:
    bucket = Bucket(deps.clients.client("s3", deps.settings.manual_s3_region), place.bucket)
    spool = spools.enter_context(Spool())
    size = 0
    try:
        with bucket.opened(place.key) as (file, _):
            while block := file.read(_BLOCK):
                size += len(block)
                if size > largest:
                    return Refused("400", f"The file has more than {largest} bytes.")
                spool.append(block)
    except Vanished:
        return Refused("404", "There is no file of this name.")
    except InputError as error:
        return Refused("400", f"The file cannot be read: {error}")
    except NotCollected as error:
        return Refused("503" if error.again else "403", f"S3 did not give it: {error}")
    return spool.stream
