"""Uses of keys in the activity log: each one, never for its own sake, and no read becomes a write."""

from pathlib import Path
from typing import Any

import pytest

from auditkeep import app, settings
from auditkeep.activity.batcher import Batcher
from auditkeep.activity.reading import Wanted
from auditkeep.app.parts import Parts
from auditkeep.clock import MINUTE, FixedClock, parse
from auditkeep.db.schema import activity_pending, batches
from auditkeep.ids import Tenant
from auditkeep.lake.sequencer import Sequencer

HOME = Tenant("111122223333", "us-east-1")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(parse("2026-05-01T12:00:00Z"))


@pytest.fixture
def data(tmp_path: Path, clock: FixedClock) -> Path:
    app.initialise(settings.load(tmp_path / "audit"), HOME, clock)
    return tmp_path / "audit"


def _uses(parts: Parts) -> list[dict[str, Any]]:
    found = [r for r in parts.activity(Wanted()) if r["userIdentity"]["type"] == "AWSService"]
    return list(reversed(found))


def _told(record: dict[str, Any]) -> tuple[str, str, str]:
    asked = record["requestParameters"]
    context = asked["encryptionContext"]
    return record["eventName"], asked["keyId"].partition(":")[0], context.get("purpose", "bucket")


def test_the_first_start_tells_which_keys_it_used(data: Path, clock: FixedClock) -> None:
    with app.opened(settings.load(data), clock) as parts:
        told = [_told(record) for record in _uses(parts)]
        assert (
            sorted(told)
            == [
                ("Encrypt", "local", "auditkeep/secrets"),
                ("Encrypt", "local", "bucket"),
            ]
            or ("Decrypt", "local", "auditkeep/secrets") in told
        )
        master = parts.lake.provider.key_id
        assert {r["requestParameters"]["keyId"] for r in _uses(parts)} == {master}
        bucket = next(r for r in _uses(parts) if _told(r)[2] == "bucket")
    assert bucket["requestParameters"]["encryptionContext"]["account"] == HOME.account
    assert bucket["readOnly"]
    assert bucket["eventSource"] == "auditkeep"


def test_a_command_that_ends_has_told_what_it_used(data: Path, clock: FixedClock) -> None:
    with app.opened(settings.load(data), clock):
        pass
    with app.opened(settings.load(data), clock) as parts:
        told = [_told(record) for record in _uses(parts)]
    assert ("Decrypt", "local", "auditkeep/secrets") in told


def test_the_log_s_signatures_wait_for_company(data: Path, clock: FixedClock) -> None:
    with app.opened(settings.load(data), clock) as parts, Sequencer(parts.lake) as sequencer:
        batcher = Batcher(parts.lake, parts.deps.heard, clock)
        for _ in range(2):  # the second tells of the key that the first opened
            batcher.flush()
            sequencer.step()
        for _ in range(3):  # nothing happens: nothing is written, and so nothing is signed
            clock.advance(MINUTE)
            before = _count(parts)
            batcher.flush()
            sequencer.step()
            assert _count(parts) == before
        earlier = _signed(parts)
        with parts.db.system_write() as tx:
            parts.note(tx, "Anything", {})
        parts.lake.keys.object_key(HOME, _bucket(parts), "x")
        parts.report_key.sign(b"digest")
        batcher.flush()
        signed = _signed(parts)[len(earlier) :]
    assert sorted(_told(record)[1:] for record in signed) == [
        ("log", "auditkeep/log"),
        ("report", "auditkeep/reports"),
    ]


def _signed(parts: Parts) -> list[dict[str, Any]]:
    return [record for record in _uses(parts) if record["eventName"] == "Sign"]


def test_a_use_that_was_not_let_is_told_with_its_reason(data: Path, clock: FixedClock) -> None:
    with app.opened(settings.load(data), clock) as parts:
        before = _count(parts)
        for _ in range(200):  # from memory: no use of the master key
            parts.lake.keys.object_key(HOME, _bucket(parts), "x")
        Batcher(parts.lake, parts.deps.heard, clock).flush()
        written = _count(parts) - before
        assert written <= 2, "uses of a minute are one observation"
        with pytest.raises(Exception, match="unknown kind"):
            parts.lake.keys.ring.unwrap(b"noise", {})
        wrapped = parts.lake.keys.ring.wrap(bytes(32), {"purpose": "a"})
        with pytest.raises(Exception, match="does not open"):
            parts.lake.keys.ring.unwrap(wrapped, {"purpose": "b"})
        Batcher(parts.lake, parts.deps.heard, clock).flush()
        failed = [r for r in _uses(parts) if r.get("errorCode")]
    assert [r["errorCode"] for r in failed] == ["DecryptionFailed"]
    assert _told(failed[0]) == ("Decrypt", "local", "b")


def _bucket(parts: Parts) -> str:
    return parts.lake.keystore.bucket_ids()[0]


def _count(parts: Parts) -> int:
    with parts.db.read(HOME) as tx:
        waiting = len(tx.all(tx.select(activity_pending.c.id)))
        return waiting + len(tx.all(tx.select(batches.c.batch_no)))
