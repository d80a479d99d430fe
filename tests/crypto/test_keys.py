"""Key files, the local provider and the key store: what is refused, and in which words."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.crypto import keyfiles
from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.providers import KeyProvider
from auditkeep.crypto.providers.local import LocalKeyProvider
from auditkeep.errors import DecryptionFailed, KeyUnusable, ObjectExists

CONTEXT = {"account": "111122223333", "region": "us-east-1", "bucket": "b"}
BUCKET_KEY = bytes(range(32))


@pytest.fixture
def master(tmp_path: Path) -> Path:
    LocalKeyProvider.create(tmp_path / "master.key")
    return tmp_path / "master.key"


def test_a_wrapped_key_comes_back_after_a_restart(master: Path) -> None:
    provider: KeyProvider = LocalKeyProvider.open(master)
    wrapped = provider.wrap(BUCKET_KEY, CONTEXT)
    again = LocalKeyProvider.open(master)
    assert again.unwrap(wrapped, dict(reversed(CONTEXT.items()))) == BUCKET_KEY
    assert again.key_id == provider.key_id
    assert provider.key_id.startswith("local:")
    assert len(provider.key_id) == len("local:") + 16
    assert BUCKET_KEY not in wrapped


def test_a_new_key_never_replaces_one_that_is_there(master: Path) -> None:
    before = master.read_bytes()
    with pytest.raises(KeyUnusable, match="exists already"):
        LocalKeyProvider.create(master)
    assert master.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o660])
def test_a_key_that_others_may_touch_is_refused_with_the_remedy(master: Path, mode: int) -> None:
    master.chmod(mode)
    with pytest.raises(KeyUnusable, match=f"mode {mode:04o}.*chmod 600 {master}"):
        LocalKeyProvider.open(master)


def test_another_bucket_does_not_unwrap(master: Path) -> None:
    provider = LocalKeyProvider.open(master)
    wrapped = provider.wrap(BUCKET_KEY, CONTEXT)
    with pytest.raises(DecryptionFailed):
        provider.unwrap(wrapped, {**CONTEXT, "bucket": "c"})


def test_a_wrong_master_key_is_named(master: Path, tmp_path: Path) -> None:
    right = LocalKeyProvider.open(master)
    wrong = LocalKeyProvider.create(tmp_path / "other.key")
    with pytest.raises(KeyUnusable) as caught:
        wrong.unwrap(right.wrap(BUCKET_KEY, CONTEXT), CONTEXT)
    assert not isinstance(caught.value, DecryptionFailed)
    assert right.key_id in str(caught.value)
    assert wrong.key_id in str(caught.value)
    assert "other.key" in str(caught.value)


@given(data=st.data())
def test_a_changed_wrapped_key_never_unwraps(data: st.DataObject) -> None:
    provider = LocalKeyProvider(bytes(32), "test")
    wrapped = bytearray(provider.wrap(BUCKET_KEY, CONTEXT))
    place = data.draw(st.integers(0, len(wrapped) * 8 - 1))
    wrapped[place // 8] ^= 1 << place % 8
    with pytest.raises(KeyUnusable):
        provider.unwrap(bytes(wrapped), CONTEXT)


@given(st.binary(max_size=60))
def test_noise_is_not_a_wrapped_key(noise: bytes) -> None:
    with pytest.raises(KeyUnusable):
        LocalKeyProvider(bytes(32), "test").unwrap(noise, CONTEXT)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"noise",
        b"auditkeep/master-key/1\n",
        b"auditkeep/master-key/1\nAAAA\n",
        b"auditkeep/master-key/1\n!!!!\n",
        b"auditkeep/master-key/2\n" + b"A" * 43 + b"=\n",
    ],
)
def test_a_garbled_key_file_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "master.key"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(KeyUnusable, match="not an Auditkeep master key file") as caught:
        LocalKeyProvider.open(file)
    assert "AAAA" not in str(caught.value)


def test_what_is_no_key_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable, match="is missing"):
        keyfiles.read(tmp_path / "none")
    with pytest.raises(KeyUnusable, match="is not a file"):
        keyfiles.read(tmp_path)
    large = tmp_path / "large"
    large.write_bytes(bytes(keyfiles.MAX_SIZE + 1))
    large.chmod(0o600)
    with pytest.raises(KeyUnusable, match="too large"):
        keyfiles.read(large)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(KeyUnusable, match="is not a file"):
        keyfiles.read(tmp_path / "pipe")


def test_no_secret_in_what_is_printed(master: Path) -> None:
    provider = LocalKeyProvider.open(master)
    secret = master.read_text().splitlines()[1]
    assert secret not in repr(provider) + str(provider)
    assert repr(provider) == f"LocalKeyProvider({provider.key_id})"


class TestKeyStore:
    def test_keeps_and_gives_back(self, tmp_path: Path) -> None:
        store = KeyStore(tmp_path / "keys")
        assert store.bucket_ids() == []
        store.put("b-1", b"wrapped")
        assert KeyStore(tmp_path / "keys").get("b-1") == b"wrapped"
        assert store.bucket_ids() == ["b-1"]

    def test_never_replaces(self, tmp_path: Path) -> None:
        store = KeyStore(tmp_path)
        store.put("b", b"first")
        with pytest.raises(ObjectExists):
            store.put("b", b"second")
        assert store.get("b") == b"first"

    def test_a_destroyed_key_is_gone_also_for_who_has_the_file_open(self, tmp_path: Path) -> None:
        store = KeyStore(tmp_path)
        store.put("b", b"wrapped")
        with (tmp_path / "b").open("rb") as held:
            store.destroy("b")
            assert held.read() == b""
        with pytest.raises(KeyUnusable, match="was destroyed"):
            store.get("b")
        store.destroy("b")
        assert list(tmp_path.iterdir()) == []

    def test_what_a_rotation_that_died_was_about_to_put_is_destroyed_too(
        self, tmp_path: Path
    ) -> None:
        store = KeyStore(tmp_path)
        store.put("b", b"wrapped")
        left = tmp_path / ".new-b"
        left.write_bytes(b"wrapped anew")
        with left.open("rb") as held:
            store.destroy("b")
            assert held.read() == b""
        assert list(tmp_path.iterdir()) == []

    def test_a_rotation_that_goes_on_puts_away_what_one_that_died_has_left(
        self, tmp_path: Path
    ) -> None:
        store = KeyStore(tmp_path)
        store.put("b", b"wrapped")
        (tmp_path / ".new-b").write_bytes(b"half")
        store.rewrap({"b": (b"wrapped", b"anew")})
        assert [p.name for p in tmp_path.iterdir()] == ["b"]
        assert store.get("b") == b"anew"

    def test_a_destruction_cut_off_by_a_power_cut_still_destroyed(self, tmp_path: Path) -> None:
        store = KeyStore(tmp_path)
        store.put("b", b"wrapped")
        os.truncate(tmp_path / "b", 0)
        with pytest.raises(KeyUnusable, match="was destroyed"):
            store.get("b")
        store.destroy("b")
        assert store.bucket_ids() == []

    @pytest.mark.parametrize(
        "name", ["", ".", "..", "a/b", "../x", ".new-a", "a\n", "ä", "x" * 129]
    )
    def test_only_plain_names(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(KeyUnusable, match="cannot be the id"):
            KeyStore(tmp_path).get(name)

    def test_an_empty_key_is_not_kept(self, tmp_path: Path) -> None:
        with pytest.raises(KeyUnusable, match="empty"):
            KeyStore(tmp_path).put("b", b"")
