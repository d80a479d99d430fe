from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.lake.making import EVERYTHING, NOW, TENANT, add, observation, some

from auditkeep.clock import DAY, SECOND, Day, Instant
from auditkeep.db.database import Database
from auditkeep.db.schema import tenants
from auditkeep.errors import StorageError
from auditkeep.evidence.progress import last_batch_no
from auditkeep.lake.lake import Lake
from auditkeep.lake.read import Stored, View, find, headers, observations, rollups
from auditkeep.lake.seal import seal
from auditkeep.observations import Observation, Resource

LOAD = [
    *some(0, 40),
    # Many at one instant, so that the id decides the order.
    *(observation(n, event_time=Instant(NOW - DAY)) for n in range(100, 120)),
]


def fill(lake: Lake, db: Database) -> None:
    """Batches 1 to 3 in a segment, 4 to 6 in the tail."""
    for number in range(6):
        add(lake, f"unit-{number}", LOAD[number * 10 : number * 10 + 10])
        if number == 2:
            assert seal(lake, TENANT, now=NOW, min_rows=30) is not None


@pytest.mark.both_databases
def test_pages_follow_each_other_through_tail_and_segments(lake: Lake, db: Database) -> None:
    fill(lake, db)
    with db.read(TENANT) as tx:
        whole = observations(tx, lake, [EVERYTHING], limit=100)
        paged: list[Stored] = []
        after = None
        while page := observations(tx, lake, [EVERYTHING], after=after, limit=7):
            paged += page
            after = (page[-1].event_time, page[-1].id)
    assert len(whole) == 60
    assert paged == whole
    assert whole == sorted(whole, key=lambda s: (s.event_time, s.id), reverse=True)


accounts = st.none() | st.frozensets(
    st.sampled_from([str(111122223333 + n) for n in range(5)]), max_size=3
)
regions = st.none() | st.frozensets(st.sampled_from(["us-east-1", "aws-global", "x"]), max_size=2)
times = st.integers(-2, 122).map(lambda n: Instant(NOW - DAY + n * SECOND))
views = st.builds(
    View,
    match_keys=st.frozensets(
        st.sampled_from(["iam:CreateUser", "iam:DeleteUser", "none"]), max_size=2
    ),
    accounts=accounts,
    regions=regions,
    start=times,
    end=times,
    up_to_batch=st.none() | st.integers(0, 7),
)


@pytest.fixture
def filled(lake: Lake, db: Database) -> Lake:
    fill(lake, db)
    return lake


