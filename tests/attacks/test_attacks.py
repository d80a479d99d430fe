"""An administrator with the disk, the database and every key, against an auditor who holds the log's
public key and a checkpoint from before: each attack is named, and honest work is not.

docs/verification.md tells it as a table; `test_table` holds the two together.
"""

import json
import re
from pathlib import Path

import pytest
from tests.attacks import administrator as mallory
from tests.attacks.deployment import TENANT, Deployment
from tests.cli.conftest import Run
from tests.lake.audit.house import rewrite_tail

from auditkeep.clock import DAY, SECOND, Instant, SystemClock, iso
from auditkeep.lake import governance, holds
from auditkeep.lake.columns import Heavy, Light
from auditkeep.lake.destruction import destroy_class
from auditkeep.workflows.expire import expire


def named(found: tuple[int, str], *patterns: str) -> None:
    """Exit code 1, and a sentence for each pattern."""
    code, told = found
    assert code == 1, told
    answer = json.loads(told[told.index("{") :])
    for pattern in patterns:
        assert any(re.search(pattern, p) for p in answer["problems"]), answer["problems"]


def sound(found: tuple[int, str]) -> dict[str, object]:
    code, told = found
    assert code == 0, told
    answer: dict[str, object] = json.loads(told[told.index("{") :])
    return answer


# --- nothing is wrong ----------------------------------------------------------------------------


def test_an_honest_deployment_passes(house: Deployment, run: Run) -> None:
    assert sound(house.audit(run))["notices"] == []
    assert sound(house.verify(run))["records"] == 24


def test_an_honest_restore_passes_and_says_what_it_cost(house: Deployment, run: Run) -> None:
    house.restore(house.data.parent / "early", database_only=True)
    named(house.audit(run), "was rolled back or restored. `auditkeep log recover`")
    code, told, _ = run("log", "recover", "--data", str(house.data), "--json")
    assert code == 0, told
    answer = sound(house.audit(run))
    assert "restore" in str(answer["notices"])
    with house.parts() as parts:
        house.observe(parts, 3)
    sound(house.audit(run))
    sound(house.verify(run))


def test_a_restore_behind_a_destruction_is_explained(house: Deployment, run: Run) -> None:
    """The backup still has the assessment; its key is gone, and so is what says why."""
    from auditkeep.db.schema import assessments, buckets
    from auditkeep.operations.auditmanager.assessments import delete_assessment
    from auditkeep.wire.models import auditmanager as am

    with house.parts() as parts:
        with parts.db.write(TENANT) as tx:
            tx.lock_tenant()
            (where,) = [r.id for r in tx.all(tx.select(assessments.c.id))]
            delete_assessment(
                parts.operator(tx, TENANT), am.DeleteAssessmentRequest(assessment_id=where)
            )
        house.log(parts)
        house.hand_out(parts, house.held)
        held = parts.lake.keystore.bucket_ids()
    house.restore(house.data.parent / "early", database_only=True)
    with house.parts() as parts, parts.db.read(TENANT) as tx:
        alive = {r.id for r in tx.all(tx.select(buckets.c.id))}
        assert alive - set(held), "the backup takes the bucket for alive"
    assert run("log", "recover", "--data", str(house.data))[0] == 0
    answer = sound(house.audit(run))
    assert "without its key, which had been destroyed since" in str(answer["notices"])


def test_a_backup_that_is_restored_passes_with_a_checkpoint_from_before(
    house: Deployment, run: Run
) -> None:
    """Everything was lost but the backups and the master key; what came after them is."""
    house.back_up_by_command()
    with house.parts() as parts:
        house.observe(parts, 3)
        later = house.data.parent / "later.txt"
        house.hand_out(parts, later)
    house.restore_by_command(run)
    for held in (house.early, house.held):
        answer = sound(house.audit(run, held=held))
        assert "went back to the backup" in str(answer["notices"])
    assert "is beyond the " in str(sound(house.audit(run, held=later))["notices"])
    sound(house.verify(run))
    with house.parts() as parts:
        house.observe(parts, 3)
        house.another_report(parts)
    sound(house.audit(run))
    assert sound(house.verify(run))["records"] == 24


# --- evidence ------------------------------------------------------------------------------------


def test_a_verdict_changed_in_the_tail(house: Deployment, run: Run) -> None:
    with house.parts() as parts:
        newest = mallory.in_class(parts, "facts")[-1]
        rewrite_tail(parts.lake, TENANT, newest, mallory.acquit)
    named(house.audit(run), rf"Batch {newest} .*observations number 0, 1 changed")


