"""Logs as tiles: whatever way they grew, they hold the tree and nothing else."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkeep.errors import LogError, ObjectMissing, ProofError
from auditkeep.tlog.merkle import Tree, leaf_hash, verify_consistency
from auditkeep.tlog.tiles import (
    MAX_ENTRY,
    TileReader,
    bundle,
    entries_path,
    new_tiles,
    tile_path,
    unbundle,
)


class Store:
    """Tiles in memory; a path is written once, or again with the same content."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.reads: list[str] = []

    def get(self, path: str) -> bytes:
        self.reads.append(path)
        if path not in self.files:
            raise ObjectMissing(f"There is no object {path}.")
        return self.files[path]

    def grow(self, old_size: int, entries: list[bytes]) -> None:
        for path, data in new_tiles(self.get, old_size, entries).items():
            assert self.files.setdefault(path, data) == data


def entries(count: int) -> list[bytes]:
    return [sha256(b"%d" % n).digest() for n in range(count)]


@pytest.mark.parametrize(
    ("index", "name"),
    [(0, "000"), (7, "007"), (999, "999"), (1000, "x001/000"), (1234067, "x001/x234/067")],
)
def test_paths_are_those_of_the_specification(index: int, name: str) -> None:
    assert tile_path(0, index) == f"tile/0/{name}"
    assert tile_path(3, index, 8) == f"tile/3/{name}.p/8"
    assert entries_path(index, 255) == f"tile/entries/{name}.p/255"


@pytest.mark.parametrize("width", [-1, 0, 257])
def test_no_path_has_an_impossible_width(width: int) -> None:
    with pytest.raises(LogError):
        tile_path(0, 0, width)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=8), st.data())
