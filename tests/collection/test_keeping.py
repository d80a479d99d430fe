"""What is kept where only what an open lens sees is: no more than that, and never less."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.evidence.making import ACCOUNT, NOW, PROVENANCE, fact, register

from auditkeep.clock import DAY, MINUTE, Instant, day_of
from auditkeep.collection import baseline
from auditkeep.collection.keeping import LensKeeper, seen_now
from auditkeep.db.schema import tenants
from auditkeep.db.tx import Tx
from auditkeep.errors import StorageError
from auditkeep.evidence import lens
from auditkeep.evidence.ids import pinned_key
from auditkeep.evidence.lens import Reach
from auditkeep.evidence.metering import LensMeter
from auditkeep.evidence.slots import Every
from auditkeep.frameworks import keys as keys_room
from auditkeep.frameworks.model import Framework
from auditkeep.ids import GLOBAL_REGION, Tenant, new_id
from auditkeep.lake import keeping
from auditkeep.lake.append import Appended, Unit, append
from auditkeep.lake.lake import Lake
from auditkeep.lake.read import observations
from auditkeep.library.library import Library
from auditkeep.observations import Observation
from auditkeep.settings import load

HOUR = 60 * MINUTE
A = "a0000000-0000-4000-8000-000000000000"
OTHER = "444455556666"
KEY = "iam:CreateUser"
REACH = Reach(frozenset({ACCOUNT}), frozenset({"us-east-1", GLOBAL_REGION}))

pytestmark = pytest.mark.both_databases


@pytest.fixture
def keeping_lake(lake: Lake, tmp_path: Path) -> Lake:
    meter = LensMeter()
    keeper = LensKeeper(meter, Library.load(), load(tmp_path))
    return dataclasses.replace(lake, meter=meter, keeper=keeper)


@pytest.fixture
def tx(keeping_lake: Lake, tenant: Tenant) -> Iterator[Tx]:
    with keeping_lake.db.write(tenant) as tx:
        register(tx)
        keeping.choose(tx, "matched", NOW)
        yield tx


def put(tx: Tx, lake: Lake, *facts: Observation, unit: str = "") -> Appended:
    return append(
        tx,
        lake,
        unit=Unit(unit or new_id(), "test"),
        klass="facts",
        observations=facts,
        provenance=PROVENANCE,
        now=NOW,
    )


def open_(tx: Tx, assessment: str = A, at: int = NOW - DAY) -> None:
    lens.open_for_control(tx, assessment, 1, {KEY}, REACH, Instant(at))


def test_where_nobody_looks_nothing_is_kept_and_what_it_was_is_noted(
    tx: Tx, keeping_lake: Lake
) -> None:
    done = put(tx, keeping_lake, fact(NOW), fact(Instant(NOW - HOUR)), fact(NOW, account=OTHER))
    assert (done.batch_no, done.new, done.unkept) == (None, 0, 3)
    today = day_of(NOW)
    mine, theirs = keeping.passed_over(tx, [KEY], today, today)
    assert (mine.account, mine.first, mine.last) == (ACCOUNT, NOW - HOUR, NOW)
    assert (theirs.account, theirs.first) == (OTHER, NOW)
    put(tx, keeping_lake, fact(Instant(NOW - 2 * HOUR)))
    again = next(keeping.passed_over(tx, [KEY], today, today))
    assert (again.first, again.last) == (NOW - 2 * HOUR, NOW)
    assert keeping.forget_passed_over(tx, NOW) == 0
    assert keeping.forget_passed_over(tx, Instant(NOW + DAY)) == 2


def test_a_unit_of_what_some_see_keeps_that_and_only_once(tx: Tx, keeping_lake: Lake) -> None:
    open_(tx)
    facts = [fact(NOW), fact(NOW, match_key="s3:CreateBucket"), fact(Instant(NOW - 2 * DAY))]
    done = put(tx, keeping_lake, *facts, unit="u")
    assert (done.new, done.unkept) == (1, 2)
    assert put(tx, keeping_lake, *facts, unit="u").repeated
    again = put(tx, keeping_lake, *facts)
    assert (again.new, again.duplicates, again.unkept) == (0, 1, 2)
    assert seen_now(tx) == 1
    amount = keeping.amount(tx)
    assert amount.observations == 1
    assert amount.raw_bytes > 0 < amount.stored_bytes


def test_what_tells_of_the_collecting_and_what_is_pinned_is_kept_always(
    tx: Tx, keeping_lake: Lake
) -> None:
    done = put(
        tx,
        keeping_lake,
        fact(NOW, source="RUN", match_key="run:cloudtrail"),
        fact(NOW, match_key="digest:cloudtrail"),
        fact(NOW, source="MANUAL", match_key=pinned_key(A, 1)),
    )
    assert (done.new, done.unkept) == (3, 0)


def test_what_an_interval_saw_before_it_closed_is_kept_when_it_comes_late(
    tx: Tx, keeping_lake: Lake
) -> None:
    open_(tx)
    lens.close(tx, A, NOW)
    assert put(tx, keeping_lake, fact(Instant(NOW - 1))).new == 1
    assert put(tx, keeping_lake, fact(NOW)).unkept == 1


def test_the_baseline_looks_as_a_lens_does(tx: Tx, keeping_lake: Lake) -> None:
    library = Library.load()
    framework = next(f for f, one in library.frameworks.items() if _keys(library, one))
    key = min(_keys(library, library.frameworks[framework]))
    assert put(tx, keeping_lake, fact(NOW, match_key=key)).unkept == 1
    baseline.put(tx, library, [framework], [], Instant(NOW - DAY))
    assert put(tx, keeping_lake, fact(NOW, match_key=key)).new == 1
    assert put(tx, keeping_lake, fact(Instant(NOW - 2 * DAY), match_key=key)).unkept == 1


def test_a_lake_that_knows_no_lenses_keeps_nothing_by_them(tx: Tx, lake: Lake) -> None:
    with pytest.raises(StorageError, match="keeps only what is seen"):
        put(tx, lake, fact(NOW))
    keeping.choose(tx, "all", NOW)
    assert put(tx, lake, fact(NOW)).new == 1


def test_more_that_is_seen_is_another_version_and_less_is_not(tx: Tx) -> None:
    def version() -> int:
        return keeping.of(tx).wanted_version

    first = version()
    open_(tx)
    assert version() == first + 1
    lens.close(tx, A, NOW)
    lens.freeze(tx, A, NOW)
    lens.delete(tx, A)
    assert version() == first + 1
    open_(tx)
    assert version() == first + 2


@pytest.mark.parametrize("seed", range(5))
def test_lenses_see_the_same_as_if_everything_had_been_kept(
    keeping_lake: Lake, tenant: Tenant, seed: int
) -> None:
    """As long as each interval is there before what it sees arrives."""
    draw = random.Random(seed)
    keys = [KEY, "s3:CreateBucket", "kms:DisableKey"]
    ids = [new_id() for _ in range(4)]
    other = Tenant(OTHER, tenant.region)
    with keeping_lake.db.write(tenant) as tx:
        houses = [tx, tx.system().of(other)]
        for house in houses:
            register(house)
        keeping.choose(houses[0], "matched", NOW)
        at = NOW
        frozen: dict[str, list[int]] = {}
        kept = [0, 0]
        for _ in range(40):
            at = Instant(at + draw.randrange(1, 8 * HOUR))
            move, assessment = draw.random(), draw.choice(ids)
            if move < 0.3 and assessment not in frozen:
                reach = Reach(
                    frozenset(draw.sample([ACCOUNT, OTHER], draw.randint(1, 2))),
                    draw.choice([None, frozenset({"us-east-1", GLOBAL_REGION})]),
                )
                wanted = draw.sample(keys, draw.randint(1, 2))
                every: Every = draw.choice(["DAILY", "DAILY", "WEEKLY", "MONTHLY"])
                for house in houses:
                    lens.open_for_control(house, assessment, 1, wanted, reach, at, every=every)
            elif move < 0.4:
                for house in houses:
                    lens.close(house, assessment, at)
            elif move < 0.45 and assessment not in frozen:
                frozen[assessment] = [batches_of(house) for house in houses]
                for house in houses:
                    lens.freeze(house, assessment, at)
            else:
                facts = [
                    fact(
                        Instant(at - draw.randrange(2 * DAY)),
                        match_key=draw.choice([*keys, "other:Key"]),
                        account=draw.choice([ACCOUNT, OTHER]),
                        region=draw.choice(["us-east-1", "eu-west-1", GLOBAL_REGION]),
                        raw=b'{"n":"%s"}' % new_id().encode(),
                    )
                    for _ in range(10)
                ]
                facts = [f for f in facts if f.event_time >= NOW or draw.random() < 0.5]
                for number, house in enumerate(houses):
                    kept[number] += _append_at(house, keeping_lake, facts, at).new
        matched, library = (
            {
                one: _seen(house, keeping_lake, one, at, frozen[one][n] if one in frozen else None)
                for one in ids
            }
            for n, house in enumerate(houses)
        )
        assert matched == library
        assert 0 < kept[0] < kept[1]
        assert any(matched.values())


def batches_of(tx: Tx) -> int:
    return int(tx.scalar(tx.select(tenants.c.last_batch_no)) or 0)


def _keys(library: Library, framework: Framework) -> frozenset[str]:
    controls = (library.controls[c] for c in framework.control_ids())
    return frozenset[str]().union(*(keys_room.match_keys_of(c, library.group) for c in controls))


def _append_at(tx: Tx, lake: Lake, facts: list[Observation], at: Instant) -> Appended:
    return append(
        tx,
        lake,
        unit=Unit(new_id(), "test"),
        klass="facts",
        observations=facts,
        provenance=PROVENANCE,
        now=at,
    )


def _seen(tx: Tx, lake: Lake, assessment: str, now: Instant, up_to_batch: int | None) -> set[bytes]:
    (one,) = lens.load(tx, assessment, [1], up_to_batch)
    found = observations(tx, lake, one.views(), limit=10_000)
    assert all(f.event_time <= now for f in found)
    return {
        f.raw for f in found if one.sees(f.match_key, f.account, f.region, f.event_time, f.batch_no)
    }
