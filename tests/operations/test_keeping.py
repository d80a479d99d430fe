"""Retention and legal holds: what goes when its time has come, what stays, and what the log says."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.databases import BOTH, url_of
from tests.operations.keep import Keep
from tests.operations.world import HOME, NOTHING, OTHER, VALIDATION, Made, World

from auditkeep.clock import DAY, FixedClock, Instant, iso, parse, to_datetime, wire
from auditkeep.db import schema
from auditkeep.errors import KeyUnusable
from auditkeep.ids import Tenant
from auditkeep.lake import governance, retention
from auditkeep.lake.audit.run import audit
from auditkeep.lake.blobs import get_blob, put_blob
from auditkeep.lake.destruction import destroy_buckets
from auditkeep.lake.governance import Authority, Destruction
from auditkeep.lake.seal import seal
from auditkeep.lake.sequencer import Sequencer
from auditkeep.reports import store as reports
from auditkeep.workflows.expire import Expired, drop_snapshots, expire

pytestmark = pytest.mark.keys_elsewhere

HERE = Tenant(HOME, "us-east-1")
END_OF_MAY = parse("2026-06-01T00:00:00Z")


@pytest.fixture(params=BOTH)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "data", url_of(request))
    yield made
    made.close()


@pytest.fixture
def keep(world: World) -> Keep:
    return Keep(world)


def run(world: World, tenant: Tenant = HERE) -> Expired:
    return expire(world.deps.lake, world.deps.settings, tenant, world.clock.now())


def at(world: World, moment: int) -> None:
    world.clock.at = Instant(moment)


def classes(world: World, *, alive: bool = True) -> set[str]:
    b = schema.buckets.c
    with world.db.read(HERE) as tx:
        where = b.destroyed_at.is_(None) if alive else b.destroyed_at.is_not(None)
        return {row._mapping["class"] for row in tx.all(tx.select(schema.buckets).where(where))}


def destructions(world: World) -> list[tuple[Authority, Destruction]]:
    with world.db.read(HERE) as tx:
        told = [r for _, r in governance.told_since(tx, world.deps.lake, Instant(0))]
    given = {r.id: r for r in told if isinstance(r, Authority)}
    return [(given[r.authority], r) for r in told if isinstance(r, Destruction)]


def audited(world: World) -> tuple[str, ...]:
    with Sequencer(world.deps.lake) as sequencer:
        sequencer.step()
    return audit(world.deps.lake, now=world.clock.now()).problems


def items(world: World, made: Made) -> int:
    found = world.ask("get_assessment", assessmentId=made.id)["assessment"]["framework"]
    return sum(control["evidenceCount"] for s in found["controlSets"] for control in s["controls"])


def furnished(world: World) -> Made:
    """An assessment that sees three facts, and holds an answer and a file."""
    made = world.assessment(frameworkId=world.theirs)
    now = world.later()
    world.observe(*(Instant(now + n) for n in range(3)))
    world.write_evidence(made)
    with world.db.write(HERE) as tx:
        put_blob(tx, world.deps.lake, f"manual/{made.id}", f"manual/{made.id}/f", b"file", now)
        put_blob(tx, world.deps.lake, "reports", "reports/b/r.zip", b"report", now)
    while seal(world.deps.lake, HERE, now=now, min_rows=1):
        pass
    return made


# --- retention ---------------------------------------------------------------------------------


def test_evidence_goes_two_years_after_its_month_and_not_before(world: World) -> None:
    made = furnished(world)
    at(world, END_OF_MAY + 731 * DAY - 1)
    assert run(world) == Expired()
    assert items(world, made) == 4
    kept = world.deps.lake.keystore.bucket_ids()
    world.clock.advance(1)
    done = run(world)
    assert {one.klass for one in done.gone} == {"facts", f"manual/{made.id}"}
    assert (done.observations, done.files, done.held) == (4, 1, ())
    assert items(world, made) == 0
    assert world.ask("get_evidence_folders_by_assessment", assessmentId=made.id)[
        "evidenceFolders"
    ] == []  # fmt: skip
    assert {"reports", "governance"} <= classes(world)
    assert len(set(kept) - set(world.deps.lake.keystore.bucket_ids())) == 2
    assert run(world) == Expired(), "there is nothing left to do"
    assert audited(world) == ()


def test_a_destruction_cites_the_policy_in_force(world: World, keep: Keep) -> None:
    furnished(world)
    at(world, END_OF_MAY + 731 * DAY)
    run(world)
    cited = {given.subject: given for given, _ in destructions(world)}
    assert set(cited) == {"facts 731", "manual 731"}
    assert cited["facts 731"].action == "PutRetention"
    assert cited["facts 731"].principal == "the deployment's settings"
    world.observe(world.clock.now())
    keep.put_retention(**{"class": "facts", "days": 30})
    world.clock.advance(80 * DAY)
    run(world)
    given, done = destructions(world)[-1]
    assert given.subject == "facts 30"
    assert given.principal == world.api.admin.arn
    assert [b.klass for b in done.buckets] == ["facts"]
    assert audited(world) == ()


def test_what_is_remembered_forgets_what_went(world: World) -> None:
    """Counts and lists that were asked for before are computed anew."""
    made = furnished(world)
    assert items(world, made) == 4
    folder = world.folder(made)
    assert folder["totalEvidence"] == 4
    world.ask("associate_assessment_report_evidence_folder", assessmentId=made.id,
              evidenceFolderId=folder["id"])  # fmt: skip
    at(world, END_OF_MAY + 731 * DAY)
    run(world)
    assert items(world, made) == 0
    told = world.ask("get_assessment", assessmentId=made.id)["assessment"]["framework"]
    assert {
        c["assessmentReportEvidenceCount"] for s in told["controlSets"] for c in s["controls"]
    } == {0}


def test_each_class_of_each_account_has_its_own_time(world: World, keep: Keep) -> None:
    made = furnished(world)
    shown = {p["class"]: p for p in keep.get_retention()["policies"]}
    assert {name: p.get("days") for name, p in shown.items()} == {
        "facts": 731, "manual": 731, "activity": None, "reports": None
    }  # fmt: skip
    answer = keep.put_retention(**{"class": "reports", "days": 10})["policies"]
    assert next(p for p in answer if p["class"] == "reports")["chosen"] is True
    keep.put_retention(**{"class": "facts"})
    at(world, END_OF_MAY + 2000 * DAY)
    gone = {one.klass for one in run(world).gone}
    assert gone == {f"manual/{made.id}", "reports"}
    assert "facts" in classes(world)
    keep.put_retention(**{"class": "facts", "useDefault": True})
    assert {one.klass for one in run(world).gone} == {"facts"}
    assert audited(world) == ()


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"class": "uploads", "days": 3}, "class"),
        ({"class": "facts", "days": 0}, "days"),
        ({"class": "facts", "days": 40_000}, "days"),
        ({"class": "facts", "days": 3, "useDefault": True}, "useDefault goes without days"),
    ],
)
def test_a_policy_that_is_none_is_refused(
    world: World, keep: Keep, members: dict[str, Any], sentence: str
) -> None:
    seen = world.refusal(lambda _: keep.put_retention(**members))
    assert (seen["Code"], seen["status"]) == VALIDATION
    assert sentence in seen["Message"]


def reported(world: World, made: Made) -> str:
    """A report that is made, with an archive of the present month."""
    report = str(
        world.ask(
            "create_assessment_report",
            assessmentId=made.id,
            name=world.name("report").replace(" ", "-"),
        )["assessmentReport"]["id"]
    )
    world.finish_report(report)
    with world.db.write(HERE) as tx:
        found = reports.find(tx, report)
        assert found is not None
        place, klass = reports.place(found).object_key, reports.klass(found)
        put_blob(tx, world.deps.lake, klass, place, io.BytesIO(b"zip"), world.clock.now())
    return report


def select(world: World, made: Made) -> None:
    folder = world.folder(made)["id"]
    world.ask(
        "associate_assessment_report_evidence_folder", assessmentId=made.id, evidenceFolderId=folder
    )


def test_reports_that_are_gone_are_not_listed(world: World, keep: Keep) -> None:
    made = furnished(world)
    select(world, made)
    reported(world, made)
    keep.put_retention(**{"class": "reports", "days": 30})
    at(world, END_OF_MAY + 10 * DAY)
    later = reported(world, made)
    assert len(world.ask("list_assessment_reports")["assessmentReports"]) == 2
    at(world, END_OF_MAY + 31 * DAY)
    run(world)
    (left,) = world.ask("list_assessment_reports")["assessmentReports"]
    assert left["id"] == later


def test_a_hold_over_a_part_of_a_month_keeps_that_part(world: World, keep: Keep) -> None:
    """The rest goes when its time has come, key and all; the part goes when the hold is released."""
    made = furnished(world)
    first = world.clock.now()
    world.clock.advance(2 * DAY)
    world.observe(*(Instant(world.clock.now() + n) for n in range(5)))
    hold = keep.place_legal_hold(
        reason="case", **{"from": wire(Instant(first + DAY)), "until": wire(world.clock.now())}
    )["legalHold"]["id"]
    kept = set(world.deps.lake.keystore.bucket_ids())
    at(world, END_OF_MAY + 731 * DAY)
    done = run(world)
    assert {(one.klass, one.part) for one in done.gone} == {
        ("facts", True), (f"manual/{made.id}", False)
    }  # fmt: skip
    assert (done.observations, done.files, done.held) == (4, 1, ())
    assert items(world, made) == 5
    assert len(kept - set(world.deps.lake.keystore.bucket_ids())) == 2
    assert audited(world) == ()
    again = run(world)
    assert (again.gone, [one.held for one in again.held]) == ((), [hold])
    keep.release_legal_hold(holdId=hold, reason="settled")
    assert [(one.klass, one.part) for one in run(world).gone] == [("facts", False)]
    assert items(world, made) == 0
    assert audited(world) == ()


def test_what_an_assessment_under_hold_cannot_see_goes(world: World, keep: Keep) -> None:
    """Facts from before its first interval were collected for others."""
    world.observe(*(Instant(world.later() + n) for n in range(3)))
    world.clock.advance(2 * DAY)
    made = furnished(world)
    keep.place_legal_hold(reason="case", assessmentId=made.id)
    at(world, END_OF_MAY + 731 * DAY)
    done = run(world)
    assert [(one.klass, one.part) for one in done.gone] == [("facts", True)]
    assert done.observations == 3
    assert items(world, made) == 4
    assert audited(world) == ()


def test_a_short_policy_does_not_wait_for_the_month_s_end(world: World, keep: Keep) -> None:
    """Seven days: cut down when something is over by a quarter of them; nothing goes before."""
    start = END_OF_MAY - 30 * DAY
    at(world, start)
    made = furnished(world)
    first = world.clock.now()
    keep.put_retention(**{"class": "facts", "days": 7})
    for day in range(1, 9):
        at(world, start + day * DAY)
        assert run(world) == Expired()
        world.observe(world.clock.now())
    assert items(world, made) == 4 + 8
    at(world, first + 7 * DAY * 5 // 4)
    done = run(world)
    assert [(one.klass, one.part) for one in done.gone] == [("facts", True)]
    assert done.observations == 3 + 1, "of the first day, and of the second, which is over too"
    assert items(world, made) == 1 + 7
    assert run(world) == Expired()
    assert audited(world) == ()
    world.clock.advance(50 * DAY)
    assert [(one.klass, one.part) for one in run(world).gone] == [("facts", False)]
    assert items(world, made) == 1
    assert audited(world) == ()


def test_a_selection_forgets_what_was_cut_away(world: World, keep: Keep) -> None:
    made = furnished(world)
    first = world.clock.now()
    select(world, made)
    world.clock.advance(2 * DAY)
    world.observe(world.clock.now())
    keep.place_legal_hold(reason="case", **{"from": wire(Instant(first + DAY))})
    at(world, END_OF_MAY + 731 * DAY)
    run(world)
    told = world.ask("get_assessment", assessmentId=made.id)["assessment"]["framework"]
    selected = [
        c["assessmentReportEvidenceCount"] for s in told["controlSets"] for c in s["controls"]
    ]
    assert sum(selected) == 0
    assert items(world, made) == 1


def test_of_reports_of_one_month_those_under_hold_stay_and_can_be_had(
    world: World, keep: Keep
) -> None:
    made = furnished(world)
    select(world, made)
    gone = reported(world, made)
    first = world.clock.now()
    world.clock.advance(2 * DAY)
    stays = reported(world, made)
    keep.put_retention(**{"class": "reports", "days": 200})
    keep.place_legal_hold(reason="case", **{"from": wire(Instant(first + DAY))})
    at(world, END_OF_MAY + 200 * DAY)
    done = {(one.klass, one.part) for one in run(world).gone}
    assert {one for one in done if one[0].startswith("reports/")} == {
        (f"reports/{made.id}/{gone}", False)
    }
    (left,) = world.ask("list_assessment_reports")["assessmentReports"]
    assert left["id"] == stays != gone
    with world.db.read(HERE) as tx:
        found = reports.find(tx, stays)
        assert found is not None
        place = reports.place(found).object_key
        assert b"".join(get_blob(tx, world.deps.lake, place)) == b"zip"
    assert audited(world) == ()


def test_what_an_expired_share_offered_goes_after_a_year(world: World) -> None:
    world.account(OTHER)
    world.ask("start_assessment_framework_share", frameworkId=world.theirs,
              destinationAccount=OTHER, destinationRegion="us-east-1")  # fmt: skip
    lake = world.deps.lake
    ended = Instant(world.clock.now() + 120 * DAY)
    assert drop_snapshots(lake, Instant(ended + 365 * DAY)) == 0
    assert drop_snapshots(lake, Instant(ended + 365 * DAY + 1)) == 1


def test_an_account_that_left_keeps_its_evidence_until_its_time(world: World) -> None:
    furnished(world)
    world.ask("deregister_account")
    at(world, END_OF_MAY + 731 * DAY - 1)
    assert run(world).gone == ()
    world.clock.advance(1)
    assert len(run(world).gone) == 2


# --- holds -------------------------------------------------------------------------------------


def refused_by(world: World, hold: str, operation: str, **members: Any) -> None:
    seen = world.refused(operation, **members)
    assert (seen["Code"], seen["status"]) == VALIDATION
    assert f"the legal hold {hold}" in seen["Message"], seen


def test_a_hold_says_who_why_and_when_and_stays_after_its_end(world: World, keep: Keep) -> None:
    made = furnished(world)
    now = world.later()
    hold = keep.place_legal_hold(assessmentId=made.id, reason="Case 12/2026")["legalHold"]
    assert (hold["placedBy"], hold["reason"]) == (world.api.admin.arn, "Case 12/2026")
    assert hold["placedAt"] == to_datetime(now)
    world.later()
    ended = keep.release_legal_hold(holdId=hold["id"], reason="settled")["legalHold"]
    assert ended["releaseReason"] == "settled"
    (listed,) = keep.list_legal_holds()["legalHolds"]
    assert listed == ended
    seen = world.refusal(lambda _: keep.release_legal_hold(holdId=hold["id"], reason="again"))
    assert "was released already" in seen["Message"]
    assert b"Case 12/2026" not in b"".join(
        f.read_bytes() for f in world.deps.lake.data.rglob("*") if f.is_file()
    ), "the reason is kept as evidence is"


def test_a_held_assessment_and_what_belongs_to_it_cannot_be_deleted(
    world: World, keep: Keep
) -> None:
    made = furnished(world)
    other = world.assessment()
    world.write_evidence(other)
    control = next(
        c["id"] for c in world.ask("list_controls", controlType="Custom")["controlMetadataList"]
        if c["id"] == made.control
    )  # fmt: skip
    hold = keep.place_legal_hold(assessmentId=made.id, reason="case")["legalHold"]["id"]
    refused_by(world, hold, "delete_assessment", assessmentId=made.id)
    refused_by(world, hold, "delete_control", controlId=control)
    refused_by(world, hold, "delete_assessment_framework", frameworkId=world.theirs)
    world.ask("delete_assessment", assessmentId=other.id)
    world.ask("delete_control", controlId=world.mine)
    world.ask("update_settings", deregistrationPolicy={"deleteResources": "ALL"})
    refused_by(world, hold, "deregister_account")
    assert world.ask("get_account_status")["status"] == "ACTIVE"
    at(world, END_OF_MAY + 731 * DAY)
    done = run(world)
    assert done.gone == ()
    assert {one.held for one in done.held} == {hold}
    assert {one.klass for one in done.held} == {"facts", f"manual/{made.id}"}
    assert items(world, made) == 4
    keep.release_legal_hold(holdId=hold, reason="settled")
    assert {one.klass for one in run(world).gone} == {"facts", f"manual/{made.id}"}
    world.ask("delete_assessment", assessmentId=made.id)
    assert world.ask("deregister_account")["status"] == "INACTIVE"
    assert audited(world) == ()


def test_a_report_of_a_held_assessment_cannot_be_deleted(world: World, keep: Keep) -> None:
    made = furnished(world)
    world.ask("associate_assessment_report_evidence_folder", assessmentId=made.id,
              evidenceFolderId=world.folder(made)["id"])  # fmt: skip
    report = world.ask("create_assessment_report", assessmentId=made.id, name="r")[
        "assessmentReport"
    ]["id"]
    world.finish_report(report)
    hold = keep.place_legal_hold(assessmentId=made.id, reason="case")["legalHold"]["id"]
    where = {"assessmentId": made.id, "assessmentReportId": report}
    refused_by(world, hold, "delete_assessment_report", **where)
    keep.release_legal_hold(holdId=hold, reason="settled")
    world.ask("delete_assessment_report", **where)


def test_a_hold_of_a_time_keeps_what_was_collected_or_there_then(world: World, keep: Keep) -> None:
    made = furnished(world)
    noon = world.clock.now()
    at(world, noon + 40 * DAY)
    world.observe(world.clock.now())
    later = world.assessment()
    hold = keep.place_legal_hold(
        **{"from": wire(Instant(noon - DAY)), "until": wire(Instant(noon + DAY)), "reason": "c"}
    )["legalHold"]["id"]
    refused_by(world, hold, "delete_assessment", assessmentId=made.id)
    world.ask("delete_assessment", assessmentId=later.id)
    at(world, END_OF_MAY + 900 * DAY)
    done = run(world)
    assert [(one.klass, one.month) for one in done.gone] == [("facts", "2026-06")]
    assert {(one.klass, one.month) for one in done.held} == {
        ("facts", "2026-05"), (f"manual/{made.id}", "2026-05")
    }  # fmt: skip
    assert audited(world) == ()


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"reason": "why"}, "about an assessment, or about a time"),
        ({"reason": "why", "assessmentId": NOTHING, "until": 1}, "not both"),
        ({"reason": "why", "from": 2, "until": 1}, "until must not be before from"),
        ({"reason": "", "from": 2}, "reason"),
        ({"reason": "  ", "from": 2}, "reason must say why"),
    ],
)
def test_a_hold_that_is_none_is_refused(
    world: World, keep: Keep, members: dict[str, Any], sentence: str
) -> None:
    seen = world.refusal(lambda _: keep.place_legal_hold(**members))
    assert (seen["Code"], seen["status"]) == VALIDATION
    assert sentence in seen["Message"]


def test_a_hold_on_an_assessment_of_somebody_else_is_not_found(world: World, keep: Keep) -> None:
    other = world.account(OTHER)
    made = world.assessment(client=other, frameworkId=world.ask(
        "list_assessment_frameworks", client=other, frameworkType="Standard", maxResults=1
    )["frameworkMetadataList"][0]["id"], scope={"awsAccounts": [{"id": OTHER}]})  # fmt: skip
    seen = world.refusal(lambda _: keep.place_legal_hold(assessmentId=made.id, reason="case"))
    assert seen["Code"] == "ResourceNotFoundException"


# --- what the log says -------------------------------------------------------------------------


def destroy_facts(world: World, subject: str, moment: Instant) -> None:
    """What somebody with the machine can do: destroy, and log what suits him."""
    lake = world.deps.lake
    given = governance.authority("PutRetention", "arn:aws:iam::1:user/x", "r", subject, moment)
    with world.db.write(HERE) as tx:
        b = schema.buckets.c
        ids = [r.id for r in tx.all(tx.select(b.id).where(b["class"] == "facts"))]
        governance.record(tx, lake, [given], principal="x", run="r", now=moment)
        assert destroy_buckets(tx, lake, ids, given, moment) is not None


def test_an_audit_names_a_destruction_that_came_too_early(world: World) -> None:
    furnished(world)
    collected = world.clock.now()
    at(world, collected + 29 * DAY)
    destroy_facts(world, "facts 30", world.clock.now())
    (problem,) = audited(world)
    assert "earlier than the retention policy it cites allowed" in problem
    assert "kept until 2026-05-31T12:" in problem


@pytest.mark.parametrize("subject", ["manual 1", "facts -", "facts soon"])
def test_an_audit_names_a_destruction_that_its_policy_is_not_about(
    world: World, subject: str
) -> None:
    furnished(world)
    world.clock.advance(100 * DAY)
    destroy_facts(world, subject, world.clock.now())
    (problem,) = audited(world)
    assert f"was done for PutRetention {subject}, which may not destroy what is kept as" in problem


def test_an_audit_names_a_destruction_under_a_policy_that_was_replaced(
    world: World, keep: Keep
) -> None:
    furnished(world)
    keep.put_retention(**{"class": "facts", "days": 1})
    with world.db.read(HERE) as tx:
        rule = retention.Rule(1, chosen=True)
    with world.db.write(HERE) as tx:
        given = retention.authority(tx, world.deps.lake, "facts", rule, world.clock.now())
    world.later()
    keep.put_retention(**{"class": "facts", "days": 5000})
    world.clock.advance(100 * DAY)
    with world.db.write(HERE) as tx:
        b = schema.buckets.c
        ids = [r.id for r in tx.all(tx.select(b.id).where(b["class"] == "facts"))]
        destroy_buckets(tx, world.deps.lake, ids, given, world.clock.now())
    (problem,) = audited(world)
    assert "cites a retention policy that was no longer in force" in problem


@pytest.mark.parametrize("kind", ["assessment", "time"])
def test_an_audit_names_a_destruction_under_a_hold(world: World, keep: Keep, kind: str) -> None:
    made = furnished(world)
    about: dict[str, Any] = (
        {"assessmentId": made.id} if kind == "assessment" else {"until": wire(world.clock.now())}
    )
    hold = keep.place_legal_hold(reason="case", **about)["legalHold"]["id"]
    world.clock.advance(100 * DAY)
    destroy_facts(world, "facts 30", world.clock.now())
    (problem,) = audited(world)
    assert f"was done under the legal hold {hold}" in problem
    assert world.api.admin.arn in problem
    world.later()
    keep.release_legal_hold(holdId=hold, reason="too late")
    assert audited(world) == (problem,), "a release afterwards makes nothing good"


def test_a_destruction_dated_before_the_hold_it_broke_is_named(world: World, keep: Keep) -> None:
    """Times are for the writer to choose, the order of the log is not."""
    furnished(world)
    world.clock.advance(100 * DAY)
    before = world.clock.now()
    about = {"until": wire(world.later())}
    hold = keep.place_legal_hold(reason="case", **about)["legalHold"]["id"]
    world.later()
    destroy_facts(world, "facts 30", before)
    (problem,) = audited(world)
    assert f"was done under the legal hold {hold}" in problem


def test_what_went_in_the_moment_of_a_hold_went_before_or_after_it(
    world: World, keep: Keep
) -> None:
    """A hold that had waited for expiry to end, and a release that expiry had waited for."""
    furnished(world)
    world.clock.advance(100 * DAY)
    destroy_facts(world, "facts 30", world.clock.now())
    about = {"until": wire(Instant(world.clock.now() + DAY))}
    hold = keep.place_legal_hold(reason="case", **about)["legalHold"]["id"]
    begun = world.later()
    world.observe(Instant(begun))
    at(world, begun + 40 * DAY)
    began = world.clock.now()
    world.later()
    keep.release_legal_hold(holdId=hold, reason="over")
    destroy_facts(world, "facts 30", began)
    assert audited(world) == ()


def test_keys_of_what_expired_are_gone(world: World) -> None:
    furnished(world)
    at(world, END_OF_MAY + 731 * DAY)
    run(world)
    with world.db.read(HERE) as tx:
        b = schema.buckets.c
        gone = tx.all(tx.select(b.id).where(b.destroyed_at.is_not(None)))
    assert len(gone) == 2
    for row in gone:
        with pytest.raises(KeyUnusable):
            world.deps.lake.keys.object_key(HERE, row.id, "x")


def test_time_is_told_in_days_from_the_end_of_the_month() -> None:
    rules = {"facts": retention.Rule(1), "reports": retention.Rule(None)}
    ends = retention.ends("facts", "2026-12", rules)  # type: ignore[arg-type]
    assert ends is not None
    assert iso(ends) == "2027-01-02T00:00:00.000000Z"
    assert retention.ends("reports", "2026-12", rules) is None  # type: ignore[arg-type]
    assert retention.ends("uploads", "2026-12", rules) is None  # type: ignore[arg-type]
    assert isinstance(FixedClock(ends).now(), int)
