"""An assessment is deleted where only what is seen is kept: what it alone saw goes, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.databases import BOTH, url_of
from tests.operations.keep import Keep
from tests.operations.test_keeping import HERE, audited, destructions, select
from tests.operations.world import TRAIL, Made, World
from tests.processes import crashed
from tests.workflows.test_report import blank, report_key
from tests.workflows.unseeing import reopened, run

from auditkeep.clock import DAY, Instant, SystemClock, iso, wire
from auditkeep.db import schema
from auditkeep.errors import Busy
from auditkeep.lake import generations, governance, keeping, read
from auditkeep.lake.audit.run import audit
from auditkeep.lake.blobs import get_blob
from auditkeep.lake.generations import Doomed, cut
from auditkeep.lake.governance import Authority, Destruction, Unseen
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import View
from auditkeep.lake.places import places
from auditkeep.lake.seal import seal
from auditkeep.lake.sequencer import Sequencer
from auditkeep.lake.sweep import sweep
from auditkeep.reports import store as reports
from auditkeep.verify.archive import verify_archive
from auditkeep.work.jobs import DatabaseJobs
from auditkeep.work.pump import Pump
from auditkeep.workflows.report import Maker, build_report
from auditkeep.workflows.unseen import destroy_unseen, unseen_handler

ROOT = Path(__file__).parent.parent.parent
CREATE, DELETE = "iam:CreateUser", "iam:DeleteUser"


@pytest.fixture(params=BOTH)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "data", url_of(request))
    yield made
    made.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    """On the embedded database, for what does not depend on it."""
    made = World(tmp_path / "data")
    yield made
    made.close()


@dataclass
class Two:
    """An assessment that is to be deleted, another that saw less, and what was there before."""

    doomed: Made
    other: Made
    keep: Keep


def furnish(world: World, policy: str = "matched") -> Two:
    """Two batches from before the policy, and four since, some in a segment and some in the tail.

    Of the last three, `doomed` sees all eight facts, and the other three of one batch.
    """
    keyword = {"keywordInputType": "SELECT_FROM_LIST", "keywordValue": "iam_DeleteUser"}
    controls = [world.control()["id"], world.control({**TRAIL, "sourceKeyword": keyword})["id"]]
    doomed = world.assessment(frameworkId=world.framework({"Both": controls})["id"])
    early = world.later()
    world.observe(early, match_key=CREATE)
    world.observe(early, match_key=DELETE)
    keep = Keep(world)
    if policy != "library":
        keep.put_keep_policy(policy=policy)
    other = world.assessment(frameworkId=world.framework({"One": [controls[0]]})["id"])
    late = world.later()
    world.observe(Instant(early + 1), Instant(late + 1), Instant(early + 2), Instant(late + 2))
    world.observe(late, Instant(late + 1), match_key=DELETE)
    while seal(world.deps.lake, HERE, now=late, min_rows=1):
        pass
    world.observe(Instant(early + 3), Instant(late + 3))
    return Two(doomed, other, keep)


def delete(world: World, made: Made) -> None:
    world.ask("delete_assessment", assessmentId=made.id)


def work_off(world: World) -> int:
    handler = unseen_handler(world.deps.lake, world.clock, world.deps.caches.clear)
    pump = Pump(DatabaseJobs(world.db), {keeping.FORGOTTEN: handler}, world.clock)
    return pump.drain()


def there(lake: Lake) -> list[tuple[str, int, int]]:
    """Match key, batch and index of the facts that are kept."""
    keys = frozenset({CREATE, DELETE})
    with lake.db.read(HERE) as tx:
        view = View(keys, None, None, Instant(0), Instant(2**62))
        found = read.observations(tx, lake, [view], limit=100)
    return sorted((one.match_key, one.batch_no, one.index) for one in found)


def shown(world: World, made: Made) -> list[Any]:
    """What an assessment tells: its folders, items and counts, and its insights."""
    world.deps.caches.clear()
    folders = world.ask("get_evidence_folders_by_assessment", assessmentId=made.id)
    evidence = [
        world.ask(
            "get_evidence_by_evidence_folder",
            assessmentId=made.id, controlSetId=f["controlSetId"], evidenceFolderId=f["id"],
        )["evidence"]
        for f in folders["evidenceFolders"]
    ]  # fmt: skip
    insights = world.ask("get_insights_by_assessment", assessmentId=made.id)["insights"]
    insights.pop("lastUpdated", None)
    return [folders["evidenceFolders"], evidence, insights]


def said(world: World) -> list[Unseen]:
    """The records of what was not seen, which nothing but the audit reads."""
    lake = world.deps.lake
    with world.db.read(HERE) as tx:
        view = View(frozenset({"governance:unseen"}), None, None, Instant(0), Instant(2**62))
        found = read.observations(tx, lake, [view], limit=100, klass=governance.CLASS)
    return [r for r in map(governance.decode, (f.raw for f in found)) if isinstance(r, Unseen)]


def test_what_the_deleted_one_alone_saw_goes_and_the_log_says_why(world: World) -> None:
    two = furnish(world)
    lake = world.deps.lake
    before, known = there(lake), shown(world, two.other)
    assert len(before) == 10
    delete(world, two.doomed)
    assert work_off(world) == 1
    assert work_off(world) == 0
    after = there(lake)
    first, second = before[0][1], before[-3][1]
    gone = set(before) - set(after)
    mixed, later = sorted({batch for key, batch, _ in before if key == CREATE and batch > second})
    deleted = max(batch for key, batch, _ in before if key == DELETE)
    assert gone == {
        (CREATE, mixed, 0), (CREATE, mixed, 2), (CREATE, later, 0),
        (DELETE, deleted, 0), (DELETE, deleted, 1),
    }  # fmt: skip
    assert first < second
    assert shown(world, two.other) == known
    ((given, done),) = [d for d in destructions(world) if d[0].action == "DeleteAssessment"]
    assert (given.subject, given.principal) == (two.doomed.id, world.api.admin.arn)
    assert done.batches == ((deleted, deleted),)
    assert done.parts == ((mixed, ((0, 0), (2, 2))), (later, ((0, 0),)))
    (unseen,) = said(world)
    assert (unseen.destruction, sum(s[-1] for s in unseen.spans)) == (done.id, done.rows)
    assert {(s[0], s[-1]) for s in unseen.spans} == {(CREATE, 3), (DELETE, 2)}
    assert audited(world) == ()
    assert two.keep.get_keep_policy()["keeping"]["observations"] == 5
    with world.db.read(HERE) as tx:
        passed = {row.match_key for row in tx.all(tx.select(schema.unkept))}
        ids = len(tx.all(tx.select(schema.observation_ids)))
        rolled = [r.items for r in tx.all(tx.select(schema.rollups.c["items"].label("items"),
                                                    schema.rollups.c.match_key))
                  if r.match_key in {CREATE, DELETE}]  # fmt: skip
    assert passed == {CREATE, DELETE}, "a backfill can name it"
    assert (sum(rolled), ids - len(after)) == (5, ids - 5)


def test_a_report_of_another_assessment_is_made_and_verified_as_ever(
    small: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = furnish(small)
    select(small, two.other)
    delete(small, two.doomed)
    work_off(small)
    blank(monkeypatch)
    asked = {"assessmentId": two.other.id, "name": "r"}
    report = small.ask("create_assessment_report", **asked)["assessmentReport"]["id"]
    lake = small.deps.lake
    with Sequencer(lake) as sequencer:
        sequencer.step(small.clock.now())
    build_report(Maker(small.deps, report_key(), small.clock), HERE, report)
    with small.db.read(HERE) as tx:
        kept = reports.get(tx, two.other.id, report)
        assert kept.status == "COMPLETE", kept.reason
        path = tmp_path / "report.zip"
        path.write_bytes(b"".join(get_blob(tx, lake, reports.place(kept).object_key)))
    verdict = verify_archive(path, [lake.signer.vkey])
    assert (verdict.problems, verdict.state, verdict.records) == ((), "valid", 3)


def test_the_next_deletion_takes_what_the_first_had_left_of_a_batch(small: World) -> None:
    two = furnish(small)
    before = there(small.deps.lake)
    for made in (two.doomed, two.other):
        delete(small, made)
        assert work_off(small) == 1
    assert there(small.deps.lake) == before[:1] + [f for f in before if f[0] == DELETE][:1]
    done = [d for given, d in destructions(small) if given.action == "DeleteAssessment"]
    assert [(d.rows, bool(d.parts)) for d in done] == [(5, True), (3, False)]
    assert audited(small) == ()


@pytest.mark.parametrize("policy", ["library", "all"])
def test_under_other_policies_shared_facts_stay(small: World, policy: str) -> None:
    two = furnish(small, policy)
    before = there(small.deps.lake)
    delete(small, two.doomed)
    assert work_off(small) == 0
    two.keep.put_keep_policy(policy="matched")
    assert destroy_unseen(small.deps.lake, HERE, two.doomed.id, small.clock) == []
    assert there(small.deps.lake) == before


def test_nothing_goes_once_the_policy_is_another_or_was_chosen_anew(small: World) -> None:
    two = furnish(small)
    before = there(small.deps.lake)
    delete(small, two.doomed)
    for policy in ("library", "matched"):
        small.later()
        two.keep.put_keep_policy(policy=policy)
        assert destroy_unseen(small.deps.lake, HERE, two.doomed.id, small.clock) == []
    assert there(small.deps.lake) == before


def test_what_a_hold_covers_or_the_baseline_looks_at_stays(small: World) -> None:
    two = furnish(small)
    lake, keep = small.deps.lake, two.keep
    before = there(lake)
    delete(small, two.doomed)
    hold = keep.place_legal_hold(assessmentId=two.other.id, reason="case")["legalHold"]["id"]
    assert work_off(small) == 1
    assert there(lake) == before
    keep.release_legal_hold(holdId=hold, reason="over")
    keep.put_baseline(frameworkIds=[small.theirs], accounts=[])
    world_now = small.later()
    small.observe(world_now, match_key=CREATE)
    assert len(destroy_unseen(lake, HERE, two.doomed.id, small.clock)) == 1
    left = there(lake)
    assert len(left) == 6
    keep.put_baseline(frameworkIds=[], accounts=[])
    assert destroy_unseen(lake, HERE, two.doomed.id, small.clock) == []
    assert audited(small) == ()


def during_copy(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], *, turns: int) -> None:
    def reached(name: str) -> None:
        nonlocal turns
        if name == "cut.copied" and turns:
            turns -= 1
            act()

    monkeypatch.setattr(generations, "reach", reached)


def test_a_lens_that_opens_meanwhile_keeps_what_it_sees(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = furnish(world)
    delete(world, two.doomed)

    def look_back() -> None:
        past = wire(Instant(world.clock.now() - DAY))
        two.keep.start_backfill(assessmentId=two.other.id, start=past)

    during_copy(monkeypatch, look_back, turns=1)
    work_off(world)
    assert {key for key, *_ in there(world.deps.lake) if key == DELETE} == {DELETE}
    assert len(there(world.deps.lake)) == 8, "but for what it does not look at"
    assert audited(world) == ()


def test_a_bucket_that_changes_all_the_time_is_for_another_time(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = furnish(small)
    delete(small, two.doomed)

    monkeypatch.setattr(generations, "TRIES", 1)
    during_copy(monkeypatch, lambda: seal(small.deps.lake, HERE, now=small.clock.now(), min_rows=1),
                turns=1)  # fmt: skip
    with pytest.raises(Busy, match="destroyed later"):
        destroy_unseen(small.deps.lake, HERE, two.doomed.id, small.clock)
    assert len(destroy_unseen(small.deps.lake, HERE, two.doomed.id, small.clock)) == 1


def test_the_choice_reads_nothing_twice(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    two = furnish(small)
    delete(small, two.doomed)
    turns = []

    def counted(*asked: Any) -> Any:
        turns.append(asked)
        return places(*asked)

    monkeypatch.setattr("auditkeep.workflows.unseen.places", counted)
    work_off(small)
    assert len(turns) == 1, "made again, also in the transaction that destroys, it needs nothing"


# --- what an audit says ------------------------------------------------------------------------


def forge(
    world: World,
    doomed: Doomed,
    *,
    policy: Authority | None = None,
    spans: Sequence[tuple[str, str, str, str, str, int]] = (),
) -> None:
    """Destroy facts by the product's own hand, with records as true ones have."""
    lake, now = world.deps.lake, world.clock.now()
    with world.db.read(HERE) as tx:
        told = [r for _, r in governance.told_since(tx, lake, Instant(0))]
        b = schema.buckets.c
        facts = tx.select(b.id).where(b["class"] == "facts", b.destroyed_at.is_(None))
        (bucket,) = [row.id for row in tx.all(facts)]
        version = keeping.of(tx).wanted_version
    given = [r for r in told if isinstance(r, Authority)]
    (deleted,) = [r for r in given if r.action == "DeleteAssessment"]
    cited = policy or next(r for r in given if r.action == "PutKeepPolicy")

    def after(tx: Any, done: Destruction) -> None:
        record = Unseen(destruction=done.id, policy=cited.id, spans=tuple(spans), version=version)
        governance.record(tx, lake, [record], principal="x", run="r", now=now)

    done = cut(lake, HERE, bucket, lambda *_: doomed, lambda _: deleted, now, after=after)
    assert done is not None


