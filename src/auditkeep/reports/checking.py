"""The integrity of a stored report: the verifier's own checks, run where the report lies.

The server checks against its own log key, so the answer says what an auditor who trusts that key
would find. A zip is read from its end, so the archive waits in a spool, which is sealed.
"""

from auditkeep.db.tx import Tx
from auditkeep.errors import DecryptionFailed, NotFound, ObjectMissing
from auditkeep.lake.blobs import get_blob
from auditkeep.lake.lake import Lake
from auditkeep.reports.destination import Place
from auditkeep.reports.spool import Spool
from auditkeep.verify.archive import verify_archive
from auditkeep.verify.findings import Verdict


def check(tx: Tx, lake: Lake, place: Place) -> Verdict:
    """NotFound if nothing of this tenant lies there; whatever else is wrong is in the verdict."""
    try:
        parts = get_blob(tx, lake, place.object_key)
    except ObjectMissing as error:
        raise NotFound("assessment report", place.url) from error
    except DecryptionFailed as error:
        return _unreadable(error)
    with Spool() as copy:
        try:
            for part in parts:
                copy.append(part)
        except DecryptionFailed as error:
            return _unreadable(error)
        with copy.anywhere() as archive:
            return verify_archive(archive, [key.vkey for key in lake.verifiers])


def _unreadable(error: DecryptionFailed) -> Verdict:
    return Verdict(state="invalid", problems=(str(error),), doubts=())
