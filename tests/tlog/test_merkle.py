"""Trees against RFC 6962's own words, known vectors, and every kind of false proof."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tlog import reference
from tests.tlog.reference import leaves

from auditkeep.errors import ProofError
from auditkeep.tlog import merkle
from auditkeep.tlog.merkle import (
    EMPTY_ROOT,
    Tree,
    leaf_hash,
    path_from_nodes,
    path_length,
    range_hash,
    root,
    root_from_path,
    verify_consistency,
    verify_inclusion,
)
from auditkeep.tlog.shared import SharedPaths

# The inputs and roots that Certificate Transparency implementations test themselves with.
CT_INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657",
             "606162636465666768696a6b6c6d6e6f"]  # fmt: skip
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_LEAVES = [leaf_hash(bytes.fromhex(text)) for text in CT_INPUTS]

sizes = st.integers(1, 300)


def test_the_empty_tree() -> None:
    assert root([]) == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("size", range(1, 9))
def test_certificate_transparency_roots(size: int) -> None:
    assert root(CT_LEAVES[:size]).hex() == CT_ROOTS[size - 1]


def test_certificate_transparency_paths() -> None:
    assert [step.hex() for step in Tree(CT_LEAVES).path(5)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert [step.hex() for step in Tree(CT_LEAVES).consistency(6)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@pytest.mark.parametrize("size", range(1, 70))
def test_small_trees_are_those_of_the_rfc(size: int) -> None:
    hashes = leaves(size)
    tree = Tree(hashes)
    assert tree.root == reference.mth(hashes)
    for index in range(size):
        path = tree.path(index)
        assert path == reference.path(index, hashes) == path_from_nodes(tree.node, index, size)
        assert len(path) == path_length(index, size)
        assert root_from_path(hashes[index], index, size, path) == tree.root
    for old in range(1, size + 1):
        path = tree.consistency(old)
        assert path == reference.proof(old, hashes)
        verify_consistency(old, reference.mth(hashes[:old]), size, tree.root, path)


@given(sizes, st.data())
def test_an_inclusion_path_proves_one_leaf_at_one_place(size: int, data: st.DataObject) -> None:
    hashes = leaves(size)
    tree = Tree(hashes)
    index = data.draw(st.integers(0, size - 1))
    verify_inclusion(hashes[index], index, size, tree.path(index), tree.root)
    place = data.draw(st.sampled_from([index, data.draw(st.integers(0, size + 2))]))
    leaf = data.draw(st.sampled_from([hashes[index], leaf_hash(b"other"), tree.root]))
    path = data.draw(changed(tree.path(index)))
    if (leaf, place, path) != (hashes[index], index, tree.path(index)):
        with pytest.raises(ProofError):
            verify_inclusion(leaf, place, size, path, tree.root)


@st.composite
def changed(draw: st.DrawFn, path: list[bytes]) -> list[bytes]:
    """A path, or one with a step changed, missing, doubled, cut, or two swapped."""
    path = list(path)
    if not path:
        return draw(st.sampled_from([[], [bytes(32)]]))
    at = draw(st.integers(0, len(path) - 1))
    match draw(st.sampled_from(["same", "flip", "drop", "double", "cut", "swap"])):
        case "flip":
            path[at] = bytes([path[at][0] ^ 1]) + path[at][1:]
        case "drop":
            del path[at]
        case "double":
            path.insert(at, path[at])
        case "cut":
            path[at] = path[at][:31]
        case "swap":
            path[at], path[0] = path[0], path[at]
    return path


@given(sizes, st.data())
def test_a_consistency_path_proves_one_pair_of_trees(size: int, data: st.DataObject) -> None:
    hashes = leaves(size)
    tree = Tree(hashes)
    old = data.draw(st.integers(0, size))
    old_root, path = root(hashes[:old]), tree.consistency(old)
    verify_consistency(old, old_root, size, tree.root, path)
    forged = data.draw(changed(path))
    if forged != path:
        with pytest.raises(ProofError):
            verify_consistency(old, old_root, size, tree.root, forged)
    if old:
        with pytest.raises(ProofError):
            verify_consistency(old, leaf_hash(b"rewritten"), size, tree.root, path)
        with pytest.raises(ProofError):
            verify_consistency(old, old_root, size, leaf_hash(b"rewritten"), path)


@given(sizes, st.data())
def test_a_rewritten_history_has_no_consistency_path(size: int, data: st.DataObject) -> None:
    """Whatever path the forger's own tree gives, it does not join two different histories."""
    old = data.draw(st.integers(1, size))
    hashes = leaves(size)
    old_root = root(hashes[:old])
    hashes[data.draw(st.integers(0, old - 1))] = leaf_hash(b"rewritten")
    forged = Tree(hashes)
    with pytest.raises(ProofError):
        verify_consistency(old, old_root, size, forged.root, forged.consistency(old))


