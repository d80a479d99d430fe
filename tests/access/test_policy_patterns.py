"""Wildcards match what they should, and always end."""

import fnmatch
import re

from hypothesis import given
from hypothesis import strategies as st

from auditkeep.access.policy.patterns import ArnGlob, Glob, Wild, atoms_of

PIECES = st.lists(st.sampled_from(["*", "?", "a", "b", "ab", "."]), max_size=8).map("".join)


@given(PIECES, st.text(alphabet="ab.", max_size=10))
def test_a_glob_matches_what_it_should(pattern: str, text: str) -> None:
    oracle = re.compile(fnmatch.translate(pattern))
    assert Glob.of(pattern).matches(text) is (oracle.match(text) is not None)


def test_a_hostile_glob_ends() -> None:
    assert not Glob.of("*a" * 40 + "b").matches("a" * 4000)


def test_a_text_that_stands_for_itself_has_no_wildcards() -> None:
    assert Glob(["a*", Wild.ANY]).matches("a*b")
    assert not Glob(["a*", Wild.ANY]).matches("aab")


ARN = "arn:aws:iam::111122223333:role/path/Name"


def arn(pattern: str, text: str) -> bool:
    return ArnGlob(atoms_of(pattern)).matches(text)


def test_each_field_of_an_arn_matches_by_itself() -> None:
    assert arn("arn:aws:iam::*:role/*", ARN)
    assert arn("arn:*:iam:*:1111????3333:role/*/Name", ARN)
    assert not arn("arn:aws:*:role/path/Name", ARN)  # a star spans no colon before the last field
    assert not arn("arn:*", ARN)
    assert not arn("*", ARN)
    assert arn("arn:aws:x:::a:*:c", "arn:aws:x:::a:b:c")


def test_what_is_no_arn_matches_no_pattern_for_arns() -> None:
    assert not arn("*:*:*:*:*:*", "111122223333")
    assert arn("*:*:*:*:*:*", ARN)