def test_a_verdict_changed_in_a_segment(house: Deployment, run: Run) -> None:
    with house.parts() as parts:
        oldest = mallory.in_class(parts, "facts", sealed=True)[0]
        mallory.acquit_segment(parts, oldest)
    named(house.audit(run), rf"Batch {oldest} .*number 0, 1, 2, 3, 4 … changed")


def test_the_newest_rows_deleted(house: Deployment, run: Run) -> None:
    with house.parts() as parts:
        mallory.delete_newest(parts, 2)
    named(house.audit(run), "Entries 8 to 9 of the log: no batch stands behind it any more")


def test_the_newest_rows_deleted_and_what_the_log_has_of_them(house: Deployment, run: Run) -> None:
    with house.parts() as parts:
        mallory.delete_newest(parts, 2)
        mallory.forget_entries(parts, 2)
    named(house.audit(run), "you hold has 10 entries, this log 8: the log was rolled back")


def test_two_segments_swapped(house: Deployment, run: Run) -> None:
    with house.parts() as parts:
        mallory.swap_segments(parts)
    named(house.audit(run), "does not open")


def test_the_activity_log_edited(house: Deployment, run: Run) -> None:
    def hide(_: Light, heavy: Heavy) -> None:
        heavy.raws[:] = [raw.replace(b"mallory", b"nobody!") for raw in heavy.raws]

    with house.parts() as parts:
        number = mallory.in_class(parts, "activity")[-1]
        rewrite_tail(parts.lake, TENANT, number, hide)
    named(house.audit(run), rf"Batch {number} .*observation number 0 changed")


# --- destruction ---------------------------------------------------------------------------------


def test_evidence_destroyed_in_secret(house: Deployment, run: Run) -> None:
    with house.parts() as parts:
        number = mallory.in_class(parts, "facts")[0]
        mallory.destroy_in_secret(parts, number)
    named(house.audit(run), rf"Batch {number} .*gone, and no destruction record names it")


def test_facts_destroyed_under_an_authority_that_does_not_reach_them(
    house: Deployment, run: Run
) -> None:
    from auditkeep.db.schema import buckets

    with house.parts() as parts, parts.db.write(TENANT) as tx:
        renamed = tx.update(buckets).where(buckets.c["class"] == "facts")
        tx.run(renamed.values({"class": "manual/z"}))
        asked = governance.authority("DeleteAssessment", "arn:x", "r", "z", house.clock.now())
        destroy_class(tx, parts.lake, "manual/z", asked, house.clock.now())
    with house.parts() as parts:
        house.log(parts)
    named(house.audit(run), "DeleteAssessment z, which may not destroy what is kept as 'facts'")


def test_a_bucket_s_key_destroyed_within_its_retention(house: Deployment, run: Run) -> None:
    with house.parts() as parts:
        mallory.destroy_key(parts, mallory.in_class(parts, "facts")[0])
    named(
        house.audit(run), "The key of bucket .* is not in the key store, and no destruction names"
    )


def test_a_segment_destroyed_within_its_retention(house: Deployment, run: Run) -> None:
    with house.parts() as parts:
        number = mallory.in_class(parts, "facts", sealed=True)[0]
        mallory.destroy_segment(parts, number)
    named(house.audit(run), rf"Batch {number} .*: its observations are missing")


def test_facts_destroyed_before_their_policy_allows(house: Deployment, run: Run) -> None:
    """Everything is forged as the product would have done it, two years too early."""
    with house.parts() as parts:
        mallory.destroy_as_expired(parts, "facts 731", house.clock.now())
        house.log(parts)
    named(
        house.audit(run), "earlier than the retention policy it cites allowed.* kept until 2028-05"
    )


def test_a_part_of_the_facts_destroyed_before_their_policy_allows(
    house: Deployment, run: Run
) -> None:
    """The rest is copied under another key, so that nobody misses anything."""
    with house.parts() as parts:
        number = mallory.in_class(parts, "facts", sealed=True)[0]
        mallory.destroy_as_expired(parts, "facts 731", house.clock.now(), batch=number)
        house.log(parts)
    code, told = house.audit(run)
    named((code, told), rf"Batch {number} .*earlier than the retention policy it cites allowed")
    assert len(json.loads(told[told.index("{") :])["problems"]) == 1, "nothing else is wrong"


def test_a_single_fact_destroyed_before_its_policy_allows(house: Deployment, run: Run) -> None:
    with house.parts() as parts:
        number = mallory.in_class(parts, "facts", sealed=True)[0]
        mallory.destroy_as_expired(parts, "facts 731", house.clock.now(), batch=number, index=0)
        house.log(parts)
    named(
        house.audit(run),
        rf"Batch {number} .*: 1 of its \d+ observations are missing, the first is number 0, and .*"
        "earlier than the retention policy it cites allowed",
    )


