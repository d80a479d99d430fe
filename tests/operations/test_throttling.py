"""How often a tenant may ask: the bucket itself, and what a client is told when it is empty."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from tests.operations.in_process import Api
from tests.wire.model_cases import Sent

from auditkeep.accounts import quotas
from auditkeep.clock import MINUTE, SECOND, FixedClock, Instant
from auditkeep.db.database import Database
from auditkeep.errors import Throttled
from auditkeep.ids import Tenant
from auditkeep.operations import throttling
from auditkeep.operations.call import Deps
from auditkeep.operations.throttling import Throttle
from auditkeep.settings import Settings

HERE = Tenant("111122223333", "us-east-1")
START = Instant(1_777_636_800 * SECOND)


def admitted(throttle: Throttle, times: int, now: int, tenant: Tenant = HERE) -> int:
    taken = 0
    for _ in range(times):
        try:
            throttle.take(tenant, Instant(now))
        except Throttled:
            continue
        taken += 1
    return taken


def test_a_burst_is_admitted_and_then_one_request_for_each_interval() -> None:
    throttle = Throttle(20, 5)
    assert admitted(throttle, 10, START) == 5
    assert admitted(throttle, 10, START + SECOND // 20) == 1
    assert admitted(throttle, 10, START + SECOND // 20 * 4) == 3
    assert admitted(throttle, 10, START + MINUTE) == 5


def test_the_refusal_says_when_there_is_room_again() -> None:
    throttle = Throttle(4, 1)
    throttle.take(HERE, START)
    with pytest.raises(Throttled, match="4 times a second") as caught:
        throttle.take(HERE, Instant(START + SECOND // 10))
    assert caught.value.retry_after == SECOND // 4 - SECOND // 10
    throttle.take(HERE, Instant(START + SECOND // 10 + caught.value.retry_after))


def test_tenants_do_not_take_from_each_other() -> None:
    throttle = Throttle(20, 2)
    assert admitted(throttle, 5, START) == 2
    assert admitted(throttle, 5, START, Tenant(HERE.account, "eu-west-1")) == 2
    assert admitted(throttle, 5, START, Tenant("444455556666", HERE.region)) == 2


def test_a_rate_of_zero_admits_everything() -> None:
    assert admitted(Throttle(0, 1), 1000, START) == 1000


def test_a_clock_that_is_set_back_costs_no_more_than_one_bucket() -> None:
    throttle = Throttle(10, 3)
    assert admitted(throttle, 9, START) == 3
    earlier = START - 60 * MINUTE
    assert admitted(throttle, 9, earlier) == 0
    assert admitted(throttle, 9, earlier + SECOND // 10) == 1
    assert admitted(throttle, 9, earlier + SECOND) == 3


def test_no_more_than_so_many_buckets_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "MOST_BUCKETS", 3)
    throttle = Throttle(1, 1)
    regions = [Tenant(HERE.account, f"r-{n}") for n in range(50)]
    for tenant in regions:
        throttle.take(tenant, START)
    assert sum(admitted(throttle, 1, START, t) for t in regions[-3:]) == 0
    assert admitted(throttle, 1, START, regions[0]) == 1


def test_threads_share_one_bucket() -> None:
    throttle = Throttle(1, 100)
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: admitted(throttle, 50, START), range(8)))
    assert sum(done) == 100


@given(
    st.lists(st.integers(0, 2 * SECOND), max_size=200),
    st.integers(1, 50),
    st.integers(1, 10),
)
def test_no_stretch_of_time_sees_more_than_burst_and_rate(
    gaps: list[int], rate: int, burst: int
) -> None:
    throttle, now = Throttle(rate, burst), int(START)
    taken: list[int] = []
    for gap in gaps:
        now += gap
        if admitted(throttle, 1, now):
            taken.append(now)
    for first, at in enumerate(taken):
        for last in range(first, len(taken)):
            passed = (taken[last] - at) / SECOND
            assert last - first + 1 <= burst + passed * rate + 1e-3


def test_a_tenant_may_have_a_rate_of_its_own_which_is_looked_up_once_a_minute() -> None:
    asked: list[Tenant] = []
    rates = {HERE: 2.0}

    def rate_of(tenant: Tenant) -> float | None:
        asked.append(tenant)
        return rates.get(tenant)

    throttle = Throttle(10, 1, rate_of)
    assert admitted(throttle, 9, START) == 1
    assert admitted(throttle, 9, START + SECOND // 10) == 0
    assert admitted(throttle, 9, START + SECOND // 2) == 1
    other = Tenant("444455556666", "us-east-1")
    assert (
        admitted(throttle, 9, START, other) + admitted(throttle, 9, START + SECOND // 10, other)
        == 2
    )
    assert asked == [HERE, other]
    rates.clear()
    assert admitted(throttle, 9, START + MINUTE) == 1
    assert admitted(throttle, 9, START + MINUTE + SECOND // 10) == 1
    assert asked == [HERE, other, HERE]


@pytest.fixture
def api(db: Database, deps: Deps, clock: FixedClock) -> Api:
    settings = Settings(data=deps.settings.data, throttle_rate=2, throttle_burst=3)
    return Api(db, replace(deps, settings=settings), clock)


@pytest.mark.parametrize("name", ["get_account_status", "list_notifications"])
def test_operations_that_do_not_model_it_are_throttled_alike(api: Api, name: str) -> None:
    """Neither of them lists ThrottlingException; a client knows it all the same."""
    api.call(api.client().register_account)
    method = getattr(api.client(), name)
    api.call(method)
    api.call(method)
    with pytest.raises(ClientError) as caught:
        api.call(method)
    answer = caught.value.response
    assert answer["Error"]["Code"] == "ThrottlingException"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-retry-after"] == "500"
    assert headers["retry-after"] == "1"


def test_the_bucket_fills_again_with_time(api: Api, clock: FixedClock) -> None:
    method = api.client().get_account_status
    for _ in range(3):
        api.call(method)
    with pytest.raises(ClientError, match="ThrottlingException"):
        api.call(method)
    clock.advance(SECOND // 2)
    assert api.call(method)["status"] == "INACTIVE"


def test_who_proves_nothing_takes_nothing(api: Api) -> None:
    """A wrong signature costs its account no token, or anybody could lock anybody out."""
    wrong = replace(api.admin, secret_access_key="x" * 40)
    status = Sent("GET", b"/account/status", b"", b"")
    for _ in range(20):
        assert api.ask(status, wrong).status == 403
    assert api.ask(status).status == 200


def test_who_may_do_nothing_is_throttled_before_policies_are_asked(api: Api) -> None:
    reader = api.key("reader", "AuditkeepReadOnly")
    register = Sent("POST", b"/account/registerAccount", b"", b"{}")
    assert [api.ask(register, reader).status for _ in range(4)] == [403, 403, 403, 429]


def test_a_rate_set_for_one_tenant_counts_for_it_alone(
    api: Api, db: Database, tenant: Tenant
) -> None:
    with db.write(tenant) as tx:
        quotas.save(tx, "api-rate", 1)
    status = Sent("GET", b"/account/status", b"", b"")
    for _ in range(3):
        assert api.ask(status).status == 200
    refused = dict(api.ask(status).headers)
    assert refused[b"x-amz-retry-after"] == b"1000"
    elsewhere = [api.ask(status, region="eu-west-1") for _ in range(4)]
    assert dict(elsewhere[-1].headers)[b"x-amz-retry-after"] == b"500"
