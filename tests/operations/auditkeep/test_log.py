"""Checkpoints and proofs over the wire, by the boto3 client that `auditkeep.client()` makes."""

import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.lake.making import NOW, add, some
from tests.operations.auditkeep.keeping import Keep
from tests.operations.in_process import Api
from tests.wire.model_cases import Sent

from auditkeep.activity.batcher import Batcher
from auditkeep.activity.reading import Wanted, records
from auditkeep.anchoring.store import Anchor, Kind, keep
from auditkeep.crypto.signing import SigningKey
from auditkeep.lake.lake import Lake
from auditkeep.lake.sequencer import Sequencer
from auditkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from auditkeep.tlog.cosignature import WitnessKey, cosign, cosignatures
from auditkeep.tlog.merkle import leaf_hash, verify_consistency, verify_inclusion
from auditkeep.tlog.note import Verifier
from auditkeep.verify.format import BatchLine
from auditkeep.verify.record import check_batch

pytestmark = pytest.mark.both_databases


def log(lake: Lake, *units: str) -> list[Checkpoint]:
    """Append each unit and take it into the log by itself."""
    found = []
    with Sequencer(lake) as sequencer:
        for unit in units:
            add(lake, unit, some(int(unit) * 10, 3))
            found.append(sequencer.step(NOW))
    return [c for c in found if c is not None]


