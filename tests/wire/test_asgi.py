"""The raw end of the wire: bodies read up to a limit, answers sent with their id."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from auditkeep.errors import AccessDenied
from auditkeep.wire import asgi
from auditkeep.wire.asgi import Endpoint
from auditkeep.wire.messages import Request, Response


class Exchange:
    """One request of an ASGI server: what it has to give, and what it was sent."""

    def __init__(self, *parts: bytes, gone: bool = False, **scope: Any) -> None:
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": "/a/b",
            "raw_path": b"/a%2Fb",
            "query_string": b"x=1",
            "headers": [(b"Host", b"h"), (b"X-One", b"1"), (b"x-one", b"2")],
            "scheme": "https",
            "client": ("192.0.2.7", 50_000),
        } | scope
        messages = [{"type": "http.request", "body": p, "more_body": True} for p in parts]
        end: dict[str, Any] = {"type": "http.disconnect"} if gone else {"type": "http.request"}
        self._messages = [*messages, end]
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        return self._messages.pop(0)

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(m["body"] for m in self.sent[1:])


Serve = Callable[..., Exchange]


@pytest.fixture
def serve() -> Iterator[Serve]:
    opened: list[Endpoint] = []

    def run(answer: Callable[[Request], Response], exchange: Exchange, **how: Any) -> Exchange:
        endpoint = Endpoint(answer, **({"threads": 2} | how))
        opened.append(endpoint)
        asyncio.run(endpoint(exchange.scope, exchange.receive, exchange.send))
        return exchange

    yield run
    for endpoint in opened:
        endpoint.close()


def echo(request: Request) -> Response:
    return Response(200, repr(request).encode(), ((b"x-test", b"1"),))


def test_a_request_arrives_as_it_was_sent(serve: Serve) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        return Response(201, b"done")

    exchange = serve(answer, Exchange(b"ab", b"", b"cd"))
    (request,) = seen
    assert (request.method, request.path, request.query) == ("POST", b"/a%2Fb", b"x=1")
    assert request.body == b"abcd"
    assert request.headers == ((b"host", b"h"), (b"x-one", b"1"), (b"x-one", b"2"))
    assert (request.scheme, request.peer) == ("https", "192.0.2.7")
    assert (exchange.status, exchange.body) == (201, b"done")
    assert exchange.headers[b"content-length"] == b"4"
    assert exchange.headers[b"x-amzn-requestid"].decode() == request.request_id


def test_a_request_over_a_local_socket_has_no_address(serve: Serve) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        return Response(200, b"")

    serve(answer, Exchange(b"", client=None))
    assert seen[0].peer == ""


def test_work_is_done_off_the_event_loop(serve: Serve) -> None:
    names: list[str] = []

    def answer(_: Request) -> Response:
        names.append(threading.current_thread().name)
        return Response(200, b"")

    serve(answer, Exchange())
    assert names[0].startswith("api")


@pytest.mark.parametrize(
    "exchange",
    [
        Exchange(b"x" * 11),
        Exchange(*[b"x"] * 11),
        Exchange(headers=[(b"content-length", b"11")]),
        Exchange(headers=[(b"content-length", b"9" * 5000)]),
    ],
)
def test_a_body_beyond_the_limit_is_refused_before_it_is_read(
    serve: Serve, exchange: Exchange
) -> None:
    serve(echo, exchange, body_limit=10)
    assert exchange.status == 400
    assert exchange.headers[b"x-amzn-errortype"] == b"ValidationException"
    assert "larger than 10 bytes" in json.loads(exchange.body)["message"]


def test_a_body_at_the_limit_is_taken(serve: Serve) -> None:
    assert serve(echo, Exchange(b"x" * 10), body_limit=10).status == 200


def test_a_client_that_left_is_not_answered(serve: Serve) -> None:
    assert serve(echo, Exchange(b"x", gone=True)).sent == []


def test_a_client_that_says_nothing_is_left(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "PATIENCE", 0.01)
    exchange = Exchange()

    async def never() -> Any:
        await asyncio.sleep(60)

    exchange.receive = never  # type: ignore[method-assign]
    assert serve(echo, exchange).sent == []


def test_what_the_answerer_did_not_expect_is_500_and_logged_without_values(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(_: Request) -> Response:
        try:
            int("hunter2")
        except ValueError as error:
            raise AccessDenied("Ours.") from error
        return Response(200, b"")

    def broken(_: Request) -> Response:
        raise KeyError("hunter2")

    assert serve(answer, Exchange()).status == 403
    exchange = serve(broken, Exchange())
    assert exchange.status == 500
    assert exchange.headers[b"x-amzn-requestid"].decode() in caplog.text
    assert "KeyError" in caplog.text
    assert "hunter2" not in caplog.text + exchange.body.decode()
    assert caplog.records[-1].levelno == logging.ERROR


def test_a_crowd_is_asked_to_come_later() -> None:
    release = threading.Event()

    def slow(_: Request) -> Response:
        release.wait(10)
        return Response(200, b"")

    async def crowd(endpoint: Endpoint) -> list[int]:
        exchanges = [Exchange() for _ in range(asgi.WAITING_PER_THREAD + 3)]
        tasks = [asyncio.create_task(endpoint(e.scope, e.receive, e.send)) for e in exchanges]
        await asyncio.sleep(0.05)
        release.set()
        await asyncio.gather(*tasks)
        return [e.status for e in exchanges]

    endpoint = Endpoint(slow, threads=1)
    statuses = asyncio.run(crowd(endpoint))
    assert statuses.count(429) == 3
    assert statuses.count(200) == asgi.WAITING_PER_THREAD
    again = Exchange()
    asyncio.run(endpoint(again.scope, again.receive, again.send))
    assert again.status == 200
    endpoint.close()


def test_the_event_loop_goes_on_while_work_is_done() -> None:
    def slow(_: Request) -> Response:
        time.sleep(0.2)
        return Response(200, b"")

    async def both(endpoint: Endpoint) -> int:
        exchange = Exchange()
        task = asyncio.create_task(endpoint(exchange.scope, exchange.receive, exchange.send))
        turns = 0
        while not task.done():
            await asyncio.sleep(0.01)
            turns += 1
        return turns

    endpoint = Endpoint(slow, threads=1)
    assert asyncio.run(both(endpoint)) > 5
    endpoint.close()


def test_writers_that_wait_do_not_hold_up_readers() -> None:
    release = threading.Event()

    def answer(request: Request) -> Response:
        if request.method != "GET":
            release.wait(10)
        return Response(200, b"")

    async def mixed(endpoint: Endpoint) -> int:
        writes = [Exchange(method="PUT") for _ in range(8)]
        tasks = [asyncio.create_task(endpoint(e.scope, e.receive, e.send)) for e in writes]
        await asyncio.sleep(0.05)
        read = Exchange(method="GET")
        await asyncio.wait_for(endpoint(read.scope, read.receive, read.send), 5)
        release.set()
        await asyncio.gather(*tasks)
        return read.status

    endpoint = Endpoint(answer, threads=4)
    assert asyncio.run(mixed(endpoint)) == 200
    endpoint.close()


def test_a_rule_says_which_requests_may_write() -> None:
    """A GET that writes waits with the writers, and readers do not notice."""
    release = threading.Event()

    def answer(request: Request) -> Response:
        if request.path == b"/room":
            release.wait(10)
        return Response(200, threading.current_thread().name.encode())

    async def mixed(endpoint: Endpoint) -> tuple[bytes, list[bytes]]:
        writes = [Exchange(method="GET", path="/room", raw_path=b"/room") for _ in range(8)]
        tasks = [asyncio.create_task(endpoint(e.scope, e.receive, e.send)) for e in writes]
        await asyncio.sleep(0.05)
        read = Exchange(method="GET")
        await asyncio.wait_for(endpoint(read.scope, read.receive, read.send), 5)
        release.set()
        await asyncio.gather(*tasks)
        return read.body, [e.body for e in writes]

    endpoint = Endpoint(answer, threads=4, may_write=lambda r: r.path == b"/room")
    read, written = asyncio.run(mixed(endpoint))
    assert read.startswith(b"api-read")
    assert all(name.startswith(b"api-write") for name in written)
    endpoint.close()


def test_a_websocket_is_closed(serve: Serve) -> None:
    exchange = serve(echo, Exchange(type="websocket"))
    assert [m["type"] for m in exchange.sent] == ["websocket.close"]
