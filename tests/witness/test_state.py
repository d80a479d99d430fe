"""A witness cosigns what continues, remembers it first, and refuses rollbacks and forks."""

import ssl
import stat
from pathlib import Path

import pytest

from auditkeep.clock import SECOND, FixedClock, Instant
from auditkeep.crypto import durable, tls
from auditkeep.crypto.signing import SigningKey
from auditkeep.errors import Busy, KeyUnusable, ObjectExists, SetupError
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.tlog.cosignature import cosignatures
from auditkeep.tlog.merkle import Tree, leaf_hash
from auditkeep.tlog.note import Signer
from auditkeep.tlog.witness import AddCheckpoint
from auditkeep.witness.served import configured, serve
from auditkeep.witness.state import Answer, State

NOW = Instant(1_800_000_000 * SECOND)
LEAVES = [leaf_hash(bytes([n])) for n in range(40)]


@pytest.fixture
def log(tmp_path: Path) -> Signer:
    return Signer("log.example.org", SigningKey.create(tmp_path / "log.key"))


@pytest.fixture
def state(tmp_path: Path, log: Signer) -> State:
    State.create(tmp_path / "witness", "witness.example.org")
    made = State(tmp_path / "witness")
    made.watch(log.vkey)
    return made


def checkpoint(
    size: int, leaves: list[bytes] = LEAVES, origin: str = "log.example.org"
) -> Checkpoint:
    return Checkpoint(origin, size, Tree(leaves[:size]).root)


def ask(
    state: State,
    log: Signer,
    old: int,
    size: int,
    *,
    leaves: list[bytes] = LEAVES,
    path: list[bytes] | None = None,
) -> Answer:
    note = checkpoint(size, leaves, log.name).signed(log)
    steps = path if path is not None else Tree(leaves[:size]).consistency(min(old, size))
    return state.add_checkpoint(AddCheckpoint(old, steps, note).encode(), NOW)


def forked() -> list[bytes]:
    return [*LEAVES[:5], leaf_hash(b"another history"), *LEAVES[6:]]


def test_it_cosigns_a_log_that_grows(state: State, log: Signer) -> None:
    old = 0
    for size in (3, 8, 8, 33):
        answer = ask(state, log, old, size)
        assert (answer.status, answer.body[:1]) == (200, "—")
        note = checkpoint(size).signed(log) + answer.body
        (found,) = cosignatures(note, [state.key])
        assert found.at == NOW
        old = size


def test_it_knows_after_a_restart_what_it_cosigned(
    state: State, log: Signer, tmp_path: Path
) -> None:
    assert ask(state, log, 0, 8).status == 200
    state.close()
    again = State(tmp_path / "witness")
    assert ask(again, log, 0, 8) == Answer(409, "8\n", "text/x.tlog.size")
    assert ask(again, log, 8, 9).status == 200


def test_a_rollback_conflicts_and_the_size_that_is_known_is_told(state: State, log: Signer) -> None:
    ask(state, log, 0, 20)
    assert ask(state, log, 3, 5) == Answer(409, "20\n", "text/x.tlog.size")
    assert ask(state, log, 20, 5).status == 400


def test_a_fork_of_the_same_size_is_refused_and_kept_as_evidence(
    state: State, log: Signer, tmp_path: Path
) -> None:
    ask(state, log, 0, 20)
    for old in (20, 0):
        assert ask(state, log, old, 20, leaves=forked()).status == 409
    (kept,) = (tmp_path / "witness" / "forks").iterdir()
    assert kept.read_text() == checkpoint(20, forked()).signed(log)
    assert ask(state, log, 20, 21).status == 200, "and the true history goes on"


def test_a_longer_fork_cannot_be_shown_to_continue(
    state: State, log: Signer, tmp_path: Path
) -> None:
    ask(state, log, 0, 20)
    assert ask(state, log, 20, 30, leaves=forked()).status == 422
    assert ask(state, log, 20, 30, path=[]).status == 422
    assert not (tmp_path / "witness" / "forks").exists(), "anybody can send a wrong path"
    assert ask(state, log, 20, 30).status == 200


def test_what_the_log_did_not_sign_changes_nothing(
    state: State, log: Signer, tmp_path: Path
) -> None:
    thief = Signer(log.name, SigningKey.create(tmp_path / "thief.key"))
    assert ask(state, thief, 0, 5).status == 403
    stranger = Signer("other.example.org", SigningKey.create(tmp_path / "other.key"))
    assert ask(state, stranger, 0, 5).status == 404
    assert state.add_checkpoint(b"nonsense", NOW).status == 400
    assert state.add_checkpoint(b"old 0\n\nno note", NOW).status == 400
    (watched,) = state.watched()
    assert watched.known == checkpoint(0)


def test_it_remembers_before_it_signs(
    state: State, log: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no room")

    with monkeypatch.context() as broken:
        broken.setattr(durable, "replace", full)
        with pytest.raises(OSError, match="no room"):
            ask(state, log, 0, 7)
    assert ask(state, log, 0, 7).status == 200


def test_a_log_has_one_key(state: State, log: Signer, tmp_path: Path) -> None:
    state.watch(log.vkey)
    other = Signer(log.name, SigningKey.create(tmp_path / "new.key"))
    with pytest.raises(KeyUnusable, match="under another key"):
        state.watch(other.vkey)
    with pytest.raises(KeyUnusable):
        state.watch(state.key.vkey)


def test_a_folder_is_one_witness_and_one_process(state: State, tmp_path: Path) -> None:
    with pytest.raises(Busy):
        State(tmp_path / "witness")
    with pytest.raises((ObjectExists, KeyUnusable)):
        State.create(tmp_path / "witness", "again")
    with pytest.raises(SetupError, match="witness init"):
        State(tmp_path / "nowhere")
    assert stat.S_IMODE((tmp_path / "witness" / "witness.key").stat().st_mode) == 0o600


def test_damaged_memory_is_never_taken_for_none(state: State, log: Signer, tmp_path: Path) -> None:
    ask(state, log, 0, 20)
    (file,) = (tmp_path / "witness" / "logs").iterdir()
    file.write_bytes(b"{")
    with pytest.raises(SetupError, match="second history"):
        ask(state, log, 0, 20)


def test_a_key_of_another_witness_is_noticed(state: State, tmp_path: Path) -> None:
    state.close()
    (tmp_path / "witness" / "witness.key").unlink()
    SigningKey.create(tmp_path / "witness" / "witness.key")
    with pytest.raises(KeyUnusable, match="not the key"):
        State(tmp_path / "witness")


def test_it_serves_over_tls_as_strictly_as_a_log(state: State, tmp_path: Path) -> None:
    clock = FixedClock(NOW)
    chain, key = tls.generated(tmp_path, [], NOW)
    context = configured(state, clock, "127.0.0.1", 1, chain, key).ssl
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert all("GCM" in c["name"] or "CHACHA20" in c["name"] for c in context.get_ciphers())
    assert configured(state, clock, "127.0.0.1", 1).ssl is None
    with pytest.raises(SetupError, match="go together"):
        configured(state, clock, "127.0.0.1", 1, chain)


@pytest.mark.parametrize(("host", "loud"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_plain_http_for_others_is_said_loudly(
    state: State,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    host: str,
    loud: bool,
) -> None:
    monkeypatch.setattr("uvicorn.Server.run", lambda _: None)
    serve(state, FixedClock(NOW), host, 1)
    assert ("WARNING: plain HTTP" in capsys.readouterr().err) == loud
