"""Collecting: its parts, built once; as whom an account is asked; and what its jobs are called.

`workflows.rounds` finds what is due and makes jobs of it, `workflows.regions` asks an account first
which regions it has, `workflows.asking` asks what is due, and `workflows.backfill` what is past.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from auditkeep.clock import MINUTE, SECOND, Clock, Instant
from auditkeep.collection import accounts
from auditkeep.collection.accounts import Asked
from auditkeep.collection.gaps import Gap
from auditkeep.collection.looks import Plans
from auditkeep.collection.targets import Place
from auditkeep.crypto.derive import hkdf
from auditkeep.db.database import Database
from auditkeep.db.tx import Tx
from auditkeep.ids import Tenant
from auditkeep.lake.buckets import make_ready
from auditkeep.lake.keeping import FACTS
from auditkeep.lake.lake import Lake
from auditkeep.mapping.interest import Interest
from auditkeep.observations import SourceType
from auditkeep.settings import Settings
from auditkeep.sources.aggregator import Aggregators, or_none
from auditkeep.sources.pull import Clients, Puller, Throttled
from auditkeep.sources.records import Context
from auditkeep.sources.secrets import Cutter
from auditkeep.sources.sessions import AccountClients, Who
from auditkeep.work.retry import Retry

KIND = "collect"
"""Jobs that ask what is due; keys are ACCOUNT/REGION/SOURCE/WHEN, or ACCOUNT/regions/WHEN of those
that ask which regions an account has. They are of one kind because lanes are, too: while an account
is asked for its regions, it is asked nothing else.
"""

PATIENCE = Retry(tries=8, first=2 * SECOND, longest=5 * MINUTE, spread=0.5, lane=(Throttled,))
"""Of an account that throttles or cannot be reached; then it is a gap, until the next round."""

SHORT: Mapping[SourceType, str] = {
    "AWS_API_Call": "api",
    "AWS_Config": "config",
    "AWS_Security_Hub": "securityhub",
    "AWS_Cloudtrail": "cloudtrail",
}
"""How sources are called in the keys of jobs, and on the command line."""

_REGIONS = "regions"
_SOURCES: Mapping[str, SourceType] = {short: source for source, short in SHORT.items()}


@dataclass(frozen=True)
class Collector:
    """What collecting takes. Safe to share between threads."""

    db: Database
    lake: Lake
    settings: Settings
    clock: Clock
    plans: Plans
    pullers: Mapping[SourceType, Puller]
    clients: Callable[[Who], AccountClients]
    interest: Callable[[Tenant], Interest]
    secret: bytes
    """From which the keys of cuts follow, a run each."""
    asked_elsewhere: Mapping[SourceType, str] = field(default_factory=dict)
    """Sources that one account is asked about for all accounts, and which that is."""
    aggregators: Aggregators | None = None
    """Those of AWS Config that are asked instead of the accounts they see."""
    regions: Callable[[Clients], frozenset[str]] | None = None
    """Asks an account which it has switched on; None: nobody asks, every region is taken for on."""
    told: Callable[[Tx, Gap, bool], None] = lambda _tx, _gap, _opened: None
    """Hears of each gap that opens (True) or closes, in the transaction that notes it."""

    @property
    def every(self) -> int:
        """How long a round is."""
        return self.settings.collect_every

    def asked(self, tx: Tx, place: Place) -> Asked:
        """How the account is asked that tells of a place: another than its own for some sources.

        Nothing is asked about an account that is paused, whoever would tell.
        """
        own = accounts.find(tx, place.account)
        elsewhere = self.asked_elsewhere.get(place.source)
        if elsewhere is None or own.paused:
            return own
        return accounts.find(tx, elsewhere)

    def who(self, tenant: Tenant, asked: Asked) -> Who:
        """As whom an account is asked."""
        settings = self.settings
        external = settings.collect_external_id.replace("{tenant}", tenant.account)
        return Who(
            account=asked.account,
            role=settings.collect_role if asked.role is None else asked.role,
            external_id=external if asked.external_id is None else asked.external_id,
            session_name=settings.collect_session_name,
        )

    def through(self, tx: Tx, tenant: Tenant, place: Place) -> Who | None:
        """As whom aggregators are asked about a place, where there may be some that see it."""
        if self.aggregators is None or place.source != "AWS_Config":
            return None
        return self.who(tenant, accounts.find(tx, self.aggregators.where.account))

    def aggregator(self, place: Place, through: Who | None) -> str | None:
        """The name of one that stands for the account, which then need not let anybody in."""
        if self.aggregators is None or through is None:
            return None
        seeing = self.aggregators.seeing
        return or_none(partial(seeing, partial(self.clients, through), place.account, place.region))

    def cut_key(self, run_id: str) -> bytes:
        """The key of what is cut out of a run's observations."""
        return hkdf(self.secret, f"auditkeep/cuts/1{run_id}".encode(), 32)

    def context(self, tenant: Tenant, cut_key: bytes) -> Context:
        """What reading answers takes."""
        reads = self.settings.cloudtrail_reads
        return Context(tenant, self.interest(tenant), Cutter(cut_key), reads=reads)

    def make_ready(self, tenant: Tenant, now: Instant) -> None:
        """What is counted while it is kept is counted once: no key is missed in the midst of it."""
        make_ready(self.db, self.lake.keys, tenant, FACTS, now)


def job_key(place: Place, when: str) -> str:
    """The key of the job that asks a place, for a slot's day or a round."""
    return "/".join((place.account, place.region, SHORT[place.source], when))


def regions_key(account: str, when: str) -> str:
    """The key of the job that asks an account for its regions, for a round."""
    return f"{account}/{_REGIONS}/{when}"


def asks_for_regions(key: str) -> bool:
    return key.split("/")[1] == _REGIONS


def place_of(key: str) -> Place:
    """The place that a job asks, of those that ask one."""
    account, region, source, _ = key.split("/", 3)
    return Place(account, region, _SOURCES[source])
