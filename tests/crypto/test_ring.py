"""All keys of a deployment: lists of masters, and a server that notices a new one by itself."""

import base64
from pathlib import Path

import pytest

from auditkeep.clock import FixedClock, Instant
from auditkeep.crypto.aead import new_key
from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.masters import MasterFile, MasterGiven, encode, parse
from auditkeep.crypto.providers import master_of
from auditkeep.crypto.providers.kept import NAME, KeptKey
from auditkeep.crypto.providers.local import LocalKeyProvider
from auditkeep.crypto.ring import OWN, KeyRing
from auditkeep.crypto.uses import MOST, Uses
from auditkeep.errors import DecryptionFailed, KeyAway, KeyUnusable

CONTEXT = {"account": "111122223333", "region": "us-east-1", "bucket": "b"}
KEY = bytes(range(32))


@pytest.fixture
def file(tmp_path: Path) -> MasterFile:
    LocalKeyProvider.create(tmp_path / "master.key")
    return MasterFile(tmp_path / "master.key")


def test_a_new_master_is_picked_up_and_the_old_one_still_opens(file: MasterFile) -> None:
    ring = KeyRing(file)
    before = ring.key_id
    wrapped = ring.wrap(KEY, CONTEXT)
    file.write([*file.read(), new_key()])
    assert ring.key_ids == (before, ring.key_id)
    assert ring.key_id != before
    assert ring.unwrap(wrapped, CONTEXT) == KEY
    newer = ring.wrap(KEY, CONTEXT)
    assert [master_of(w) for w in (wrapped, newer)] == list(ring.key_ids)
    assert ring.named(before).unwrap(wrapped, CONTEXT) == KEY
    file.write(file.read()[1:])
    assert ring.unwrap(newer, CONTEXT) == KEY
    with pytest.raises(KeyUnusable, match=f"wrapped by the master key {before}"):
        ring.unwrap(wrapped, CONTEXT)


def test_a_list_that_became_readable_for_others_is_refused(
    file: MasterFile, tmp_path: Path
) -> None:
    ring = KeyRing(file)
    file.write([*file.read(), new_key()])
    (tmp_path / "master.key").chmod(0o644)
    with pytest.raises(KeyUnusable, match="open to other users"):
        ring.wrap(KEY, CONTEXT)


def test_a_list_that_is_gone_or_open_keeps_its_key_away_until_it_is_well(
    file: MasterFile, tmp_path: Path
) -> None:
    ring, path = KeyRing(file), tmp_path / "master.key"
    wrapped = ring.wrap(KEY, CONTEXT)
    path.chmod(0o640)
    with pytest.raises(KeyAway, match="open to other users") as caught:
        ring.unwrap(wrapped, CONTEXT)
    assert str(path) in str(caught.value)
    assert "operator" in caught.value.told
    assert str(path) not in caught.value.told, "clients need not know this machine"
    path.chmod(0o600)
    assert ring.unwrap(wrapped, CONTEXT) == KEY
    path.rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(KeyAway, match="is missing"):
            ring.wrap(KEY, CONTEXT)
    LocalKeyProvider.create(path)
    with pytest.raises(KeyAway, match="Put the right key") as caught:
        ring.unwrap(wrapped, CONTEXT)
    assert caught.value.state == "unreachable"
    (tmp_path / "away").rename(path)
    assert ring.unwrap(wrapped, CONTEXT) == KEY


def test_a_list_may_be_handed_to_the_process(tmp_path: Path) -> None:
    secret = new_key()
    text = base64.b64encode(secret)
    given = MasterGiven(text, "AUDITKEEP_MASTER_KEY")
    assert KeyRing(given).key_id == LocalKeyProvider(secret, "").key_id
    assert MasterGiven(encode([secret]), "").read() == (secret,)
    with pytest.raises(KeyUnusable, match="AUDITKEEP_MASTER_KEY, which only you can change"):
        given.write([secret])
    credential = tmp_path / "auditkeep.master-key"
    credential.write_bytes(text)
    credential.chmod(0o440)
    assert MasterGiven.of_credential(credential).read() == (secret,)
    credential.chmod(0o444)
    with pytest.raises(KeyUnusable, match="open to other users"):
        MasterGiven.of_credential(credential)


def test_names_of_keys_held_elsewhere_stand_beside_keys() -> None:
    masters = (new_key(), "arn:aws:kms:us-east-1:111122223333:key/k", "pkcs11:token=a;object=b")
    assert parse(encode(masters), "x") == masters
    with pytest.raises(KeyUnusable, match="AUDITKEEP_KMS=aws"):
        KeyRing(MasterGiven(encode(masters[:2]), "x"))
    with pytest.raises(KeyUnusable, match="has none"):
        KeyRing(MasterGiven(encode(masters[2:]), "x"))
    ring = KeyRing(MasterGiven(encode(masters[:1]), "x"))
    with pytest.raises(KeyUnusable, match="AUDITKEEP_KMS=aws"):
        ring.wrap(KEY, CONTEXT, masters[1])
    assert ring.named(OWN).key_id == ring.key_id


def test_each_use_is_noted_and_what_has_no_room_is_counted(file: MasterFile) -> None:
    uses = Uses(FixedClock(Instant(7)), most=2)
    ring = KeyRing(file, note=uses.note)
    wrapped = ring.wrap(KEY, CONTEXT)
    with pytest.raises(DecryptionFailed):
        ring.unwrap(wrapped, {})
    ring.unwrap(wrapped, CONTEXT)
    held, lost = uses.take()
    assert [(u.operation, u.key_id, u.context, u.error) for u in held] == [
        ("Encrypt", ring.key_id, CONTEXT, ""),
        ("Decrypt", ring.key_id, {}, "DecryptionFailed"),
    ]
    assert lost == 1
    assert uses.take() == ([], 0)
    assert MOST > 1_000


class TestKeptKey:
    def test_secrets_outlive_the_master_that_they_were_made_under(
        self, file: MasterFile, tmp_path: Path
    ) -> None:
        store = KeyStore(tmp_path / "own")
        ring = KeyRing(file)
        kept = KeptKey.create(ring, store)
        sealed = kept.wrap(b"secret", CONTEXT)
        assert KeptKey.create(ring, store).unwrap(sealed, CONTEXT) == b"secret"
        assert store.bucket_ids() == [NAME]
        with pytest.raises(DecryptionFailed):
            kept.unwrap(sealed, {})
        with pytest.raises(DecryptionFailed, match="unknown kind"):
            kept.unwrap(ring.wrap(KEY, CONTEXT), CONTEXT)
        assert kept.key_id == ring.key_id
        assert repr(kept) == f"KeptKey({ring.key_id})"

    def test_its_key_is_asked_for_again_after_a_while_only(
        self, file: MasterFile, tmp_path: Path
    ) -> None:
        ticks = [0.0]
        uses = Uses(FixedClock(Instant(7)))
        ring = KeyRing(file, note=uses.note)
        KeptKey.create(ring, KeyStore(tmp_path / "own"))
        kept = KeptKey(ring, KeyStore(tmp_path / "own"), seconds=60, ticks=lambda: ticks[0])
        for _ in range(3):
            kept.unwrap(kept.wrap(b"secret", CONTEXT), CONTEXT)
        assert [u.operation for u in uses.take()[0]] == ["Encrypt", "Decrypt"]
        ticks[0] = 61.0
        kept.wrap(b"secret", CONTEXT)
        assert [u.operation for u in uses.take()[0]] == ["Decrypt"]
