"""Who asks: the role that is taken in an account, its credentials, and how fast it is asked.

The process's own credentials (environment, profile, instance or container role) take a role in each
account with `sts:AssumeRole`, an external id and a session name; its credentials are renewed before
they end. Without a role there is only the account of the process's own credentials. TLS, proxies
and `AWS_ENDPOINT_URL…` are botocore's affair, which is loaded when the first client is made.

Invariants: requests to one account are made at a bounded pace, by all threads of the process
together; an account that throttled is asked at half the pace, which is given back step by step;
whoever waits for an account, for its pace or before a request that it throttled is made again, does
so where the process says (`wait`), so that it need not hold what others could use.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from auditkeep.clock import Clock, to_datetime
from auditkeep.errors import NotCollected
from auditkeep.ids import GLOBAL_REGION
from auditkeep.sources import aws
from auditkeep.sources.pull import Expired, NotYet, Throttled
from auditkeep.sources.refusals import asking, throttles

HOME_REGION = "us-east-1"
SLOWEST = 0.1
"""Requests a second that are made even of an account that throttles everything."""

CLIENTS = 32
"""Clients that a thread keeps: of the services and regions that it asked last."""

GIVEN_BACK = 1.02
"""How much faster each request that was not throttled lets the next one be."""

ATTEMPTS = 3
"""How often a request is made in all, where it failed by what may pass."""

_PACE = "auditkeep-pace"

Wait = Callable[[float], bool]
"""Waits for so many seconds; False, at once or sooner, where that cannot be waited for."""


def sleep(seconds: float) -> bool:
    """Wait as who holds nothing that others could use."""
    time.sleep(seconds)
    return True


class AccountClients(Protocol):
    """`sources.pull.Clients` for one account; `caller` is the ARN that asks."""

    @property
    def caller(self) -> str: ...

    def client(self, service: str, region: str) -> Any: ...

    def renew(self) -> None:
        """Take the role anew: what was given before is not good any more."""

    def throttled(self) -> None:
        """The account said that it is asked too often."""


def heed(clients: AccountClients, error: NotCollected) -> None:
    """Do as a refusal asks before the account is asked again: go slower, or take the role anew.

    NotYet is no account's word: nobody came.
    """
    if isinstance(error, Expired):
        clients.renew()
    elif isinstance(error, Throttled) and not isinstance(error, NotYet):
        clients.throttled()


@dataclass(frozen=True, slots=True)
class Who:
    """Whom to ask, and as whom; an empty role takes none."""

    account: str
    role: str
    external_id: str
    session_name: str

    @property
    def arn(self) -> str:
        """The role's; empty where none is taken."""
        if not self.role:
            return ""
        named = self.role.replace("{account}", self.account)
        return named if named.startswith("arn:") else f"arn:aws:iam::{self.account}:role/{named}"

    @property
    def caller(self) -> str:
        """As the account's own CloudTrail names who asked; of no role, in words."""
        if not self.role:
            return f"the server's own credentials of {self.account}"
        head, _, role = self.arn.partition(":role/")
        name = role.rpartition("/")[2]
        return f"{head.replace(':iam:', ':sts:', 1)}:assumed-role/{name}/{self.session_name}"


class Pace:
    """How fast one account is asked: a request, then a wait that follows from the pace."""

    def __init__(self, rate: float, wait: Wait) -> None:
        self._full = rate
        self._rate = rate
        self._wait = wait
        self._next = 0.0
        self._lock = threading.Lock()

    @property
    def rate(self) -> float:
        return self._rate

    def take(self, **_: object) -> None:
        """Wait for one's turn; an event handler of botocore.

        NotYet where an account that throttled cannot be waited for: then it is as if nobody came.
        """
        with self._lock:
            now = time.monotonic()
            at = max(self._next, now - 1.0)  # a pause earns a second's worth of requests
            step, slowed = 1 / self._rate, self._rate < self._full
            self._next = at + step
        if at > now and not self._wait(at - now):
            if slowed:
                with self._lock:
                    self._next -= step
                raise NotYet(f"The account throttled us: it is asked again in {at - now:.0f} s.")
            time.sleep(at - now)
        with self._lock:
            self._rate = min(self._full, self._rate * GIVEN_BACK)

    def slow_down(self) -> None:
        with self._lock:
            self._rate = max(SLOWEST, self._rate / 2)

    def again(self, response: Any, attempts: int, **_: object) -> float | None:
        """Make a throttled request again, after a pause of its account; a handler of botocore.

        The account is asked more slowly from now on. botocore would sleep in this thread. None
        leaves it all else that it would try again.
        """
        code = "" if response is None else response[1].get("Error", {}).get("Code", "")
        if attempts >= ATTEMPTS or not throttles(code):
            return None
        self.slow_down()
        with self._lock:
            # at the least the half, so that a second attempt is not as early as the first
            pause = 2 ** (attempts - 1) * random.uniform(0.5, 1)  # noqa: S311 - no secret
            self._next = max(self._next, time.monotonic() + pause)
        return 0.0