def test_questions_that_have_no_answer() -> None:
    tree = Tree(leaves(5))
    for index in (-1, 5, 6):
        with pytest.raises(ProofError, match="no entry"):
            tree.path(index)
        with pytest.raises(ProofError, match="no entry"):
            root_from_path(bytes(32), index, 5, [])
        with pytest.raises(ProofError, match="no entry"):
            path_from_nodes(tree.node, index, 5)
    for old in (-1, 6):
        with pytest.raises(ProofError):
            tree.consistency(old)
        with pytest.raises(ProofError):
            verify_consistency(old, bytes(32), 5, tree.root, [])
    with pytest.raises(ProofError, match="no entry"):
        Tree([]).path(0)
    with pytest.raises(ProofError, match="32 bytes"):
        root_from_path(b"short", 0, 1, [])


def test_a_range_is_hashed_as_the_tree_it_is() -> None:
    hashes = leaves(100)
    node = Tree(hashes).node
    assert range_hash(node, 0, 0) == EMPTY_ROOT
    assert range_hash(node, 64, 100) == reference.mth(hashes[64:])
    assert range_hash(node, 96, 97) == hashes[96]


def test_a_leaf_is_not_a_node() -> None:
    left, right = leaves(2)
    assert leaf_hash(left + right) != merkle.node_hash(left, right)


@given(sizes, st.data())
def test_shared_paths_accept_exactly_what_single_paths_do(size: int, data: st.DataObject) -> None:
    hashes = leaves(size)
    tree = Tree(hashes)
    shared = SharedPaths(tree.root, size)
    for _ in range(data.draw(st.integers(1, 12))):
        index = data.draw(st.integers(0, size - 1))
        leaf = data.draw(st.sampled_from([hashes[index], hashes[0], leaf_hash(b"other")]))
        path = data.draw(changed(tree.path(index)))
        try:
            verify_inclusion(leaf, index, size, path, tree.root)
        except ProofError:
            with pytest.raises(ProofError):
                shared.check(leaf, index, path)
        else:
            shared.check(leaf, index, path)
    assert shared.weight <= 2 * size + 20


def test_a_false_path_teaches_shared_paths_nothing() -> None:
    hashes = leaves(8)
    tree, forged = Tree(hashes), Tree(leaves(16)[8:])
    shared = SharedPaths(tree.root, 8)
    with pytest.raises(ProofError):
        shared.check(leaves(9)[8], 0, forged.path(0))
    assert shared.weight == 0
    shared.check(hashes[3], 3, tree.path(3))
    with pytest.raises(ProofError):
        shared.check(hashes[2], 1, tree.path(1))


def test_all_paths_of_the_largest_batch_take_no_quadratic_time() -> None:
    hashes = leaves(16_384)
    start = time.process_time()
    tree = Tree(hashes)
    paths = [tree.path(index) for index in range(tree.size)]
    shared = SharedPaths(tree.root, tree.size)
    for index, path in enumerate(paths):
        shared.check(hashes[index], index, path)
    # Some 0.2 s where this was written; one tree for each path would be minutes.
    assert time.process_time() - start < 10
