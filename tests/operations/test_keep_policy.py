"""The choice of what is kept: asked for, in force at once for whatever arrives, and logged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.databases import BOTH, url_of
from tests.operations.keep import Keep
from tests.operations.world import HOME, World

from auditkeep.clock import DAY, SECOND, Instant, iso, parse, wire
from auditkeep.collection.interest import interest_of
from auditkeep.collection.trails import Progress, Trail, keep_progress, save
from auditkeep.db import schema
from auditkeep.ids import Tenant
from auditkeep.lake import governance, keeping
from auditkeep.lake.governance import Authority
from auditkeep.workflows.expire import expire
from auditkeep.workflows.ingest import ingest

HERE = Tenant(HOME, "us-east-1")


@pytest.fixture(params=BOTH)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "data", url_of(request))
    yield made
    made.close()


@pytest.fixture
def keep(world: World) -> Keep:
    return Keep(world)


def event(at: Instant, number: int, name: str = "CreateUser", **more: Any) -> dict[str, Any]:
    return {
        "eventVersion": "1.11",
        "eventID": f"{number:08d}-0000-4000-8000-000000000000",
        "eventName": name,
        "eventSource": "iam.amazonaws.com",
        "eventTime": iso(at),
        "awsRegion": "us-east-1",
        "recipientAccountId": HOME,
        "readOnly": False,
        "managementEvent": True,
        "eventCategory": "Management",
        "userIdentity": {"type": "Root"},
        **more,
    }


def push(keep: Keep, *events: dict[str, Any]) -> tuple[int, int]:
    """How many were kept, and how many passed over."""
    done = keep.put_observations(source="cloudtrail", records=[json.dumps(e) for e in events])
    return done["observations"], done["unmatched"]


def evidence(world: World, made: Any) -> int:
    found = world.ask("get_evidence_folders_by_assessment", assessmentId=made.id)
    return sum(f["totalEvidence"] for f in found["evidenceFolders"])


def test_the_default_is_what_the_library_could_use(keep: Keep) -> None:
    told = keep.get_keep_policy()["keeping"]
    assert told == {
        "policy": "library", "observations": 0, "seen": 0, "rawBytes": 0, "storedBytes": 0
    }  # fmt: skip


def test_a_change_is_in_force_from_its_commit_on_and_is_logged_once(
    world: World, keep: Keep
) -> None:
    now = world.clock.now()
    assert push(keep, event(now, 1)) == (1, 0)
    for _ in range(2):
        told = keep.put_keep_policy(policy="matched")["keeping"]
        assert (told["policy"], told["observations"], told["seen"]) == ("matched", 2, 0)
        assert told["since"].timestamp() == now / SECOND
    assert push(keep, event(now, 2)) == (0, 1)
    made = world.assessment()
    after = world.clock.now()
    assert push(keep, event(after, 3), event(Instant(now - DAY), 4)) == (1, 1)
    assert evidence(world, made) == 1
    keep.put_keep_policy(policy="all")
    assert push(keep, event(after, 5, "NobodyKnowsThis")) == (1, 0)
    with world.db.read(HERE) as tx:
        told = governance.told_since(tx, world.deps.lake, Instant(0))
    policies = [r for _, r in told if isinstance(r, Authority)]
    assert [(p.action, p.subject) for p in policies] == [
        ("PutKeepPolicy", "matched"), ("PutKeepPolicy", "all")
    ]  # fmt: skip
    assert {p.principal for p in policies} == {policies[0].principal}
    assert policies[0].principal.endswith(f"{HOME}:user/root")


def test_what_is_no_policy_is_refused_and_changes_nothing(keep: Keep) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        keep.put_keep_policy(policy="some")
    assert keep.get_keep_policy()["keeping"]["policy"] == "library"


def test_under_all_a_control_that_is_made_later_sees_what_nobody_used(
    world: World, keep: Keep
) -> None:
    keep.put_keep_policy(policy="all")
    at = world.clock.now()
    assert push(keep, event(at, 1, "InventNothing")) == (1, 0)
    keyword = {"keywordInputType": "SELECT_FROM_LIST", "keywordValue": "iam_InventNothing"}
    control = world.control(
        {
            "sourceName": "trail",
            "sourceSetUpOption": "System_Controls_Mapping",
            "sourceType": "AWS_Cloudtrail",
            "sourceKeyword": keyword,
        }
    )
    framework = world.framework({"Set": [control["id"]]})
    made = world.assessment(frameworkId=framework["id"])
    keep.start_backfill(assessmentId=made.id, start=wire(Instant(at - DAY)))
    assert evidence(world, made) == 1


def test_under_all_what_is_no_evidence_is_kept_and_no_control_sees_it(
    world: World, keep: Keep
) -> None:
    at = world.clock.now()
    read = event(at, 1, "ListUsers", readOnly=True)
    assert push(keep, read) == (0, 1)
    keep.put_keep_policy(policy="all")
    made = world.assessment()
    at = world.later()
    reads = {**read, "eventID": event(at, 2)["eventID"], "eventTime": iso(at)}
    assert push(keep, reads, event(at, 3)) == (2, 0)
    assert evidence(world, made) == 1
    with world.db.read(HERE) as tx:
        kept = tx.all(tx.select(schema.rollups.c.match_key))
    assert "left_out:iam:ListUsers" in {row.match_key for row in kept}


def test_a_backfill_names_what_was_passed_over(world: World, keep: Keep) -> None:
    keep.put_keep_policy(policy="matched")
    at = world.clock.now()
    day = iso(at)[:10]
    other = {**event(at, 2), "recipientAccountId": "999988887777"}
    assert push(keep, event(at, 1), other, event(at, 3, "DeleteUser")) == (0, 3)
    made = world.assessment()
    assert keep.get_backfill(assessmentId=made.id)["notKept"] == []
    keep.start_backfill(assessmentId=made.id, start=wire(Instant(at - DAY)))
    (told,) = keep.get_backfill(assessmentId=made.id)["notKept"]
    assert told.pop("lastAt").timestamp() == pytest.approx(at / SECOND, abs=5)
    assert told == {
        "source": "AWS_Cloudtrail", "account": HOME, "region": "aws-global", "keywords": 1,
        "firstDay": day, "lastDay": day, "readAgain": False,
    }  # fmt: skip


def test_what_a_trail_will_read_again_is_named_so_until_it_has(world: World, keep: Keep) -> None:
    keep.put_keep_policy(policy="matched")
    at = world.clock.now()
    push(keep, event(at, 1))
    made = world.assessment()
    keep.start_backfill(assessmentId=made.id, start=wire(Instant(at - DAY)))
    folder = f"AWSLogs/{HOME}/CloudTrail/us-east-1/"

    def read(version: int, read_from: int) -> None:
        progress = Progress(version=version, read_from=Instant(read_from), read_to=at)
        with world.db.write(HERE) as tx:
            save(tx, Trail(name="main", bucket="the-trail"), at)
            keep_progress(tx, "main", folder, progress, at)

    def named() -> list[bool]:
        return [n["readAgain"] for n in keep.get_backfill(assessmentId=made.id)["notKept"]]

    with world.db.read(HERE) as tx:
        wanted = keeping.of(tx).wanted_version
    read(wanted - 1, at - 2 * DAY)
    assert named() == [True]
    read(wanted, at + 1)
    assert named() == [True]
    read(wanted, at - 2 * DAY)
    assert named() == []


def test_a_file_is_read_again_once_more_is_seen(world: World, keep: Keep, tmp_path: Path) -> None:
    keep.put_keep_policy(policy="matched")
    at = world.clock.now()
    path = tmp_path / "events.json"
    path.write_text(json.dumps({"Records": [event(Instant(at - n), n) for n in range(5)]}))

    def read() -> Any:
        with world.db.read(HERE) as tx:
            interest = interest_of(tx, world.deps.library)
        return ingest(
            world.deps.lake, HERE, "cloudtrail", [path], interest, principal="p", clock=world.clock
        )

    first = read()
    assert (first.records, first.observations, first.unmatched) == (5, 0, 5)
    assert first.reasons == {keeping.UNSEEN: 5}
    assert read().repeated_files == 1
    made = world.assessment()
    assert evidence(world, made) == 0
    assert read().unmatched == 5
    assert read().repeated_files == 1
    keep.start_backfill(assessmentId=made.id, start=wire(Instant(at - DAY)))
    assert read().observations == 5
    assert evidence(world, made) == 5


def test_what_was_passed_over_is_named_for_as_long_as_it_would_have_been_kept(
    world: World, keep: Keep
) -> None:
    keep.put_keep_policy(policy="matched")
    at = world.clock.now()
    push(keep, event(at, 1))

    def named() -> int:
        with world.db.read(HERE) as tx:
            return len(tx.all(tx.select(schema.unkept)))

    for days, left in ((730, 1), (733, 0)):
        world.clock.at = Instant(at + days * DAY)
        expire(world.deps.lake, world.deps.settings, HERE, world.clock.now())
        assert named() == left


def test_the_plan_shows_what_keeping_costs(world: World, keep: Keep) -> None:
    world.assessment()
    now = world.clock.now()
    push(keep, event(now, 1), event(now, 2, "DeleteUser"))
    told = keep.get_collection_plan()["keeping"]
    assert (told["policy"], told["observations"], told["seen"]) == ("library", 3, 1)
    assert told["rawBytes"] > 0 < told["storedBytes"]
    assert parse("2026-05-01T00:00:00Z") < now
