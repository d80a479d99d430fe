"""Who asks: from a request's signature to the principal, and the tenant it speaks about.

Invariants: nothing a request claims about its signer counts before the signature was checked; the
tenant is the account of the credentials and the region of the signature's scope, never a member
of the request.
"""

from auditkeep.access.credentials import Credentials
from auditkeep.access.principals import Principal
from auditkeep.clock import Instant
from auditkeep.errors import KeyUnknown
from auditkeep.ids import Tenant
from auditkeep.wire import sigv4
from auditkeep.wire.messages import Request


class Authenticator:
    """Checks signatures for every service of one server. Safe to share between threads.

    `host` is the name clients know this server by, where a proxy in between writes another one.
    """

    def __init__(self, credentials: Credentials, host: str = "") -> None:
        self._credentials = credentials
        self._verifier = sigv4.Verifier(host)

    def authenticate(
        self, request: Request, service: str, now: Instant
    ) -> tuple[Principal, Tenant]:
        """Who signed the request for `service`, and whose data it is about."""
        signed = sigv4.parse(request)
        known = self._credentials.find(signed.access_key_id, now)
        if known is None:
            raise KeyUnknown("The access key is not known here, or it was disabled.")
        self._verifier.verify(request, signed, known.secret, service, now)
        return known.principal, Tenant(known.principal.account, signed.region)
