"""Remembering answers: bounded, the least used given up first."""

from auditkeep.evidence.memo import Memo


def test_the_least_recently_used_answer_is_given_up_first() -> None:
    memo: Memo[int] = Memo(2)
    memo.put("a", 1)
    memo.put("b", 2)
    assert memo.get("a") == 1
    memo.put("c", 3)
    assert [memo.get(k) for k in "abc"] == [1, None, 3]


def test_putting_again_replaces() -> None:
    memo: Memo[int] = Memo(2)
    memo.put("a", 1)
    memo.put("a", 2)
    assert memo.get("a") == 2
