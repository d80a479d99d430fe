"""What is heard of calls and not yet written down: in memory, bounded, counted where it is lost.

Calls that change something never pass here: their record commits with the change (`pending`).
Requests whose sender is unknown are only counted, minute by minute, and so are claims to one key
beyond a few a minute: whoever has no key of this deployment cannot make it write without end.

Invariants: `put` takes no lock and no system call, for it stands in the path of every read; never
more than MOST calls are held, and how many were not is told by the next `take`.
"""

import threading
from collections import Counter, deque
from dataclasses import dataclass, field

from auditkeep.access.principals import Principal
from auditkeep.clock import MINUTE, Instant
from auditkeep.ids import Tenant
from auditkeep.wire.model import AnyOperation, Shape

MOST = 20_000
"""Calls held at once: a few seconds of the fastest server, some 20 MB."""
CLAIMS = 60
"""Requests a minute that name one access key and are not signed with it, told one by one."""
NAMED = 20
"""Keys and addresses that one minute's count names; the others are counted only."""


class Heard:
    """One call as it is answered: filled in step by step by the dispatcher."""

    __slots__ = (
        "agent",
        "ask",
        "at",
        "code",
        "message",
        "operation",
        "peer",
        "principal",
        "proven",
        "reads",
        "request_id",
        "tenant",
        "too_large",
        "warnings",
    )

    def __init__(self, request_id: str, peer: str, agent: bytes | None) -> None:
        self.request_id = request_id
        self.peer = peer
        self.agent = agent
        self.at = Instant(0)
        self.operation: AnyOperation | None = None
        self.reads = False
        self.principal: Principal | None = None
        self.proven = True
        """Whether the signature held; if not, the principal is only whom the request named."""
        self.tenant: Tenant | None = None
        self.ask: Shape | None = None
        self.too_large = 0
        """Bytes of a body that is not worth keeping for the record of a refusal."""
        self.code = ""
        self.message = ""
        self.warnings: tuple[str, ...] = ()
        """What looks doubtful in the request, see `operations.hygiene`."""


@dataclass(slots=True)
class Strangers:
    """One minute's requests by nobody known."""

    minute: int
    count: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    peers: Counter[str] = field(default_factory=Counter)

    def add(self, code: str, key: str, peer: str) -> None:
        self.count += 1
        self.codes[code] += 1
        for names, name in ((self.keys, key), (self.peers, peer)):
            if name and (name in names or len(names) < NAMED):
                names[name] += 1


@dataclass(frozen=True, slots=True)
class Taken:
    """What was heard since the last time."""

    calls: list[Heard]
    lost: int
    strangers: list[Strangers]


class Buffer:
    """Shared by all threads that answer, emptied by one that writes."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._calls: deque[Heard] = deque()
        self._lock = threading.Lock()
        self._lost = 0
        self._strangers: dict[int, Strangers] = {}
        self._claims: Counter[str] = Counter()
        self._claims_of = -1

    def put(self, call: Heard) -> None:
        """Keep a call for the writer; counted as lost where there is no room."""
        if len(self._calls) < self._most:
            self._calls.append(call)
        else:
            with self._lock:
                self._lost += 1

    def admits(self, key: str, at: Instant) -> bool:
        """Whether one more claim to this key is told by itself this minute."""
        minute = at // MINUTE
        with self._lock:
            if minute != self._claims_of:
                self._claims_of = minute
                self._claims.clear()
            self._claims[key] += 1
            return self._claims[key] <= CLAIMS

    def count(self, at: Instant, code: str, key: str, peer: str) -> None:
        """Count a request by nobody known."""
        minute = at // MINUTE
        with self._lock:
            self._strangers.setdefault(minute, Strangers(minute)).add(code, key, peer)

    def take(self, now: Instant, most: int = MOST, *, end: bool = False) -> Taken:
        """At most `most` calls, oldest first, and the minutes that are over (at the end: all)."""
        calls: list[Heard] = []
        while self._calls and len(calls) < most:
            calls.append(self._calls.popleft())
        with self._lock:
            lost, self._lost = self._lost, 0
            over = [m for m in self._strangers if end or m < now // MINUTE]
            strangers = [self._strangers.pop(m) for m in sorted(over)]
        return Taken(calls, lost, strangers)
