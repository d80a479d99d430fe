"""The life of a request: from its bytes to the bytes of its answer.

    route (raw path) → who signed it → how often? → written at all? → decode and validate
        → identity policy → one transaction: registered? → operation → encode → commit

An identity policy that asks for tags of the resource is decided first thing in the transaction.

Invariants: exactly one transaction per request, read-only where the operation only reads, and
committed before the first byte leaves; a request refused at any step changes nothing; `now` is
read once. Requests that write to one tenant follow each other, so that what an operation has read
still holds when it writes; one that the database undid is tried again (ADR 0016). The second layer
of authorisation is asked by the operations themselves, which know the roles (`access.grants`).
"""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from time import perf_counter

from auditkeep.access.credentials import Credentials
from auditkeep.accounts import store as accounts
from auditkeep.clock import SECOND, Clock
from auditkeep.db.database import Database
from auditkeep.db.tx import Tx
from auditkeep.errors import Contended, NotWrittenYet, RequestError, Throttled, UnknownOperation
from auditkeep.ids import Tenant
from auditkeep.operations.authenticate import Authenticator
from auditkeep.operations.authorise import Authoriser
from auditkeep.operations.call import Call, Deps, Handler
from auditkeep.operations.table import OPEN_TO_UNREGISTERED, OPERATIONS, TABLE, only_reads
from auditkeep.operations.throttling import Throttle
from auditkeep.wire import codec
from auditkeep.wire.errors import JSON, describe, to_response
from auditkeep.wire.messages import Request, Response
from auditkeep.wire.model import AnyOperation
from auditkeep.wire.peers import Proxies
from auditkeep.wire.router import Match, Router

TRIES = 4
"""How often a request that the database undid is begun."""

_LOG = logging.getLogger("auditkeep.requests")


class Dispatcher:
    """Answers requests of every service of the table. Safe to share between threads."""

    def __init__(
        self,
        *,
        db: Database,
        deps: Deps,
        clock: Clock,
        table: Mapping[AnyOperation, Handler] = TABLE,
        operations: tuple[AnyOperation, ...] = OPERATIONS,
    ) -> None:
        self._db = db
        self._deps = deps
        self._clock = clock
        self._table = table
        self._router = Router(operations)
        self._throttle = Throttle(deps.settings.throttle_rate, deps.settings.throttle_burst)
        self._authoriser = Authoriser(db, Proxies(deps.settings.proxies))
        self._external_url = deps.settings.external_url.rstrip("/")
        self._authenticator = Authenticator(Credentials(db, deps.lake.provider), self._external_url)

    def answer(self, request: Request) -> Response:
        """The response to a request, whatever becomes of it."""
        started, name = perf_counter(), "nothing known"
        try:
            match = self._router.find(request.method, request.path)
            name = match.operation.name
            response = self._tried(request, match)
        except UnknownOperation as error:
            explained = self._authenticator.explain(request, error, self._clock.now())
            response = to_response(explained, request.request_id)
        except RequestError as error:
            response = to_response(error, request.request_id)
        except Exception as error:  # noqa: BLE001  # the client gets an answer, the log the place
            _LOG.error("request %s for %s failed\n%s", request.request_id, name, describe(error))
            response = to_response(error, request.request_id)
        milliseconds = (perf_counter() - started) * 1000
        _LOG.info("%s %s %d in %.1f ms", request.request_id, name, response.status, milliseconds)
        return response

    def _tried(self, request: Request, match: Match) -> Response:
        """The answer, also where the database undid the first try for another change's sake."""
        for _ in range(TRIES):
            try:
                return self._answer(request, match)
            except Contended as error:
                _LOG.warning("%s: %s", request.request_id, error)
                if not error.again:
                    break
        raise Throttled(
            "Others were changing the same at this moment; nothing was done. Try again.",
            retry_after=SECOND,
        )

    def _answer(self, request: Request, match: Match) -> Response:
        now = self._clock.now()
        service = match.operation.service
        principal, tenant = self._authenticator.authenticate(request, service, now)
        self._throttle.take(tenant, now)
        function = self._table.get(match.operation)
        if function is None:
            raise NotWrittenYet(f"{match.operation.name} is not written yet in this version.")
        ask = codec.decode(match.operation, match.labels, request.query, request.body)
        pending = self._authoriser.require(request, principal, match.operation, tenant, ask, now)
        with self._transaction(match.operation, tenant) as tx:
            if tx.writable:
                tx.lock_tenant()
            if pending is not None:
                pending(tx)
            if match.operation not in OPEN_TO_UNREGISTERED:
                accounts.require_active(tx)
            call = Call(
                tx=tx,
                tenant=tenant,
                principal=principal,
                now=now,
                request_id=request.request_id,
                base_url=self._base_url(request),
                deps=self._deps,
            )
            # inside: an answer that cannot be encoded must not have changed anything
            body = codec.encode(function(call, ask))
        return Response(200, body, (JSON,))

    def _transaction(self, operation: AnyOperation, tenant: Tenant) -> AbstractContextManager[Tx]:
        return self._db.read(tenant) if only_reads(operation) else self._db.write(tenant)

    def _base_url(self, request: Request) -> str:
        if self._external_url:
            return self._external_url
        host = request.header(b"host") or b""  # part of every signature
        return f"{request.scheme}://{host.decode('latin-1')}"