def sees(some_views: list[View]) -> Callable[[tuple[int, Observation]], bool]:
    """The rule of a view, written a second time."""

    def seen(placed: tuple[int, Observation]) -> bool:
        number, o = placed
        return any(
            o.match_key in v.match_keys
            and (v.accounts is None or o.account in v.accounts)
            and (v.regions is None or o.region in v.regions)
            and v.start <= o.event_time < v.end
            and (v.up_to_batch is None or number // 10 + 1 <= v.up_to_batch)
            for v in some_views
        )

    return seen


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(some_views=st.lists(views, max_size=4), limit=st.integers(1, 70))
def test_a_union_of_views_sees_exactly_what_its_rule_says(
    filled: Lake, some_views: list[View], limit: int
) -> None:
    expected = [o for _, o in filter(sees(some_views), enumerate(LOAD))]
    with filled.db.read(TENANT) as tx:
        seen = observations(tx, filled, some_views, limit=limit)
        counted = list(headers(tx, filled, some_views))
    newest = sorted((o.event_time for o in expected), reverse=True)[:limit]
    assert [s.event_time for s in seen] == newest
    assert {s.raw for s in seen} <= {o.raw for o in expected}
    assert len({s.id for s in seen}) == len(seen)
    assert sorted(h.event_time for h in counted) == sorted(o.event_time for o in expected)


@pytest.mark.both_databases
def test_headers_say_the_same_from_tail_and_segment(lake: Lake, db: Database) -> None:
    odd = [
        observation(
            1, verdict="FAILED", resources=(Resource("a", verdict="FAILED"), Resource("b"))
        ),
        observation(2, resources=(Resource(""),)),
        observation(3, resources=(Resource("x\x1fy", verdict="p"), Resource("z"))),
        observation(4, resources=()),
    ]
    add(lake, "unit-1", odd)
    with db.read(TENANT) as tx:
        in_tail = sorted(headers(tx, lake, [EVERYTHING]), key=lambda h: h.event_time)
        whole = observations(tx, lake, [EVERYTHING], limit=10)
    assert seal(lake, TENANT, now=NOW, min_rows=1) is not None
    with db.read(TENANT) as tx:
        sealed = sorted(headers(tx, lake, [EVERYTHING]), key=lambda h: h.event_time)
        assert observations(tx, lake, [EVERYTHING], limit=10) == whole
    assert sealed == in_tail
    assert [h.resources for h in in_tail] == [("a", "b"), ("",), ("x\x1fy", "z"), ()]
    assert [h.resource_verdicts for h in in_tail] == [("FAILED", ""), ("",), ("p", ""), ()]
    assert [h.verdict for h in in_tail] == ["FAILED", None, None, None]


@pytest.mark.both_databases
def test_observations_are_found_by_id_wherever_they_are(lake: Lake, db: Database) -> None:
    fill(lake, db)
    with db.read(TENANT) as tx:
        whole = {s.id: s for s in observations(tx, lake, [EVERYTHING], limit=100)}
        assert find(tx, lake, [*whole, b"\0" * 16, next(iter(whole))]) == whole
        assert find(tx, lake, []) == {}


def test_a_writer_reads_what_it_is_about_to_commit(lake: Lake, db: Database) -> None:
    add(lake, "unit-1", some(0, 3))
    with db.write(TENANT) as tx:
        assert len(observations(tx, lake, [EVERYTHING], limit=10)) == 3


def test_a_segment_that_is_gone_is_named(lake: Lake, db: Database) -> None:
    add(lake, "unit-1", some(0, 3))
    sealed = seal(lake, TENANT, now=NOW, min_rows=1)
    assert sealed is not None
    for name in list(lake.objects.list("segments/")):
        lake.objects.delete(name)
    with db.read(TENANT) as tx, pytest.raises(StorageError, match=f"{sealed.segment_id} is gone"):
        observations(tx, lake, [EVERYTHING], limit=1)
    with db.read(TENANT) as tx, pytest.raises(StorageError, match="is gone"):
        list(headers(tx, lake, [EVERYTHING]))


def test_views_that_see_nothing_cost_nothing(lake: Lake, db: Database) -> None:
    nothing = View(frozenset(), None, None, Instant(0), NOW)
    with db.read(TENANT) as tx:
        assert observations(tx, lake, [], limit=5) == []
        assert observations(tx, lake, [nothing], limit=5) == []
        assert observations(tx, lake, [EVERYTHING], limit=0) == []
        assert list(headers(tx, lake, [nothing])) == []


@pytest.mark.both_databases
def test_rollups_are_narrowed_by_origin(lake: Lake, db: Database) -> None:
    add(lake, "unit-1", LOAD)
    with db.read(TENANT) as tx:
        rows = rollups(
            tx,
            match_keys=["iam:CreateUser"],
            first_day=Day(0),
            last_day=None,
            accounts=["111122223334"],
            regions=["us-east-1"],
        )
    expected = [
        o
        for o in LOAD
        if o.match_key == "iam:CreateUser"
        and o.account == "111122223334"
        and o.region != "aws-global"
    ]
    assert sum(row.items for row in rows) == len(expected)


@pytest.mark.both_databases
@pytest.mark.parametrize("sealed", [False, True])
def test_a_class_kept_aside_is_seen_only_by_who_names_it(
    lake: Lake, db: Database, sealed: bool
) -> None:
    add(lake, "evidence", some(0, 5))
    with db.read(TENANT) as tx:
        reached = last_batch_no(tx)
    add(lake, "calls", some(5, 5), klass="activity")
    if sealed:
        while seal(lake, TENANT, now=NOW, min_rows=1) is not None:
            pass
    with db.read(TENANT) as tx:
        evidence = observations(tx, lake, [EVERYTHING], limit=100)
        assert {row.id for row in headers(tx, lake, [EVERYTHING])} == {row.id for row in evidence}
        calls = observations(tx, lake, [EVERYTHING], limit=100, klass="activity")
        assert last_batch_no(tx) == reached == 1
        assert tx.scalar(tx.select(tenants.c.last_batch_no)) == 2
    assert (len(evidence), len(calls)) == (5, 5)
    assert {row.batch_no for row in evidence} == {1}
    assert {row.batch_no for row in calls} == {2}