def code(api: Keep, method: Any, /, **ask: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        api.call(method, **ask)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_checkpoint_is_what_the_log_signed(api: Keep, lake: Lake) -> None:
    first, newest = log(lake, "1", "2")
    client = api.client()
    got = api.call(client.get_checkpoint)
    assert open_checkpoint(got["note"], [Verifier.parse(got["logKey"])]) == newest
    assert (got["origin"], got["treeSize"]) == (newest.origin, newest.size)
    assert got["rootHash"] == newest.root.hex()
    assert got["logKey"] == lake.signer.vkey
    older = api.call(client.get_checkpoint, treeSize=first.size)
    assert open_checkpoint(older["note"], [lake.signer.verifier]) == first
    assert code(api, client.get_checkpoint, treeSize=newest.size + 1) == (
        "ResourceNotFoundException",
        404,
    )


def test_what_others_said_of_a_checkpoint_comes_with_it(api: Keep, lake: Lake) -> None:
    first, _ = log(lake, "1", "2")
    client = api.client()
    refused = code(api, client.get_checkpoint, anchored=True)
    assert refused == ("ResourceNotFoundException", 404)
    key = SigningKey(Ed25519PrivateKey.generate())
    line = cosign(first.body(), "witness.example.org", key, NOW)
    note = first.signed(lake.signer)
    with api.db.system_write() as tx:
        said: tuple[tuple[str, Kind, str], ...] = (
            ("witness.example.org", "witness", line),
            ("https://tsa.example.org", "timestamp", "MAAA"),
        )
        for authority, kind, proof in said:
            anchor = Anchor(lake.origin, first.size, authority, kind, note, proof, NOW)
            keep(tx, anchor, NOW)
    got = api.call(client.get_checkpoint, anchored=True)
    assert got["treeSize"] == first.size
    (seen,) = cosignatures(got["note"], [WitnessKey("witness.example.org", key.public)])
    assert seen.at == NOW
    (token,) = got["timestamps"]
    assert (token["authority"], token["response"]) == ("https://tsa.example.org", "MAAA")
    assert "timestamps" not in api.call(client.get_checkpoint)


def test_before_anything_is_logged_there_is_no_checkpoint(api: Keep) -> None:
    client = api.client()
    for method, ask in (
        (client.get_checkpoint, {}),
        (client.get_consistency_proof, {"firstSize": 1}),
    ):
        assert code(api, method, **ask) == ("ResourceNotFoundException", 404)


def test_a_batch_is_proven_with_the_verifiers_own_code(api: Keep, lake: Lake) -> None:
    *_, second, _ = log(lake, "1", "2", "3")
    client = api.client()
    for ask in ({}, {"treeSize": second.size}):
        got = api.call(client.get_inclusion_proof, batchNo=2, **ask)
        line = BatchLine(
            batch_no=got["batchNo"],
            record=got["record"],
            salt=got["salt"],
            index=got["logIndex"],
            inclusion=tuple(got["path"]),
        )
        signed = open_checkpoint(got["checkpoint"], [lake.signer.verifier])
        assert signed.size == got["treeSize"] == ask.get("treeSize", signed.size)
        assert check_batch(line, signed).rows == 3
        entry = hashlib.sha256(
            b"auditkeep/batch/1" + bytes.fromhex(got["salt"]) + got["record"].encode()
        ).digest()
        path = [bytes.fromhex(step) for step in got["path"]]
        verify_inclusion(leaf_hash(entry), got["logIndex"], signed.size, path, signed.root)


def test_a_batch_that_waits_for_the_log_is_asked_for_again(api: Keep, lake: Lake) -> None:
    (first,) = log(lake, "1")
    add(lake, "waiting", some(500, 2))
    client = api.client()
    assert code(api, client.get_inclusion_proof, batchNo=2) == ("ThrottlingException", 429)
    with Sequencer(lake) as sequencer:
        sequencer.step(NOW)
    assert api.call(client.get_inclusion_proof, batchNo=2)["logIndex"] >= 1
    assert code(api, client.get_inclusion_proof, batchNo=2, treeSize=first.size) == (
        "ValidationException",
        400,
    )
    assert code(api, client.get_inclusion_proof, batchNo=77) == ("ResourceNotFoundException", 404)


def test_another_tenants_batch_is_not_there(api: Keep, lake: Lake) -> None:
    log(lake, "1")
    stranger = api.key("stranger", "AWSAuditManagerAdministratorAccess", account="444455556666")
    api.call(Api.client(api, stranger).register_account)
    client = api.client(stranger)
    assert code(api, client.get_inclusion_proof, batchNo=1) == ("ResourceNotFoundException", 404)
    assert api.call(client.get_checkpoint)["origin"] == lake.origin


def test_two_checkpoints_are_shown_to_be_of_one_history(api: Keep, lake: Lake) -> None:
    first, second, third = log(lake, "1", "2", "3")
    client = api.client()
    for old, new in ((first, third), (second, third), (first, second), (third, third)):
        got = api.call(client.get_consistency_proof, firstSize=old.size, secondSize=new.size)
        path = [bytes.fromhex(step) for step in got["path"]]
        verify_consistency(old.size, old.root, new.size, new.root, path)
        assert open_checkpoint(got["checkpoint"], [lake.signer.verifier]) == new
    assert api.call(client.get_consistency_proof, firstSize=1)["secondSize"] == third.size
    assert code(api, client.get_consistency_proof, firstSize=third.size + 1)[1] == 400
    assert code(api, client.get_consistency_proof, firstSize=1, secondSize=99)[1] == 404


def test_identity_policies_are_asked_and_calls_are_recorded(api: Keep, lake: Lake) -> None:
    log(lake, "1")
    auditor = api.client(api.key("auditor", "AuditkeepAuditor"))
    collector = api.client(api.key("collector", "AuditkeepCollector"))
    api.call(auditor.get_checkpoint)
    assert code(api, collector.get_checkpoint) == ("AccessDeniedException", 403)
    assert code(api, collector.get_inclusion_proof, batchNo=1) == ("AccessDeniedException", 403)
    Batcher(api.deps.lake, api.deps.heard, api.clock).flush()
    told = {
        (r["eventSource"], r["eventName"], r.get("errorCode"))
        for r in records(api.deps.lake, Wanted())
    }
    assert told >= {
        ("auditkeep", "GetCheckpoint", None),
        ("auditkeep", "GetCheckpoint", "AccessDeniedException"),
        ("auditkeep", "GetInclusionProof", "AccessDeniedException"),
    }


def test_the_signature_names_the_service(api: Keep) -> None:
    sent = Sent("GET", b"/auditkeep/log/checkpoint", b"", b"")
    assert api.ask(sent, service="auditmanager").status == 403
    assert api.ask(sent, service="auditkeep").status == 404
    bad = Sent("GET", b"/auditkeep/log/batches/x/inclusion", b"", b"")
    assert api.ask(bad, service="auditkeep").status == 400