def span_of(key: str, at: Instant) -> tuple[str, str, str, str, str, int]:
    return key, HERE.account, HERE.region, iso(at), iso(at), 1


def test_an_audit_names_what_was_taken_without_right(small: World) -> None:
    two = furnish(small)
    lake = small.deps.lake
    facts = there(lake)
    seen = next(f for f in facts if f[0] == CREATE and f[2] == 1)
    early = facts[0]
    delete(small, two.doomed)
    forge(small, Doomed(rows={seen[1]: frozenset({1})}),
          spans=[span_of(CREATE, small.clock.now())])  # fmt: skip
    (wrong,) = audited(small)
    assert "earlier than policy allowed: it took what a lens sees, iam:CreateUser" in wrong
    forge(small, Doomed(frozenset({early[1]})), spans=[span_of(CREATE, Instant(5))])
    wrong = next(p for p in audited(small) if f"Batch {early[1]} " in p)
    assert "earlier than policy allowed: the batch was kept before the policy 'matched'" in wrong


def test_an_audit_names_records_that_say_less_than_went(small: World) -> None:
    two = furnish(small)
    mixed = next(f for f in there(small.deps.lake) if f[0] == CREATE and f[2] == 1)[1]
    delete(small, two.doomed)
    forge(small, Doomed(rows={mixed: frozenset({0, 1})}),
          spans=[span_of(CREATE, Instant(5))])  # fmt: skip
    (wrong,) = audited(small)
    assert "does not say of all that it took what that was" in wrong


