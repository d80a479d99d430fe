"""What every operation is handed, and how an operation is paired with its function.

An operation is `def create_control(call: Call, ask: am.CreateControlRequest) -> am.…Response`:
authorise, load, rule, store, answer. It never opens or commits a transaction and reads no clock.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, TypeVar

from auditkeep.access.principals import Principal
from auditkeep.activity.heard import Buffer
from auditkeep.clock import Instant
from auditkeep.collection.definitions import Asks, nobody_asks
from auditkeep.collection.looks import Plans
from auditkeep.collection.plan import RULES
from auditkeep.db.tx import Tx
from auditkeep.evidence.manual import Outside
from auditkeep.ids import Tenant
from auditkeep.lake import governance
from auditkeep.lake.governance import Authority
from auditkeep.lake.lake import Lake
from auditkeep.library.library import Library
from auditkeep.operations.caches import Caches
from auditkeep.settings import Settings
from auditkeep.sources.ambient import AmbientClients
from auditkeep.sources.pull import Clients
from auditkeep.wire.links import Links
from auditkeep.wire.model import AnyOperation, Operation, Shape

Req = TypeVar("Req", bound=Shape)
Res = TypeVar("Res", bound=Shape)
Handler = Callable[["Call", Any], Shape]


def nobody() -> None:
    """Nobody waits for jobs here; they are found when somebody looks."""


@dataclass(frozen=True, slots=True)
class Deps:
    """The parts an operation may use: built once by the composition root."""

    settings: Settings
    library: Library
    lake: Lake
    links: Links
    id_secret: bytes
    """Keys the ids of folders and evidence; see `evidence.ids`."""
    caches: Caches = field(default_factory=Caches)
    heard: Buffer = field(default_factory=Buffer)
    """Calls on their way into the activity log; whoever serves has a thread that writes them."""
    clients: Clients = field(default_factory=AmbientClients)
    """AWS as this process may see it; asked before a transaction, never in one."""
    wake: Callable[[], None] = nobody
    """Tells whoever runs jobs that one was queued; to be called once that is durable."""
    plans: Plans = field(init=False, compare=False)
    """What must be asked of whom; read by whoever keeps what is brought."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "plans", Plans(self.library, self.settings))

    def asks_config(self, tx: Tx, now: Instant) -> Asks:
        """Which judgements of AWS Config this deployment asks an account and region for."""
        if self.settings.collect != "aws":
            return nobody_asks

        plan = cache(partial(self.plans.of, tx, now))  # for thousands of records at most once

        def asks(account: str, region: str) -> frozenset[str] | None:
            duty = plan().duty(account, region, RULES)
            return None if duty is None else duty.match_keys

        return asks


@dataclass(frozen=True, slots=True)
class Call:
    """One request, authenticated and inside its transaction."""

    tx: Tx
    tenant: Tenant
    principal: Principal
    now: Instant
    request_id: str
    base_url: str
    """Where this server is reached by the client: scheme and host, no trailing slash."""
    deps: Deps
    fetched: Mapping[str, Outside] = field(default_factory=dict)
    """What was fetched for it from outside, by URL; see `operations.before`."""
    doubts: list[str] = field(default_factory=list)
    """Sentences for the caller that AWS's answer has no member for; they go into a header."""

    def authority(self, action: str, subject: str = "") -> Authority:
        """What this request may take away, or changes of what is kept: who asks, and when."""
        return governance.authority(action, self.principal.arn, self.request_id, subject, self.now)


def pair(
    operation: Operation[Req, Res], function: Callable[[Call, Req], Res]
) -> tuple[AnyOperation, Handler]:
    """Tie an operation to its function; the type checker holds the pair together."""
    return operation, function
