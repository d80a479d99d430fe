"""Backfill: what a source still knows is fetched page by page, and each page once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.workflows.collect_house import HERE, ONE, A, House

from auditkeep.clock import DAY, MINUTE, Instant
from auditkeep.collection import backfills, trails
from auditkeep.collection.backfills import Fetch
from auditkeep.collection.looks import Plans
from auditkeep.collection.trails import Progress, Trail
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake
from auditkeep.sources.pull import Denied, Unreachable
from auditkeep.work.pump import Pump
from auditkeep.workflows.backfill import Backfilling

pytestmark = pytest.mark.keys_elsewhere


@pytest.fixture
def house(lake: Lake, tenant: Tenant, tmp_path: Path) -> House:
    made = House(lake, tenant, tmp_path)
    made.trail.resources[ONE, ""] = ["e1", "e2", "e3"]
    made.look("ec2:RunInstances", "api:iam_ListUsers")
    return made


def start(house: House, days: int) -> list[Fetch]:
    now = house.clock.now()
    with house.lake.db.write(house.tenant) as tx:
        plan = Plans(house.library, house.settings).of(tx, now)
        wanted = list(backfills.planned(plan, A, Instant(now - days * DAY), lambda *_: now, now))
        backfills.save(tx, wanted)
        for one in wanted:
            house.jobs.enqueue(tx, backfills.JOB, one.id, now, lane=one.place.account)
    return wanted


def work(house: House) -> Fetch:
    handlers = {backfills.JOB: Backfilling(house.collector).handler()}
    Pump(house.jobs, handlers, house.clock, threads=1).drain()
    with house.lake.db.read(house.tenant) as tx:
        (one,) = backfills.listed(tx, A)
    return one


def test_only_sources_that_keep_a_history_are_asked_and_no_further_back(house: House) -> None:
    (one,) = start(house, 400)
    assert (one.place.source, one.place.region) == ("AWS_Cloudtrail", HERE)
    assert one.start == house.clock.now() - 90 * DAY


def test_it_is_fetched_to_its_end_and_told_as_a_run(house: House) -> None:
    start(house, 30)
    done = work(house)
    assert (done.state, done.observations, done.resume) == ("COMPLETE", 3, None)
    (ask,) = house.trail.asked
    assert (ask.since, ask.until) == (done.start, done.end)
    (run,) = house.runs()
    assert run["outcome"] == "completed"
    assert run["asked"][0]["counts"]["observations"] == 3


def test_the_past_of_a_trail_is_read_by_whoever_reads_the_trail(house: House) -> None:
    now = house.clock.now()
    place = f"AWSLogs/{ONE}/CloudTrail/{HERE}/"
    with house.lake.db.write(house.tenant) as tx:
        trails.save(tx, Trail(name="main", bucket="central-logs"), now)
        known = Progress(read_from=Instant(now - DAY), read_to=now)
        trails.keep_progress(tx, "main", place, known, now)
    (one,) = start(house, 400)
    assert (one.what, one.start) == ("trail", now - 400 * DAY)  # the bucket may have it all
    assert work(house).state == "RUNNING"
    assert house.trail.asked == []
    far = {(ONE, HERE): Instant(now - 399 * DAY)}
    with house.lake.db.write(house.tenant) as tx:
        assert backfills.read_by_trails(tx, far) == 0
        assert backfills.read_by_trails(tx, {(ONE, HERE): Instant(now - 400 * DAY)}) == 1
    assert work(house).state == "COMPLETE"


def test_the_past_of_a_trail_that_is_no_more_is_failed(house: House) -> None:
    with house.lake.db.write(house.tenant) as tx:
        trails.save(tx, Trail(name="main", bucket="central-logs"), house.clock.now())
        known = Progress(read_from=Instant(1), read_to=house.clock.now())
        place = f"AWSLogs/{ONE}/CloudTrail/{HERE}/"
        trails.keep_progress(tx, "main", place, known, house.clock.now())
    start(house, 30)
    with house.lake.db.write(house.tenant) as tx:
        assert backfills.read_by_trails(tx, {}) == 1
    done = work(house)
    assert (done.state, "ask for the backfill again" in done.message) == ("FAILED", True)


def test_whoever_takes_over_goes_on_behind_the_last_page(house: House) -> None:
    house.trail.troubles[ONE, ""] = [None, Unreachable("No answer.")]
    start(house, 30)
    half = work(house)
    assert (half.state, half.observations, half.resume) == ("RUNNING", 2, "2")
    house.clock.advance(MINUTE)
    house.restart()
    done = work(house)
    assert (done.state, done.observations, house.trail.pages) == ("COMPLETE", 3, 2)
    assert len(house.runs()) == 1


def test_what_is_denied_is_failed_with_the_reason(house: House) -> None:
    denied = Denied("The role lacks it.", action="cloudtrail:LookupEvents")
    house.trail.troubles[ONE, ""] = [denied]
    start(house, 30)
    failed = work(house)
    assert (failed.state, failed.message) == ("FAILED", "The role lacks it.")
