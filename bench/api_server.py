"""The server that `bench.api` asks: the API as served, and beside it handlers that do less.

    python -m bench.api_server DATA PORT SIZE

All run in one process on the same endpoint code, threads and key lookup, and answer SIZE bytes.
`/bare/…` verifies the signature and nothing else; `/read/…`, `/list/…` and `/write/…` also read or
write the rows that the operation at the rest of the path depends on, in one transaction, with the
raw driver; what is kept sealed they seal too.
"""

import hmac
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import uvicorn

from auditkeep import settings
from auditkeep.access.credentials import Credentials
from auditkeep.activity.batcher import ActivityThread, Batcher
from auditkeep.app.parts import Parts, open_parts
from auditkeep.app.web import Web
from auditkeep.clock import SystemClock
from auditkeep.crypto.aead import seal
from auditkeep.errors import RequestError
from auditkeep.ids import new_id
from auditkeep.wire import sigv4
from auditkeep.wire.asgi import Endpoint
from auditkeep.wire.errors import JSON, to_response
from auditkeep.wire.messages import Request, Response

OWNER = "account = ? AND region = ?"
TENANT = f"SELECT status, kms_key, settings, last_evidence_batch FROM tenants WHERE {OWNER}"
COLUMNS = "id, name, status, document, created_at, updated_at, version, frozen_at_batch"
ASSESSMENT = f"SELECT {COLUMNS} FROM assessments WHERE {OWNER} AND id = ?"
PAGE = f"""SELECT {COLUMNS} FROM assessments WHERE {OWNER}
    ORDER BY created_at DESC, id DESC LIMIT 101"""
DELEGATIONS = f"SELECT * FROM delegations WHERE {OWNER} AND assessment_id IN "
TAGGED = f"SELECT name, value FROM tags WHERE {OWNER} AND arn = ?"
TAG = """INSERT INTO tags (account, region, arn, name, key, value) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (account, region, arn, name) DO UPDATE SET value = excluded.value"""
RECORDS = (
    "CREATE TABLE IF NOT EXISTS bench_records (id TEXT PRIMARY KEY, record BLOB) WITHOUT ROWID"
)
RECORD = "INSERT INTO bench_records VALUES (?, ?)"
KEY = b"k" * 32
TOLD = b" " * 1_000
"""About as long as the record of the call, which is kept sealed, in the same transaction."""
TOUCH = f"UPDATE assessments SET version = version + 1 WHERE {OWNER} AND id = ?"

Work = Callable[[sqlite3.Connection, tuple[str, str], Request], None]


def signed_only(parts: Parts, size: int, work: Work | None) -> Endpoint:
    """Verify the signature, do the work in a transaction, and answer constant bytes."""
    credentials, verifier = Credentials(parts.db, parts.lake.secrets), sigv4.Verifier()
    answer = Response(200, b"{" + b" " * (size - 2) + b"}", (JSON,))
    kept = threading.local()

    def handle(request: Request) -> Response:
        now = parts.clock.now()
        try:
            asked = sigv4.parse(request)
            known = credentials.find(asked.access_key_id, now)
            if known is None:
                return Response(403, b"")
            verifier.verify(request, asked, known.secret, "auditmanager", now)
        except RequestError as error:
            return to_response(error, request.request_id)
        if work is not None:
            db = getattr(kept, "db", None)
            if db is None:
                db = kept.db = _connected(parts.settings.data / "audit.db")
            db.execute("BEGIN" if request.method == "GET" else "BEGIN IMMEDIATE")
            work(db, (known.principal.account, asked.region), request)
            db.execute("COMMIT")
        return answer

    return Endpoint(handle, threads=parts.settings.threads)


def _connected(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, isolation_level=None, timeout=30)
    db.execute("PRAGMA synchronous=FULL")
    db.execute(RECORDS)
    return db


def read(db: sqlite3.Connection, owner: tuple[str, str], request: Request) -> None:
    """What GetAssessment reads."""
    db.execute(TENANT, owner).fetchone()
    db.execute(ASSESSMENT, (*owner, request.path.rpartition(b"/")[2].decode())).fetchone()


def listing(db: sqlite3.Connection, owner: tuple[str, str], _request: Request) -> None:
    """What ListAssessments reads."""
    db.execute(TENANT, owner).fetchone()
    found = [row[0] for row in db.execute(PAGE, owner).fetchall()]
    db.execute(f"{DELEGATIONS} ({', '.join('?' * len(found))})", (*owner, *found)).fetchall()


def write(db: sqlite3.Connection, owner: tuple[str, str], request: Request) -> None:
    """What TagResource reads and writes."""
    arn = unquote(request.path.rpartition(b"/")[2].decode())
    assessment = arn.rpartition("/")[2]
    db.execute(TENANT, owner).fetchone()
    db.execute(ASSESSMENT, (*owner, assessment)).fetchone()
    arn += "/raw"  # sealed in another way, so that the operation itself must not find them
    db.execute(TAGGED, (*owner, arn)).fetchall()
    place = arn.encode()
    rows = [
        (*owner, arn, hmac.digest(KEY, key, "sha256")[:16], seal(KEY, key, place), value)
        for key, value in (
            (b"team", seal(KEY, b"platform", place)),
            (b"stage", seal(KEY, b"production", place)),
        )
    ]
    db.executemany(TAG, rows)
    db.execute(TOUCH, (*owner, assessment))
    row = new_id()
    db.execute(RECORD, (row, seal(KEY, TOLD, row.encode())))


def main() -> None:
    data, port, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    parts = open_parts(settings.load(data), SystemClock())
    web = Web.over(parts)
    batcher = Batcher(parts.lake, parts.deps.heard, parts.clock)
    ActivityThread(batcher, parts.clock).start()  # as in service, its share of the processor too
    beside = {
        b"bare": signed_only(parts, size, None),
        b"read": signed_only(parts, size, read),
        b"list": signed_only(parts, size, listing),
        b"write": signed_only(parts, size, write),
    }

    async def application(scope: Any, receive: Any, send: Any) -> None:
        first = scope.get("raw_path", b"").split(b"/")[1]
        await beside.get(first, web.app)(scope, receive, send)

    uvicorn.run(application, port=port, log_level="warning", access_log=False, lifespan="off")


if __name__ == "__main__":
    main()
