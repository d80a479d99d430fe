"""A hundred API-call sources over one account: asked, kept and read, beside bare boto3.

Both make exactly the same calls of the same simulated cloud, through clients made alike; bare boto3
throws the answers away, the collector gives pages as they would be ingested and reads every
observation out of them. Rounds alternate, and the quickest of each counts, in seconds of
the processor: cloud and client are one process, and what else the machine does is left out.
"""

import gc
import time
from collections.abc import Iterator

from bench.result import Result
from botocore import xform_name
from tests.simulator.cloud import Simulator
from tests.sources.asking import Simulated

from auditkeep.clock import Day, day_of
from auditkeep.ids import Tenant
from auditkeep.mapping import calls
from auditkeep.mapping.interest import Interest
from auditkeep.observations import Observation
from auditkeep.sources.apicalls import ApiCalls
from auditkeep.sources.pull import Ask, Request
from auditkeep.sources.records import Context, Tally
from auditkeep.sources.secrets import Cutter

ACCOUNT, REGION = "111122223333", "eu-west-1"
SOURCES = 100
ROUNDS = 5


def run(scale: float) -> Iterator[Result]:
    keywords = sorted(calls.documented())[:SOURCES]
    with Simulator(page_size=20, trust=True) as cloud:
        _fill(cloud, keywords, max(1, round(40 * scale)))
        clients = Simulated(cloud, ACCOUNT)
        asks = [_ask(cloud, keyword) for keyword in keywords]
        requests, found = _collect(clients, asks)  # warms both, and says what there is to do
        bare, ours = [], []
        gc.collect()  # what other parts left is not ours to be slowed down by
        gc.freeze()
        for _ in range(ROUNDS):
            started = time.process_time()
            _bare(clients, requests)
            bare.append(time.process_time() - started)
            started = time.process_time()
            _collect(clients, asks)
            ours.append(time.process_time() - started)
        gc.unfreeze()
    speed, limit = len(requests) / min(ours), len(requests) / min(bare)
    note = f"{len(requests):,} calls, {found:,} observations"
    name = f"{len(keywords)} API-call sources of one account"
    ratio = speed / limit
    yield Result(
        name, speed, limit, ratio, "≥ 0.8 × bare boto3", "calls/s of CPU", ratio >= 0.8, note
    )


def _fill(cloud: Simulator, keywords: list[str], number: int) -> None:
    cloud.estate.account(ACCOUNT)
    kinds = {"config:rule"}
    for keyword in keywords:
        call = calls.documented()[keyword]
        service = {"docdb": "rds"}.get(call.service, call.service)
        kinds.add(f"{service}:{call.feed.operation if call.feed else call.operation}")
    for kind in kinds:
        for one in range(number):
            cloud.estate.put(ACCOUNT, REGION, kind, f"thing-{one}")


def _ask(cloud: Simulator, keyword: str) -> Ask:
    slot = Day(day_of(cloud.clock.now()))
    return Ask("AWS_API_Call", ACCOUNT, REGION, keyword, slot=slot)


def _collect(clients: Simulated, asks: list[Ask]) -> tuple[list[tuple[str, Request]], int]:
    """Every call that was made, with the region it was made in, and how much was read."""
    puller, cutter = ApiCalls(), Cutter(b"k" * 32)
    context = Context(Tenant(ACCOUNT, REGION), Interest.everything(), cutter)
    made: list[tuple[str, Request]] = []
    found = 0
    for ask in asks:
        call = calls.documented()[ask.what]
        for page in puller.get(clients, ask):
            made += ((call.origin(ask.region), request) for request in page.requests)
            read = puller.parse(page, context, Tally())
            found += sum(isinstance(item, Observation) for item in read)
    return made, found


def _bare(clients: Simulated, requests: list[tuple[str, Request]]) -> None:
    for region, request in requests:
        client = clients.client(request.service, region)
        getattr(client, xform_name(request.operation))(**request.parameters)
