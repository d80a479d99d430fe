"""Controls and frameworks of a tenant, kept on both databases."""

import msgspec
import pytest

from auditkeep.clock import Instant
from auditkeep.db.database import Database
from auditkeep.errors import NotFound
from auditkeep.frameworks import store
from auditkeep.frameworks.model import Control, ControlSet, Framework, MappingSource
from auditkeep.ids import Tenant, new_id
from auditkeep.library.library import Library

pytestmark = pytest.mark.both_databases
NOW = Instant(1_700_000_000_000_000)


@pytest.fixture(scope="module")
def library() -> Library:
    return Library.load()


def control(name: str = "c", at: int = 0, control_id: str | None = None) -> Control:
    return Control(
        id=control_id or new_id(),
        name=name,
        type="Custom",
        sources=(
            MappingSource(id=new_id(), type="MANUAL", set_up_option="Procedural_Controls_Mapping"),
        ),
        created_at=Instant(NOW + at),
        updated_at=Instant(NOW + at),
        description="ünïcode — “quoted”",
    )


def framework(*sets: ControlSet, at: int = 0) -> Framework:
    return Framework(
        id=new_id(),
        name="f",
        type="Custom",
        sets=sets,
        created_at=Instant(NOW + at),
        updated_at=Instant(NOW + at),
    )


def test_a_control_comes_back_as_it_was(db: Database, tenant: Tenant, library: Library) -> None:
    kept = control()
    with db.write(tenant) as tx:
        store.save_control(tx, kept)
    with db.read(tenant) as tx:
        assert store.get_control(tx, library, kept.id) == kept
        assert store.count_controls(tx) == 1


def test_saving_again_replaces(db: Database, tenant: Tenant, library: Library) -> None:
    kept = control()
    with db.write(tenant) as tx:
        store.save_control(tx, kept)
        edited = msgspec.structs.replace(kept, name="new", description=None)
        store.save_control(tx, edited)
        assert store.get_control(tx, library, kept.id) == edited
        assert store.count_controls(tx) == 1


def test_shipped_things_are_there_for_everyone(
    db: Database, tenant: Tenant, library: Library
) -> None:
    one = next(iter(library.controls.values()))
    whole = next(iter(library.frameworks.values()))
    with db.read(tenant) as tx:
        assert store.get_control(tx, library, one.id) is one
        assert store.get_framework(tx, library, whole.id) is whole
        assert store.list_frameworks(tx, library, "Standard", limit=10) == sorted(
            library.frameworks.values(), key=lambda f: f.id
        )


def test_another_tenant_sees_nothing(db: Database, tenant: Tenant, library: Library) -> None:
    mine, group = control(), framework(ControlSet(id="s", name="s", control_ids=()))
    with db.write(tenant) as tx:
        store.save_control(tx, mine)
        store.save_framework(tx, group)
    for other in (Tenant("444455556666", tenant.region), Tenant(tenant.account, "eu-west-1")):
        with db.write(other) as tx:
            with pytest.raises(NotFound):
                store.get_control(tx, library, mine.id)
            with pytest.raises(NotFound):
                store.get_framework(tx, library, group.id)
            assert store.list_controls(tx, library, "Custom", limit=9) == []
            store.delete_control(tx, mine.id)
            store.delete_framework(tx, group.id)
    with db.read(tenant) as tx:
        assert store.get_control(tx, library, mine.id) == mine
        assert store.get_framework(tx, library, group.id) == group


def test_lists_run_newest_first_and_continue(
    db: Database, tenant: Tenant, library: Library
) -> None:
    # three at the same instant, so that ids must break the tie
    made = [control(str(n), at=(0, 5, 5, 5, 9)[n]) for n in range(5)]
    expected = sorted(made, key=lambda c: (-c.created_at, c.id))
    with db.write(tenant) as tx:
        for one in made:
            store.save_control(tx, one)
        seen: list[Control] = []
        after = None
        while page := store.list_controls(tx, library, "Custom", after=after, limit=2):
            seen += page
            after = (page[-1].created_at, page[-1].id)
    assert seen == expected


def test_shipped_lists_continue_too(db: Database, tenant: Tenant, library: Library) -> None:
    seen: list[str] = []
    after = None
    with db.read(tenant) as tx:
        while page := store.list_controls(tx, library, "Standard", after=after, limit=50):
            seen += [c.id for c in page]
            after = (page[-1].created_at, page[-1].id)
    assert seen == sorted(library.controls)


def test_a_deleted_control_leaves_its_frameworks(
    db: Database, tenant: Tenant, library: Library
) -> None:
    gone, stays = control(), control()
    group = framework(
        ControlSet(id="both", name="both", control_ids=(gone.id, stays.id)),
        ControlSet(id="only", name="only", control_ids=(gone.id,)),
    )
    with db.write(tenant) as tx:
        store.save_control(tx, gone)
        store.save_control(tx, stays)
        store.save_framework(tx, group)
        store.delete_control(tx, gone.id)
        left = store.get_framework(tx, library, group.id)
        assert [s.control_ids for s in left.sets] == [(stays.id,), ()]
        assert left.updated_at == group.updated_at
        with pytest.raises(NotFound):
            store.get_control(tx, library, gone.id)


def test_a_deleted_framework_leaves_its_controls(
    db: Database, tenant: Tenant, library: Library
) -> None:
    one = control()
    group = framework(ControlSet(id="s", name="s", control_ids=(one.id,)))
    with db.write(tenant) as tx:
        store.save_control(tx, one)
        store.save_framework(tx, group)
        assert store.count_frameworks(tx) == 1
        store.delete_framework(tx, group.id)
        assert store.count_frameworks(tx) == 0
        assert store.get_control(tx, library, one.id) == one


def test_several_controls_come_in_one_question(
    db: Database, tenant: Tenant, library: Library
) -> None:
    mine = control()
    shipped = next(iter(library.controls))
    with db.write(tenant) as tx:
        store.save_control(tx, mine)
        found = store.get_controls(tx, library, {mine.id, shipped, new_id()})
    assert set(found) == {mine.id, shipped}
