import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.lake.making import NOW, PROVENANCE, TENANT, add, some

from auditkeep.clock import Instant
from auditkeep.crypto.signing import SigningKey
from auditkeep.db.database import Database
from auditkeep.db.schema import checkpoints, log_entries
from auditkeep.errors import Busy, KeyUnusable, LogError
from auditkeep.lake import published
from auditkeep.lake.append import Unit, append
from auditkeep.lake.lake import Lake
from auditkeep.lake.sequencer import FOLDER, Sequencer, SequencerThread
from auditkeep.tlog.checkpoint import open_checkpoint
from auditkeep.tlog.merkle import leaf_hash, root, verify_consistency
from auditkeep.tlog.note import Signer
from auditkeep.tlog.tiles import TileReader


def entries(db: Database, count: int, first: int = 0) -> list[bytes]:
    """Queue opaque entries without batches behind them."""
    made = [(first + n).to_bytes(32, "big") for n in range(count)]
    with db.system_write() as tx:
        tx.insert(log_entries, *({"entry": entry} for entry in made))
    return made


def reader(lake: Lake, size: int) -> TileReader:
    return TileReader(lambda path: lake.objects.get(FOLDER + path), size)


@pytest.mark.both_databases
def test_a_step_logs_signs_and_publishes_what_is_pending(lake: Lake, db: Database) -> None:
    add(lake, "unit-1", some(0, 3))
    add(lake, "unit-2", some(3, 3))
    with Sequencer(lake) as sequencer:
        checkpoint = sequencer.step(NOW)
        assert checkpoint is not None
        assert checkpoint.size == 2
        assert sequencer.step(NOW) == checkpoint, "nothing new, nothing happens"
    with db.system_read() as tx:
        rows = tx.all(tx.select(log_entries).order_by(log_entries.c.log_index))
        (kept,) = tx.all(tx.select(checkpoints))
    assert checkpoint.root == root([leaf_hash(bytes(row.entry)) for row in rows])
    note = lake.objects.get("log/checkpoint").decode()
    assert note == kept.note
    assert open_checkpoint(note, [lake.signer.verifier]) == checkpoint


def test_an_empty_log_has_no_checkpoint(lake: Lake) -> None:
    with Sequencer(lake) as sequencer:
        assert sequencer.step(NOW) is None
    assert published.read(lake.objects) is None


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(growth=st.lists(st.sampled_from([1, 2, 255, 256, 257, 300]), min_size=1, max_size=4))
def test_every_state_of_the_log_extends_the_one_before(
    lake: Lake, db: Database, growth: Sequence[int]
) -> None:
    with db.system_read() as tx:
        known = [bytes(r.entry) for r in tx.all(tx.select(log_entries))]
    seen = []
    with Sequencer(lake) as sequencer:
        for count in growth:
            known += entries(db, count, first=len(known))
            checkpoint = sequencer.step(NOW)
            assert checkpoint is not None
            assert checkpoint.size == len(known)
            assert checkpoint.root == root([leaf_hash(e) for e in known])
            seen.append(checkpoint)
    tiles = reader(lake, seen[-1].size)
    for old in seen:
        verify_consistency(
            old.size, old.root, seen[-1].size, seen[-1].root, tiles.consistency(old.size)
        )
    partial = [n for n in lake.objects.list("log/tile/") if ".p/" in n]
    full = {n for n in lake.objects.list("log/tile/") if ".p/" not in n}
    assert not [n for n in partial if n.split(".p/", 1)[0] in full], "full tiles replace partials"


@pytest.mark.both_databases
def test_only_one_process_writes_the_log(lake: Lake) -> None:
    with Sequencer(lake) as first:
        with pytest.raises(Busy, match="Another process holds the sequencer"):
            Sequencer(lake)
        first.step(NOW)
    with Sequencer(lake) as second:
        second.step(NOW)
    with pytest.raises(Busy):
        second.step(NOW)


@pytest.mark.both_databases
def test_a_database_behind_the_published_checkpoint_refuses_to_append(
    lake: Lake, db: Database
) -> None:
    add(lake, "unit-1", some(0, 3))
    with Sequencer(lake) as sequencer:
        sequencer.step(NOW)
    add(lake, "unit-2", some(3, 1))
    with db.system_write() as tx:  # as a restore from an older backup leaves it
        tx.run(tx.delete(checkpoints))
    with pytest.raises(LogError, match="behind the newest published checkpoint"):
        add(lake, "unit-3", some(4, 1))
    with pytest.raises(LogError, match="auditkeep log recover"):
        Sequencer(lake)


def test_a_database_with_another_root_for_the_published_size_is_refused(
    lake: Lake, db: Database
) -> None:
    add(lake, "unit-1", some(0, 3))
    with Sequencer(lake) as sequencer:
        sequencer.step(NOW)
    with db.system_write() as tx:
        tx.run(tx.update(checkpoints).values(root=b"r" * 32))
    with pytest.raises(LogError, match="behind"):
        add(lake, "unit-2", some(3, 1))


