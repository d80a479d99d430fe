"""Files over our own presigned links: evidence comes in, reports go out.

    PUT /files/uploads/NAME          a file that GetEvidenceFileUploadUrl made room for
    GET /files/reports/BUCKET/KEY    a report, as GetAssessmentReportUrl names it

A link is all the authority there is (`wire.links`): it names the tenant, the method and the path.
Headers that S3 would want (`x-amz-server-side-encryption…`) are ignored. Bodies are streamed: an
upload waits sealed on disk until it is whole, so that no slow client holds a transaction; a
download is opened part by part, and one that was tampered with ends in a broken connection.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, TypeVar, cast
from urllib.parse import quote, unquote_to_bytes

from auditkeep.accounts import quotas
from auditkeep.clock import Clock, Instant
from auditkeep.db.database import Database
from auditkeep.db.schema import uploads
from auditkeep.errors import (
    AuditkeepError,
    KeyAway,
    MethodNotAllowed,
    NotFound,
    ObjectMissing,
    RequestError,
    UnknownOperation,
)
from auditkeep.ids import Tenant, new_id
from auditkeep.lake.blobs import CHUNK, Blob, delete_blob, get_blob, put_blob
from auditkeep.lake.buckets import fetching
from auditkeep.lake.lake import Lake
from auditkeep.operations.call import Deps
from auditkeep.operations.keys import told
from auditkeep.reports.spool import Spool
from auditkeep.wire.asgi import (
    ClientGone,
    Receive,
    Scope,
    Send,
    is_http,
    parts_of,
    request_of,
    send_response,
)
from auditkeep.wire.errors import describe, to_response
from auditkeep.wire.messages import Response

UPLOADS = "/files/uploads/"
REPORTS = "/files/reports/"
UPLOAD_CLASS = "uploads"
"""The key class of files that nobody has imported yet."""

_LOG = logging.getLogger("auditkeep.files")
_T = TypeVar("_T")


class Files:
    """An ASGI application for `/files/…`; `close` it when no more requests come."""

    def __init__(self, *, db: Database, deps: Deps, clock: Clock) -> None:
        self._db = db
        self._lake: Lake = deps.lake
        self._links = deps.links
        self._settings = deps.settings
        self._clock = clock
        self._pool = ThreadPoolExecutor(deps.settings.threads, thread_name_prefix="files")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not await is_http(scope, send):
            return
        request_id = str(uuid.uuid4())
        try:
            answer = await self._respond(scope, receive)
        except ClientGone:
            return
        except RequestError as error:
            answer = to_response(error, request_id)
        except KeyAway as error:
            answer = to_response(told(error), request_id)
        except Exception as error:  # noqa: BLE001  # the client gets an answer, the log the place
            _LOG.error("request %s failed\n%s", request_id, describe(error))
            answer = to_response(error, request_id)
        if isinstance(answer, Response):
            await send_response(send, answer, request_id)
        else:
            await self._stream(send, answer, request_id)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _respond(self, scope: Scope, receive: Receive) -> "Response | _Download":
        method, now = scope["method"], self._clock.now()
        request = request_of(scope, b"", "")
        wanted = _method_of(unquote_to_bytes(request.path).decode(errors="replace"))
        if method != wanted:
            raise MethodNotAllowed(f"This file is asked for with {wanted}.", (wanted,))
        path, tenant = self._links.check(method, request.path, request.query, now)
        if method == "PUT":
            return await self._upload(scope, receive, tenant, path.removeprefix(UPLOADS), now)
        parts = await self._in_thread(partial(self._open, tenant, path.removeprefix("/files/")))
        return _Download(path.rsplit("/", 1)[-1], parts)

    async def _upload(
        self, scope: Scope, receive: Receive, tenant: Tenant, name: str, now: Instant
    ) -> Response:
        """Keep the body under `name`; a second upload takes the first one's place."""
        largest = await self._in_thread(partial(self._largest, tenant))
        with Spool() as spool:
            async for part in _chunks(parts_of(scope, receive, largest)):
                await self._in_thread(partial(spool.append, part))
            keep = partial(self._keep, tenant, name, spool, now)
            kept = await self._in_thread(partial(fetching, keep))
        return Response(200, b"", ((b"etag", f'"{kept.sha256.hex()}"'.encode()),))

    def _largest(self, tenant: Tenant) -> int:
        with self._db.read(tenant) as tx:
            return quotas.limit(tx, self._settings, "manual-file-bytes")

    def _keep(self, tenant: Tenant, name: str, spool: Spool, now: Instant) -> Blob:
        columns = (uploads.c.object_key, uploads.c.size)
        with self._db.write(tenant) as tx:
            row = uploads.c.name_key == tx.digest(uploads.c.name_key, name)
            expected = tx.first(tx.select(*columns).where(row, uploads.c.expires_at > now))
            if expected is None:
                raise NotFound("upload", name)
            source = cast("BinaryIO", _Reader(iter(spool)))
            blob = put_blob(tx, self._lake, UPLOAD_CLASS, f"uploads/{new_id()}", source, now)
            kept = {"object_key": blob.object_id, "size": blob.size, "sha256": blob.sha256}
            tx.run(tx.update(uploads).where(row).values(**kept))
            if expected.size is not None:
                delete_blob(tx, self._lake, expected.object_key)
        return blob

    def _open(self, tenant: Tenant, object_id: str) -> Iterator[bytes]:
        try:
            with self._db.read(tenant) as tx:
                return get_blob(tx, self._lake, object_id)
        except ObjectMissing as error:
            raise NotFound("report", object_id.removeprefix("reports/")) from error

    async def _stream(self, send: Send, download: "_Download", request_id: str) -> None:
        name = quote(download.name, safe="")
        headers = [
            (b"content-type", b"application/zip"),
            (b"content-disposition", f"attachment; filename*=UTF-8''{name}".encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"private, no-store"),
            (b"x-amzn-requestid", request_id.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            while part := await self._in_thread(partial(next, download.parts, b"")):
                await send({"type": "http.response.body", "body": part, "more_body": True})
        except AuditkeepError as error:
            # no end is sent: the server cuts the connection, and the client knows bytes are missing
            _LOG.error("download %s broke off\n%s", request_id, describe(error))
            return
        await send({"type": "http.response.body", "body": b""})

    def _in_thread(self, work: Callable[[], _T]) -> Awaitable[_T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, work)


@dataclass(frozen=True, slots=True)
class _Download:
    name: str
    parts: Iterator[bytes]


class _Reader:
    """A spool read as a stream."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = b""

    def read(self, size: int) -> bytes:
        if not self._rest:
            self._rest = next(self._parts, b"")
        part, self._rest = self._rest[:size], self._rest[size:]
        return part


async def _chunks(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces that are worth a thread's while."""
    waiting = bytearray()
    async for part in parts:
        waiting += part
        if len(waiting) >= CHUNK:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def _method_of(path: str) -> str:
    if path.startswith(UPLOADS):
        return "PUT"
    if path.startswith(REPORTS):
        return "GET"
    raise UnknownOperation("There are no files under this path.")
