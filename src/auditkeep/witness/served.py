"""A witness over HTTP: `POST /add-checkpoint` (C2SP tlog-witness), and its health.

Anybody may ask: what is not signed by a log that is watched changes nothing and costs little.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from auditkeep.clock import Clock
from auditkeep.crypto.tls import LOOPBACK, Certificate
from auditkeep.errors import SetupError
from auditkeep.tlog.witness import MAX_REQUEST, PATH
from auditkeep.witness.state import Answer, State

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PATIENCE = 10.0
"""Seconds in which a request must be whole."""


class Witness:
    """The ASGI application."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer = await self._answer(scope, receive)
        headers = [
            (b"content-type", answer.kind.encode()),
            (b"content-length", str(len(answer.body.encode())).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body.encode()})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        if scope["path"] == "/health" and scope["method"] == "GET":
            return Answer(200, "ok\n")
        if scope["path"] != f"/{PATH}":
            return Answer(404, f"This witness answers POST /{PATH}.\n")
        if scope["method"] != "POST":
            return Answer(405, f"/{PATH} takes POST.\n")
        try:
            async with asyncio.timeout(_PATIENCE):
                body = await _body(receive)
        except TimeoutError:
            return Answer(408, "The request did not come to its end.\n")
        if body is None:
            return Answer(413, f"A request has at most {MAX_REQUEST} bytes.\n")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self._state.add_checkpoint, body, self._clock.now())


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None as soon as it is too long."""
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        more = message.get("more_body", False)
        if size > MAX_REQUEST:
            return None
    return b"".join(parts)


def configured(
    state: State,
    clock: Clock,
    host: str,
    port: int,
    certificate: Path | None = None,
    key: Path | None = None,
) -> Any:
    """How uvicorn serves it: with a certificate and its key over TLS, as strictly as a log."""
    if (certificate is None) != (key is None):
        raise SetupError("A certificate and its key go together: name both, or neither.")
    import uvicorn  # noqa: PLC0415  # only who serves needs it

    config = uvicorn.Config(
        Witness(state, clock),
        host=host,
        port=port,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
    )
    config.load()
    if certificate is not None and key is not None:
        config.ssl = Certificate(certificate, key).context
    return config


def serve(
    state: State,
    clock: Clock,
    host: str,
    port: int,
    certificate: Path | None = None,
    key: Path | None = None,
) -> None:
    """Until told to end."""
    import uvicorn  # noqa: PLC0415

    config = configured(state, clock, host, port, certificate, key)
    scheme = "http" if certificate is None else "https"
    if certificate is None and host not in LOOPBACK:
        sys.stderr.write(
            "auditkeep: WARNING: plain HTTP on an address that others reach. What a witness says "
            "is signed, but all can read who asks: name a certificate, or put a TLS proxy before "
            "it.\n"
        )
    sys.stderr.write(f"auditkeep: witness {state.key.name} at {scheme}://{host}:{port}\n")
    uvicorn.Server(config).run()
