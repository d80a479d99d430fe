"""Two processes and one log: one writes, the other is turned away, and takes over when it may."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, text
from tests.conftest import ROOT
from tests.lake.making import NOW, add, some
from tests.lake.test_sequencer import entries

from auditkeep.db.database import Database
from auditkeep.db.schema import checkpoints
from auditkeep.errors import Busy
from auditkeep.lake.lake import Lake
from auditkeep.lake.sequencer import Sequencer, log_tiles

Process = subprocess.Popen[str]


@contextmanager
def another(lake: Lake, expected: str) -> Iterator[Process]:
    """The other process; what it says first must be `expected`."""
    words = ("-m", "tests.lake.sequencing", str(lake.data), lake.db.url, lake.origin)
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == expected
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        if process.stdin is not None:
            process.stdin.close()


def step(process: Process) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("step\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def taken_over(lake: Lake) -> Sequencer:
    """The log, as soon as whoever died has let go of it."""
    for _ in range(200):
        try:
            return Sequencer(lake)
        except Busy:
            time.sleep(0.05)
    raise AssertionError("the log is still held")


def consistent(lake: Lake, db: Database) -> list[int]:
    """Every checkpoint is a state of the tiles; their sizes."""
    with db.system_read() as tx:
        rows = tx.all(tx.select(checkpoints).order_by(checkpoints.c.size))
    for row in rows:
        assert log_tiles(lake, row.size).root() == bytes(row.root)
        assert row.note is not None
    return [row.size for row in rows]


@pytest.mark.both_databases
def test_a_second_process_is_turned_away_until_the_first_is_gone(lake: Lake, db: Database) -> None:
    entries(db, 3)
    with another(lake, "held") as first:
        with pytest.raises(Busy, match="Another process holds the sequencer"):
            Sequencer(lake)
        assert step(first) == "3"
        entries(db, 4, first=3)
        first.send_signal(signal.SIGKILL)
        first.wait()
        with taken_over(lake) as sequencer:
            sequencer.step(NOW)
    assert consistent(lake, db) == [3, 7]


@pytest.mark.parametrize(
    "db", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
def test_who_lost_its_hold_signs_nothing_more(lake: Lake, db: Database) -> None:
    """On PostgreSQL a hold lives as long as its connection, which a server may end."""
    entries(db, 3)
    with another(lake, "held") as first:
        assert step(first) == "3"
        _end_holders(db)
        entries(db, 2, first=3)
        with taken_over(lake) as second:
            assert step(first) == "fenced"
            second.step(NOW)
            assert step(first) == "fenced"
            entries(db, 2, first=5)
            second.step(NOW)
    assert consistent(lake, db) == [3, 5, 7]


def _end_holders(db: Database) -> None:
    engine = create_engine(db.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks "
                "WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
        )
    engine.dispose()


@pytest.mark.both_databases
def test_two_that_overlap_still_admit_one_history(
    lake: Lake, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should a hold fail altogether: indexes and checkpoint rows admit only one history."""
    first = Sequencer(lake)
    monkeypatch.setattr(db, "hold", lambda *_: first._hold)
    second = Sequencer(lake)
    for unit in range(4):
        add(lake, f"unit-{unit}", some(unit * 10, 2))
        one, other = (first, second) if unit % 2 else (second, first)
        seen = one.step(NOW)
        assert other.step(NOW) == seen
    assert len(consistent(lake, db)) == 4
    first.close()
