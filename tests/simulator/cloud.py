"""The simulator: from a signed request to an answer, with everything that can go wrong between.

Who calls is told by the access key; the signature is checked as AWS checks it (except S3's, which
spells paths its own way). Then rules of misbehaviour, then the handler of the operation.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import boto3
from botocore.config import Config
from tests.simulator import encoding, models
from tests.simulator.asking import Ask, Handler, Key, World
from tests.simulator.encoding import Refusal
from tests.simulator.estate import EVERYWHERE, GLOBAL_SERVICES, Estate
from tests.simulator.faults import Fault, Faults
from tests.simulator.handlers import (
    cloudtrail,
    config,
    listing,
    organization,
    others,
    securityhub,
    storage,
)
from tests.simulator.history import OK, Call, History
from tests.simulator.models import Meant, Unknown
from tests.simulator.server import HALF, NOTHING, Server

from auditkeep.clock import FixedClock, Instant, SystemClock, parse
from auditkeep.errors import RequestError
from auditkeep.wire import sigv4
from auditkeep.wire.messages import Request, Response

HANDLERS: dict[str, Handler] = {
    **config.HANDLERS,
    **securityhub.HANDLERS,
    **cloudtrail.HANDLERS,
    **organization.HANDLERS,
    **storage.HANDLERS,
    **others.HANDLERS,
}

ACTIONS = {
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:HeadBucket": "s3:ListBucket",
}
"""IAM actions that are not called as their operation."""
_PREFIXES = {"elbv2": "elasticloadbalancing", "efs": "elasticfilesystem", "emr": "elasticmapreduce"}

_DENIED = {"ec2": "UnauthorizedOperation", "query": "AccessDenied", "rest-xml": "AccessDenied"}
_EXPIRED = {"ec2": "RequestExpired", "query": "ExpiredToken", "rest-xml": "ExpiredToken"}
_THROTTLED = {"ec2": "RequestLimitExceeded", "query": "Throttling", "rest-xml": "SlowDown"}
_KEYLESS = {"ec2": "AuthFailure", "query": "InvalidClientTokenId", "rest-xml": "InvalidAccessKeyId"}
_SKEWED = {"query": "SignatureDoesNotMatch", "rest-xml": "RequestTimeTooSkewed"}

_SESSION = boto3.Session(region_name="us-east-1")
"""Holds the models it has read; credentials are each client's own."""

STARTS = parse("2026-05-01T00:00:00Z")


