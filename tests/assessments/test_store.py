"""Assessments, reviews and notices as rows, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from auditkeep.accounts import store as accounts
from auditkeep.assessments import review, store
from auditkeep.assessments.model import (
    AssessedControl,
    Assessment,
    ControlCopy,
    ControlSet,
    Delegation,
    Document,
    FrameworkCopy,
    ScopedAccount,
    SourceCopy,
)
from auditkeep.clock import Instant, parse
from auditkeep.db.database import Database
from auditkeep.db.tx import Tx
from auditkeep.errors import NotFound
from auditkeep.ids import Tenant, new_id

NOW = parse("2026-05-01T12:00:00Z")
OWNER = "arn:aws:iam::111122223333:role/audit/Owner"
EXPERT = "arn:aws:iam::111122223333:role/Expert"

pytestmark = pytest.mark.both_databases


@pytest.fixture
def tx(db: Database, tenant: Tenant) -> Iterator[Tx]:
    with db.write(tenant) as tx:
        yield tx


def test_an_assessment_comes_back_as_it_was(tx: Tx) -> None:
    made, sets, controls = _made(tx)
    assert store.get(tx, made.id) == made
    assert store.sets(tx, made.id) == sets
    assert store.controls(tx, made.id) == controls
    assert store.get_control(tx, made.id, "Two", controls[2].control_id) == controls[2]
    assert store.find_by_ordinal(tx, made.id, 2) == controls[1]
    assert store.find_by_ordinal(tx, made.id, 9) is None


def test_what_is_not_there_is_not_found(tx: Tx) -> None:
    made, _, controls = _made(tx)
    with pytest.raises(NotFound, match="assessment"):
        store.get(tx, new_id())
    with pytest.raises(NotFound, match="control set"):
        store.get_set(tx, made.id, "Three")
    with pytest.raises(NotFound, match="control"):
        store.get_control(tx, made.id, "Two", controls[0].control_id)
    other = tx.system().of(Tenant("999988887777", "us-east-1"))
    with pytest.raises(NotFound):
        store.get(other, made.id)


def test_every_change_raises_the_version(tx: Tx) -> None:
    made, _, _ = _made(tx)
    saved = store.save(tx, replace(made, name="renamed"))
    assert store.get(tx, made.id) == saved
    assert saved.version == made.version + 1
    store.touch(tx, made.id)
    assert store.get(tx, made.id) == replace(saved, version=made.version + 2)
    store.touch(tx, made.id, Instant(NOW + 5))
    assert store.get(tx, made.id).updated_at == NOW + 5


def test_statuses_of_sets_and_controls(tx: Tx) -> None:
    made, _, _ = _made(tx)
    store.set_set_status(tx, made.id, "UNDER_REVIEW", "One")
    assert [s.status for s in store.sets(tx, made.id)] == ["UNDER_REVIEW", "ACTIVE"]
    store.set_set_status(tx, made.id, "REVIEWED")
    assert [s.status for s in store.sets(tx, made.id)] == ["REVIEWED", "REVIEWED"]
    store.set_control_status(tx, made.id, [1, 3], "REVIEWED")
    statuses = [c.status for c in store.controls(tx, made.id)]
    assert statuses == ["REVIEWED", "UNDER_REVIEW", "REVIEWED"]


def test_uses_of_a_control_are_those_of_active_assessments(tx: Tx) -> None:
    made, _, controls = _made(tx)
    ended, _, _ = _made(tx, shared=controls[0].control_id)
    also, _, _ = _made(tx, shared=controls[0].control_id)
    store.save(tx, replace(ended, status="INACTIVE"))
    uses = store.uses_of(tx, controls[0].control_id)
    assert {i: [c.ordinal for c in some] for i, some in uses.items()} == {
        made.id: [1],
        also.id: [1],
    }
    store.rewrite_control(tx, made.id, [1], ControlCopy(name="new", type="Custom", labels=()))
    store.mark_removed(tx, also.id, [1])
    assert list(store.uses_of(tx, controls[0].control_id)) == [made.id]
    assert store.controls(tx, made.id)[0].copy.name == "new"
    assert sum(store.count_controls_of(tx, [made.id, also.id]).values()) == 5


def test_pages_run_newest_first_with_ids_breaking_ties(tx: Tx) -> None:
    made = [_made(tx, created=Instant(NOW + n // 2))[0] for n in range(5)]
    expected = sorted(made, key=lambda a: (a.created_at, a.id), reverse=True)
    found: list[store.Head] = []
    while batch := store.page(tx, None, (found[-1].created_at, found[-1].id) if found else None, 2):
        found += batch
    assert [(h.id, h.version, h.created_at) for h in found] == [
        (a.id, a.version, a.created_at) for a in expected
    ]
    assert {a.id: a for a in store.some(tx, [a.id for a in expected])} == {
        a.id: a for a in expected
    }
    store.save(tx, replace(made[0], status="INACTIVE"))
    assert len(store.page(tx, "ACTIVE", None, 10)) == store.count_active(tx) == 4
    assert store.names(tx, {made[1].id}) == {made[1].id: "assessment"}


def test_assessments_shown_on_a_day_are_active_or_ended_on_it(tx: Tx) -> None:
    still, _, _ = _made(tx)
    for updated in (NOW - 1, NOW):
        ended, _, _ = _made(tx)
        store.save(tx, replace(ended, status="INACTIVE", updated_at=Instant(updated)))
    shown = store.standing_on(tx, NOW)
    assert sorted(a.active for a in shown) == [False, True]
    assert still.id in [a.id for a in shown]


def test_deleting_takes_all_parts_and_no_other_assessment(tx: Tx) -> None:
    made, _, _ = _made(tx)
    other, _, _ = _made(tx)
    for one in (made, other):
        review.add_comment(tx, one.id, 1, "alice", "hello", NOW)
        review.add_delegation(tx, _delegation(one))
        review.log_change(tx, one.id, "ASSESSMENT", "a", "CREATE", by=OWNER, now=NOW)
    store.delete(tx, made.id)
    for one, left in ((made, 0), (other, 1)):
        assert len(store.sets(tx, one.id)) == 2 * left
        assert len(store.controls(tx, one.id)) == 3 * left
        assert len(review.comments(tx, one.id)) == left
        assert len(review.delegations_of(tx, [one.id])) == left
        assert len(_changes(tx, one)) == left


def test_comments_are_numbered_per_control(tx: Tx) -> None:
    made, _, _ = _made(tx)
    for ordinal, body in ((1, "a"), (2, "b"), (1, "c")):
        review.add_comment(tx, made.id, ordinal, "alice", body, NOW)
    found = [(c.ordinal, c.number, c.body) for c in review.comments(tx, made.id)]
    assert found == [(1, 1, "a"), (1, 2, "c"), (2, 1, "b")]
    assert [c.body for c in review.comments(tx, made.id, 2)] == ["b"]


def test_roles_are_those_of_owners_and_of_delegates_while_it_is_active(tx: Tx) -> None:
    made, _, _ = _made(tx)
    review.add_delegation(tx, _delegation(made))
    session = "arn:aws:sts::111122223333:assumed-role/Owner/jane"
    assert review.roles_of(tx, made, session).owner
    assert review.roles_of(tx, made, EXPERT).delegate_of == {"One"}
    assert not review.roles_of(tx, made, EXPERT).owner
    assert review.roles_of(tx, replace(made, status="INACTIVE"), EXPERT).delegate_of == set()
    nobody = review.roles_of(tx, made, "arn:aws:iam::111122223333:user/nobody")
    assert (nobody.owner, nobody.delegate_of) == (False, frozenset())


def test_delegations_change_status_and_go(tx: Tx) -> None:
    made, _, _ = _made(tx)
    one = _delegation(made)
    review.add_delegation(tx, one)
    review.set_delegation_status(tx, [one.id], "COMPLETE", Instant(NOW + 1))
    assert review.delegations_of(tx, [made.id]) == [
        replace(one, status="COMPLETE", updated_at=Instant(NOW + 1))
    ]
    assert review.delegation_page(tx, None, 5) == review.delegations_of(tx, [made.id])
    assert review.delegation_page(tx, (NOW, one.id), 5) == []
    review.delete_delegation(tx, one.id)
    assert review.delegations_of(tx, [made.id]) == []
    assert review.delegations_of(tx, []) == []


def _made(
    tx: Tx, *, shared: str | None = None, created: Instant = NOW
) -> tuple[Assessment, list[ControlSet], list[AssessedControl]]:
    assessment = Assessment(
        id=new_id(),
        name="assessment",
        status="ACTIVE",
        document=Document(
            framework=FrameworkCopy(id=new_id(), arn="arn:aws:auditmanager:r:a:f/1", name="f"),
            accounts=(ScopedAccount("111122223333", name="prod"),),
            destination="s3://bucket",
            owners=(OWNER,),
            created_by=OWNER,
        ),
        created_at=created,
        updated_at=created,
        version=1,
        next_ordinal=4,
        dormant=False,
        frozen_at_batch=None,
    )
    sets = [ControlSet("One", 0, "ACTIVE"), ControlSet("Two", 1, "ACTIVE")]
    controls = [
        AssessedControl(
            ordinal=ordinal,
            set_id=set_id,
            control_id=shared if shared is not None and ordinal == 1 else new_id(),
            position=ordinal,
            status="UNDER_REVIEW",
            removed=False,
            copy=ControlCopy(
                name=f"control {ordinal}",
                type="Custom",
                labels=("Manual",),
                match_keys=("iam:CreateUser",),
                sources=(SourceCopy("MANUAL"),),
            ),
        )
        for ordinal, set_id in ((1, "One"), (2, "One"), (3, "Two"))
    ]
    store.insert(tx, assessment, sets, controls)
    return assessment, sets, controls


def _delegation(assessment: Assessment) -> Delegation:
    return Delegation(
        id=new_id(),
        assessment_id=assessment.id,
        set_id="One",
        role_arn=EXPERT,
        status="IN_PROGRESS",
        comment=None,
        created_by="alice",
        created_at=NOW,
        updated_at=NOW,
    )


def _changes(tx: Tx, assessment: Assessment) -> list[object]:
    return list(
        review.change_page(tx, assessment.id, set_id=None, control_id=None, after=None, limit=10)
    )


def test_whatever_changes_of_an_assessment_raises_the_version_of_all(tx: Tx) -> None:
    accounts.register(tx, None, NOW)
    versions = [store.state(tx).version]

    def raised() -> bool:
        versions.append(store.state(tx).version)
        return versions[-1] > versions[-2]

    made, _, _ = _made(tx)
    assert raised()
    store.touch(tx, made.id)
    assert raised()
    store.touch(tx, made.id, NOW)
    assert raised()
    store.save(tx, store.get(tx, made.id))
    assert raised()
    store.standing_on(tx, NOW)
    assert not raised()
    store.delete(tx, made.id)
    assert raised()
    other = tx.system().of(Tenant("999988887777", "us-east-1"))
    assert store.state(other) == (0, 0)