def test_an_audit_names_a_policy_that_did_not_hold(small: World) -> None:
    two = furnish(small)
    mixed = next(f for f in there(small.deps.lake) if f[0] == CREATE and f[2] == 1)[1]
    delete(small, two.doomed)
    small.later()
    two.keep.put_keep_policy(policy="library")
    forge(small, Doomed(rows={mixed: frozenset({0})}),
          spans=[span_of(CREATE, Instant(5))])  # fmt: skip
    (wrong,) = audited(small)
    assert "cites a policy of what is kept that was no longer in force" in wrong
    small.later()
    two.keep.put_keep_policy(policy="matched")
    with small.db.read(HERE) as tx:
        told = [r for _, r in governance.told_since(tx, small.deps.lake, small.clock.now())]
    (later,) = [r for r in told if isinstance(r, Authority)]
    newest = max(f[1] for f in there(small.deps.lake))
    forge(small, Doomed(rows={newest: frozenset({0})}), policy=later,
          spans=[span_of(CREATE, Instant(5))])  # fmt: skip
    wrong = next(p for p in audited(small) if f"Batch {newest} " in p)
    assert "cites no policy that kept only what is seen when the assessment" in wrong


# --- cut off at any instant --------------------------------------------------------------------


def crash(data: Path, url: str, now: Instant, assessment: str, at: str) -> None:
    crashed("tests.workflows.unseeing", data, url, now, assessment, at=at)


