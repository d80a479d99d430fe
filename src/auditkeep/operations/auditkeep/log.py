"""The log as the API's users see it: checkpoints, and the proofs that lead to them.

The log is one for all tenants: checkpoints and consistency proofs are the same for everybody, and
tell nobody anything (its entries are hashes with a secret salt). A batch is its tenant's own.
A proof leads to a checkpoint that the log has signed, and to no other state of it.
"""

import base64

from auditkeep import clock
from auditkeep.anchoring import store
from auditkeep.assessments import store as assessments
from auditkeep.clock import SECOND
from auditkeep.db.schema import batches, checkpoints, log_entries
from auditkeep.errors import InvalidRequest, NotFound, Throttled
from auditkeep.evidence import items
from auditkeep.lake.proofs import LogReader, prove
from auditkeep.lake.sequencer import newest_row
from auditkeep.operations.auditmanager.evidence import opened_folder
from auditkeep.operations.auditmanager.standing import require
from auditkeep.operations.call import Call, pair
from auditkeep.wire.models import auditkeep as ak


def get_checkpoint(call: Call, ask: ak.GetCheckpointRequest) -> ak.GetCheckpointResponse:
    """The newest signed checkpoint, or the newest that is vouched for, or that of a size."""
    system, lake, size = call.tx.system(), call.deps.lake, ask.tree_size
    if ask.anchored and size is None:
        size = store.largest(system, lake.origin)
        if size is None:
            raise NotFound("checkpoint", "that anybody outside vouches for")
    query = system.select(checkpoints).where(checkpoints.c.note.is_not(None))
    if size is not None:
        query = query.where(checkpoints.c.size == size)
    row = system.first(query.order_by(checkpoints.c.size.desc()).limit(1))
    if row is None:
        raise _no_checkpoint(size)
    said = store.of_size(system, lake.origin, row.size)
    tokens = tuple(
        ak.TimestampToken(
            authority=anchor.authority,
            stated_at=clock.wire(anchor.said_at),
            response=anchor.proof,
        )
        for anchor in said
        if anchor.kind == "timestamp"
    )
    return ak.GetCheckpointResponse(
        origin=lake.origin,
        tree_size=row.size,
        root_hash=bytes(row.root).hex(),
        note=store.cosigned(row.note, said),
        timestamps=tokens or None,
        log_key=lake.signer.vkey,
        created_at=clock.wire(row.created_at),
    )


def get_inclusion_proof(
    call: Call, ask: ak.GetInclusionProofRequest
) -> ak.GetInclusionProofResponse:
    """One batch's place in the log. Throttled while no checkpoint covers it: a second at most."""
    log = _covering(call, ask.batch_no, ask.tree_size)
    proof = prove(call.tx, call.deps.lake, ask.batch_no, (), log)
    return ak.GetInclusionProofResponse(
        batch_no=ask.batch_no,
        log_index=proof.log_index,
        record=proof.record,
        salt=proof.salt.hex(),
        path=tuple(step.hex() for step in proof.inclusion),
        tree_size=log.checkpoint.size,
        checkpoint=proof.checkpoint,
    )


def get_evidence_proof(call: Call, ask: ak.GetEvidenceProofRequest) -> ak.GetEvidenceProofResponse:
    """One evidence item from its bytes to a checkpoint, for whoever may read it.

    Throttled while no checkpoint covers it: a second at most.
    """
    assessment = assessments.get(call.tx, ask.assessment_id)
    require(call, assessment, "GetEvidence", ask.control_set_id)
    _, one, day = opened_folder(call, assessment, ask.evidence_folder_id, ask.control_set_id)
    lake = call.deps.lake
    stored = items.get(call.tx, lake, call.deps.id_secret, one, day, ask.evidence_id).stored
    log = _covering(call, stored.batch_no, None)
    proof = prove(call.tx, lake, stored.batch_no, (stored.index,), log)
    return ak.GetEvidenceProofResponse(
        evidence_id=ask.evidence_id,
        raw=base64.b64encode(stored.raw).decode(),
        envelope=stored.envelope.decode(),
        nonce=stored.nonce.hex(),
        batch_no=stored.batch_no,
        index=stored.index,
        path=tuple(step.hex() for step in proof.paths[stored.index]),
        record=proof.record,
        salt=proof.salt.hex(),
        log_index=proof.log_index,
        inclusion=tuple(step.hex() for step in proof.inclusion),
        tree_size=log.checkpoint.size,
        checkpoint=proof.checkpoint,
        log_key=lake.signer.vkey,
    )


def get_consistency_proof(
    call: Call, ask: ak.GetConsistencyProofRequest
) -> ak.GetConsistencyProofResponse:
    """That the log of `firstSize` entries is the beginning of the one of `secondSize`."""
    log = _log(call, ask.second_size)
    if ask.first_size > log.checkpoint.size:
        raise InvalidRequest.of_field(
            "firstSize", f"is larger than the newer checkpoint's {log.checkpoint.size} entries."
        )
    return ak.GetConsistencyProofResponse(
        first_size=ask.first_size,
        second_size=log.checkpoint.size,
        path=tuple(step.hex() for step in log.consistency(ask.first_size)),
        checkpoint=log.checkpoint.note,
    )


def _covering(call: Call, batch_no: int, size: int | None) -> LogReader:
    """The log at its newest checkpoint, or that of a size, which must cover a batch."""
    found = call.tx.first(
        call.tx.select(batches.c.log_position).where(batches.c.batch_no == batch_no)
    )
    if found is None:
        raise NotFound("batch", str(batch_no))
    log = _log(call, size)
    system = call.tx.system()
    index = system.scalar(
        system.select(log_entries.c.log_index).where(log_entries.c.position == found.log_position)
    )
    if index is None or index >= log.checkpoint.size:
        if size is not None and index is not None:
            raise InvalidRequest.of_field(
                "treeSize", f"is too small: batch {batch_no} is entry number {index + 1}."
            )
        raise Throttled(
            f"Batch {batch_no} is not covered by a signed checkpoint yet. Ask again in a second.",
            retry_after=SECOND,
        )
    return log


def _log(call: Call, size: int | None) -> LogReader:
    """The log at its newest signed checkpoint, or at that of a size; NotFound if there is none."""
    lake = call.deps.lake
    if size is None:
        newest = newest_row(call.tx.system(), signed=True)
        size = None if newest is None else newest.size
    log = None if size is None else LogReader.at(call.tx, lake, size)
    if log is None:
        raise _no_checkpoint(size)
    return log


def _no_checkpoint(size: int | None) -> NotFound:
    return NotFound("checkpoint", "newest" if size is None else f"of {size} entries")


OPERATIONS = (
    pair(ak.GET_CHECKPOINT, get_checkpoint),
    pair(ak.GET_EVIDENCE_PROOF, get_evidence_proof),
    pair(ak.GET_INCLUSION_PROOF, get_inclusion_proof),
    pair(ak.GET_CONSISTENCY_PROOF, get_consistency_proof),
)
