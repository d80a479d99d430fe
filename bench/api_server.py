"""The server that `bench.api` asks: the API as served, and beside it a bare signed handler.

    python -m bench.api_server DATA PORT SIZE

Both run in one process on the same endpoint code, threads and key lookup. The bare one, at
`/bare/…`, verifies the signature and answers SIZE constant bytes: nobody who checks signatures in
Python can do less.
"""

import sys
from pathlib import Path
from typing import Any

import uvicorn

from auditkeep import settings
from auditkeep.access.credentials import Credentials
from auditkeep.app.parts import Parts, open_parts
from auditkeep.app.web import Web
from auditkeep.clock import SystemClock
from auditkeep.errors import RequestError
from auditkeep.wire import sigv4
from auditkeep.wire.asgi import Endpoint
from auditkeep.wire.errors import JSON, to_response
from auditkeep.wire.messages import Request, Response

BARE = b"/bare/"


def bare(parts: Parts, size: int) -> Endpoint:
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
        return answer

    return Endpoint(handle, threads=parts.settings.threads)


def main() -> None:
    data, port, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    parts = open_parts(settings.load(data), SystemClock())
    web, beside = Web.over(parts), bare(parts, size)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        is_bare = scope.get("raw_path", b"").startswith(BARE)
        await (beside if is_bare else web.app)(scope, receive, send)

    uvicorn.run(application, port=port, log_level="warning", access_log=False, lifespan="off")


if __name__ == "__main__":
    main()
