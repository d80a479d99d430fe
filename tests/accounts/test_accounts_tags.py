"""Tags of one resource: at most fifty, whoever adds them in whatever portions."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditkeep.accounts import tags
from auditkeep.db.database import Database
from auditkeep.errors import InvalidRequest
from auditkeep.ids import Tenant

ARN = "arn:aws:auditmanager:us-east-1:111122223333:control/x"
OTHER = "arn:aws:auditmanager:us-east-1:111122223333:control/y"

KEY = st.text("abcABC019+-=._:/", min_size=1, max_size=6)
STEP = st.one_of(
    st.tuples(st.just("add"), st.dictionaries(KEY, st.text(max_size=5), max_size=30)),
    st.tuples(st.just("remove"), st.sets(KEY, max_size=10)),
)


@pytest.mark.both_databases
def test_tags_are_added_replaced_and_removed(db: Database, tenant: Tenant) -> None:
    with db.write(tenant) as tx:
        tags.add(tx, ARN, {"b": "1", "a": ""})
        tags.add(tx, ARN, {"b": "2"})
        tags.add(tx, OTHER, {"z": "1"})
        assert tags.of(tx, ARN) == {"a": "", "b": "2"}
        assert list(tags.of(tx, ARN)) == ["a", "b"]
        tags.remove(tx, ARN, ["a", "never there"])
        assert tags.of_many(tx, [ARN, OTHER, "arn:none"]) == {
            ARN: {"b": "2"},
            OTHER: {"z": "1"},
            "arn:none": {},
        }
        tags.drop(tx, ARN)
        assert tags.of_many(tx, [ARN, OTHER]) == {ARN: {}, OTHER: {"z": "1"}}


def test_another_tenant_has_its_own(db: Database, tenant: Tenant) -> None:
    with db.write(tenant) as tx:
        tags.add(tx, ARN, {"a": "1"})
    with db.write(Tenant("444455556666", "us-east-1")) as tx:
        assert tags.of(tx, ARN) == {}
        tags.drop(tx, ARN)
    with db.read(tenant) as tx:
        assert tags.of(tx, ARN) == {"a": "1"}


def test_the_fifty_first_tag_is_refused_and_changes_nothing(db: Database, tenant: Tenant) -> None:
    fifty = {f"k{n}": "v" for n in range(50)}
    with db.write(tenant) as tx:
        tags.add(tx, ARN, fifty)
        tags.add(tx, ARN, {"k0": "replaced"})
        with pytest.raises(InvalidRequest, match="51"):
            tags.add(tx, ARN, {"k0": "no", "one more": "v"})
        assert tags.of(tx, ARN) == {**fifty, "k0": "replaced"}


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.lists(STEP, max_size=8))
def test_tags_behave_as_a_dictionary_of_fifty(
    db: Database, tenant: Tenant, steps: list[tuple[str, dict[str, str] | set[str]]]
) -> None:
    model: dict[str, str] = {}
    with db.write(tenant) as tx:
        tags.drop(tx, ARN)
        for kind, value in steps:
            if kind == "remove":
                tags.remove(tx, ARN, value)
                model = {k: v for k, v in model.items() if k not in value}
                continue
            assert isinstance(value, dict)
            if len(model | value) > 50:
                with pytest.raises(InvalidRequest):
                    tags.add(tx, ARN, value)
            else:
                tags.add(tx, ARN, value)
                model |= value
        assert tags.of(tx, ARN) == model
