from pathlib import Path

import pytest
from tests.s3 import BUCKET, REGION, S3Server

from auditkeep.app.stores import proven, store_of
from auditkeep.clock import SystemClock
from auditkeep.errors import SetupError, StoreAway
from auditkeep.lake.objects import LocalObjects
from auditkeep.settings import load


def test_a_folder_is_the_default(tmp_path: Path) -> None:
    store = store_of(load(tmp_path), SystemClock())
    assert isinstance(store, LocalObjects)
    assert proven(store) == []


def test_a_bucket_is_named_by_its_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITKEEP_OBJECTS", "s3://acme-evidence/audit/keep/")
    place = store_of(load(tmp_path), SystemClock()).place  # type: ignore[attr-defined]
    assert (place.bucket, place.prefix, place.url) == (
        "acme-evidence",
        "audit/keep",
        "s3://acme-evidence/audit/keep",
    )
    assert (place.lock, place.lock_days) == ("governance", 731)
    monkeypatch.setenv("AUDITKEEP_RETENTION_DAYS", '{"facts": 2555}')
    assert store_of(load(tmp_path), SystemClock()).place.lock_days == 2555  # type: ignore[attr-defined]
    monkeypatch.setenv("AUDITKEEP_RETENTION_DAYS", '{"facts": null}')
    assert store_of(load(tmp_path), SystemClock()).place.lock_days == 731  # type: ignore[attr-defined]
    monkeypatch.setenv("AUDITKEEP_OBJECTS_LOCK_DAYS", "30")
    assert store_of(load(tmp_path), SystemClock()).place.lock_days == 30  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OBJECTS", "s3://key:secret@acme-evidence/x"),
        ("OBJECTS", "s3://acme-evidence/x?token=1"),
        ("OBJECTS", "s3://acme-evidence/x//y"),
        ("OBJECTS", "s3://"),
        ("OBJECTS", "gs://acme-evidence"),
        ("OBJECTS", "/srv/objects"),
        ("OBJECTS_ENDPOINT_URL", "https://user:secret@store.example.org"),
        ("OBJECTS_ENDPOINT_URL", "http://store.example.org"),
        ("OBJECTS_CA_FILE", "/etc/ca.pem"),
        ("OBJECTS_LOCK", "always"),
    ],
)
def test_what_names_no_bucket_or_holds_a_secret_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"AUDITKEEP_{name}", value)
    with pytest.raises(SetupError, match=r"AUDITKEEP_OBJECTS|URL") as refused:
        load(tmp_path)
    assert "secret" not in str(refused.value)


@pytest.mark.server
def test_a_bucket_is_proven_before_a_start(
    tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITKEEP_OBJECTS", f"s3://{BUCKET}/x")
    monkeypatch.setenv("AUDITKEEP_OBJECTS_ENDPOINT_URL", s3.url)
    monkeypatch.setenv("AUDITKEEP_OBJECTS_REGION", REGION)
    assert proven(store_of(load(tmp_path), SystemClock())) == []
    s3.denied.add("s3:PutObject")
    with pytest.raises(StoreAway, match="denies s3:PutObject"):
        proven(store_of(load(tmp_path), SystemClock()))