def test_a_log_grown_in_steps_gives_the_tree_s_proofs(
    steps: list[int], data: st.DataObject
) -> None:
    store, all_entries = Store(), entries(sum(steps))
    ends = [sum(steps[: n + 1]) for n in range(len(steps))]
    for step, end in zip(steps, ends, strict=True):
        store.grow(end - step, all_entries[end - step : end])
    for end in ends:  # also the older sizes stay readable
        tree = Tree([leaf_hash(entry) for entry in all_entries[:end]])
        reader = TileReader(store.get, end)
        assert reader.root() == tree.root
        index = data.draw(st.integers(0, end - 1))
        assert reader.inclusion(index) == tree.path(index)
        assert all_entries[index] == reader.entries(index // 256)[index % 256]
        old = data.draw(st.integers(0, end))
        assert reader.consistency(old) == tree.consistency(old)


def test_a_large_log_has_three_levels_and_few_reads() -> None:
    store, all_entries = Store(), entries(66_000)
    store.grow(0, all_entries)
    assert "tile/2/000.p/1" in store.files
    tree = Tree([leaf_hash(entry) for entry in all_entries])
    reader = TileReader(store.get, 66_000)
    assert reader.root() == tree.root
    store.reads.clear()
    assert TileReader(store.get, 66_000).inclusion(12_345) == tree.path(12_345)
    assert len(store.reads) <= 6


def test_growing_by_nothing_or_twice_changes_nothing() -> None:
    store = Store()
    assert new_tiles(store.get, 0, []) == {}
    store.grow(0, entries(300))
    store.grow(0, entries(300))
    store.grow(300, entries(310)[300:])
    before = dict(store.files)
    store.grow(300, entries(310)[300:])
    assert store.files == before


def test_entries_come_before_the_tiles_that_hash_them() -> None:
    assert list(new_tiles(Store().get, 0, entries(257))) == [
        "tile/entries/000",
        "tile/entries/001.p/1",
        "tile/0/000",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
    ]


def test_old_partial_tiles_may_be_gone_once_the_full_one_is_there() -> None:
    store = Store()
    store.grow(0, entries(100))
    store.grow(100, entries(300)[100:])
    del store.files["tile/0/000.p/100"], store.files["tile/entries/000.p/100"]
    reader = TileReader(store.get, 100)
    assert reader.root() == Tree([leaf_hash(entry) for entry in entries(100)]).root
    assert reader.entries(0) == entries(100)
    assert reader.inclusion(99) == Tree([leaf_hash(entry) for entry in entries(100)]).path(99)
    grown = new_tiles(store.get, 100, entries(300)[100:])
    assert all(store.files[path] == data for path, data in grown.items())


def test_a_missing_or_damaged_tile_is_named() -> None:
    store = Store()
    store.grow(0, entries(300))
    whole = store.files.pop("tile/0/001.p/44")
    with pytest.raises(ObjectMissing):
        TileReader(store.get, 300).inclusion(299)
    store.files["tile/0/001.p/44"] = whole[:-1]
    with pytest.raises(LogError, match=r"tile/0/001\.p/44"):
        TileReader(store.get, 300).inclusion(299)
    store.files["tile/entries/001.p/44"] = bundle(entries(3))
    with pytest.raises(LogError, match="too few"):
        TileReader(store.get, 300).entries(1)
    with pytest.raises(LogError, match="too few"):
        new_tiles(store.get, 300, entries(1))


def test_a_changed_tile_changes_the_root() -> None:
    store = Store()
    store.grow(0, entries(600))
    honest = TileReader(store.get, 600).root()
    for path, data in list(store.files.items()):
        if path.startswith("tile/entries") or path in {"tile/0/000", "tile/0/001"}:
            continue  # level 0 of a full tile is only read for the proofs inside it
        store.files[path] = bytes([data[0] ^ 1]) + data[1:]
        assert TileReader(store.get, 600).root() != honest
        store.files[path] = data


def test_sizes_that_the_log_does_not_have() -> None:
    store = Store()
    store.grow(0, entries(10))
    reader = TileReader(store.get, 10)
    with pytest.raises(ProofError):
        reader.inclusion(10)
    with pytest.raises(ProofError):
        reader.consistency(11)
    with pytest.raises(ProofError):
        reader.entries(1)
    with pytest.raises(ProofError):
        reader.node(4, 0)
    assert TileReader(store.get, 0).root() == Tree([]).root


def test_consistency_from_tiles_convinces_a_verifier() -> None:
    store, all_entries = Store(), entries(1000)
    store.grow(0, all_entries)
    hashes = [leaf_hash(entry) for entry in all_entries]
    reader = TileReader(store.get, 1000)
    for old in (1, 255, 256, 257, 512, 999):
        path = reader.consistency(old)
        verify_consistency(old, Tree(hashes[:old]).root, 1000, reader.root(), path)


def test_a_reader_s_memory_stays_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditkeep.tlog.tiles._CACHED_TILES", 2)
    store = Store()
    store.grow(0, entries(2000))
    tree = Tree([leaf_hash(entry) for entry in entries(2000)])
    reader = TileReader(store.get, 2000)
    for index in range(0, 2000, 97):
        assert reader.inclusion(index) == tree.path(index)
        assert len(reader._tiles) <= 2


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_come_back(some: list[bytes]) -> None:
    assert unbundle(bundle(some)) == some


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.data())
def test_a_bundle_cut_inside_an_entry_is_refused(some: list[bytes], data: st.DataObject) -> None:
    whole = bundle(some)
    cut = data.draw(st.integers(0, len(whole)))
    ends = [len(bundle(some[:n])) for n in range(len(some) + 1)]
    if cut in ends:
        assert unbundle(whole[:cut]) == some[: ends.index(cut)]
    else:
        with pytest.raises(LogError, match="cut short"):
            unbundle(whole[:cut])


def test_an_entry_too_long_for_its_length_is_refused() -> None:
    assert unbundle(bundle([bytes(MAX_ENTRY)])) == [bytes(MAX_ENTRY)]
    with pytest.raises(LogError, match="at most 65535"):
        bundle([bytes(MAX_ENTRY + 1)])
