"""Two transactions that wait for each other: one is undone, and told apart from any other failure."""

import threading
from pathlib import Path

import pytest
from tests.postgres import fresh_database

from auditkeep.db import dialect
from auditkeep.db.database import Database
from auditkeep.errors import Contended


@pytest.mark.postgres
def test_of_two_that_wait_in_a_circle_one_is_undone(postgres_url: str) -> None:
    db = Database(fresh_database(postgres_url))
    db.migrate()
    met = threading.Barrier(2)
    undone: list[Contended] = []

    def hold(first: str, second: str) -> None:
        try:
            with db.system_write() as tx:
                tx.lock(first)
                met.wait()
                tx.lock(second)
        except Contended as error:
            undone.append(error)

    threads = [
        threading.Thread(target=hold, args=("a", "b")),
        threading.Thread(target=hold, args=("b", "a")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    db.close()
    assert len(undone) == 1


def test_a_writer_that_waits_too_long_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialect, "BUSY_TIMEOUT_MS", 20)
    db = Database(f"sqlite:///{tmp_path / 'audit.db'}")
    db.migrate()
    with db.system_write(), pytest.raises(Contended, match="busy") as caught, db.system_write():
        pass
    assert not caught.value.again
    db.close()
