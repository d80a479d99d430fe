import datetime as dt
import io
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.s3 import BUCKET, S3Server, end_locks, running_s3

from auditkeep.clock import DAY, FixedClock, SystemClock, parse
from auditkeep.errors import ObjectExists, ObjectMissing, StorageError, StoreAway
from auditkeep.lake.s3 import store as store_module
from auditkeep.lake.s3.control import Version
from auditkeep.lake.s3.copies import Copies
from auditkeep.lake.s3.place import Place
from auditkeep.lake.s3.store import S3Objects, lasting

pytestmark = pytest.mark.server

KMS_KEY = "arn:aws:kms:eu-central-1:111122223333:key/11112222-3333-4444-5555-666677778888"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests of 5 MiB, the least that S3 takes as a part."""
    monkeypatch.setattr(store_module, "PART", 5 << 20)
    monkeypatch.setattr(store_module, "RANGE", 1 << 20)


def test_objects_lie_under_the_prefix_and_no_other_is_seen(s3: S3Server, store: S3Objects) -> None:
    store.put("a/b", b"data")
    s3.client().put_object(Bucket=BUCKET, Key="deployment/two/a/b", Body=b"another's")
    assert s3.shown() == ["deployment/one/a/b", "deployment/two/a/b"]
    assert list(store.list("")) == ["a/b"]


def test_every_put_asks_for_a_free_key_and_names_the_kms_key(s3: S3Server, copies: Copies) -> None:
    store = S3Objects(s3.place(kms_key=KMS_KEY), copies, SystemClock())
    store.put("a/b", b"data")
    (put,) = s3.puts()
    assert put.headers["if-none-match"] == "*"
    assert put.headers["x-amz-server-side-encryption"] == "aws:kms"
    assert put.headers["x-amz-server-side-encryption-aws-kms-key-id"] == KMS_KEY
    assert put.headers["x-amz-server-side-encryption-bucket-key-enabled"] == "true"
    assert put.headers["x-amz-checksum-sha256"]
    found = s3.client().head_object(Bucket=BUCKET, Key="deployment/one/a/b")
    assert found["SSEKMSKeyId"] == KMS_KEY


def test_a_put_whose_answer_was_lost_is_known_as_its_own(s3: S3Server, store: S3Objects) -> None:
    s3.dropping = 1
    store.put("a/b", b"data")
    assert len(s3.puts()) == 2
    assert store.get("a/b") == b"data"
    with pytest.raises(ObjectExists):
        store.put("a/b", b"data")


def test_a_store_that_is_busy_for_a_moment_is_asked_again(s3: S3Server, store: S3Objects) -> None:
    s3.failing = 2
    store.put("a/b", b"data")
    s3.failing = 2
    assert store.get("a/b") == b"data"


def test_a_store_that_stays_away_is_said_so(s3: S3Server, copies: Copies) -> None:
    s3.failing = 1_000
    store = S3Objects(s3.place(timeout_seconds=1.0), copies, SystemClock())
    with pytest.raises(StoreAway, match="SlowDown"):
        store.put("a/b", b"data")
    s3.failing = 0
    nobody = S3Objects(s3.place(endpoint="http://127.0.0.1:9"), copies, SystemClock())
    with pytest.raises(StoreAway, match="does not answer"):
        nobody.get("a/b")
    s3.silent = True
    silent = S3Objects(s3.place(timeout_seconds=0.3), copies, SystemClock())
    with pytest.raises(StoreAway, match="does not answer"):
        silent.get("a/b")
    before = len(s3.asked)
    for ask in (silent.get, silent.exists, silent.delete):
        with pytest.raises(StoreAway, match="does not answer"):
            ask("a/b")
    assert len(s3.asked) == before, "each asked, and waited, for itself"
    s3.silent = False
    s3.ended.set()
    s3.ended.clear()


def test_a_large_object_goes_in_parts_and_takes_its_key_once(
    s3: S3Server, store: S3Objects, small: None
) -> None:
    data = os.urandom((11 << 20) + 7)
    store.put("a/b", iter([data[: 1 << 20], b"", data[1 << 20 :]]))
    assert [a.query.partition("&")[0] for a in s3.puts()] == [
        f"partNumber={n}" if a.query.startswith("part") else a.query
        for n, a in enumerate(s3.puts(), 1)
    ]
    assert len(s3.puts()) == 3
    assert store.size("a/b") == len(data)
    assert store.get("a/b") == data
    with store.open("a/b") as stream:
        assert stream.read(3) == data[:3]
        assert stream.read() == data[3:]
    assert store.near(["a/b"])[0].read_bytes() == data
    ranges = [a for a in s3.asked if "range" in a.headers]
    assert len(ranges) == 3 * 12
    with pytest.raises(ObjectExists):
        store.put("a/b", io.BytesIO(data))
    assert store.get("a/b") == data
    assert store.control.uploads("") == []


def test_a_large_object_that_breaks_off_leaves_nothing(
    s3: S3Server, store: S3Objects, small: None
) -> None:
    def parts() -> object:
        yield b"x" * (11 << 20)
        raise StorageError("broke off")

    with pytest.raises(StorageError, match="broke off"):
        store.put("a/b", parts())  # type: ignore[arg-type]
    assert s3.shown() == []
    assert store.control.uploads("a/") == []


def test_uploads_that_a_crash_left_are_tidied_away(s3: S3Server, store: S3Objects) -> None:
    told = {"Bucket": BUCKET, "Key": "deployment/one/a/b"}
    s3.client().create_multipart_upload(**told)
    s3.client().create_multipart_upload(**told | {"Key": "deployment/one/other"})
    store.tidy("a/")
    assert [key for key, _ in store.control.uploads("")] == ["other"]


def test_a_copy_may_be_taken_anew(s3: S3Server, store: S3Objects) -> None:
    store.put("a/b", b"data")
    (copy,) = store.near(["a/b"])
    copy.write_bytes(b"rotten")
    assert store.near(["a/b"])[0].read_bytes() == b"rotten"
    assert store.anew("a/b").read_bytes() == b"data"
    assert store.near(["a/b"])[0].read_bytes() == b"data"
    with pytest.raises(ObjectMissing):
        store.anew("a/none")


def test_an_empty_object_is_one(store: S3Objects) -> None:
    store.put("a/b", b"")
    assert store.get("a/b") == b""
    with store.open("a/b") as stream:
        assert stream.read() == b""
    assert store.near(["a/b"])[0].read_bytes() == b""


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"denied": {"s3:GetObject"}}, "denies s3:GetObject"),
        ({"skew": 3600}, "clock is more than 15 minutes off"),
    ],
)
def test_refusals_name_what_to_do(
    s3: S3Server, store: S3Objects, how: dict[str, object], words: str
) -> None:
    store.put("a/b", b"data")
    for name, value in how.items():
        setattr(s3, name, value)
    for read in (store.get, store.open):
        with pytest.raises(StoreAway, match=words):
            read("a/b")


def test_wrong_places_and_keys_are_told_apart(
    s3: S3Server, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(place: Place) -> None:
        S3Objects(place, copies, SystemClock()).get("a/b")

    with pytest.raises(StoreAway, match="no bucket"):
        read(Place("another-bucket", region=s3.place().region, endpoint=s3.url))
    with pytest.raises(StoreAway, match="is in eu-central-1"):
        read(s3.place(region="us-west-2"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StoreAway, match=r"credentials \(SignatureDoesNotMatch\)"):
        read(s3.place())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODY")
    with pytest.raises(StoreAway, match=r"credentials \(InvalidAccessKeyId\)"):
        read(s3.place())
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(StoreAway, match="no AWS credentials"):
        read(s3.place())


def test_without_a_region_nothing_is_asked(s3: S3Server, copies: Copies) -> None:
    store = S3Objects(s3.place(region=""), copies, SystemClock())
    with pytest.raises(StoreAway, match="AUDITKEEP_OBJECTS_REGION"):
        store.get("a/b")


def test_a_store_must_prove_who_it_is(s3: S3Server, copies: Copies, tmp_path: Path) -> None:
    """Over TLS, with an authority of one's own: obstore's connections and botocore's alike."""
    authority, context = _tls(tmp_path)
    with running_s3(context) as server:
        trusting = S3Objects(server.place(ca_file=authority), copies, SystemClock())
        trusting.put("a/b", b"data")
        assert trusting.get("a/b") == b"data"
        trusting.control.list_one()
        doubting = S3Objects(server.place(timeout_seconds=1.0), copies, SystemClock())
        for ask in (lambda: doubting.get("a/b"), doubting.control.list_one):
            with pytest.raises(StoreAway, match="AUDITKEEP_OBJECTS_CA_FILE"):
                ask()