def test_a_damaged_published_checkpoint_is_named(lake: Lake) -> None:
    lake.objects.replace(published.NAME, b"nonsense")
    with pytest.raises(LogError, match="'log/checkpoint', cannot be read"):
        add(lake, "unit-1", some(0, 1))


def test_never_two_roots_for_one_size(lake: Lake, db: Database) -> None:
    entries(db, 3)
    with db.system_write() as tx:
        row = {"size": 3, "root": b"x" * 32, "note": None, "created_at": NOW}
        with Sequencer(lake) as sequencer:
            pass
        tx.insert(checkpoints, row)
    with pytest.raises(LogError, match="do not have the root of its checkpoint of 3"):
        Sequencer(lake)
    with db.system_write() as tx:
        tx.run(tx.delete(checkpoints))
    with Sequencer(lake) as sequencer:
        size, value = sequencer._grow(None)
        sequencer._decide(size, b"y" * 32, NOW)
        with pytest.raises(LogError, match="two roots for 3 entries"):
            sequencer._decide(size, value, NOW)
    assert published.read(lake.objects) is None, "nothing was signed"


def test_changed_tiles_are_noticed_before_anything_is_built_on_them(
    lake: Lake, db: Database
) -> None:
    entries(db, 3)
    with Sequencer(lake) as sequencer:
        sequencer.step(NOW)
        lake.objects.replace("log/tile/0/000.p/3", b"t" * 96)
        entries(db, 1, first=3)
        with pytest.raises(LogError, match="were changed or lost"):
            sequencer.step(NOW)
    with pytest.raises(LogError, match="were changed or lost"):
        Sequencer(lake)


def test_a_tile_that_says_something_else_is_never_overwritten(lake: Lake, db: Database) -> None:
    entries(db, 2)
    lake.objects.put("log/tile/0/000.p/2", b"z" * 64)
    with Sequencer(lake) as sequencer, pytest.raises(LogError, match="something else"):
        sequencer.step(NOW)


def test_an_interrupted_step_is_finished_by_the_next(lake: Lake, db: Database) -> None:
    entries(db, 2)
    with Sequencer(lake) as sequencer:
        size, value = sequencer._grow(None)
        sequencer._decide(size, value, NOW)
    with Sequencer(lake) as sequencer:
        checkpoint = sequencer.step(NOW)
    assert checkpoint is not None
    assert (checkpoint.size, published.read(lake.objects)) == (2, checkpoint)


@pytest.mark.both_databases
def test_entries_are_logged_in_order_of_position_whoever_commits_first(
    lake: Lake, db: Database
) -> None:
    made = entries(db, 5)
    with Sequencer(lake) as sequencer:
        sequencer.step(NOW)
        made += entries(db, 4, first=5)
        sequencer.step(NOW)
    assert reader(lake, 9).entries(0) == made


@pytest.mark.both_databases
def test_a_thread_logs_soon_after_an_append(lake: Lake, db: Database) -> None:
    thread = SequencerThread(lake, Sequencer(lake), interval=60)
    thread.start()
    add(lake, "unit-1", some(0, 1))
    _until(lambda: published.read(lake.objects) is not None)
    with db.write(TENANT) as tx:
        append(
            tx,
            lake,
            unit=Unit("unit-2", "file"),
            klass="facts",
            observations=some(1, 1),
            provenance=PROVENANCE,
            now=NOW,
        )
    thread.stop()
    last = published.read(lake.objects)
    assert last is not None
    assert last.size == 2
    Sequencer(lake).close()


def test_a_thread_reports_what_fails_and_recovers(lake: Lake, db: Database) -> None:
    lake.objects.put("log/tile/0/000.p/1", b"z" * 32)
    thread = SequencerThread(lake, Sequencer(lake), interval=0.05)
    thread.start()
    entries(db, 1)
    _until(lambda: isinstance(thread.error, LogError))
    lake.objects.delete("log/tile/0/000.p/1")
    _until(lambda: thread.error is None)
    thread.stop()
    assert not [t for t in threading.enumerate() if t.name == "sequencer"]


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_another_log_key_is_refused_and_nothing_changed(lake: Lake, tmp_path: Path) -> None:
    other = Signer("auditkeep.test/log", SigningKey.create(tmp_path / "other.key"))
    with pytest.raises(KeyUnusable, match="belongs to the log key auditkeep"):
        Lake.open(
            db=lake.db,
            data=lake.data,
            objects=lake.objects,
            provider=lake.provider,
            keystore=lake.keystore,
            signer=other,
        )


def test_a_row_signed_by_another_key_is_refused(lake: Lake, db: Database, tmp_path: Path) -> None:
    entries(db, 1)
    key = SigningKey.create(tmp_path / "other.key")
    stranger = replace(lake, signer=Signer("auditkeep.test/log", key))
    with Sequencer(stranger) as sequencer:
        sequencer.step(Instant(NOW))
    with pytest.raises(LogError, match="not signed by this deployment's log key"):
        Sequencer(lake)