def require_done(data: Path, url: str, now: Instant, assessment: str) -> None:
    """Run to its end, it is done once: five facts left, one destruction, and a sound log."""
    run(data, url, now, assessment)
    assert run(data, url, now, assessment) == []
    lake = reopened(data, url)
    try:
        sweep(lake, HERE, Instant(SystemClock().now() + 2 * DAY))
        assert len(there(lake)) == 5
        with lake.db.read(HERE) as tx:
            told = [r for _, r in governance.told_since(tx, lake, Instant(0))]
            ids = len(tx.all(tx.select(schema.observation_ids)))
            rows = sum(r.rows for r in tx.all(tx.select(schema.batches.c.rows)))
        assert len([r for r in told if isinstance(r, Destruction)]) == 1
        assert ids == rows - 5
        with Sequencer(lake) as sequencer:
            sequencer.step()
        assert audit(lake, now=SystemClock().now()).problems == ()
    finally:
        lake.db.close()


@pytest.mark.slow
def test_it_goes_on_after_crashes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    world = World(data)
    two = furnish(world)
    delete(world, two.doomed)
    now = world.clock.now()
    world.close()
    url = f"sqlite:///{data / 'audit.db'}"
    for name in ("cut.before-commit", "destroy.committed"):
        crash(data, url, now, two.doomed.id, f"{name}:1")
    require_done(data, url, now, two.doomed.id)


@pytest.mark.slow
@pytest.mark.postgres
def test_it_goes_on_after_crashes_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    from tests.postgres import fresh_database

    data, url = tmp_path / "data", fresh_database(postgres_url)
    world = World(data, url)
    two = furnish(world)
    delete(world, two.doomed)
    now = world.clock.now()
    world.close()
    for name in ("cut.segment-kept", "destroy.key-destroyed"):
        crash(data, url, now, two.doomed.id, f"{name}:1")
    require_done(data, url, now, two.doomed.id)
