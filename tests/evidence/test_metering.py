"""What is metered: each observation once, if an active lens sees it when it is appended."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence

import pytest
from tests.evidence.making import ACCOUNT, NOW, PROVENANCE, fact, keep, register

from auditkeep.clock import DAY, MINUTE, Instant, day_of
from auditkeep.db.database import Database
from auditkeep.db.schema import usage
from auditkeep.db.tx import Tx
from auditkeep.evidence import lens
from auditkeep.evidence.ids import pinned_key
from auditkeep.evidence.lens import Lens, Reach
from auditkeep.evidence.metering import LensMeter
from auditkeep.evidence.slots import Every
from auditkeep.ids import GLOBAL_REGION, Tenant, new_id
from auditkeep.lake.append import Unit, append
from auditkeep.lake.lake import Lake
from auditkeep.observations import Observation

A = "a0000000-0000-4000-8000-000000000000"
B = "b0000000-0000-4000-8000-000000000000"
OTHER = "444455556666"
KEY = "iam:CreateUser"
REACH = Reach(frozenset({ACCOUNT}), frozenset({"us-east-1", GLOBAL_REGION}))
EARLIER, LATER = Instant(NOW - 60 * MINUTE), Instant(NOW + 60 * MINUTE)

pytestmark = pytest.mark.both_databases


@pytest.fixture
def tx(db: Database, tenant: Tenant, metered: Lake) -> Iterator[Tx]:
    """The lake is open by then: the first opening writes."""
    assert metered.db is db
    with db.write(tenant) as tx:
        register(tx)
        yield tx


@pytest.fixture
def metered(lake: Lake) -> Lake:
    return dataclasses.replace(lake, meter=LensMeter())


def counted(tx: Tx) -> dict[tuple[str, str, str], int]:
    rows = tx.all(tx.select(usage))
    assert {r.day for r in rows} <= {day_of(NOW)}
    return {(r.origin_account, r.origin_region, r.source): r.items for r in rows}


def total(tx: Tx) -> int:
    return sum(counted(tx).values())


def open_(tx: Tx, assessment: str = A, at: Instant = EARLIER, ordinal: int = 1) -> None:
    lens.open_for_control(tx, assessment, ordinal, {KEY, "s3:CreateBucket"}, REACH, at)


def test_where_nobody_looks_nothing_is_counted(tx: Tx, metered: Lake) -> None:
    keep(tx, metered, [fact(NOW)])
    assert counted(tx) == {}


def test_what_a_lens_sees_is_counted_by_where_it_comes_from(tx: Tx, metered: Lake) -> None:
    open_(tx)
    keep(
        tx,
        metered,
        [
            fact(NOW),
            fact(LATER, match_key="s3:CreateBucket"),
            fact(NOW, region=GLOBAL_REGION),
            fact(NOW, source="AWS_Config", verdict="COMPLIANT"),
            fact(NOW, match_key="kms:DisableKey"),
            fact(NOW, account=OTHER),
            fact(NOW, region="eu-west-1"),
            fact(Instant(EARLIER - 1)),
            fact(NOW, source="RUN", match_key="run:ingest"),
        ],
    )
    assert counted(tx) == {
        (ACCOUNT, "us-east-1", "AWS_Cloudtrail"): 2,
        (ACCOUNT, GLOBAL_REGION, "AWS_Cloudtrail"): 1,
        (ACCOUNT, "us-east-1", "AWS_Config"): 1,
    }


def test_thirty_assessments_count_it_once(tx: Tx, metered: Lake) -> None:
    for _ in range(30):
        open_(tx, new_id())
    keep(tx, metered, [fact(NOW), fact(NOW)])
    assert total(tx) == 2


def test_what_arrives_again_is_not_counted_again(tx: Tx, metered: Lake) -> None:
    open_(tx)
    one, two = fact(NOW), fact(NOW)
    unit = Unit(new_id(), "test")
    for _ in range(2):
        append(
            tx,
            metered,
            unit=unit,
            klass="facts",
            observations=[one],
            provenance=PROVENANCE,
            now=NOW,
        )
    keep(tx, metered, [one, two, two])
    assert total(tx) == 2


def test_a_transaction_that_fails_counts_nothing(db: Database, tenant: Tenant, lake: Lake) -> None:
    metered = dataclasses.replace(lake, meter=LensMeter())
    with db.write(tenant) as tx:
        register(tx)
        open_(tx)
    with pytest.raises(RuntimeError), db.write(tenant) as tx:
        keep(tx, metered, [fact(NOW)])
        assert total(tx) == 1
        raise RuntimeError
    with db.write(tenant) as tx:
        assert total(tx) == 0
        keep(tx, metered, [fact(NOW)])
        assert total(tx) == 1


def test_an_interval_that_closed_sees_what_happened_before(tx: Tx, metered: Lake) -> None:
    open_(tx)
    lens.close(tx, A, NOW)
    before, after = Instant(NOW - 1), NOW
    keep(tx, metered, [fact(before)])
    assert total(tx) == 1
    keep(tx, metered, [fact(after)])
    assert total(tx) == 1
    keep(tx, metered, [fact(before), fact(after), fact(EARLIER)])
    assert total(tx) == 3


def test_a_gap_between_two_intervals_is_not_counted(tx: Tx, metered: Lake) -> None:
    open_(tx)
    lens.close(tx, A, NOW)
    open_(tx, at=LATER)
    gap = Instant(NOW + 10 * MINUTE)
    keep(tx, metered, [fact(EARLIER), fact(gap), fact(LATER)])
    assert total(tx) == 2


def test_lenses_that_open_and_close_are_noticed_at_once(tx: Tx, metered: Lake) -> None:
    keep(tx, metered, [fact(NOW)])
    assert total(tx) == 0
    open_(tx)
    keep(tx, metered, [fact(NOW)])
    assert total(tx) == 1
    lens.close(tx, A, EARLIER)
    keep(tx, metered, [fact(NOW)])
    assert total(tx) == 1
    open_(tx, B)
    keep(tx, metered, [fact(NOW)])
    assert total(tx) == 2
    lens.delete(tx, B)
    keep(tx, metered, [fact(NOW)])
    assert total(tx) == 2


def test_what_is_seen_only_later_is_not_counted(tx: Tx, metered: Lake) -> None:
    keep(tx, metered, [fact(NOW)])
    open_(tx)
    keep(tx, metered, [fact(NOW, match_key="kms:DisableKey")])
    assert total(tx) == 0


def test_a_frozen_assessment_sees_nothing_new(tx: Tx, metered: Lake) -> None:
    open_(tx)
    open_(tx, B)
    lens.freeze(tx, A, NOW)
    keep(tx, metered, [fact(Instant(NOW - 1))])
    assert total(tx) == 1
    lens.freeze(tx, B, NOW)
    keep(tx, metered, [fact(Instant(NOW - 1))])
    assert total(tx) == 1


def test_manual_evidence_is_counted_as_such(tx: Tx, metered: Lake) -> None:
    keep(tx, metered, [fact(NOW, source="MANUAL", match_key=pinned_key(A, 1))])
    assert counted(tx) == {(ACCOUNT, "us-east-1", "MANUAL"): 1}


def test_what_is_kept_aside_from_evidence_is_not_counted(tx: Tx, metered: Lake) -> None:
    open_(tx)
    keep(tx, metered, [fact(NOW)], "activity")
    assert total(tx) == 0


def test_tenants_are_metered_apart(db: Database, tx: Tx, metered: Lake) -> None:
    open_(tx)
    theirs = tx.system().of(Tenant(OTHER, "us-east-1"))
    register(theirs)
    keep(theirs, metered, [fact(NOW)])
    assert counted(theirs) == {}
    keep(tx, metered, [fact(NOW)])
    assert total(tx) == 1


@pytest.mark.parametrize("seed", range(6))
def test_it_agrees_with_asking_every_lens_about_every_observation(
    tx: Tx, metered: Lake, seed: int
) -> None:
    draw = random.Random(seed)
    keys = [KEY, "s3:CreateBucket", "kms:DisableKey"]
    frozen: set[str] = set()
    ids = [new_id() for _ in range(4)]
    expected = 0
    for _ in range(30):
        move = draw.random()
        assessment = draw.choice(ids)
        at = Instant(NOW - draw.randrange(3 * DAY))
        if move < 0.4:
            places = Reach(
                frozenset(draw.sample([ACCOUNT, OTHER], draw.randint(1, 2))),
                draw.choice([None, frozenset({"us-east-1", GLOBAL_REGION})]),
            )
            if assessment not in frozen:
                wanted = draw.sample(keys, draw.randint(1, 2))
                every: Every = draw.choice(["DAILY", "DAILY", "WEEKLY", "MONTHLY"])
                ordinal = draw.randint(1, 3)
                lens.open_for_control(tx, assessment, ordinal, wanted, places, at, every=every)
        elif move < 0.6:
            lens.close(tx, assessment, at)
        elif move < 0.65:
            lens.freeze(tx, assessment, at)
            frozen.add(assessment)
        else:
            lenses = [
                one
                for known in ids
                if known not in frozen
                for one in lens.load(tx, known, range(1, 4), None)
            ]
            facts = [
                fact(
                    Instant(NOW - draw.randrange(3 * DAY)),
                    match_key=draw.choice([*keys, "other:Key"]),
                    account=draw.choice([ACCOUNT, OTHER]),
                    region=draw.choice(["us-east-1", "eu-west-1", GLOBAL_REGION]),
                )
                for _ in range(20)
            ]
            expected += seen_by_any(lenses, facts)
            keep(tx, metered, facts)
    assert total(tx) == expected > 0


def seen_by_any(lenses: Sequence[Lens], facts: Sequence[Observation]) -> int:
    return sum(
        any(x.sees(f.match_key, f.account, f.region, f.event_time, 1) for x in lenses)
        for f in facts
    )
