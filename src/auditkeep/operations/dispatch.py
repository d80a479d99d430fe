"""The life of a request: from its bytes to the bytes of its answer.

    route (raw path) → who signed it → how often? → written at all? → decode and validate
        → identity policy → fetch from outside (`before`)
        → one transaction: registered? → operation → encode → commit

An identity policy that asks for tags of the resource is decided first thing in the transaction.
What is asked for most goes a shorter way (`Dispatcher.at_once`): one query tells whether the answer
given last still holds.

Invariants: exactly one transaction per request, read-only where the operation only reads, and
committed before the first byte leaves; a request refused at any step changes nothing; `now` is
read once. Requests that write to one tenant follow each other, so that what an operation has read
still holds when it writes; one that the database undid is tried again (ADR 0016). The second layer
of authorisation is asked by the operations themselves, which know the roles (`access.grants`).
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter

from auditkeep.access.credentials import Credentials
from auditkeep.access.principals import Principal
from auditkeep.accounts import quotas
from auditkeep.accounts import store as accounts
from auditkeep.activity.heard import Heard
from auditkeep.clock import SECOND, Clock, Instant
from auditkeep.db.database import Database
from auditkeep.db.tx import Tx
from auditkeep.errors import (
    AuditkeepError,
    Contended,
    KeyAway,
    NotWrittenYet,
    RequestError,
    Throttled,
    UnknownOperation,
)
from auditkeep.ids import Tenant
from auditkeep.lake.buckets import fetching
from auditkeep.operations import hygiene
from auditkeep.operations.authenticate import Authenticator
from auditkeep.operations.authorise import Authoriser
from auditkeep.operations.before import FETCHES, NONE, NOTHING, Fetched
from auditkeep.operations.call import Call, Deps, Handler
from auditkeep.operations.keys import told
from auditkeep.operations.recording import Recording
from auditkeep.operations.table import (
    GLANCES,
    OPEN_TO_UNREGISTERED,
    OPERATIONS,
    TABLE,
    Glance,
    only_reads,
)
from auditkeep.operations.throttling import Throttle
from auditkeep.wire import codec
from auditkeep.wire.errors import JSON, describe, to_response
from auditkeep.wire.messages import Request, Response
from auditkeep.wire.model import AnyOperation
from auditkeep.wire.peers import Proxies
from auditkeep.wire.router import Match, Router

TRIES = 4
"""How often a request that the database undid is begun."""

LONGEST_WARNING = 2_000

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
        settings = deps.settings
        self._throttle = Throttle(settings.throttle_rate, settings.throttle_burst, self._rate_of)
        self._authoriser = Authoriser(db, Proxies(deps.settings.proxies))
        self._external_url = deps.settings.external_url.rstrip("/")
        self._authenticator = Authenticator(Credentials(db, deps.lake.secrets), self._external_url)
        self._recording = Recording(
            deps.heard, deps.lake.keys, deps.settings, self._authenticator, clock
        )

    def answer(self, request: Request) -> Response:
        """The response to a request, whatever becomes of it."""
        started, name = perf_counter(), "nothing known"
        heard = self._recording.begin(request)
        try:
            match = self._router.find(request.method, request.path)
            name = match.operation.name
            response = self._tried(request, match, heard)
        except UnknownOperation as error:
            explained = self._authenticator.explain(request, error, self._clock.now())
            self._recording.refused(heard, request, explained)
            response = to_response(explained, request.request_id)
        except RequestError as error:
            self._recording.refused(heard, request, error)
            response = to_response(error, request.request_id)
        except Exception as error:  # noqa: BLE001  # the client gets an answer, the log the place
            _LOG.error("request %s for %s failed\n%s", request.request_id, name, describe(error))
            self._recording.refused(heard, request, error)
            response = to_response(error, request.request_id)
        milliseconds = (perf_counter() - started) * 1000
        _LOG.info("%s %s %d in %.1f ms", request.request_id, name, response.status, milliseconds)
        return response

    def _tried(self, request: Request, match: Match, heard: Heard) -> Response:
        """The answer, also where the database undid the first try for another change's sake."""
        for _ in range(TRIES):
            try:
                return fetching(lambda: self._answer(request, match, heard))
            except KeyAway as error:
                raise told(error) from error
            except Contended as error:
                _LOG.warning("%s: %s", request.request_id, error)
                if not error.again:
                    break
        raise Throttled(
            "Others were changing the same at this moment; nothing was done. Try again.",
            retry_after=SECOND,
        )

    def _answer(self, request: Request, match: Match, heard: Heard) -> Response:
        heard.at = now = self._clock.now()
        heard.operation = match.operation
        service = match.operation.service
        principal, tenant = self._authenticator.authenticate(request, service, now)
        heard.principal, heard.tenant = principal, tenant
        self._throttle.take(tenant, now)
        function = self._table.get(match.operation)
        if function is None:
            raise NotWrittenYet(f"{match.operation.name} is not written yet in this version.")
        heard.ask = ask = codec.decode(match.operation, match.labels, request.query, request.body)
        heard.reads = only_reads(match.operation)
        if not heard.reads:
            heard.warnings = hygiene.warnings(ask, request.body)
        pending = self._authoriser.require(request, principal, match.operation, tenant, ask, now)
        fetch = FETCHES.get(match.operation)
        outside = NOTHING if fetch is None else fetch(self._db, self._deps, tenant, ask, now)
        with outside as fetched, self._begun(tenant, reads=heard.reads) as tx:
            if tx.writable:
                tx.lock_tenant()
            if pending is not None:
                pending(tx)
            if match.operation not in OPEN_TO_UNREGISTERED:
                accounts.require_active(tx)
            # inside: an answer that cannot be encoded must not have changed anything
            call = self._call(tx, request, principal, now, fetched)
            answer = function(call, ask)
            body = codec.encode(answer)
            if not heard.reads:
                self._recording.wrote(tx, heard, answer)
        if heard.reads:
            self._recording.read(heard)
        return Response(200, body, (JSON, *_doubts([*heard.warnings, *call.doubts])))

    @contextmanager
    def _begun(self, tenant: Tenant, *, reads: bool) -> Iterator[Tx]:
        """The one transaction; nobody waits for a distant key while others wait for it."""
        if reads:
            with self._db.read(tenant) as tx:
                yield tx
        else:
            with self._db.write(tenant) as tx:
                yield tx

    def at_once(self, request: Request) -> Response | None:
        """The answer to a request for which nothing has to be waited for; None for any other.

        That is a read whose last answer still holds (`GLANCES`), asked by somebody who is known and
        allowed without looking anything up. Whatever does not fit goes the long way, where what is
        wrong with it is told and recorded.
        """
        if self._throttle.on or not self._db.embedded:
            return None
        try:
            match = self._router.find(request.method, request.path)
            glance = GLANCES.get(match.operation)
            return None if glance is None else self._glanced(request, match, glance)
        except AuditkeepError:
            return None

    def _glanced(self, request: Request, match: Match, glance: Glance) -> Response | None:
        heard = self._recording.begin(request)
        heard.at = now = self._clock.now()
        heard.operation, heard.reads = match.operation, True
        sender = self._authenticator.at_once(request, match.operation.service, now)
        if sender is None:
            return None
        heard.principal, heard.tenant = principal, tenant = sender
        heard.ask = ask = codec.decode(match.operation, match.labels, request.query, request.body)
        if not self._authoriser.at_once(principal, match.operation, tenant, ask, now):
            return None
        with self._db.glance(tenant) as tx:
            body = glance(self._call(tx, request, principal, now), ask)
        if body is None:
            return None
        self._recording.read(heard)
        return Response(200, body, (JSON,))

    def _call(
        self,
        tx: Tx,
        request: Request,
        principal: Principal,
        now: Instant,
        fetched: Fetched = NONE,
    ) -> Call:
        return Call(
            tx=tx,
            tenant=tx.tenant,
            principal=principal,
            now=now,
            request_id=request.request_id,
            base_url=self._base_url(request),
            deps=self._deps,
            fetched=fetched,
        )

    def _rate_of(self, tenant: Tenant) -> float | None:
        with self._db.read(tenant) as tx:
            return quotas.rate(tx)

    def _base_url(self, request: Request) -> str:
        if self._external_url:
            return self._external_url
        host = request.header(b"host") or b""  # part of every signature
        return f"{request.scheme}://{host.decode('latin-1')}"


def _doubts(sentences: Sequence[str]) -> tuple[tuple[bytes, bytes], ...]:
    """One header for all of them: a single line, whatever a client's words hold."""
    line = " ".join("; ".join(sentences).split()).encode("ascii", "replace")
    return ((hygiene.HEADER, line[:LONGEST_WARNING]),) if line else ()
