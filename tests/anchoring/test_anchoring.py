"""Checkpoints are vouched for by real witnesses and a real TSA, beside a log that goes on growing."""

import base64
import logging
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.authorities import tsa, witness
from tests.lake.making import NOW, add, register, some
from tests.receivers import certificate

from auditkeep import settings as settings_room
from auditkeep.anchoring import store
from auditkeep.anchoring.authorities import of_settings
from auditkeep.anchoring.store import Anchor
from auditkeep.anchoring.thread import Anchoring, AnchoringThread
from auditkeep.clock import MINUTE, SECOND, FixedClock
from auditkeep.crypto import timestamps
from auditkeep.errors import KeyUnusable, ProofError, SetupError
from auditkeep.lake.lake import Lake
from auditkeep.lake.sequencer import Sequencer
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.tlog.cosignature import WitnessKey, cosignatures
from auditkeep.tlog.note import split

pytestmark = pytest.mark.server


class House:
    """A lake whose log grows, and the authorities it asks."""

    def __init__(self, lake: Lake, clock: FixedClock, **settings: Any) -> None:
        register(lake.db)
        self.lake, self.clock = lake, clock
        self.again(**settings)
        self._units = 0

    def again(self, **settings: Any) -> None:
        """As after a restart, with other settings."""
        known = settings_room.Settings(data=self.lake.data, **settings)
        self.anchoring = Anchoring(self.lake, of_settings(known), self.clock)

    def grow(self) -> Checkpoint:
        with Sequencer(self.lake) as sequencer:
            add(self.lake, f"unit-{self._units}", some(self._units * 10, 2))
            self._units += 1
            checkpoint = sequencer.step(NOW)
        assert checkpoint is not None
        return checkpoint

    def anchors(self, size: int) -> list[Anchor]:
        with self.lake.db.system_read() as tx:
            return store.of_size(tx, self.lake.origin, size)

    def standing(self) -> list[store.Standing]:
        with self.lake.db.system_read() as tx:
            return store.standings(tx)


@pytest.mark.both_databases
def test_witnesses_cosign_what_continues(lake: Lake, clock: FixedClock, tmp_path: Path) -> None:
    with (
        witness(tmp_path / "one", lake.signer.vkey) as one,
        witness(tmp_path / "two", lake.signer.vkey) as two,
    ):
        house = House(lake, clock, witnesses={one.vkey: one.url, two.vkey: two.url})
        assert house.anchoring.step() == 0, "there is nothing to show yet"
        for _ in range(3):
            checkpoint = house.grow()
            clock.advance(MINUTE)
            assert house.anchoring.step() == 2
            found = house.anchors(checkpoint.size)
            note = store.cosigned(found[0].note, found)
            keys = [WitnessKey.parse(w.vkey) for w in (one, two)]
            assert {c.witness.name for c in cosignatures(note, keys)} == {k.name for k in keys}
            assert Checkpoint.parse(split(note)[0]) == checkpoint
            assert house.anchoring.step() == 0, "it is vouched for"
        (seen,) = one.state.watched()
        with lake.db.system_read() as tx:
            assert store.largest(tx, lake.origin) == seen.known.size
            sizes = store.sizes(tx, lake.origin, seen.known.size)
            assert [len(of) for of in sizes.values()] == [3, 3]


def test_a_witness_is_not_asked_more_often_than_told(
    lake: Lake, clock: FixedClock, tmp_path: Path
) -> None:
    with witness(tmp_path / "one", lake.signer.vkey) as one:
        house = House(lake, clock, witnesses={one.vkey: one.url}, witness_seconds=30)
        house.grow()
        assert house.anchoring.step() == 1
        house.grow()
        clock.advance(29 * SECOND)
        assert house.anchoring.step() == 0
        clock.advance(SECOND)
        assert house.anchoring.step() == 1


