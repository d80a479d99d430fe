"""An aggregator of AWS Config, asked for the accounts and regions that it sees (spec 3.2).

Source: AWS Config API reference, `DescribeConfigurationAggregators`,
`DescribeConfigurationAggregatorSourcesStatus` and the aggregate operations. It lies in one account
and region and needs no role anywhere else. What it sees changes as accounts come and go, so that is
asked for again every so often; who it does not see, or not freshly, is asked directly.

It does not tell who owns a rule: AWS's own are known by their default names only, and what is
looked at and found under no name there is a fault of the answer. It has no history: that is had
from accounts alone.
"""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from auditkeep.clock import MINUTE, Clock, Instant
from auditkeep.errors import NotCollected, SetupError
from auditkeep.observations import SourceType
from auditkeep.sources.configpull import READER, ConfigEvaluations, aggregated, aggregators
from auditkeep.sources.pull import Ask, Clients, Page
from auditkeep.sources.records import Context, Parsed, Tally
from auditkeep.sources.turning import pages

FRESH = 60 * MINUTE
"""For how long it is taken as known what the aggregators see."""

AFTER_FAILURE = 5 * MINUTE
"""For how long accounts are asked directly where nobody could say that."""

ACTIONS = frozenset(
    {
        "config:BatchGetAggregateResourceConfig",
        "config:DescribeAggregateComplianceByConfigRules",
        "config:DescribeConfigurationAggregatorSourcesStatus",
        "config:DescribeConfigurationAggregators",
        "config:GetAggregateComplianceDetailsByConfigRule",
    }
)

_WHERE = re.compile(r"(\d{12})/([a-z]{2}(?:-[a-z]+)+-\d)")

_Seen = dict[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Where:
    """The account and region in which aggregators lie."""

    account: str
    region: str

    @classmethod
    def of(cls, text: str) -> "Where":
        """From ACCOUNT/REGION; SetupError for anything else."""
        found = _WHERE.fullmatch(text)
        if found is None:
            raise SetupError(f"'{text}' is not where aggregators lie: write ACCOUNT/REGION.")
        return cls(*found.groups())


class Aggregators:
    """What lies at one place, and which of it sees whom. Safe to share between threads."""

    def __init__(self, where: Where, clock: Clock) -> None:
        self.where = where
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: _Seen = {}
        self._until = Instant(0)

    def seeing(self, clients: Callable[[], Clients], account: str, region: str) -> str | None:
        """The name of an aggregator that sees a place, and whose copy of it is fresh.

        NotCollected where it cannot be asked what it sees: then nobody asks it for a while. Whoever
        comes meanwhile has the answer of before, and waits for the first one only.
        """
        if self._lock.acquire(blocking=self._until == 0):
            try:
                self._look(clients)
            finally:
                self._lock.release()
        return self._seen.get((account, region))

    def _look(self, clients: Callable[[], Clients]) -> None:
        now = self._clock.now()
        if now < self._until:
            return
        try:
            seen = _seen(clients(), self.where.region)
        except NotCollected:
            self._seen, self._until = {}, Instant(now + AFTER_FAILURE)
            raise
        self._seen, self._until = seen, Instant(now + FRESH)


def _seen(clients: Clients, region: str) -> _Seen:
    """Each account and region that some aggregator has a fresh copy of, with the first such."""
    client = clients.client("config", region)
    found: _Seen = {}
    for name in sorted(aggregators(clients, region)):
        asked = {"ConfigurationAggregatorName": name}
        for turned in pages(client, "DescribeConfigurationAggregatorSourcesStatus", asked):
            for one in turned.response.get("AggregatedSourceStatusList", []):
                if (
                    one.get("SourceType") == "ACCOUNT"
                    and one.get("LastUpdateStatus") == "SUCCEEDED"
                ):
                    found.setdefault((one.get("SourceId", ""), one.get("AwsRegion", "")), name)
    return found


class Aggregated:
    """A `sources.pull.Puller` for accounts and regions that one aggregator sees."""

    source: Final[SourceType] = "AWS_Config"
    reader: Final = READER

    def __init__(self, name: str, region: str) -> None:
        self._name = name
        self._region = region
        self._direct = ConfigEvaluations()

    def actions(self, what: str) -> frozenset[str]:  # noqa: ARG002 - there is one question only
        return ACTIONS

    def get(self, clients: Clients, ask: Ask, resume: str | None = None) -> Iterator[Page]:
        client = clients.client("config", self._region)
        return aggregated(client, replace(ask, what=self._name), resume, place=True)

    def parse(self, page: Page, context: Context, tally: Tally) -> Parsed:
        return self._direct.parse(page, context, tally)


def or_none(look: Callable[[], str | None]) -> str | None:
    """A name, or None where nobody can say: then accounts are asked directly."""
    try:
        return look()
    except NotCollected:
        return None
