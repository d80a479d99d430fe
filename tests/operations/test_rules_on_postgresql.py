"""Every refusal of the tables once more, on PostgreSQL: another dialect must not mean other rules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.databases import on_postgres
from tests.operations import (
    test_rules_accounts,
    test_rules_assessments,
    test_rules_evidence,
    test_rules_library,
    test_rules_sharing,
)
from tests.operations.world import HOME, MEMBER, Refusal, World

from auditkeep.accounts.members import Member, Organisation
from auditkeep.app import members

pytestmark = pytest.mark.postgres
MODULES = (
    test_rules_accounts,
    test_rules_assessments,
    test_rules_evidence,
    test_rules_library,
    test_rules_sharing,
)
ROWS = [(m.__name__.rpartition("_")[2], row) for m in MODULES for row in m.REFUSED]
"""Rules by the table they are in."""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("postgres"), on_postgres(postgres_url))
    assert made.open.id != made.over.id
    yield made
    made.close()


@pytest.mark.parametrize("row", [r for _, r in ROWS], ids=[f"{m}: {r.rule}" for m, r in ROWS])
def test_it_is_refused_and_changes_nothing(there: World, row: Refusal) -> None:
    row.holds(there)


def _refresh(world: World, *accounts: str) -> frozenset[str]:
    found = tuple(Member(a, "name", "a@example.org") for a in accounts)
    told = Organisation("o-abcdefghij", HOME, all_features=True, members=found)
    return members.refresh(world.db, world.deps, world.clock, lambda: told)


def test_lists_scopes_and_members_are_the_same(there: World) -> None:
    made = there.assessment(scope={"awsAccounts": [{"id": HOME}, {"id": MEMBER}]})
    there.delegate(made)
    found = there.ask("list_assessments", client=there.user("expert"))["assessmentMetadata"]
    assert made.id in {a["id"] for a in found}
    assert _refresh(there, HOME, MEMBER) == frozenset()
    assert _refresh(there, HOME) == {MEMBER}
    shown = there.ask("get_assessment", assessmentId=made.id)["assessment"]["metadata"]
    assert [a["id"] for a in shown["scope"]["awsAccounts"]] == [HOME]
    assert [a for _, _, a in there.changes(made)] == ["CREATE", "CREATE", "UPDATE_METADATA"]
