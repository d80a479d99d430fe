"""The server that `bench.api` asks: the API as served, and beside it two handlers that do less.

    python -m bench.api_server DATA PORT SIZE

All run in one process on the same endpoint code, threads and key lookup, and answer SIZE bytes.
`/bare/…` verifies the signature and nothing else; `/read/…` also reads the rows that GetAssessment
depends on, in one transaction, with the raw driver.
"""

import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from auditkeep import settings
from auditkeep.access.credentials import Credentials
from auditkeep.activity.batcher import ActivityThread, Batcher
from auditkeep.app.parts import Parts, open_parts
from auditkeep.app.web import Web
from auditkeep.clock import SystemClock
from auditkeep.errors import RequestError
from auditkeep.wire import sigv4
from auditkeep.wire.asgi import Endpoint
from auditkeep.wire.errors import JSON, to_response
from auditkeep.wire.messages import Request, Response

TENANT = """SELECT status, kms_key, settings, last_evidence_batch FROM tenants
    WHERE account = ? AND region = ?"""
ASSESSMENT = """SELECT id, name, status, document, created_at, updated_at, version, frozen_at_batch
    FROM assessments WHERE account = ? AND region = ? AND id = ?"""

Read = Callable[[str, str, Request], None]


def signed_only(parts: Parts, size: int, read: Read) -> Endpoint:
    """Verify the signature, `read`, and answer constant bytes."""
    credentials, verifier = Credentials(parts.db, parts.lake.provider), sigv4.Verifier()
    answer = Response(200, b"{" + b" " * (size - 2) + b"}", (JSON,))

    def handle(request: Request) -> Response:
        now = parts.clock.now()
        try:
            signed = sigv4.parse(request)
            known = credentials.find(signed.access_key_id, now)
            if known is None:
                return Response(403, b"")
            verifier.verify(request, signed, known.secret, "auditmanager", now)
        except RequestError as error:
            return to_response(error, request.request_id)
        read(known.principal.account, signed.region, request)
        return answer

    return Endpoint(handle, threads=parts.settings.threads)


def nothing(_account: str, _region: str, _request: Request) -> None:
    """The bare handler reads nothing."""


def same_rows(parts: Parts) -> Read:
    """What GetAssessment reads, by the driver alone; a connection for each thread."""
    kept = threading.local()

    def read(account: str, region: str, request: Request) -> None:
        connection = getattr(kept, "connection", None)
        if connection is None:
            file = parts.settings.data / "audit.db"
            connection = kept.connection = sqlite3.connect(file, isolation_level=None)
        connection.execute("BEGIN")
        connection.execute(TENANT, (account, region)).fetchone()
        wanted = request.path.rpartition(b"/")[2].decode()
        connection.execute(ASSESSMENT, (account, region, wanted)).fetchone()
        connection.execute("COMMIT")

    return read


def main() -> None:
    data, port, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    parts = open_parts(settings.load(data), SystemClock())
    web = Web.over(parts)
    batcher = Batcher(parts.lake, parts.deps.heard, parts.clock)
    ActivityThread(batcher, parts.clock).start()  # as in service, its share of the processor too
    beside = {
        b"bare": signed_only(parts, size, nothing),
        b"read": signed_only(parts, size, same_rows(parts)),
    }

    async def application(scope: Any, receive: Any, send: Any) -> None:
        first = scope.get("raw_path", b"").split(b"/")[1]
        await beside.get(first, web.app)(scope, receive, send)

    uvicorn.run(application, port=port, log_level="warning", access_log=False, lifespan="off")


if __name__ == "__main__":
    main()
