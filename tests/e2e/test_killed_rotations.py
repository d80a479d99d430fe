"""Rotation beside a server that is written to, killed at random moments: no key is ever lost."""

import base64
import multiprocessing
import os
import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest
from tests.e2e.conftest import ACCOUNT, running
from tests.e2e.over_users import assessment
from tests.e2e.test_kms import _evidence, _manual

from auditkeep import app
from auditkeep.clock import SystemClock
from auditkeep.crypto.masters import MasterFile
from auditkeep.crypto.providers.local import LocalKeyProvider
from auditkeep.ids import Tenant
from auditkeep.lake import buckets, rotation
from auditkeep.lake.audit.run import audit
from auditkeep.settings import load

pytestmark = pytest.mark.server

TENANT = Tenant(ACCOUNT, "us-east-1")
KILLS = 10
ROUNDS = 40
KEYS = 100


def _rotate(data: Path) -> None:
    """What `auditkeep keys rotate` does, in pieces small enough to be met in the midst of them."""
    rotation.PIECE, rotation.GRACE_SECONDS = 5, 0.01
    with app.opened(load(data), SystemClock()) as parts:
        done = parts.rotate_keys(None, "", lambda _done: None)
    os._exit(0 if done.retired else 2)


def _filled(data: Path) -> dict[str, bytes]:
    """Many buckets and their keys."""
    with app.opened(load(data), SystemClock()) as parts:
        keys = parts.lake.keys
        with parts.db.write(TENANT) as tx:
            tx.lock_tenant()
            now = parts.clock.now()
            made = [buckets.current(tx, keys, f"manual/{n}", now) for n in range(KEYS)]
        return {bucket: keys.key(TENANT, bucket) for bucket in made}


def _names(data: Path) -> list[str]:
    """The master keys of the list."""
    listed = MasterFile(data / "keys" / "master.key").read()
    return [LocalKeyProvider(m, "test").key_id for m in listed if isinstance(m, bytes)]


def _run(data: Path, seconds: float | None) -> int:
    """One rotation in a process of its own, killed after so long; how it ended."""
    child = multiprocessing.get_context("fork").Process(target=_rotate, args=(data,))
    child.start()
    child.join(60 if seconds is None else seconds)
    if child.is_alive():
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join(30)
    assert child.exitcode is not None
    return child.exitcode


def _timed(data: Path) -> float:
    """How long one takes that is let."""
    began = time.monotonic()
    assert _run(data, None) == 0
    return time.monotonic() - began


def test_ten_kills_lose_no_key_and_the_old_master_goes_in_the_end(tmp_path: Path) -> None:
    moments = random.Random(20)
    with running(tmp_path / "audit") as server:
        data, client = server.data, server.client()
        place = assessment(client)
        made, first = _filled(data), _names(data)
        whole, kills, seen = _timed(data), 0, {*first}
        for number in range(ROUNDS):
            ended = _run(data, moments.uniform(0.1, 0.9) * whole)
            assert ended in (0, 2, -signal.SIGKILL)
            kills += ended == -signal.SIGKILL
            seen.update(_names(data))
            _manual(client, place, f"acknowledged {number}")
            if kills == KILLS:
                break
            if ended == 0:
                whole *= 0.8  # this machine is quicker than it was
        assert kills == KILLS
        assert _run(data, None) == 0
        (current,) = _names(data)
        old = seen - {current}
        _manual(client, place, "by a server that has never stopped")
        assert len(_evidence(client, place)) == number + 2
    _require_gone(data, old)
    with app.opened(load(data), SystemClock()) as parts:
        assert {b: parts.lake.keys.key(TENANT, b) for b in made} == made
        assert audit(parts.lake, now=parts.clock.now()).sound


def _require_gone(data: Path, old: set[str]) -> None:
    """No file beside the data and no column names a master that has been retired."""
    assert old
    assert [*(data / "keys").rglob(".new-*")] == [], "what was cut off left no copy behind"
    for name in old:
        print_of = bytes.fromhex(name.removeprefix("local:"))
        tells = (name.encode(), b"\x01" + print_of, base64.b64encode(b"\x01" + print_of)[:12])
        for path in (data / "keys").rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert not any(tell in content for tell in tells), f"{path} is under {name}"
        with sqlite3.connect(data / "audit.db") as database:
            listed = "SELECT name FROM sqlite_master WHERE type = 'table'"
            for (table,) in database.execute(listed).fetchall():
                for row in database.execute(f'SELECT * FROM "{table}"'):
                    for value in row:
                        raw = value if isinstance(value, bytes) else str(value).encode()
                        assert not any(tell in raw for tell in tells), f"{table} names {name}"
        database.close()