def test_a_witness_that_is_down_is_told_once_and_asked_again(
    lake: Lake, clock: FixedClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with witness(tmp_path / "one", lake.signer.vkey) as one:
        url, vkey = one.url, one.vkey
    house = House(lake, clock, witnesses={vkey: url})
    checkpoint = house.grow()
    for _ in range(4):
        house.anchoring.step()
        clock.advance(10 * MINUTE)
    told = [r.getMessage() for r in caplog.records if "vouched" in r.getMessage()]
    assert len(told) == 1
    assert "one.example.org does not answer" in told[0]
    (standing,) = house.standing()
    assert standing.failing_since == clock.now() - 40 * MINUTE
    assert standing.error is not None
    house.again(witnesses={vkey: url})
    assert house.anchoring.step() == 0, "a restart loses nothing of what is to be done"
    port = int(url.rstrip("/").rsplit(":", 1)[1])
    with witness(tmp_path / "one", port=port):
        clock.advance(10 * MINUTE)
        assert house.anchoring.step() == 1
    assert house.anchors(checkpoint.size)
    (standing,) = house.standing()
    assert (standing.failing_since, standing.error) == (None, None)
    assert "vouches for checkpoints again" in caplog.text


def test_a_witness_that_is_down_for_a_day_is_told_again_once(
    lake: Lake, clock: FixedClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with witness(tmp_path / "one", lake.signer.vkey) as one:
        url, vkey = one.url, one.vkey
    house = House(lake, clock, witnesses={vkey: url})
    house.grow()
    for _ in range(28):
        house.anchoring.step()
        clock.advance(60 * MINUTE)
    late = [r for r in caplog.records if "anchored late" in r.getMessage()]
    assert len(late) == 1


def test_what_we_forgot_of_a_witness_it_tells_us(
    lake: Lake, clock: FixedClock, tmp_path: Path
) -> None:
    from auditkeep.db.schema import anchors

    with witness(tmp_path / "one", lake.signer.vkey) as one:
        house = House(lake, clock, witnesses={one.vkey: one.url})
        house.grow()
        assert house.anchoring.step() == 1
        with lake.db.system_write() as tx:
            tx.run(tx.delete(anchors))
        house.grow()
        clock.advance(MINUTE)
        assert house.anchoring.step() == 1


def test_a_log_that_was_rolled_back_is_told_by_its_witness(
    lake: Lake, clock: FixedClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from auditkeep.tlog.witness import AddCheckpoint

    with witness(tmp_path / "one", lake.signer.vkey) as one:
        house = House(lake, clock, witnesses={one.vkey: one.url})
        house.grow()
        later = Checkpoint(lake.origin, 50, bytes(32)).signed(lake.signer)
        assert one.state.add_checkpoint(AddCheckpoint(0, [], later).encode(), NOW).status == 200
        assert house.anchoring.step() == 0
        assert "it was rolled back" in caplog.text
        assert not house.anchors(1)


def test_refusals_are_sentences(
    lake: Lake, clock: FixedClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with witness(tmp_path / "one") as one:
        house = House(lake, clock, witnesses={one.vkey: one.url})
        house.grow()
        house.anchoring.step()
    assert "does not watch this log" in caplog.text
    with witness(tmp_path / "two", lake.signer.vkey) as two:
        key = WitnessKey.parse(two.vkey)
        imposter = WitnessKey(key.name, bytes(32)).vkey
        house.again(witnesses={imposter: two.url})
        house.anchoring.step()
    assert "signed with another key than its own" in caplog.text


def test_the_certificate_of_a_witness_is_verified(
    lake: Lake, clock: FixedClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mine = certificate(tmp_path)
    with witness(tmp_path / "one", lake.signer.vkey, tls=mine) as one:
        house = House(lake, clock, witnesses={one.vkey: one.url})
        house.grow()
        assert house.anchoring.step() == 0
        assert "its certificate does not hold" in caplog.text
        house.again(witnesses={one.vkey: one.url}, outgoing_ca_file=mine.file)
        assert house.anchoring.step() == 1


def test_a_checkpoint_is_timestamped_and_openssl_agrees(
    lake: Lake, clock: FixedClock, tmp_path: Path
) -> None:
    with tsa(tmp_path / "tsa") as authority:
        house = House(lake, clock, tsa_url=authority.url, tsa_ca_file=authority.ca, tsa_minutes=5)
        checkpoint = house.grow()
        assert house.anchoring.step() == 1
        house.grow()
        assert house.anchoring.step() == 0, "the next is due in five minutes"
        clock.advance(5 * MINUTE)
        assert house.anchoring.step() == 1
    (anchor,) = house.anchors(checkpoint.size)
    body = checkpoint.body().encode()
    (tmp_path / "body").write_bytes(body)
    (tmp_path / "reply.tsr").write_bytes(base64.b64decode(anchor.proof))
    subprocess.run(
        ["openssl", "ts", "-verify", "-in", "reply.tsr", "-data", "body", "-CAfile", authority.ca],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    trusted = timestamps.certificates(authority.ca.read_bytes(), "ca")
    reply = base64.b64decode(anchor.proof)
    assert timestamps.check(reply, body, trusted) == anchor.said_at
    with pytest.raises(ProofError, match="does not hold"):
        timestamps.check(reply, body + b"x", trusted)
    with pytest.raises(ProofError, match="does not hold"):
        timestamps.check(reply, body, trusted, nonce=1)
    for cut in (b"", b"\x30", reply[:50], reply + bytes(1 << 16)):
        with pytest.raises(ProofError):
            timestamps.check(cut, body, trusted)


def test_a_timestamp_of_somebody_else_is_not_believed(
    lake: Lake, clock: FixedClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with tsa(tmp_path / "tsa") as authority:
        other = type(authority).make(tmp_path / "other")
        house = House(lake, clock, tsa_url=authority.url, tsa_ca_file=other.ca)
        house.grow()
        assert house.anchoring.step() == 0
        assert "does not hold" in caplog.text
        for broken, told in (("down", "answered 503"), ("garbage", "not the answer")):
            authority.broken = broken
            house.again(tsa_url=authority.url, tsa_ca_file=authority.ca)
            assert house.anchoring.step() == 0
            assert told in caplog.text


def test_the_log_does_not_wait_for_anybody(lake: Lake, clock: FixedClock, tmp_path: Path) -> None:
    import socket

    with socket.socket() as silent:  # takes connections and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        key = WitnessKey("silent.example.org", bytes(32)).vkey
        house = House(lake, clock, witnesses={key: url})
        house.grow()
        thread = AnchoringThread(house.anchoring, seconds=0.01)
        thread.start()
        sizes = [house.grow().size for _ in range(5)]
    assert sizes == sorted(set(sizes))
    thread.stop()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"witnesses": {"k": "http://example.org/"}}, "https"),
        ({"witnesses": {"k": "https://user:secret@example.org/"}}, "without user"),
        ({"witnesses": {"k": "https://example.org/?token=1"}}, "without user"),
        ({"tsa_url": "ftp://example.org", "tsa_ca_file": "x"}, "https"),
        ({"tsa_url": "http://example.org"}, "AUDITKEEP_TSA_CA_FILE"),
    ],
)
def test_settings_that_would_leak_or_trust_nobody_are_refused(
    tmp_path: Path, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        settings_room.Settings(data=tmp_path, **settings)
    assert "secret" not in str(refused.value).split("input_value")[0]


def test_keys_and_certificates_are_read_at_the_start(tmp_path: Path) -> None:
    def made(**settings: Any) -> settings_room.Settings:
        return settings_room.Settings(data=tmp_path, **settings)

    with pytest.raises(KeyUnusable):
        of_settings(made(witnesses={"no key": "https://example.org/"}))
    with pytest.raises(SetupError, match="cannot be read"):
        of_settings(made(tsa_url="http://example.org", tsa_ca_file=tmp_path / "none.pem"))
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(KeyUnusable, match="no certificates"):
        of_settings(made(tsa_url="http://example.org", tsa_ca_file=tmp_path / "empty.pem"))
    assert of_settings(made()) == []
