"""Keys in an HSM (SoftHSM2): they never leave it, and each way it can fail has a sentence."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.softhsm import PIN, TOKEN, new_token

from auditkeep.crypto.providers import master_of
from auditkeep.crypto.providers.guard import Guard
from auditkeep.crypto.providers.hsm import Hsm, HsmKey, parse, uri_of
from auditkeep.errors import DecryptionFailed, KeyAway, KeyUnusable

CONTEXT = {"account": "111122223333", "region": "us-east-1", "bucket": "b"}
KEY = bytes(range(32))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        yield str(new_token(tmp_path_factory.mktemp("hsm"), patch))


def _made(library: str, label: str) -> HsmKey:
    hsm = Hsm(library, lambda: PIN)
    hsm.make(uri_of(TOKEN, label))
    return hsm.key(uri_of(TOKEN, label))


def test_a_key_comes_back_under_its_own_context_only(library: str) -> None:
    key = _made(library, "one")
    wrapped = key.wrap(KEY, CONTEXT)
    assert key.unwrap(wrapped, dict(reversed(CONTEXT.items()))) == KEY
    assert KEY not in wrapped
    assert master_of(wrapped) == "pkcs11:token=audit%20token;object=one" == key.key_id
    with pytest.raises(DecryptionFailed, match="moved to another bucket"):
        key.unwrap(wrapped, {**CONTEXT, "bucket": "c"})
    changed = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
    with pytest.raises(DecryptionFailed):
        key.unwrap(changed, CONTEXT)
    with pytest.raises(KeyUnusable, match="cannot open it"):
        _made(library, "two").unwrap(wrapped, CONTEXT)


def test_a_key_is_made_once_and_stays_inside(library: str) -> None:
    import pkcs11

    hsm = Hsm(library, lambda: PIN)
    hsm.make(uri_of(TOKEN, "inside"))
    with pytest.raises(KeyUnusable, match="has a key"):
        hsm.make(uri_of(TOKEN, "inside"))

    def shown(session: object) -> None:
        held = session.get_key(label="inside")  # type: ignore[attr-defined]
        assert held[pkcs11.Attribute.SENSITIVE]
        with pytest.raises(pkcs11.AttributeSensitive):
            _ = held[pkcs11.Attribute.VALUE]

    hsm.with_session(TOKEN, shown)


def test_a_key_that_is_not_there_and_a_token_that_is_not_there(library: str) -> None:
    hsm = Hsm(library, lambda: PIN)
    with pytest.raises(KeyAway, match="has no key") as caught:
        hsm.key(uri_of(TOKEN, "none")).wrap(KEY, CONTEXT)
    assert caught.value.state == "gone"
    with pytest.raises(KeyAway, match="NoSuchToken") as caught:
        hsm.key(uri_of("elsewhere", "one")).wrap(KEY, CONTEXT)
    assert caught.value.state == "unreachable"
    with pytest.raises(KeyUnusable, match="AUDITKEEP_PKCS11_MODULE"):
        Hsm("", lambda: "").key(uri_of(TOKEN, "one"))
    with pytest.raises(KeyAway, match="does not answer") as caught:
        Hsm("/nowhere/lib.so", lambda: "").key(uri_of(TOKEN, "one")).wrap(KEY, CONTEXT)
    assert caught.value.state == "unreachable"


def test_a_key_that_may_not_be_used_is_disabled_and_well_again_by_itself(library: str) -> None:
    import pkcs11

    ticks = [0.0]
    hsm = Hsm(library, lambda: PIN, Guard(ticks=lambda: ticks[0]))
    uri = uri_of(TOKEN, "off")
    attribute = pkcs11.Attribute

    def turn(session: Any, *, on: bool) -> None:
        session.get_key(label="off")[attribute.DECRYPT] = on

    hsm.make(uri)
    wrapped = hsm.key(uri).wrap(KEY, CONTEXT)
    hsm.with_session(TOKEN, lambda session: turn(session, on=False))
    with pytest.raises(KeyAway, match=r"does not let the key .* decrypt: CKA_DECRYPT") as caught:
        hsm.key(uri).unwrap(wrapped, CONTEXT)
    assert caught.value.state == "disabled"
    hsm.with_session(TOKEN, lambda session: turn(session, on=True))
    ticks[0] = 11.0
    assert hsm.key(uri).unwrap(wrapped, CONTEXT) == KEY


def test_a_wrong_pin_is_told_and_a_right_one_helps(library: str) -> None:
    ticks = [0.0]
    pins = ["wrong"]
    key = Hsm(library, lambda: pins[0], Guard(ticks=lambda: ticks[0])).key(uri_of(TOKEN, "pin"))
    import pkcs11

    pkcs11.unload(library)  # logs everybody out
    with pytest.raises(KeyAway, match="refuses the PIN") as caught:
        key.wrap(KEY, CONTEXT)
    assert caught.value.state == "denied"
    pins[0], ticks[0] = PIN, 11.0
    Hsm(library, lambda: PIN).make(uri_of(TOKEN, "pin"))
    assert key.unwrap(key.wrap(KEY, CONTEXT), CONTEXT) == KEY


@pytest.mark.parametrize(
    "uri",
    ["pkcs11:", "pkcs11:token=a", "pkcs11:token=a;object=", "pkcs11:token=a;object=b;pin-value=1"],
)
def test_a_uri_names_token_and_label_and_never_a_pin(uri: str) -> None:
    with pytest.raises(KeyUnusable, match="does not name a key of an HSM"):
        parse(uri)
    assert parse(uri_of("a b;c", "d/e")) == ("a b;c", "d/e")
