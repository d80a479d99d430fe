"""One record's proof by itself, as docs/verification.md does it by hand."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from auditkeep.errors import ProofError
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.tlog.merkle import Tree
from auditkeep.tlog.shared import SharedPaths
from auditkeep.verify.format import BatchLine, RecordLine
from auditkeep.verify.record import check_batch, check_record, hex_bytes

VECTORS = Path(__file__).parent.parent / "vectors"
OBSERVATIONS = json.loads((VECTORS / "observations.json").read_text())
BATCH = json.loads((VECTORS / "batch.json").read_text())

LOG = Tree([bytes.fromhex(BATCH["log_leaf"])])
CHECKPOINT = Checkpoint("log.example.org", 1, LOG.root)
BATCH_LINE = BatchLine(7, BATCH["record"], BATCH["salt"], 0, ())


@pytest.mark.parametrize("index", range(3))
def test_the_published_vectors_are_proven(index: int) -> None:
    case = OBSERVATIONS[index]
    batch = check_batch(BATCH_LINE, CHECKPOINT)
    line = RecordLine(
        "e", "f", 7, index, case["nonce"], case["envelope"], tuple(BATCH["paths"][index])
    )
    raw_hash = sha256(case["raw"].encode()).digest()
    envelope = check_record(line, batch, raw_hash, SharedPaths(batch.root, batch.rows))
    assert envelope.id == case["id"]
    assert list(envelope.natural_key) == case["natural_key"]
    with pytest.raises(ProofError, match="not those that were logged"):
        check_record(line, batch, bytes(32), SharedPaths(batch.root, batch.rows))


@pytest.mark.parametrize("text", ["", "0", "00", "0" * 63, "0" * 66, "g" * 64, "A" * 64, " " * 64])
def test_only_hashes_in_lower_case_hex(text: str) -> None:
    with pytest.raises(ProofError, match="is not a hash"):
        hex_bytes(text)
    assert hex_bytes("0" * 64) == bytes(32)
