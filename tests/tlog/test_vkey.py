"""Keys as people write them: what one may sign is part of what it is."""

from __future__ import annotations

import pytest

from auditkeep.errors import KeyUnusable
from auditkeep.tlog.cosignature import WitnessKey
from auditkeep.tlog.note import Verifier
from auditkeep.tlog.vkey import PublicKey

PUBLIC = bytes(range(32))


@pytest.mark.parametrize("kind", [Verifier, WitnessKey])
def test_a_key_is_written_as_it_was_read(kind: type[PublicKey]) -> None:
    key = kind("example.com/log", PUBLIC)
    assert kind.parse(f" {key.vkey}\n") == key


@pytest.mark.parametrize(("kind", "other"), [(Verifier, WitnessKey), (WitnessKey, Verifier)])
def test_a_key_is_not_taken_for_one_that_signs_something_else(
    kind: type[PublicKey], other: type[PublicKey]
) -> None:
    key = kind("example.com/log", PUBLIC)
    assert key != other("example.com/log", PUBLIC)
    assert key.key_id != other("example.com/log", PUBLIC).key_id
    with pytest.raises(KeyUnusable, match=f"is not a {other.kind}"):
        other.parse(key.vkey)


@pytest.mark.parametrize("kind", [Verifier, WitnessKey])
def test_a_name_that_would_not_be_read_back_is_refused(kind: type[PublicKey]) -> None:
    with pytest.raises(KeyUnusable, match=f"cannot name a {kind.kind}"):
        kind.require_name("two words")
