"""Events of a bus, one at a time, from a sender that cannot sign: an EventBridge API destination.

    POST /events      one EventBridge event, as it is; a 200 when what it brings is kept

The sender shows a token of kind `events` as `x-api-key: akevt_…` (the API key of an EventBridge
connection) or `Authorization: Bearer akevt_…`. It says whose the event is, and opens nothing else.
What kind of records an event brings, its `source` and `detail-type` say; from there on it goes the
way of `PutObservations`, the activity log included. The same event again changes nothing, so
EventBridge may send it as often as it likes.

Errors are those of the API: 400 for what is no such event, 401 without a good token, 403 where the
account is not registered, 429 with `retry-after` and 5xx, which EventBridge tries again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec

from auditkeep.access.principals import Principal
from auditkeep.access.tokens import TokenRecord
from auditkeep.accounts import store as accounts
from auditkeep.activity import pending, record
from auditkeep.activity.heard import Heard
from auditkeep.clock import SECOND, Clock
from auditkeep.collection.ingest import Source
from auditkeep.collection.interest import interest_of
from auditkeep.collection.push import Pushed, Pusher, push
from auditkeep.crypto.asking import with_keys
from auditkeep.db.database import Database
from auditkeep.errors import (
    Contended,
    InvalidRequest,
    KeyAway,
    MethodNotAllowed,
    RequestError,
    Throttled,
)
from auditkeep.ids import Tenant
from auditkeep.operations.call import Deps
from auditkeep.operations.keys import told
from auditkeep.wire.errors import JSON, describe, to_response
from auditkeep.wire.messages import Request, Response
from auditkeep.wire.models import auditkeep as ak

PATH = b"/events"
LARGEST = 4 * 1024 * 1024
"""Bytes of a body; EventBridge's own events have at most 256 KiB."""

TRIES = 4

_LOG = logging.getLogger("auditkeep.events")


class _Detail(msgspec.Struct):
    findings: list[msgspec.Raw] = msgspec.field(default_factory=list)


class _Kind(msgspec.Struct):
    class_uid: int | None = None


class _Event(msgspec.Struct, rename={"detail_type": "detail-type"}):
    source: str
    detail_type: str
    detail: _Detail


_EVENT = msgspec.json.Decoder(_Event)
_KIND = msgspec.json.Decoder(_Kind)


@dataclass(frozen=True, slots=True)
class Events:
    """Answers requests to `/events`. Safe to share between threads."""

    db: Database
    deps: Deps
    clock: Clock
    holder: Callable[[str], TokenRecord | None]

    def answer(self, request: Request) -> Response:
        try:
            return self._answer(request)
        except RequestError as error:
            return to_response(error, request.request_id)
        except KeyAway as error:
            return to_response(told(error), request.request_id)
        except Exception as error:  # noqa: BLE001  # the sender gets an answer, the log the place
            _LOG.error("event %s failed\n%s", request.request_id, describe(error))
            return to_response(error, request.request_id)

    def _answer(self, request: Request) -> Response:
        if request.method != "POST":
            raise MethodNotAllowed("Events are brought with POST.", ("POST",))
        if request.query:
            raise InvalidRequest("Events are brought without a query: a token belongs in a header.")
        token = self.holder(_token(request))
        if token is None or token.tenant is None:
            return _unauthorised()
        source = _source(request.body)
        for _ in range(TRIES):
            try:
                pushed = with_keys(partial(self._kept, request, token, token.tenant, source))
            except Contended as error:
                _LOG.warning("%s: %s", request.request_id, error)
                continue
            return _told(pushed)
        raise Throttled("Others are writing at this moment; send it again.", retry_after=SECOND)

    def _kept(self, request: Request, token: TokenRecord, tenant: Tenant, source: Source) -> Pushed:
        now = self.clock.now()
        sender = _principal(token, tenant)
        with self.db.write(tenant) as tx:
            tx.lock_tenant()
            accounts.require_active(tx)
            pushed = push(
                tx,
                self.deps.lake,
                source,
                [request.body],
                interest_of(tx, self.deps.library),
                Pusher(sender.arn, "events"),
                now,
                reads=self.deps.settings.cloudtrail_reads,
                asks=self.deps.asks_config(tx, now),
            )
            if pushed.waiting:
                tx.after_commit(self.deps.wake)
            heard = Heard(request.request_id, request.peer, request.header(b"user-agent"))
            heard.at, heard.operation = now, ak.PUT_OBSERVATIONS
            heard.principal, heard.tenant = sender, tenant
            noted = record.of_call(heard, {"runId": pushed.run})
            pending.keep(pending.owner(tx), self.deps.lake.keys, [noted], now)
        return pushed


def _token(request: Request) -> str:
    """What the sender shows, if it shows one thing; empty otherwise."""
    keys = list(request.values(b"x-api-key"))
    given = list(request.values(b"authorization"))
    if len(keys) == 1 and not given:
        return keys[0].decode("latin-1").strip()
    scheme, _, token = given[0].decode("latin-1").partition(" ") if len(given) == 1 else ("",) * 3
    return token.strip() if scheme.lower() == "bearer" and not keys else ""


def _principal(token: TokenRecord, tenant: Tenant) -> Principal:
    """Who the activity log and the run say it was: the token, by its id."""
    arn = f"arn:aws:iam::{tenant.account}:user/auditkeep-events/{token.id}"
    return Principal(tenant.account, token.name, arn, (), token.id)


def _source(body: bytes) -> Source:
    """The form of the records that an event brings; InvalidRequest where it brings none."""
    try:
        event = _EVENT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"This is no EventBridge event: {error}.") from error
    if event.detail_type.endswith("via CloudTrail"):
        return "cloudtrail"
    if event.source == "aws.config":
        return "config"
    if event.source == "aws.securityhub":
        return (
            "ocsf"
            if any(_is_ocsf(finding) for finding in event.detail.findings)
            else ("securityhub")
        )
    raise InvalidRequest(
        f"An event of '{event.source:.100}' with the detail-type '{event.detail_type:.100}' brings "
        "no records. Route here events of aws.config and aws.securityhub, and those whose "
        "detail-type ends in 'via CloudTrail'."
    )


def _is_ocsf(finding: msgspec.Raw) -> bool:
    try:
        return _KIND.decode(finding).class_uid is not None
    except msgspec.DecodeError:
        # whoever parses it says what is wrong with it
        return False


def _told(pushed: Pushed) -> Response:
    counts = pushed.counts
    body = {
        "observations": counts.observations,
        "duplicates": counts.duplicates,
        "unmatched": counts.unmatched,
        "rejected": [r.reason for r in pushed.refused],
        **({"waiting": pushed.waiting} if pushed.waiting else {}),
    }
    return Response(200, msgspec.json.encode(body), (JSON,))


def _unauthorised() -> Response:
    return Response(
        401,
        b"Show a token for events: x-api-key: akevt_... (auditkeep events token create).\n",
        (
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"www-authenticate", b'Bearer realm="auditkeep events"'),
            (b"cache-control", b"no-store"),
        ),
    )