class Simulator:
    """A running cloud; `clock` is its present, and moves when a test moves it."""

    def __init__(
        self,
        estate: Estate | None = None,
        *,
        at: Instant = STARTS,
        page_size: int = 100,
        trust: bool = False,
    ) -> None:
        """`trust`: do not check signatures, where only speed is measured."""
        self.estate = estate or Estate()
        self.clock = FixedClock(at)
        self.faults = Faults()
        self.history = History()
        self.world = World(self.estate)
        self.page_size = page_size
        self._verifier = None if trust else sigv4.Verifier()
        self._real = SystemClock()
        self._server = Server(self._respond)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        """What clients take as `endpoint_url`."""
        return self._server.url

    # ---- for tests

    def key(self, account: str, user: str = "tester") -> Key:
        """A lasting access key of an account's user, the same each time."""
        self.estate.account(account)
        digest = hashlib.sha256(f"{account}/{user}".encode()).hexdigest()
        arn = f"arn:aws:iam::{account}:user/{user}"
        key = Key(f"AKIA{digest[:16].upper()}", digest[16:56], account, arn)
        with self.world.lock:
            return self.world.keys.setdefault(key.id, key)

    def client(self, service: str, region: str, account: str, **settings: Any) -> Any:
        """An unmodified boto3 client of an account's user; it asks once unless told otherwise."""
        settings = {"retries": {"total_max_attempts": 1}, "max_pool_connections": 20, **settings}
        key = self.key(account)
        return _SESSION.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            config=Config(**settings),
        )

    def end_sessions(self, account: str | None = None) -> None:
        """Credentials of assumed roles stop being good."""
        with self.world.lock:
            for key in list(self.world.keys.values()):
                if key.token is not None and account in {None, key.account}:
                    self.world.keys[key.id] = replace(key, ended=True)

    # ---- a request

    def _respond(self, request: Request) -> Response:
        called = str(uuid.uuid4())
        try:
            signed = sigv4.parse(request)
            meant = models.meant(request, signed.service)
        except (RequestError, Unknown) as error:
            return encoding.refusal(
                "json", "", Refusal("UnknownOperationException", str(error)), called
            )
        protocol, name = meant.service.protocol, meant.service.name
        key = self.world.keys.get(signed.access_key_id)
        region = EVERYWHERE if name in GLOBAL_SERVICES else signed.region
        account = key.account if key is not None else "unknown"
        ask = Ask(
            meant.service, meant.operation, account, region, meant.params, self.clock.now(),
            key.arn if key is not None else "", request, self.estate, self.world, self.page_size,
        )  # fmt: skip
        struck = self.faults.strike(account, region, _names(meant), ask.at)
        outcome = OK
        try:
            for fault in struck:
                self._before(fault, ask, protocol)
            self._admit(ask, key, signed, protocol)
            handler = HANDLERS.get(ask.kind, listing.answer)
            response = encoding.answer(protocol, meant.operation, handler(ask), called)
        except Refusal as error:
            outcome = error.code
            response = encoding.refusal(protocol, name, error, called)
        for fault in struck:
            if fault.kind in {"cut", "closed"}:
                outcome = fault.kind
                mark = (HALF if fault.kind == "cut" else NOTHING, b"1")
                response = replace(response, headers=(*response.headers, mark))
        self.history.add(
            Call(
                ask.at, account, region, name, meant.operation.name, ask.caller, ask.params, outcome,
                ask.listed if outcome == OK else 0,
            )
        )  # fmt: skip
        return response

    def _admit(self, ask: Ask, key: Key | None, signed: sigv4.Signed, protocol: str) -> None:
        """Refusal unless the caller is who it says, and may be where it is."""
        if key is None:
            raise _unknown_key(protocol)
        if key.token != signed.token:
            raise _unknown_key(protocol)
        if key.ended:
            raise _expired(protocol)
        if self._verifier is not None and signed.service != "s3":
            try:
                now = self._real.now()
                self._verifier.verify(ask.request, signed, key.secret, signed.service, now)
            except RequestError as error:
                raise Refusal("SignatureDoesNotMatch", str(error), 403) from error
        found = self.estate.accounts.get(ask.account)
        if found is not None and found.closed is not None and ask.at >= found.closed:
            raise _unknown_key(protocol)
        if found is not None and key.token is not None and not found.trusts(ask.at):
            raise _expired(protocol)
        if not self.estate.opted_in(ask.account, ask.region):
            raise _unknown_key(protocol)

    def _before(self, fault: Fault, ask: Ask, protocol: str) -> None:
        """What goes wrong before the operation is looked at."""
        if fault.kind == "slow":
            time.sleep(fault.seconds)
        elif fault.kind == "throttled":
            status = 503 if protocol == "rest-xml" else 429 if protocol == "rest-json" else 400
            code = _THROTTLED.get(protocol, "ThrottlingException")
            raise Refusal(fault.code or code, "Rate exceeded", status)
        elif fault.kind == "denied":
            raise denial(ask)
        elif fault.kind == "expired":
            raise _expired(protocol)
        elif fault.kind == "skewed":
            code = _SKEWED.get(protocol, "InvalidSignatureException")
            raise Refusal(code, "Signature expired: the clocks of client and server differ.", 403)
        elif fault.kind == "opted-out":
            raise _unknown_key(protocol)
        elif fault.kind == "broken":
            raise Refusal("InternalFailure", "The service failed.", 500)
        elif fault.kind == "fails":
            raise Refusal(fault.code, fault.message or f"{fault.code} as told.", fault.status)


def action(service: str, operation: str) -> str:
    """The IAM action that an operation needs."""
    found = ACTIONS.get(f"{service}:{operation}")
    return found or f"{_PREFIXES.get(service, service)}:{operation}"


def denial(ask: Ask) -> Refusal:
    named = action(ask.service.name, ask.operation.name)
    code = _DENIED.get(ask.service.protocol, "AccessDeniedException")
    status = 400 if ask.service.protocol == "json" else 403
    text = f"User: {ask.caller} is not authorized to perform: {named}"
    return Refusal(code, text, status)


def _names(meant: Meant) -> Sequence[str]:
    service, operation = meant.service.name, meant.operation.name
    return {f"{service}:{operation}": 0, action(service, operation): 0}.keys()  # type: ignore[return-value]


def _unknown_key(protocol: str) -> Refusal:
    code = _KEYLESS.get(protocol, "UnrecognizedClientException")
    return Refusal(code, "The security token included in the request is invalid.", 403)


def _expired(protocol: str) -> Refusal:
    code = _EXPIRED.get(protocol, "ExpiredTokenException")
    return Refusal(code, "The security token included in the request is expired", 403)


def shown(value: object) -> str:
    """Parameters as a person reads them in a failed test."""
    return json.dumps(value, default=str, sort_keys=True)
