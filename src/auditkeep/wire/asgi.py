"""The raw end of the wire: an ASGI application that turns bytes into a Request and back.

It reads the body up to a limit, hands the request to a synchronous function in a bounded pool of
threads, and sends what comes back with the request's id. It knows no operation, no account and no
database. Invariants: the event loop never waits for work; a request is either answered by the
function or refused before it; an answer leaves only when the function has returned; requests that
may write, and so may wait for another writer, never take the threads of those that only read.
A request that the function can answer from memory takes no thread at all: to hand it over and back
would cost more than the answer.
Which those are, whoever makes the application says by a rule on method and path.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from auditkeep.errors import InvalidRequest, Throttled
from auditkeep.wire.errors import describe, to_response
from auditkeep.wire.messages import Headers, Request, Response

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answer = Callable[[Request], Response]
MayWrite = Callable[[Request], bool]
AtOnce = Callable[[Request], Response | None]
"""Whether a request may write, told from method and path alone: it is asked on the event loop."""

BODY_LIMIT = 10 * 1024 * 1024
"""Bytes of a request's body; the largest request of the model is far below."""
WAITING_PER_THREAD = 64
"""Requests that may be inside per thread before new ones are asked to come later."""
BUSY = 1_000_000
"""Microseconds after which a client that was asked to come later may find room."""
PATIENCE = 60.0
"""Seconds a client may be silent in the middle of its own request."""

_LOG = logging.getLogger("auditkeep.wire")


class ClientGone(Exception):
    """The client closed the connection before its request was whole."""


def by_method(request: Request) -> bool:
    """The rule of HTTP itself: GET reads, everything else may write."""
    return request.method != "GET"


def never(_: Request) -> Response | None:
    """Nothing can be answered at once."""
    return None


class Endpoint:
    """Serves `answer` over ASGI; `close` it when no more requests come."""

    def __init__(
        self,
        answer: Answer,
        *,
        threads: int,
        body_limit: int = BODY_LIMIT,
        may_write: MayWrite = by_method,
        at_once: AtOnce = never,
    ) -> None:
        """`at_once` answers, without waiting for anything, what can be answered so."""
        self._answer = answer
        self._at_once = at_once
        self._may_write = may_write
        self._body_limit = body_limit
        writers = max(1, threads // 2)
        self._writers = ThreadPoolExecutor(writers, thread_name_prefix="api-write")
        self._readers = ThreadPoolExecutor(max(1, threads - writers), thread_name_prefix="api-read")
        self._room = threads * WAITING_PER_THREAD

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not await is_http(scope, send):
            return
        request_id = str(uuid.uuid4())
        try:
            response = await self._respond(scope, receive, request_id)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001  # the last place before the client
            _LOG.error("request %s failed\n%s", request_id, describe(error))
            response = to_response(error, request_id)
        await send_response(send, response, request_id)

    async def _respond(self, scope: Scope, receive: Receive, request_id: str) -> Response:
        if self._room <= 0:
            return to_response(
                Throttled(
                    "The server has more requests than it can take; try again.", retry_after=BUSY
                ),
                request_id,
            )
        self._room -= 1
        try:
            body = await read_body(scope, receive, self._body_limit)
            request = request_of(scope, body, request_id)
            if request.method == "GET" and (response := self._at_once(request)) is not None:
                return response
            pool = self._writers if self._may_write(request) else self._readers
            return await asyncio.get_running_loop().run_in_executor(pool, self._answer, request)
        except InvalidRequest as error:
            return to_response(error, request_id)
        finally:
            self._room += 1

    def close(self) -> None:
        for pool in (self._readers, self._writers):
            pool.shutdown(wait=True, cancel_futures=True)


async def is_http(scope: Scope, send: Send) -> bool:
    """Whether it is a request at all; a websocket is closed before it opens."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    return bool(scope["type"] == "http")


def request_of(scope: Scope, body: bytes, request_id: str) -> Request:
    """The request of an ASGI scope, its path as it was sent."""
    raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
    headers: Headers = tuple((bytes(k).lower(), bytes(v)) for k, v in scope["headers"])
    return Request(
        method=scope["method"],
        path=bytes(raw_path).partition(b"?")[0],
        query=bytes(scope.get("query_string", b"")),
        headers=headers,
        body=body,
        request_id=request_id,
        scheme=scope.get("scheme", "http"),
        peer=(scope.get("client") or ("",))[0],
    )


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body; InvalidRequest when it is longer than `limit`."""
    parts = [part async for part in parts_of(scope, receive, limit)]
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def parts_of(scope: Scope, receive: Receive, limit: int) -> AsyncIterator[bytes]:
    """The body as it comes; InvalidRequest as soon as it is known to be longer than `limit`.

    ClientGone when the client leaves, or says nothing for PATIENCE seconds.
    """
    refused = InvalidRequest(
        f"The body is larger than {limit} bytes, the most this server takes.", reason="cannotParse"
    )
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit() and int(value[:20]) > limit:
            raise refused
    size, more = 0, True
    while more:
        message = await _next(receive)
        part = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(part)
        if size > limit:
            raise refused
        if part:
            yield part


async def _next(receive: Receive) -> MutableMapping[str, Any]:
    try:
        async with asyncio.timeout(PATIENCE):
            message = await receive()
    except TimeoutError as error:
        raise ClientGone from error
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message


async def send_response(send: Send, response: Response, request_id: str) -> None:
    headers = [
        *response.headers,
        (b"content-length", str(len(response.body)).encode()),
        (b"x-amzn-requestid", request_id.encode()),
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
