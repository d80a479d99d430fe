"""The ASGI application: Starlette as the shell, the API's own dispatcher on the raw path inside."""

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from auditkeep import __version__
from auditkeep.app.parts import Parts
from auditkeep.operations.dispatch import Dispatcher
from auditkeep.operations.files import Files
from auditkeep.wire.asgi import Endpoint


@dataclass(frozen=True, slots=True)
class Web:
    """The application, and what to close when no more requests come."""

    app: Starlette
    endpoint: Endpoint
    files: Files

    @classmethod
    def over(cls, parts: Parts) -> "Web":
        dispatcher = Dispatcher(db=parts.db, deps=parts.deps, clock=parts.clock)
        endpoint = Endpoint(dispatcher.answer, threads=parts.settings.threads)
        files = Files(db=parts.db, deps=parts.deps, clock=parts.clock)
        routes = [
            Route("/health", _health),
            Mount("/files", files),
            Mount("/", endpoint),
        ]
        return cls(Starlette(routes=routes), endpoint, files)

    def close(self) -> None:
        self.endpoint.close()
        self.files.close()


async def _health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok", "version": __version__})