def _tls(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """An authority's certificate, and a server's context with one for `localhost` that it signed."""
    now = dt.datetime.now(dt.UTC)

    def signed(name: str, by: x509.Name, key: Any, with_key: Any, *, ca: bool) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(by)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(with_key, hashes.SHA256())
        )

    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    by = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    authority = signed("authority", by, authority_key, authority_key, ca=True)
    leaf = signed("localhost", by, key, authority_key, ca=False)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(authority.public_bytes(pem))
    (folder / "leaf.pem").write_bytes(leaf.public_bytes(pem))
    (folder / "leaf.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "leaf.pem", folder / "leaf.key")
    return folder / "ca.pem", context


# --- versions and locks --------------------------------------------------------------------------


def test_deleting_takes_versions_too(s3: S3Server, store: S3Objects) -> None:
    s3.bucket(versioned=True)
    for content in (b"first", b"second"):
        store.put("a/b", content)
        store.put("a/bc", b"a neighbour") if content == b"first" else None
        store.delete("a/b")
    assert [v.key for v in store.control.versions("")] == ["a/bc"]
    assert store.get("a/bc") == b"a neighbour"


def test_versions_that_may_not_be_deleted_go_later(s3: S3Server, store: S3Objects) -> None:
    s3.bucket(versioned=True)
    now = SystemClock().now()
    store.put("a/b", b"data")
    s3.denied.add("s3:DeleteObjectVersion")
    store.delete("a/b")
    assert not store.exists("a/b")
    held = store.purge("a/", now)
    assert held is not None
    assert (held.objects, held.size, held.until) == (1, 4, None)
    s3.denied.clear()
    assert store.purge("a/", now) is None
    assert list(store.control.versions("")) == []


def test_versions_that_may_not_be_listed_stand_in_nobody_s_way(
    s3: S3Server, store: S3Objects
) -> None:
    s3.bucket(versioned=True)
    s3.denied.add("s3:ListBucketVersions")
    store.put("a/b", b"data")
    store.delete("a/b")
    assert not store.exists("a/b")
    assert not store.may_purge
    assert store.purge("a/", SystemClock().now()) is None


def test_a_store_that_was_silent_is_not_taken_for_one_that_forbids(
    s3: S3Server, store: S3Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.bucket(versioned=True)
    store.put("a/b", b"data")
    store.delete("a/b")
    with monkeypatch.context() as patch:

        def silent(_control: object, _prefix: str) -> Iterator[Version]:
            raise StoreAway("It does not answer.", silent=True)

        patch.setattr(type(store.control), "versions", silent)
        with pytest.raises(StoreAway):
            store.purge("a/", SystemClock().now())
    assert store.may_purge
    assert store.purge("a/", SystemClock().now()) is None
    assert list(store.control.versions("")) == []


def test_a_bucket_that_tells_nothing_of_itself_is_used_without_locks(
    s3: S3Server, store: S3Objects
) -> None:
    s3.bucket(locked=True)
    s3.denied |= {"s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"}
    store.put("segments/a", b"data")
    store.delete("segments/a")
    assert store.control.protection.locked is None
    assert "x-amz-object-lock-mode" not in s3.puts()[0].headers


@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_what_is_to_last_is_locked_by_the_request_that_puts_it(
    s3: S3Server, copies: Copies, mode: str, small: None
) -> None:
    s3.bucket(locked=True)
    clock = FixedClock(SystemClock().now())
    store = S3Objects(s3.place(lock=mode, lock_days=30), copies, clock)
    store.put("segments/a/b/1.parquet", b"data")
    store.put("segments/a/b/2.parquet", b"x" * (6 << 20))
    store.put("log/tile/0/000.p/3", b"a tile that is not full")
    store.replace("log/checkpoint", b"signed")
    for number in (1, 2):
        key = f"deployment/one/segments/a/b/{number}.parquet"
        told = [a.headers for a in s3.puts() if a.path.endswith(key)]
        if number == 2:  # in parts: the request that begins it says so
            told = [a.headers for a in s3.asked if a.query == "uploads" and a.method == "POST"]
        assert told[0]["x-amz-object-lock-mode"] == mode.upper()
        until = parse(told[0]["x-amz-object-lock-retain-until-date"])
        assert abs(until - clock.now() - 30 * DAY) < 2_000_000
    free = [a for a in s3.puts() if "/log/" in a.path]
    assert len(free) == 2
    assert all("x-amz-object-lock-mode" not in a.headers for a in free)
    with pytest.raises(ObjectExists):
        store.put("segments/a/b/1.parquet", b"other")


def test_what_is_locked_is_hidden_at_once_and_taken_away_when_its_lock_ends(
    s3: S3Server, copies: Copies
) -> None:
    s3.bucket(locked=True)
    clock = FixedClock(SystemClock().now())
    store = S3Objects(s3.place(lock_days=30), copies, clock)
    store.put("segments/a/1", b"data")
    store.near(["segments/a/1"])
    store.delete("segments/a/1")
    store.tidy("segments/a/")
    with pytest.raises(ObjectMissing):
        store.get("segments/a/1")
    with pytest.raises(ObjectMissing):
        store.near(["segments/a/1"])
    (version,) = [v for v in store.control.versions("") if not v.marker]
    assert not store.control.destroy(version), "the bucket gave up what it had locked"
    held = store.purge("segments/", clock.now())
    assert held is not None
    assert (held.objects, held.size) == (1, 4)
    assert held.until is not None
    assert abs(held.until - clock.now() - 30 * DAY) < 10_000_000
    clock.advance(31 * DAY)
    end_locks()
    assert store.purge("segments/", clock.now()) is None
    assert list(store.control.versions("")) == []


def test_no_lock_is_asked_for_where_the_operator_wants_none(s3: S3Server, copies: Copies) -> None:
    s3.bucket(locked=True)
    store = S3Objects(s3.place(lock="none"), copies, SystemClock())
    store.put("segments/a/1", b"data")
    assert "x-amz-object-lock-mode" not in s3.puts()[0].headers
    store.delete("segments/a/1")
    assert list(store.control.versions("")) == []


@pytest.mark.parametrize(
    ("key", "lasts"),
    [
        ("segments/111122223333/us-east-1/0197.parquet", True),
        ("leaves/111122223333/us-east-1/3-00ff", True),
        ("blobs/111122223333/us-east-1/manual/abc", True),
        ("blobs/111122223333/us-east-1/uploads/abc", False),
        ("log/tile/0/x001/067", True),
        ("log/tile/0/x001/067.p/8", False),
        ("log/checkpoint", False),
        ("probe/abc", False),
    ],
)
def test_what_lasts(key: str, lasts: bool) -> None:
    assert lasting(key) is lasts
