import pytest
from tests.lake.checking import check_proofs
from tests.lake.making import EVERYTHING, NOW, TENANT, add, some

from auditkeep.clock import DAY, Instant
from auditkeep.db.database import Database
from auditkeep.db.schema import batches
from auditkeep.errors import (
    AuditkeepError,
    DecryptionFailed,
    KeyDestroyed,
    LogError,
    ProofError,
    StorageError,
)
from auditkeep.lake.lake import Lake
from auditkeep.lake.proofs import LogReader, prove
from auditkeep.lake.read import observations
from auditkeep.lake.seal import seal
from auditkeep.lake.sequencer import Sequencer
from auditkeep.tlog.merkle import verify_consistency


@pytest.mark.both_databases
def test_every_observation_is_proven_before_and_after_sealing(lake: Lake, db: Database) -> None:
    for number in range(5):
        add(lake, f"unit-{number}", some(number * 40, 37))
    add(lake, "large", some(1_000, 1_100))
    with Sequencer(lake) as sequencer:
        sequencer.step(NOW)
    with db.read(TENANT) as tx:
        stored = observations(tx, lake, [EVERYTHING], limit=10_000)
    assert len(stored) == 5 * 37 + 1_100
    check_proofs(lake, stored)
    while seal(lake, TENANT, now=Instant(NOW + 2 * DAY), min_rows=100):
        pass
    with db.read(TENANT) as tx:
        assert observations(tx, lake, [EVERYTHING], limit=10_000) == stored
    check_proofs(lake, stored)


def test_a_proof_has_to_wait_for_the_log(lake: Lake, db: Database) -> None:
    add(lake, "unit-1", some(0, 3))
    with db.read(TENANT) as tx, pytest.raises(LogError, match="no checkpoint yet"):
        prove(tx, lake, 1, [0])
    with Sequencer(lake) as sequencer:
        sequencer.step(NOW)
    add(lake, "unit-2", some(3, 3))
    with db.read(TENANT) as tx:
        assert prove(tx, lake, 1, [0, 2]).log_index == 0
        with pytest.raises(LogError, match="Batch 2 is not covered"):
            prove(tx, lake, 2, [0])
        with pytest.raises(StorageError, match="no batch 3"):
            prove(tx, lake, 3, [0])
        with pytest.raises(ProofError, match="no entry 3"):
            prove(tx, lake, 1, [3])


def test_older_checkpoints_are_shown_to_be_the_beginning(lake: Lake, db: Database) -> None:
    with Sequencer(lake) as sequencer:
        add(lake, "unit-1", some(0, 3))
        old = sequencer.step(NOW)
        add(lake, "unit-2", some(3, 3))
        new = sequencer.step(NOW)
    assert old is not None
    assert new is not None
    with db.read(TENANT) as tx:
        path = LogReader.newest(tx, lake).consistency(old.size)
    verify_consistency(old.size, old.root, new.size, new.root, path)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"leaves": b"x" * 96}, StorageError, "leaf hashes of batch 1 were changed"),
        ({"leaves": b"x" * 64}, StorageError, "cut short"),
        ({"opening": b"x" * 16}, DecryptionFailed, "cut short"),
        ({"opening": b"x" * 200}, KeyDestroyed, "not in the key store"),
        ({"log_position": 99}, LogError, "not covered"),
    ],
)
def test_a_changed_row_gives_no_proof(
    lake: Lake, db: Database, change: dict[str, object], error: type[AuditkeepError], words: str
) -> None:
    add(lake, "unit-1", some(0, 3))
    with Sequencer(lake) as sequencer:
        sequencer.step(NOW)
    with db.write(TENANT) as tx:
        tx.run(tx.update(batches).values(**change))
    with db.read(TENANT) as tx, pytest.raises(error, match=words):
        prove(tx, lake, 1, [0])


def test_a_changed_opening_gives_no_proof(lake: Lake, db: Database) -> None:
    add(lake, "unit-1", some(0, 3))
    with Sequencer(lake) as sequencer:
        sequencer.step(NOW)
    with db.write(TENANT) as tx:
        (kept,) = tx.all(tx.select(batches.c.opening))
        changed = bytes([*kept.opening[:-1], kept.opening[-1] ^ 1])
        tx.run(tx.update(batches).values(opening=changed))
    with db.read(TENANT) as tx, pytest.raises(DecryptionFailed, match="does not open"):
        prove(tx, lake, 1, [0])
