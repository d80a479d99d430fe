"""What the dispatcher tells the activity log of each request.

A call that changed something is recorded in the transaction of its change: there is no change
without a record, and no record of a change that did not happen. Reads and refusals are only heard
here; the log's own thread writes them (`activity.batcher`).
"""

from collections.abc import Mapping

from auditkeep.activity import pending, record
from auditkeep.activity.heard import Buffer, Heard
from auditkeep.clock import Clock
from auditkeep.db.tx import SystemTx, Tx
from auditkeep.errors import NotAuthenticated, RequestError
from auditkeep.ids import Tenant
from auditkeep.lake.buckets import BucketKeys
from auditkeep.operations.authenticate import Authenticator
from auditkeep.operations.table import only_reads
from auditkeep.settings import Settings
from auditkeep.wire import sigv4
from auditkeep.wire.messages import Request
from auditkeep.wire.model import Shape
from auditkeep.wire.peers import Proxies

LARGE = 64 * 1024
"""Bytes of a body from which on a refused request is not held to be written down."""


NOWHERE = "us-east-1"
"""The region of a call that names none, before the deployment has a home."""


class Recording:
    """Records for the dispatcher. Safe to share between threads."""

    def __init__(
        self,
        buffer: Buffer,
        keys: BucketKeys,
        settings: Settings,
        authenticator: Authenticator,
        clock: Clock,
    ) -> None:
        self._buffer = buffer
        self._keys = keys
        self._authenticator = authenticator
        self._clock = clock
        networks = settings.proxies
        self._proxies = Proxies(networks) if networks else None

    def begin(self, request: Request) -> Heard:
        peer = request.peer
        if self._proxies is not None:
            address = self._proxies.sender(request).address
            peer = "" if address is None else str(address)
        return Heard(request.request_id, peer, request.header(b"user-agent"))

    def read(self, heard: Heard) -> None:
        """A call that changed nothing was answered."""
        self._buffer.put(heard)

    def wrote(self, tx: Tx, heard: Heard, answer: Shape) -> None:
        """A call is about to commit: its record joins the transaction."""
        noted = record.of_call(heard, answer)
        pending.keep(pending.owner(tx), self._keys, [noted], heard.at)

    def issued(
        self, tx: SystemTx, heard: Heard, account: str, answer: Mapping[str, object]
    ) -> None:
        """Credentials are about to be issued: as `wrote`, for whoever has no tenant yet too."""
        if heard.tenant is None:
            home = pending.home_of(tx)
            heard.tenant = Tenant(account, NOWHERE if home is None else home.region)
        noted = record.of_call(heard, answer)
        pending.keep(pending.owner(tx.of(heard.tenant)), self._keys, [noted], heard.at)

    def refused(self, heard: Heard, request: Request, error: Exception) -> None:
        """A request was answered with an error, and changed nothing."""
        heard.at = heard.at or self._clock.now()
        told = isinstance(error, RequestError)
        heard.code = error.code if isinstance(error, RequestError) else RequestError.code
        heard.message = str(error) if told else "The server failed to answer; nothing was changed."
        if heard.principal is None and not self._named(heard, request, error):
            self._buffer.count(heard.at, heard.code, _key_of(request), heard.peer)
            return
        if heard.operation is not None and not heard.reads:
            heard.reads = only_reads(heard.operation)
        if len(request.body) > LARGE:
            heard.ask, heard.too_large = None, len(request.body)
        self._buffer.put(heard)

    def _named(self, heard: Heard, request: Request, error: Exception) -> bool:
        """Whether a request that is not proven to be anybody's names a key worth a record."""
        if heard.operation is None or not isinstance(error, NotAuthenticated):
            return False
        claimed = self._authenticator.claimed(request, heard.at)
        if claimed is None or not self._buffer.admits(claimed[0].access_key_id, heard.at):
            return False
        heard.principal, heard.tenant = claimed
        heard.proven = False
        return True


def _key_of(request: Request) -> str:
    """The access key id that a request names, known here or not; empty where it names none."""
    try:
        return sigv4.parse(request).access_key_id
    except NotAuthenticated:
        return ""
