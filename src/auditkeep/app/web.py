"""The ASGI application: Starlette as the shell, the API's own dispatcher on the raw path inside."""

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from auditkeep import __version__
from auditkeep.access.tokens import Tokens
from auditkeep.app.parts import Parts
from auditkeep.operations import events
from auditkeep.operations.dispatch import Dispatcher
from auditkeep.operations.files import Files
from auditkeep.operations.sts.service import Sts
from auditkeep.operations.table import only_reads
from auditkeep.operations.tiles import PREFIX, Tiles
from auditkeep.wire.asgi import Endpoint
from auditkeep.wire.messages import Request as WireRequest
from auditkeep.wire.models import auditmanager as am
from auditkeep.wire.query_protocol import FORM, LARGEST

_WRITING_GETS = frozenset(
    operation.path.strip("/").encode()
    for operation in am.OPERATIONS
    if operation.method == "GET" and not only_reads(operation)
)
"""Paths, none of them with labels, whose GET writes all the same."""


@dataclass(frozen=True, slots=True)
class Web:
    """The application, and what to close when no more requests come."""

    app: Starlette
    endpoint: Endpoint
    files: Files
    sts: Endpoint
    tiles: Endpoint
    bus: Endpoint

    @classmethod
    def over(cls, parts: Parts) -> "Web":
        dispatcher = Dispatcher(db=parts.db, deps=parts.deps, clock=parts.clock)
        endpoint = Endpoint(
            dispatcher.answer,
            threads=parts.settings.threads,
            may_write=may_write,
            at_once=dispatcher.at_once,
        )
        files = Files(db=parts.db, deps=parts.deps, clock=parts.clock)
        provider = parts.deps.lake.secrets
        sts = Sts(
            db=parts.db,
            provider=provider,
            settings=parts.settings,
            clock=parts.clock,
            heard=parts.deps.heard,
            keys=parts.lake.keys,
        )
        # threads of its own: it may wait for others' answers, which must hold up no request
        asked = Endpoint(sts.answer, threads=parts.settings.threads, body_limit=LARGEST)
        public = Tiles(parts.lake.objects, Tokens(parts.db, parts.clock, "log").admits)
        tiles = Endpoint(public.answer, threads=1, body_limit=0, may_write=lambda _: False)
        heard = events.Events(
            parts.db, parts.deps, parts.clock, Tokens(parts.db, parts.clock, "events").holder
        )
        # threads of its own: a bus that empties its queue must hold up no person's request
        bus = Endpoint(heard.answer, threads=2, body_limit=events.LARGEST)
        routes = [
            Route("/health", _health),
            _Query(asked),
            _Below(b"/files/", files),
            _Below(PREFIX, tiles),
            _Exactly(events.PATH, bus),
            _Below(b"", endpoint),  # all the rest, the `*` of OPTIONS included
        ]
        return cls(Starlette(routes=routes), endpoint, files, asked, tiles, bus)

    def close(self) -> None:
        self.endpoint.close()
        self.files.close()
        self.sts.close()
        self.tiles.close()
        self.bus.close()


def may_write(request: WireRequest) -> bool:
    """Whether a request may have to wait for another writer."""
    return request.method != "GET" or request.path.strip(b"/") in _WRITING_GETS


class _Below(BaseRoute):
    """All whose path *as sent* begins with a prefix: Starlette's own mounts match the decoded
    path, and none that holds a line break, as a control set's name may.
    """

    def __init__(self, prefix: bytes, app: ASGIApp) -> None:
        self._prefix = prefix
        self._app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = scope.get("raw_path") or b"/"
        fits = scope["type"] == "http" and path.startswith(self._prefix)
        return (Match.FULL if fits else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class _Exactly(_Below):
    """One path, as sent."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        fits = scope["type"] == "http" and scope.get("raw_path") == self._prefix
        return (Match.FULL if fits else Match.NONE), {}


class _Query(BaseRoute):
    """The query protocol: a form posted to `/`, or its parameters in the query of a GET."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        fits = scope["type"] == "http" and (scope.get("raw_path") or b"/") in (b"/", b"")
        if fits and scope["method"] == "POST":
            kinds = [v for k, v in scope["headers"] if k.lower() == b"content-type"]
            fits = len(kinds) == 1 and kinds[0].lower().startswith(FORM)
        elif fits:
            fits = scope["method"] == "GET" and b"Action=" in scope.get("query_string", b"")
        return (Match.FULL if fits else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


async def _health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok", "version": __version__})
