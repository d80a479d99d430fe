"""Who asks: from a request's signature to the principal, and the tenant it speaks about.

Invariants: nothing a request claims about its signer counts before the signature was checked; the
tenant is the account of the credentials and the region of the signature's scope, never a member
of the request.
"""

import hmac
from urllib.parse import urlsplit

from auditkeep.access import sessions
from auditkeep.access.credentials import Credentials, Known
from auditkeep.access.principals import Principal
from auditkeep.clock import Instant, iso
from auditkeep.errors import (
    KeyUnknown,
    NotAuthenticated,
    RequestError,
    SessionEnded,
    SignatureWrong,
    UnknownOperation,
)
from auditkeep.ids import Tenant
from auditkeep.wire import sigv4
from auditkeep.wire.messages import Request


class Authenticator:
    """Checks signatures for every service of one server. Safe to share between threads.

    `external_url` is what clients know this server by, where a proxy in between changes it.
    """

    def __init__(self, credentials: Credentials, external_url: str = "") -> None:
        self._credentials = credentials
        outside = urlsplit(external_url)
        self._verifier = sigv4.Verifier(outside.netloc, outside.path)

    def authenticate(
        self, request: Request, service: str, now: Instant
    ) -> tuple[Principal, Tenant]:
        """Who signed the request for `service`, and whose data it is about."""
        signed = sigv4.parse(request)
        known = self._credentials.find(signed.access_key_id, now)
        if known is None:
            raise KeyUnknown(
                "The access key is not known here, or it was disabled, or its session was revoked."
            )
        return self._checked(request, signed, known, service, now)

    def at_once(
        self, request: Request, service: str, now: Instant
    ) -> tuple[Principal, Tenant] | None:
        """`authenticate` without waiting for anything; None for a key not used a moment ago."""
        signed = sigv4.parse(request)
        known = self._credentials.peek(signed.access_key_id, now)
        return None if known is None else self._checked(request, signed, known, service, now)

    def _checked(
        self, request: Request, signed: sigv4.Signed, known: Known, service: str, now: Instant
    ) -> tuple[Principal, Tenant]:
        if signed.token is not None or known.token_digest is not None:
            _check_token(known, signed.token)
        self._verifier.verify(request, signed, known.secret, service, now)
        if known.expires_at is not None and now >= known.expires_at:
            raise SessionEnded(
                "The security token included in the request is expired: the session ended at "
                f"{iso(known.expires_at)[:19]}Z. Sign in again."
            )
        return known.principal, Tenant(known.principal.account, signed.region)

    def explain(self, request: Request, error: UnknownOperation, now: Instant) -> RequestError:
        """Why a request leads nowhere: `error`, or what a proxy did to it on its way."""
        try:
            signed = sigv4.parse(request)
        except RequestError:
            return error
        known = self._credentials.find(signed.access_key_id, now)
        said = None if known is None else self._verifier.diagnose(request, signed, known.secret)
        return error if said is None else SignatureWrong(f"{error} {said}")

    def claimed(self, request: Request, now: Instant) -> tuple[Principal, Tenant] | None:
        """Whom a request that was refused names as its signer, who need not have sent it."""
        try:
            signed = sigv4.parse(request)
        except NotAuthenticated:
            return None
        known = self._credentials.find(signed.access_key_id, now)
        if known is None:
            return None
        return known.principal, Tenant(known.principal.account, signed.region)


def _check_token(known: Known, token: str | None) -> None:
    """KeyUnknown unless the token is the one that was handed out with the key."""
    if known.token_digest is None:
        raise KeyUnknown(
            "The security token included in the request is invalid: this access key takes none. "
            "Unset AWS_SESSION_TOKEN, which may stem from another login."
        )
    if token is None or not hmac.compare_digest(sessions.digest(token), known.token_digest):
        raise KeyUnknown(
            "The security token included in the request is invalid: it is missing, or it is not "
            "the one that was handed out with this access key."
        )
