"""What a handler gets: the call, the estate it is about, and pages of a list."""

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from botocore.model import OperationModel
from tests.simulator.encoding import Refusal
from tests.simulator.estate import Estate
from tests.simulator.models import Service

from auditkeep.clock import Instant
from auditkeep.wire.messages import Request

T = TypeVar("T")
Output = dict[str, Any]

_LIMITS = (
    "MaxResults",
    "maxResults",
    "MaxItems",
    "Limit",
    "PageSize",
    "MaxRecords",
    "MaxKeys",
    "limit",
)


@dataclass(slots=True)
class Ask:
    """One call, of whom and when, with what goes with it."""

    service: Service
    operation: OperationModel
    account: str
    region: str
    params: dict[str, Any]
    at: Instant
    caller: str
    """ARN of who asks."""
    request: Request
    estate: Estate
    world: "World"
    page_size: int
    listed: int = 0

    @property
    def kind(self) -> str:
        return f"{self.service.name}:{self.operation.name}"

    def page(
        self,
        items: Callable[[Instant], list[T]],
        token: str | None,
        *,
        limit: int | None = None,
        most: int | None = None,
    ) -> tuple[list[T], str | None]:
        """A page of a list, and the token of the next one.

        A token holds when its list was first asked for: the pages after are of the same moment.
        """
        start, at = self._opened(token)
        size = min(x for x in (self.page_size, limit or self._limit(), most) if x)
        everything = items(at)
        page = everything[start : start + size]
        self.listed += len(page)
        end = start + size
        return page, self._token(end, at) if end < len(everything) else None

    def _limit(self) -> int | None:
        return next((self.params[n] for n in _LIMITS if isinstance(self.params.get(n), int)), None)

    def _token(self, start: int, at: Instant) -> str:
        inside = [start, at, self.account, self.region, self.kind]
        text = base64.urlsafe_b64encode(json.dumps(inside).encode()).decode()
        return text.rstrip("=").ljust(48, "_")

    def _opened(self, token: str | None) -> tuple[int, Instant]:
        if not token:
            return 0, self.at
        try:
            text = token.rstrip("_")
            start, at, *whose = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except ValueError as error:
            raise Refusal("InvalidNextTokenException", "The token is not one of ours.") from error
        if whose != [self.account, self.region, self.kind]:
            raise Refusal("InvalidNextTokenException", "The token belongs to another call.")
        return int(start), Instant(at)


@dataclass
class World:
    """What a running simulator knows beside its estate."""

    estate: Estate
    keys: dict[str, "Key"] = field(default_factory=dict)
    """Access keys by id."""
    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """Contents by (bucket, key)."""
    queues: dict[str, list["Message"]] = field(default_factory=dict)
    """Messages by the name of their queue."""
    public_keys: list[dict[str, Any]] = field(default_factory=list)
    """What CloudTrail's ListPublicKeys answers."""
    reports: set[str] = field(default_factory=set)
    """Accounts whose credential report was asked for."""
    event_stores: set[tuple[str, str, str]] = field(default_factory=set)
    """Event data stores of CloudTrail Lake: account, region and id; each has everybody's events."""
    queries: dict[str, str] = field(default_factory=dict)
    """Statements by the id of their query."""
    trail_delay: int = 0
    """Microseconds until an event can be looked up."""
    lock: threading.RLock = field(default_factory=threading.RLock)


@dataclass(frozen=True, slots=True)
class Key:
    """An access key, and whose it is."""

    id: str
    secret: str
    account: str
    arn: str
    token: str | None = None
    ended: bool = False


@dataclass
class Message:
    """A message in a queue."""

    id: str
    body: str
    receipt: str = ""
    hidden_until: float = 0.0


Handler = Callable[[Ask], Output]
