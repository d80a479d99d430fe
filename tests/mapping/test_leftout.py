"""No control can name what AWS leaves out."""

import string

from hypothesis import given
from hypothesis import strategies as st

from auditkeep.mapping import keywords
from auditkeep.mapping.leftout import PREFIX, left_out

_LETTERS = string.ascii_letters + string.digits + "_:-"


@given(
    st.sampled_from(sorted(keywords._KEYS)),
    st.sampled_from(["", "left_out", "left_out_", PREFIX]),
    st.text(_LETTERS, min_size=1, max_size=40),
)
def test_no_keyword_means_the_key_of_a_record_that_is_left_out(
    source: str, begins: str, rest: str
) -> None:
    assert not [k for k in keywords._KEYS[source](begins + rest) if k.startswith(PREFIX)]


def test_such_a_key_still_tells_what_it_is_of() -> None:
    assert left_out("kms:Decrypt") == "left_out:kms:Decrypt"
