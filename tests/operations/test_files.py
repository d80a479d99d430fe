"""Files over our own links: uploads and downloads, streamed."""

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.wire.test_asgi import Exchange

from auditkeep.clock import MINUTE, FixedClock
from auditkeep.db.database import Database
from auditkeep.db.schema import uploads
from auditkeep.evidence.manual import UPLOAD_KEPT, expect_upload
from auditkeep.ids import Tenant
from auditkeep.lake.blobs import CHUNK, get_blob, object_name, put_blob
from auditkeep.operations.call import Deps
from auditkeep.operations.files import Files
from auditkeep.settings import Settings

pytestmark = pytest.mark.keys_elsewhere

TENANT = Tenant("111122223333", "us-east-1")
BASE = "http://127.0.0.1:8080"


@pytest.fixture
def deps(deps: Deps) -> Deps:
    return replace(
        deps, settings=Settings(data=deps.settings.data, quotas={"manual-file-bytes": 3 * CHUNK})
    )


@pytest.fixture
def files(db: Database, deps: Deps, clock: FixedClock) -> Iterator[Files]:
    made = Files(db=db, deps=deps, clock=clock)
    yield made
    made.close()


def exchange(link: str, method: str, *parts: bytes, **how: Any) -> Exchange:
    url = urlsplit(link)
    scope: dict[str, Any] = {
        "method": method,
        "path": url.path,
        "raw_path": url.path.encode(),
        "query_string": url.query.encode(),
        "headers": [],
    }
    return Exchange(*parts, **(scope | how))


def serve(files: Files, asked: Exchange) -> Exchange:
    asyncio.run(files(asked.scope, asked.receive, asked.send))
    return asked


def upload_link(
    db: Database, deps: Deps, clock: FixedClock, name: str = "policy v2.pdf"
) -> tuple[str, str]:
    with db.write(TENANT) as tx:
        given = expect_upload(tx, deps.lake, name, clock.now())
    path = f"/files/uploads/{given}"
    link = deps.links.make(BASE, path, clock.now(), tenant=TENANT, method="PUT")
    return given, link


