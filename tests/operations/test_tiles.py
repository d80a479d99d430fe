"""The log's public files over HTTP: who may read them, what is served, and while the log grows."""

import threading
from typing import Any

import pytest
from tests.lake.making import NOW, add, register, some

from auditkeep.access import tokens
from auditkeep.access.tokens import Tokens
from auditkeep.clock import DAY, MINUTE, FixedClock, Instant
from auditkeep.db.database import Database
from auditkeep.db.schema import bearer_tokens as table
from auditkeep.errors import ObjectMissing, SetupError
from auditkeep.lake.lake import Lake
from auditkeep.lake.sequencer import Sequencer, log_tiles
from auditkeep.operations.tiles import Tiles
from auditkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from auditkeep.tlog.merkle import leaf_hash, verify_consistency, verify_inclusion
from auditkeep.tlog.tiles import TileReader
from auditkeep.wire.messages import Request, Response


def ask(
    tiles: Tiles, path: str, *headers: tuple[bytes, bytes], method: str = "GET", query: bytes = b""
) -> Response:
    return tiles.answer(Request(method, b"/log/" + path.encode(), query, headers, b"", "id"))


def bearer(token: str) -> tuple[bytes, bytes]:
    return b"authorization", f"Bearer {token}".encode()


@pytest.fixture
def open_to_all(lake: Lake) -> Tiles:
    register(lake.db)
    return Tiles(lake.objects, lambda token: token == "good")


def get(tiles: Tiles, path: str) -> bytes:
    answer = ask(tiles, path, bearer("good"))
    if answer.status == 404:
        raise ObjectMissing(path)
    assert answer.status == 200
    return answer.body


def grown(lake: Lake, count: int, first: int = 0) -> Checkpoint:
    """The log after `count` batches of one observation each."""
    with Sequencer(lake) as sequencer:
        for number in range(first, first + count):
            add(lake, f"unit-{number}", some(number, 1))
        checkpoint = sequencer.step(NOW)
    assert checkpoint is not None
    return checkpoint


@pytest.mark.both_databases
def test_a_token_is_good_until_it_ends_or_is_revoked(db: Database, clock: FixedClock) -> None:
    with db.system_write() as tx:
        lasting = tokens.create(tx, "log", "Auditors & Co", clock.now())
        brief = tokens.create(tx, "log", "a visitor", clock.now(), Instant(clock.now() + DAY))
    known = Tokens(db, clock, "log")
    assert known.admits(lasting.token)
    assert known.admits(brief.token)
    assert not known.admits(lasting.token + "x")
    assert not known.admits("")
    clock.advance(DAY)
    assert not known.admits(brief.token)
    with db.system_write() as tx:
        tokens.revoke(tx, "log", lasting.id, clock.now())
        tokens.revoke(tx, "log", lasting.id, Instant(clock.now() + 1))
        with pytest.raises(SetupError, match="no token"):
            tokens.revoke(tx, "log", "nothing", clock.now())
    clock.advance(MINUTE)
    assert not known.admits(lasting.token)
    with db.system_read() as tx:
        states = {(t.name, t.state(clock.now())) for t in tokens.listed(tx, "log")}
        kept = [bytes(row.digest) for row in tx.all(tx.select(table))]
    assert states == {("Auditors & Co", "revoked"), ("a visitor", "expired")}
    assert all(lasting.token.encode() not in digest for digest in kept)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 129])
def test_a_token_names_its_holder(db: Database, clock: FixedClock, name: str) -> None:
    with db.system_write() as tx, pytest.raises(SetupError, match="holder"):
        tokens.create(tx, "log", name, clock.now())


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (bearer("bad"),),
        ((b"authorization", b"Basic Z29vZA=="),),
        (bearer("good"), bearer("good")),
        (bearer(""),),
    ],
)
def test_without_a_good_token_there_is_nothing(
    open_to_all: Tiles, lake: Lake, headers: Any
) -> None:
    grown(lake, 2)
    for path in ("checkpoint", "tile/0/000.p/2", "nothing"):
        answer = ask(open_to_all, path, *headers)
        assert answer.status == 401
        assert dict(answer.headers)[b"www-authenticate"].startswith(b'Bearer realm="auditkeep log"')