def test_facts_that_a_lens_sees_destroyed_as_if_none_did(house: Deployment, run: Run) -> None:
    """Only what is seen is kept; an assessment is deleted, and its deletion is made to reach far."""
    with house.parts() as parts:
        since = mallory.keep_only_what_is_seen(parts, house.clock.now())
        house.observe(parts, 3)
        mallory.destroy_as_unseen(parts, house.clock.now(), since_batch=since)
        house.log(parts)
    code, told = house.audit(run)
    named(
        (code, told),
        r"Batch \d+ .*earlier than policy allowed: it took what a lens sees, iam:Create",
    )
    assert len(json.loads(told[told.index("{") :])["problems"]) == 1, "nothing else is wrong"


def test_facts_from_before_only_what_is_seen_was_kept_destroyed_as_unseen(
    house: Deployment, run: Run
) -> None:
    with house.parts() as parts:
        number = mallory.in_class(parts, "facts", sealed=True)[0]
        mallory.keep_only_what_is_seen(parts, house.clock.now())
        mallory.destroy_as_unseen(parts, house.clock.now(), since_batch=0)
        house.log(parts)
    named(
        house.audit(run),
        rf"Batch {number} .*earlier than policy allowed: the batch was kept before the policy "
        "'matched', which it cites, came into force",
    )


def test_a_fact_left_out_by_a_compaction(house: Deployment, run: Run) -> None:
    """Two segments become one, as they do every day; one observation does not go on."""
    with house.parts() as parts:
        numbers = mallory.in_class(parts, "facts", sealed=True)
        mallory.compact_without(parts, numbers, numbers[0], 1)
    named(
        house.audit(run),
        rf"Batch {numbers[0]} .*: 1 of its \d+ observations are missing, the first is number 1, and "
        "no destruction record names them",
    )


def test_facts_destroyed_under_a_date_that_has_not_come(house: Deployment, run: Run) -> None:
    """The record says two years hence, when it would have been allowed."""
    with house.parts() as parts:
        at = Instant(SystemClock().now() + 732 * DAY)
        mallory.destroy_as_expired(parts, "facts 731", at)
        house.log(parts)
    named(house.audit(run), "the destruction .* is dated 20.*, in the future")


def test_evidence_destroyed_by_a_clock_set_forward(house: Deployment, run: Run) -> None:
    """The software's own expiry, three years ahead, and then back to work."""
    honest = house.clock.now()
    house.clock.at = Instant(honest + 3 * 366 * DAY)
    with house.parts() as parts:
        assert expire(parts.lake, parts.settings, TENANT, house.clock.now()).observations == 30
    house.clock.at = honest
    with house.parts() as parts:
        house.observe(parts, 1)
    named(house.audit(run), r"follows the destruction .*, which gives a later time, 2029-")


def test_evidence_destroyed_under_a_legal_hold_that_ends_afterwards(
    house: Deployment, run: Run
) -> None:
    now = house.clock.now()
    with house.parts() as parts:
        (klass,) = mallory.classes(parts, "manual/")
        where = klass.removeprefix("manual/")
        with parts.db.write(TENANT) as tx:
            why = holds.Asked("arn:counsel", "r", "a case", now)
            held = holds.place(tx, parts.lake, why, assessment_id=where, first=None, last=None)
        with parts.db.write(TENANT) as tx:
            asked = governance.authority("DeleteAssessment", "arn:x", "r", where, now)
            destroy_class(tx, parts.lake, klass, asked, now)
        release = governance.Release(
            at=iso(Instant(now - SECOND)),
            hold=held,
            principal="arn:counsel",
            reason="over",
            request="r",
        )
        with parts.db.write(TENANT) as tx:
            governance.record(tx, parts.lake, [release], principal="p", run="r", now=now)
        house.log(parts)
    named(house.audit(run), f"was done under the legal hold {held}, which arn:counsel had placed")


# --- the log -------------------------------------------------------------------------------------


def test_an_old_database_replayed(house: Deployment, run: Run) -> None:
    house.restore(house.data.parent / "early", database_only=True)
    named(house.audit(run), "the database was rolled back or restored")


def test_the_whole_log_rolled_back(house: Deployment, run: Run) -> None:
    house.restore(house.data.parent / "early")
    named(house.audit(run), "you hold has 10 entries, this log 7: the log was rolled back")


