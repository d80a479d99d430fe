"""Counting through rollups gives what counting one by one gives, whatever the lens.

Random observations in a few batches, seen through random intervals: reopened and overlapping
ones, other accounts and regions, a freeze between batches. Days have whole, partial and unseen
groups in every mixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count as numbers
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.evidence.making import NOW, fact, keep, register
from tests.lakes import new_lake

from auditkeep.clock import DAY, MINUTE, Day, Instant, day_of
from auditkeep.db.database import Database
from auditkeep.evidence import folders, lens
from auditkeep.evidence.counts import Counts
from auditkeep.evidence.folders import Folder, FolderMemo
from auditkeep.evidence.ids import pinned_key
from auditkeep.evidence.lens import Reach
from auditkeep.evidence.slots import Every
from auditkeep.evidence.totals import Total, totals
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake
from auditkeep.observations import Observation, verdict_of

KEYS = ("iam:CreateUser", "config:RULE", "securityhub:IAM.4", "api:kms_ListKeys")
SOURCES: dict[str, Any] = {
    "iam:CreateUser": "AWS_Cloudtrail",
    "config:RULE": "AWS_Config",
    "securityhub:IAM.4": "AWS_Security_Hub",
    "api:kms_ListKeys": "AWS_API_Call",
}
VERDICTS = {
    "config:RULE": ("COMPLIANT", "NON_COMPLIANT", "NOT_APPLICABLE"),
    "securityhub:IAM.4": ("PASSED", "FAILED", "WARNING"),
}
ACCOUNTS = ("111111111111", "222222222222")
REGIONS = ("us-east-1", "eu-west-1", "aws-global")
ASSESSMENT = "a0000000-0000-4000-8000-000000000000"
FIRST = Instant(NOW - 9 * DAY)
RHYTHMS: tuple[Every, ...] = ("DAILY", "DAILY", "WEEKLY", "MONTHLY")

_tenants = numbers(100_000_000_000)


@dataclass(frozen=True)
class Opening:
    ordinal: int
    opens: int
    closes: int | None
    keys: frozenset[str]
    accounts: frozenset[str]
    regions: frozenset[str] | None
    every: Every


times = st.integers(0, 9 * 24).map(lambda hour: Instant(FIRST + hour * 60 * MINUTE))


@st.composite
def observed(draw: st.DrawFn) -> Observation:
    key = draw(st.sampled_from([*KEYS, pinned_key(ASSESSMENT, 1)]))
    if key not in KEYS:
        return fact(draw(times), match_key=key, source="MANUAL", account="123456789012")
    return fact(
        draw(times),
        match_key=key,
        source=SOURCES[key],
        verdict=draw(st.sampled_from(VERDICTS.get(key, (None,)))),
        account=draw(st.sampled_from(ACCOUNTS)),
        region=draw(st.sampled_from(REGIONS)),
        resources=draw(st.lists(st.sampled_from("xyz"), max_size=2)),
    )


@st.composite
def opening(draw: st.DrawFn) -> Opening:
    opens = draw(times)
    return Opening(
        ordinal=draw(st.integers(1, 2)),
        opens=opens,
        closes=draw(st.none() | times.filter(lambda t: t > opens)),
        keys=draw(st.frozensets(st.sampled_from(KEYS), min_size=1)),
        accounts=draw(st.frozensets(st.sampled_from(ACCOUNTS), min_size=1)),
        regions=draw(st.none() | st.just(frozenset({"us-east-1", "aws-global"}))),
        every=draw(st.sampled_from(RHYTHMS)),
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """One lake for all examples; each example is a tenant of its own."""
    folder: Path = tmp_path_factory.mktemp("lake")
    database = Database(f"sqlite:///{folder / 'audit.db'}")
    database.migrate()
    yield new_lake(database, folder)
    database.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    batches=st.lists(st.lists(observed(), min_size=1, max_size=8), min_size=1, max_size=4),
    openings=st.lists(opening(), max_size=5),
    frozen_after=st.none() | st.integers(1, 4),
    page_size=st.integers(1, 5),
)
def test_folders_are_what_counting_one_by_one_gives(
    shared: Lake,
    batches: list[list[Observation]],
    openings: list[Opening],
    frozen_after: int | None,
    page_size: int,
) -> None:
    with shared.db.write(Tenant(str(next(_tenants)), "us-east-1")) as tx:
        register(tx)
        kept: list[tuple[int, Observation]] = []
        for observations in batches:
            number = keep(tx, shared, observations)
            kept += [(number, o) for o in observations]
        for one in openings:
            lens.open_for_control(
                tx,
                ASSESSMENT,
                one.ordinal,
                one.keys,
                Reach(one.accounts, one.regions),
                Instant(one.opens),
                None if one.closes is None else Instant(one.closes),
                every=one.every,
            )
        naive = _naive(kept, openings, frozen_after)
        lenses = lens.load(tx, ASSESSMENT, [1, 2], frozen_after)
        memo = FolderMemo(1000)
        for _ in range(2):  # the second time from memory
            found: list[Folder] = []
            while page := folders.page(
                tx,
                shared,
                memo,
                lenses,
                after=found[-1].place if found else None,
                limit=page_size,
                today=day_of(NOW),
            ):
                found += page
            assert {f.place: _numbers(f.counts) for f in found} == naive
            assert [f.place for f in found] == sorted(naive, key=lambda p: (-p[1], p[0]))
        summed = totals(tx, shared, lenses)
        for ordinal in (1, 2):
            mine = [n for place, n in naive.items() if place[0] == ordinal]
            total = summed.get(ordinal, Total())
            assert total.manual == sum(n["manual"] for n in mine)
            assert total.system + total.manual == sum(n["total"] for n in mine)
        for place in naive:
            one_folder = folders.folder(tx, shared, memo, lenses[place[0] - 1], place[1])
            assert one_folder is not None
            assert _numbers(one_folder.counts) == naive[place]


def _naive(
    kept: list[tuple[int, Observation]], openings: list[Opening], frozen_after: int | None
) -> dict[tuple[int, Day], dict[str, Any]]:
    """Every observation against every interval, without rollups, windows or memory."""
    found: dict[tuple[int, Day], list[Observation]] = {}
    for number, o in kept:
        if frozen_after is not None and number > frozen_after:
            continue
        for ordinal in (1, 2):
            pinned = o.match_key == pinned_key(ASSESSMENT, ordinal)
            if pinned or any(_sees(one, o) for one in openings if one.ordinal == ordinal):
                found.setdefault((ordinal, day_of(o.event_time)), []).append(o)
    return {place: _count(seen) for place, seen in found.items()}


def _sees(one: Opening, o: Observation) -> bool:
    return (
        o.match_key in one.keys
        and o.account in one.accounts
        and (one.regions is None or o.region in one.regions)
        and one.opens <= o.event_time
        and (one.closes is None or o.event_time < one.closes)
        and _on_a_slot(one, o)
    )


def _on_a_slot(one: Opening, o: Observation) -> bool:
    """From the first midnight on: every seventh day, or the same day of the month."""
    if one.every == "DAILY":
        return True
    first = -(-one.opens // DAY)
    day = o.event_time // DAY
    return day >= first and (day == first or (one.every == "WEEKLY" and day == first + 7))


def _count(seen: list[Observation]) -> dict[str, Any]:
    sources = [o.source for o in seen]
    checks = [o for o in seen if o.source in ("AWS_Config", "AWS_Security_Hub")]
    values = [r.value for o in seen for r in o.resources]
    classes = [verdict_of(o.verdict) for o in seen]
    first = min((o.event_time, o.source) for o in seen)
    return {
        "total": len(seen),
        "compliance": len(checks),
        "issues": sum(verdict_of(o.verdict) == "non-compliant" for o in checks),
        "activity": sources.count("AWS_Cloudtrail"),
        "configuration": sources.count("AWS_API_Call"),
        "manual": sources.count("MANUAL"),
        "compliant": classes.count("compliant"),
        "noncompliant": classes.count("non-compliant"),
        "inconclusive": classes.count("inconclusive"),
        "resources": len(values),
        "distinct": len(set(values)),
        "first_time": first[0],
        "first_source": first[1],
    }


def _numbers(counts: Counts) -> dict[str, Any]:
    return {name: getattr(counts, name) for name in Counts.__dataclass_fields__}