def test_a_token_in_the_address_is_refused_without_a_look_at_it(open_to_all: Tiles) -> None:
    answer = ask(open_to_all, "checkpoint", bearer("good"), query=b"access_token=good")
    assert answer.status == 400
    assert b"header" in answer.body
    assert b"good" not in answer.body


def test_files_are_read_and_never_written(open_to_all: Tiles) -> None:
    answer = ask(open_to_all, "checkpoint", bearer("good"), method="PUT")
    assert (answer.status, dict(answer.headers)[b"allow"]) == (405, b"GET, HEAD")


def test_the_whole_log_is_checked_from_what_is_served(open_to_all: Tiles, lake: Lake) -> None:
    old = grown(lake, 5)
    new = grown(lake, 296, first=5)
    signed = open_checkpoint(get(open_to_all, "checkpoint").decode(), [lake.signer.verifier])
    assert signed == new
    reader = TileReader(lambda path: get(open_to_all, path), signed.size)
    assert reader.root() == signed.root
    verify_consistency(old.size, old.root, new.size, new.root, reader.consistency(old.size))
    for index in (0, 255, 256, 300):
        entry = reader.entries(index // 256)[index % 256]
        verify_inclusion(leaf_hash(entry), index, new.size, reader.inclusion(index), new.root)


def test_what_a_full_tile_replaced_is_cut_from_it(open_to_all: Tiles, lake: Lake) -> None:
    old = grown(lake, 5)
    grown(lake, 251, first=5)
    assert not lake.objects.exists("log/tile/0/000.p/5")
    behind = TileReader(lambda path: get(open_to_all, path), old.size)
    assert behind.root() == old.root
    assert [leaf_hash(e) for e in behind.entries(0)] == [behind.node(0, i) for i in range(5)]


def test_what_no_checkpoint_covers_is_not_served(open_to_all: Tiles, lake: Lake) -> None:
    size = grown(lake, 3).size
    lake.objects.put("log/tile/0/000.p/4", bytes(128))
    assert ask(open_to_all, f"tile/0/000.p/{size}", bearer("good")).status == 200
    assert ask(open_to_all, "tile/0/000.p/4", bearer("good")).status == 404
    assert ask(open_to_all, "tile/0/000", bearer("good")).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/000.p/0", "tile/0/000.p/03", "tile/0/000.p/256", "tile/0/x000/000.p/3", "tile/8/000",
        "tile/00/000.p/3", "tile/0/0.p/3", "tile/0/../../keys/log.key", "tile/0/%30%30%30.p/3", "",
        "checkpoint/", "tile/entries/000.p/3/", "tile/-1/000",
    ],
)  # fmt: skip
def test_each_file_has_one_name_and_there_are_no_others(
    open_to_all: Tiles, lake: Lake, path: str
) -> None:
    grown(lake, 3)
    assert ask(open_to_all, path, bearer("good")).status == 404


def test_tiles_are_kept_for_ever_and_the_checkpoint_is_asked_for_anew(
    open_to_all: Tiles, lake: Lake
) -> None:
    assert ask(open_to_all, "checkpoint", bearer("good")).status == 404
    grown(lake, 3)
    tile = dict(ask(open_to_all, "tile/entries/000.p/3", bearer("good")).headers)
    assert tile[b"cache-control"] == b"private, max-age=31536000, immutable"
    assert tile[b"content-type"] == b"application/octet-stream"
    newest = dict(ask(open_to_all, "checkpoint", bearer("good")).headers)
    assert newest[b"cache-control"] == b"private, no-cache"
    assert newest[b"content-type"].startswith(b"text/plain")


def test_a_reader_beside_the_sequencer_never_sees_a_broken_log(
    open_to_all: Tiles, lake: Lake
) -> None:
    grown(lake, 250)
    ended = threading.Event()

    def write() -> None:
        try:
            with Sequencer(lake) as sequencer:
                for number in range(250, 262):
                    add(lake, f"unit-{number}", some(number, 1))
                    sequencer.step(NOW)
        finally:
            ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    last = False
    while not last:
        last = ended.is_set()
        text = get(open_to_all, "checkpoint").decode()
        signed = open_checkpoint(text, [lake.signer.verifier])
        reader = TileReader(lambda path: get(open_to_all, path), signed.size)
        assert reader.root() == signed.root
        for number in range((signed.size + 255) // 256):
            reader.entries(number)
        seen.add(signed.size)
    writer.join()
    assert max(seen) == log_tiles(lake, 262).size
