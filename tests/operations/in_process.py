"""An unmodified botocore client whose requests go straight into a dispatcher, without a socket."""

import io
from collections.abc import Callable
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from tests.wire.model_cases import Sent

from auditkeep.access import credentials
from auditkeep.access.credentials import AccessKey
from auditkeep.access.grants import ADMINISTRATOR
from auditkeep.clock import Clock, to_datetime
from auditkeep.db.database import Database
from auditkeep.operations.call import Deps
from auditkeep.operations.dispatch import Dispatcher
from auditkeep.wire.messages import Headers, Request, Response

BASE = "http://127.0.0.1:8080"
REQUEST_ID = "0b9f0a3e-0000-4000-8000-000000000001"


class Api:
    """A dispatcher over a database, and the people who may ask it."""

    def __init__(self, db: Database, deps: Deps, clock: Clock, **how: Any) -> None:
        self.db, self.deps, self.clock = db, deps, clock
        self.dispatcher = Dispatcher(db=db, deps=deps, clock=clock, **how)
        self.peer = ""
        self.added: tuple[tuple[bytes, bytes], ...] = ()
        """Headers that come to a request on its way, as a proxy adds them."""
        self.admin = self.key("root", ADMINISTRATOR)

    def key(self, user: str, *policies: str, account: str = "111122223333") -> AccessKey:
        provider = self.deps.lake.secrets
        with self.db.system_write() as tx:
            return credentials.create(tx, provider, account, user, policies, self.clock.now())

    def client(
        self,
        key: AccessKey | None = None,
        region: str = "us-east-1",
        service: str = "auditmanager",
    ) -> Any:
        who = key or self.admin
        client = botocore.session.get_session().create_client(
            service,
            region_name=region,
            aws_access_key_id=who.access_key_id,
            aws_secret_access_key=who.secret_access_key,
            endpoint_url=BASE,
            config=Config(retries={"max_attempts": 0}, parameter_validation=False),
        )
        client.meta.events.register(f"before-send.{service}", self._send)
        return client

    def ask(
        self,
        sent: Sent,
        key: AccessKey | None = None,
        *,
        region: str = "us-east-1",
        service: str = "auditmanager",
    ) -> Response:
        """Sign and send a request that no client would make."""
        return self.answer(self.signed(sent, key, region=region, service=service))

    def signed(
        self,
        sent: Sent,
        key: AccessKey | None = None,
        *,
        region: str = "us-east-1",
        service: str = "auditmanager",
    ) -> Request:
        who = key or self.admin
        url = BASE + sent.path.decode() + (f"?{sent.query.decode()}" if sent.query else "")
        request = AWSRequest(sent.method, url, data=sent.body)
        with self.signing_clock():
            SigV4Auth(
                Credentials(who.access_key_id, who.secret_access_key), service, region
            ).add_auth(request)
        headers = [(k.lower().encode(), v.encode()) for k, v in request.headers.items()]
        headers.append((b"host", b"127.0.0.1:8080"))
        return Request(sent.method, sent.path, sent.query, tuple(headers), sent.body, REQUEST_ID)

    def answer(self, request: Request) -> Response:
        """As a server answers: at once what can be, and all else the long way."""
        return self.dispatcher.at_once(request) or self.dispatcher.answer(request)

    def call(self, method: Callable[..., Any], /, **ask: Any) -> Any:
        """Call a client's method at this server's time."""
        with self.signing_clock():
            return method(**ask)

    def signing_clock(self) -> Any:
        now = to_datetime(self.clock.now())
        return mock.patch("botocore.auth.get_current_datetime", return_value=now)

    def _send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        asked = wire_request_of(request, self.added, self.peer)
        return response_of(request, self.answer(asked))


def wire_request_of(request: AWSPreparedRequest, added: Headers = (), peer: str = "") -> Request:
    """What botocore would send, as the server reads it."""
    parts = urlsplit(request.url)
    headers = [
        (k.lower().encode(), v if isinstance(v, bytes) else v.encode())
        for k, v in request.headers.items()
    ]
    headers.append((b"host", parts.netloc.encode()))
    body = request.body or b""
    body = body.encode() if isinstance(body, str) else body
    path, query = parts.path.encode(), parts.query.encode()
    sent = (*headers, *added)
    return Request(request.method, path, query, sent, body, REQUEST_ID, peer=peer)


def response_of(request: AWSPreparedRequest, response: Response) -> AWSResponse:
    """What the server answers, as botocore reads it."""
    sent = {k.decode(): v.decode() for k, v in response.headers}
    return AWSResponse(request.url, response.status, sent, _Raw(response.body))


class _Raw(io.BytesIO):
    """A body as botocore's HTTP client hands it on."""

    def stream(self, **_: Any) -> Any:
        yield self.read()