def kept(db: Database, deps: Deps, name: str) -> bytes:
    with db.read(TENANT) as tx:
        row = tx.first(
            tx.select(uploads).where(uploads.c.name_key == tx.digest(uploads.c.name_key, name))
        )
        assert row is not None
        content = b"".join(get_blob(tx, deps.lake, row.object_key))
    assert row.size == len(content)
    assert row.sha256 == hashlib.sha256(content).digest()
    return content


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_an_upload_is_kept_whole(
    db: Database, deps: Deps, clock: FixedClock, files: Files, size: int
) -> None:
    content = bytes(i % 251 for i in range(1000)) * (size // 1000 + 1)
    content = content[:size]
    name, link = upload_link(db, deps, clock)
    parts = [content[i : i + 300_000] for i in range(0, size, 300_000)]
    headers = [(b"x-amz-server-side-encryption", b"aws:kms")]
    answer = serve(files, exchange(link, "PUT", *parts, headers=headers))
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers[b"etag"] == f'"{hashlib.sha256(content).hexdigest()}"'.encode()
    assert kept(db, deps, name) == content


def test_nothing_of_an_upload_lies_in_clear(
    db: Database, deps: Deps, clock: FixedClock, files: Files, tmp_path: Path
) -> None:
    _, link = upload_link(db, deps, clock)
    serve(files, exchange(link, "PUT", b"the very secret policy" * 1000))
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"secret policy" not in file.read_bytes()


def test_a_second_upload_takes_the_first_one_s_place(
    db: Database, deps: Deps, clock: FixedClock, files: Files
) -> None:
    name, link = upload_link(db, deps, clock)
    serve(files, exchange(link, "PUT", b"one"))
    serve(files, exchange(link, "PUT", b"two"))
    assert kept(db, deps, name) == b"two"
    assert len(list(deps.lake.objects.list(object_name(TENANT, "uploads/")))) == 1


@pytest.mark.parametrize("how", ["counted", "announced"])
def test_an_upload_beyond_the_limit_is_refused(
    db: Database, deps: Deps, clock: FixedClock, files: Files, how: str
) -> None:
    _, link = upload_link(db, deps, clock)
    headers = [(b"content-length", str(3 * CHUNK + 1).encode())] if how == "announced" else []
    parts = [b"x" * CHUNK] * 3 + [b"x"] if how == "counted" else []
    answer = serve(files, exchange(link, "PUT", *parts, headers=headers))
    assert answer.status == 400
    assert b"larger than" in answer.body
    assert list(deps.lake.objects.list(object_name(TENANT, "uploads/"))) == []


def test_a_client_that_leaves_changes_nothing(
    db: Database, deps: Deps, clock: FixedClock, files: Files
) -> None:
    name, link = upload_link(db, deps, clock)
    assert serve(files, exchange(link, "PUT", b"x" * CHUNK, gone=True)).sent == []
    with db.read(TENANT) as tx:
        assert (
            tx.scalar(
                tx.select(uploads.c.size).where(
                    uploads.c.name_key == tx.digest(uploads.c.name_key, name)
                )
            )
            is None
        )
    assert list(deps.lake.objects.list(object_name(TENANT, "uploads/"))) == []


def test_an_upload_nobody_expects_any_more_is_404(
    db: Database, deps: Deps, clock: FixedClock, files: Files
) -> None:
    _, _ = upload_link(db, deps, clock)
    stray = deps.links.make(BASE, "/files/uploads/x", clock.now(), tenant=TENANT, method="PUT")
    assert serve(files, exchange(stray, "PUT", b"x")).status == 404
    name, _ = upload_link(db, deps, clock)
    clock.advance(UPLOAD_KEPT)
    late = deps.links.make(BASE, f"/files/uploads/{name}", clock.now(), tenant=TENANT, method="PUT")
    assert serve(files, exchange(late, "PUT", b"x")).status == 404


def test_an_upload_belongs_to_the_link_s_tenant(
    db: Database, deps: Deps, clock: FixedClock, files: Files
) -> None:
    name, _ = upload_link(db, deps, clock)
    other = Tenant("999988887777", "us-east-1")
    link = deps.links.make(BASE, f"/files/uploads/{name}", clock.now(), tenant=other, method="PUT")
    assert serve(files, exchange(link, "PUT", b"x")).status == 404


def report_link(db: Database, deps: Deps, clock: FixedClock, content: bytes) -> str:
    key = "reports/audit-reports/a b/report-é.zip"
    with db.write(TENANT) as tx:
        put_blob(tx, deps.lake, "reports", key, content, clock.now())
    return deps.links.make(BASE, f"/files/{key}", clock.now(), tenant=TENANT)


@pytest.mark.parametrize("size", [1, CHUNK, 2 * CHUNK + 5])
def test_a_report_is_given_out_whole(
    db: Database, deps: Deps, clock: FixedClock, files: Files, size: int
) -> None:
    link = report_link(db, deps, clock, b"z" * size)
    assert "/files/reports/audit-reports/a%20b/" in link
    answer = serve(files, exchange(link, "GET"))
    assert (answer.status, answer.body) == (200, b"z" * size)
    assert not answer.sent[-1].get("more_body")
    assert (
        answer.headers[b"content-disposition"] == b"attachment; filename*=UTF-8''report-%C3%A9.zip"
    )


def test_a_report_that_is_gone_is_404(deps: Deps, clock: FixedClock, files: Files) -> None:
    link = deps.links.make(BASE, "/files/reports/b/x.zip", clock.now(), tenant=TENANT)
    assert serve(files, exchange(link, "GET")).status == 404


def test_a_report_that_was_changed_on_disk_never_ends_well(
    db: Database, deps: Deps, clock: FixedClock, files: Files, tmp_path: Path
) -> None:
    link = report_link(db, deps, clock, b"z" * (2 * CHUNK))
    (stored,) = [
        f for f in (tmp_path / "objects").rglob("*") if f.is_file() and f.stat().st_size > CHUNK
    ]
    content = bytearray(stored.read_bytes())
    content[-1] ^= 1
    stored.chmod(0o600)
    stored.write_bytes(content)
    answer = serve(files, exchange(link, "GET"))
    assert all(m.get("more_body", True) for m in answer.sent[1:])
    assert answer.body == b"z" * CHUNK


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/files/reports/b/x.zip", 403),
        ("PUT", "/files/uploads/x", 403),
        ("GET", "/files/uploads/x", 405),
        ("DELETE", "/files/reports/b/x.zip", 405),
        ("GET", "/files/else", 404),
        ("GET", "/files", 404),
    ],
)
def test_without_a_link_there_is_nothing(files: Files, method: str, path: str, status: int) -> None:
    assert serve(files, exchange(BASE + path, method)).status == status


def test_a_link_ends(db: Database, deps: Deps, clock: FixedClock, files: Files) -> None:
    link = report_link(db, deps, clock, b"z")
    clock.advance(15 * MINUTE)
    answer = serve(files, exchange(link, "GET"))
    assert answer.status == 403
    assert b"has ended" in answer.body


def test_a_report_link_does_not_open_another_tenant_s_report(
    db: Database, deps: Deps, clock: FixedClock, files: Files
) -> None:
    report_link(db, deps, clock, b"z")
    other = Tenant("999988887777", "us-east-1")
    path = "/files/reports/audit-reports/a b/report-é.zip"
    link = deps.links.make(BASE, path, clock.now(), tenant=other)
    assert serve(files, exchange(link, "GET")).status == 404