def test_history_written_again_from_a_backup_on(house: Deployment, run: Run) -> None:
    house.restore(house.data.parent / "early")
    with house.parts() as parts:
        for count in (4, 2, 1, 1):
            house.observe(parts, count, verdict="PASSED")
    named(house.audit(run), "10 entries that was published or is held outside: .* rewritten")


def test_a_backup_restored_as_if_nothing_had_come_after_it(house: Deployment, run: Run) -> None:
    """He names the backup's own checkpoint as the newest that was ever published."""
    house.back_up_by_command()
    newest = house.data.parent / "newest.txt"
    with house.parts() as parts:
        house.hand_out(parts, newest)
        for count in (3, 1):
            house.observe(parts, count)
        house.hand_out(parts, house.held)
    house.restore_by_command(run, "--checkpoint", str(newest))
    assert sound(house.audit(run, held=newest))["notices"] == [], "no epoch, and no notice"
    named(house.audit(run), "the log was rolled back")
    with house.parts() as parts:
        for count in (3, 1, 1):
            house.observe(parts, count, verdict="PASSED")
    named(house.audit(run), "rewritten")


def test_everything_signed_with_another_key(house: Deployment, run: Run) -> None:
    mallory.sign_anew(house)
    named(
        house.audit(run),
        "is not the one you hold .*: it was replaced",
        "The checkpoint you hold is not one of this log: .*signed by no known key",
    )


# --- reports -------------------------------------------------------------------------------------


def test_a_report_s_evidence_and_its_digest_replaced(house: Deployment, run: Run) -> None:
    def acquit(members: dict[str, bytes]) -> None:
        name = next(n for n, data in members.items() if data.startswith(b'{"eventID"'))
        members[name] = members[name].replace(b"eventID", b"verdict")

    mallory.forge_report(house, acquit)
    named(house.verify(run), "is not proven: the source's bytes, the envelope, or their place")


def test_a_report_made_by_the_replaced_log(house: Deployment, run: Run) -> None:
    """Checkpoint, endorsement and digest all fit each other, and none of them the auditor's key."""
    vkey = mallory.sign_anew(house)
    with house.parts() as parts:
        from auditkeep.tlog.note import sign
        from auditkeep.verify.format import report_key_body

        signer, key = parts.lake.signer, parts.report_key
        note = parts.lake.objects.get("log/checkpoint").decode()

        def replace(members: dict[str, bytes]) -> None:
            for name in members:
                if name.endswith("proofs/checkpoint.txt"):
                    members[name] = note.encode()
                elif name.endswith("proofs/log-key.txt"):
                    members[name] = f"{vkey}\n".encode()
                elif name.endswith("proofs/report-key.txt"):
                    body = report_key_body(parts.lake.origin, key.public_der)
                    members[name] = sign(body, [signer]).encode()

        mallory.forge_report(house, replace)
    named(house.verify(run), "carries another key of the log", "is signed by no known key")


def test_evidence_left_out_of_a_report_that_was_signed_again(house: Deployment, run: Run) -> None:
    def drop(members: dict[str, bytes]) -> None:
        name = next(n for n in members if n.endswith(".json") and "/proofs/" not in n)
        del members[name]

    mallory.forge_report(house, drop)
    named(house.verify(run), "its file is missing or cannot be read")


# --- what he can still do ------------------------------------------------------------------------


def test_what_no_checkpoint_outside_covers_can_be_written_again(
    house: Deployment, run: Run
) -> None:
    """Said in docs/verification.md: the auditor who holds only the early checkpoint is deceived."""
    house.restore(house.data.parent / "early")
    with house.parts() as parts:
        for count in (4, 2, 1):
            house.observe(parts, count, verdict="PASSED")
    sound(house.audit(run, held=house.early))
    named(house.audit(run), "rewritten")


def test_the_guide_names_every_attack_that_is_played() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "verification.md").read_text()
    _, _, section = guide.partition("## The whole deployment")
    told = re.sub(r"\s+", " ", section)
    here = Path(__file__).read_text()
    patterns = re.findall(r"`(test_[a-z_]+)`", told)
    assert len(patterns) > 10
    played = set(re.findall(r"def (test_[a-z_]+)\(house", here.replace("(\n    house", "(house")))
    assert played == set(patterns)


@pytest.mark.parametrize("words", [("--key", "no key"), ("--key", "a+b+c")])
def test_what_is_no_key_is_told_at_once(
    lived: Deployment, run: Run, words: tuple[str, str]
) -> None:
    code, _, errors = run("log", "audit", "--data", str(lived.data), *words)
    assert code == 1
    assert "is not a log key" in errors
