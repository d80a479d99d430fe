"""How far the destruction of everything is, and its certificate: for who has deregistered, too."""

from auditkeep import clock
from auditkeep.accounts import erasure
from auditkeep.errors import NotFound
from auditkeep.lake.blobs import get_blob
from auditkeep.operations.call import Call, pair
from auditkeep.wire.models import auditkeep as ak


def get_erasure(call: Call, _ask: ak.GetErasureRequest) -> ak.GetErasureResponse:
    """The last one of the caller's account and region; NotFound if there never was one."""
    found = erasure.newest(call.tx)
    if found is None:
        raise NotFound("erasure", f"{call.tenant.account} in {call.tenant.region}")
    done = found.stage == "done"
    content = b"".join(get_blob(call.tx, call.deps.lake, found.certificate)) if done else b""
    at = found.destroyed_at
    return ak.GetErasureResponse(
        id=found.id,
        stage=found.stage,
        asked_at=clock.wire(found.asked_at),
        deadline=clock.wire(found.deadline),
        late=found.is_late(call.now),
        destroyed_at=clock.wire(at) if done and at is not None else None,
        certificate=content.decode() or None,
    )


OPERATIONS = (pair(ak.GET_ERASURE, get_erasure),)
