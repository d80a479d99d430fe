"""Every value lies in one piece, in its place, and no piece is larger than it may be."""

import pytest

from auditkeep.db.pieces import NAMED, in_pieces


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (7, [7]), (8, [7, 1]), (14, [7, 7]), (15, [7, 7, 1])]
)
def test_pieces_are_full_but_for_the_last(count: int, sizes: list[int]) -> None:
    pieces = list(in_pieces(range(count), 7))
    assert [len(piece) for piece in pieces] == sizes
    assert [value for piece in pieces for value in piece] == list(range(count))


def test_a_statement_names_so_many() -> None:
    first, second = in_pieces("x" * (NAMED + 1))
    assert (len(first), len(second)) == (NAMED, 1)