@dataclass(slots=True)
class Sessions:
    """Accounts' sessions, kept while they are in use. Safe to share between threads."""

    rate: float
    clock: Clock
    wait: Wait = sleep
    most: int = 256
    _known: dict[Who, "_Session"] = field(default_factory=dict)
    _paces: dict[str, Pace] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _made: "_Made" = field(default_factory=lambda: _Made())  # noqa: PLW0108 - made below

    def of(self, who: Who) -> "_Clients":
        """Clients for one job, for the thread that runs it."""
        with self._lock:
            session = self._known.get(who)
            if session is None:
                while len(self._known) >= self.most:
                    self._known.pop(next(iter(self._known)))
                session = self._known[who] = _Session(who, self.clock, self._made)
            pace = self._paces.setdefault(who.account, Pace(self.rate, self.wait))
        return _Clients(session, pace, self._made)


class _Made:
    """Clients as botocore made them, each for one thread, lent to one account after the other.

    To make one costs several times what a call does, and takes the memory of all its service's
    operations; whose credentials it signs with is one member.
    """

    def __init__(self) -> None:
        self._loader: Any = None
        self._lock = threading.Lock()
        self._own = threading.local()

    def session(self) -> Any:
        """A session of botocore; the service models are read once for all of them."""
        from botocore.loaders import Loader  # noqa: PLC0415 - heavy

        with self._lock:
            if self._loader is None:
                self._loader = Loader(include_default_search_paths=True)
            session = aws.session()
            session.register_component("data_loader", self._loader)
            return session

    def lend(self, service: str, region: str, credentials: Any, pace: "Pace") -> Any:
        """This thread's client, from now on signing with `credentials` and asking at `pace`."""
        clients = self._own.__dict__.setdefault("clients", {})
        client = clients.pop((service, region), None) or self._make(service, region)
        while len(clients) >= CLIENTS:
            clients.pop(next(iter(clients))).close()
        clients[service, region] = client
        client._request_signer._credentials = credentials
        events = client.meta.events
        events.unregister("before-send", unique_id=_PACE)
        events.register("before-send", pace.take, unique_id=_PACE)
        throttled = f"needs-retry.{client.meta.service_model.service_id.hyphenize()}"
        events.unregister(throttled, unique_id=_PACE)
        events.register_first(throttled, pace.again, unique_id=_PACE)
        return client

    def _make(self, service: str, region: str) -> Any:
        patience = aws.config(ATTEMPTS)
        nobody = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nobody"}
        return self.session().create_client(service, region_name=region, config=patience, **nobody)


class _Session:
    """One account's credentials."""

    def __init__(self, who: Who, clock: Clock, made: _Made) -> None:
        self.who = who
        self._clock = clock
        self._made = made
        self._lock = threading.Lock()
        self._credentials: Any = None

    def credentials(self) -> Any:
        """Those that requests are signed with; NotCollected says why there are none."""
        with self._lock:
            if self._credentials is None:
                self._credentials = self._begin()
            return self._credentials

    def forget(self) -> None:
        with self._lock:
            self._credentials = None

    def _begin(self) -> Any:
        from botocore.credentials import RefreshableCredentials  # noqa: PLC0415 - heavy

        if not self.who.role:
            return self._made.session().get_credentials()
        taken = RefreshableCredentials.create_from_metadata(
            metadata=self._take_role(),
            refresh_using=self._take_role,
            method="assume-role",
        )
        taken._time_fetcher = self._now
        return taken

    def _now(self) -> datetime:
        return to_datetime(self._clock.now())

    def _take_role(self) -> dict[str, str]:
        """Credentials of the account's role; NotCollected says why there are none."""
        own = self._made.session()
        region = own.get_config_variable("region") or HOME_REGION
        client = own.create_client("sts", region_name=region)
        asked = {"RoleArn": self.who.arn, "RoleSessionName": self.who.session_name}
        if self.who.external_id:
            asked["ExternalId"] = self.who.external_id
        with asking(client, "AssumeRole", action="sts:AssumeRole"):
            given = client.assume_role(**asked)["Credentials"]
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }


class _Clients:
    """The clients of one job."""

    def __init__(self, session: _Session, pace: Pace, made: _Made) -> None:
        self._session = session
        self._pace = pace
        self._made = made
        self._lent: dict[tuple[str, str], Any] = {}

    @property
    def caller(self) -> str:
        return self._session.who.caller

    def client(self, service: str, region: str) -> Any:
        region = HOME_REGION if region == GLOBAL_REGION else region
        lent = self._lent.get((service, region))
        if lent is None:
            credentials = self._session.credentials()
            lent = self._made.lend(service, region, credentials, self._pace)
            self._lent[service, region] = lent
        return lent

    def renew(self) -> None:
        self._lent.clear()
        self._session.forget()

    def throttled(self) -> None:
        self._pace.slow_down()
