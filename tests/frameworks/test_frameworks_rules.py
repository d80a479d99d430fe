"""What a control or a framework must be, whoever sends it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.clock import Instant
from auditkeep.errors import InvalidRequest, NotFound, QuotaExceeded
from auditkeep.frameworks import rules
from auditkeep.frameworks.model import (
    Control,
    ControlSet,
    Framework,
    Keyword,
    MappingSource,
    MappingType,
)

NOW = Instant(1)
CORE = Control(id="c0", name="Core", type="Core", sources=(), created_at=NOW, updated_at=NOW)


def source(kind: str, word: str | None = None, source_id: str | None = None) -> MappingSource:
    return MappingSource(
        id=source_id or f"{kind}-{word}",
        type=kind,  # type: ignore[arg-type]
        set_up_option="System_Controls_Mapping",
        keyword=Keyword(word) if word else None,
    )


def group(kind: MappingType, name: str) -> Control | None:
    return CORE if (kind, name) in {("Core_Control", "c0"), ("Common_Control", "k0")} else None


def framework(*sets: tuple[str, str]) -> Framework:
    return Framework(
        id="f",
        name="F",
        type="Custom",
        sets=tuple(ControlSet(id=i, name=n, control_ids=()) for i, n in sets),
        created_at=NOW,
        updated_at=NOW,
    )


def test_the_set_up_option_follows_from_the_type() -> None:
    assert rules.set_up_option("MANUAL", None) == "Procedural_Controls_Mapping"
    assert rules.set_up_option("AWS_Config", None) == "System_Controls_Mapping"
    assert rules.set_up_option("AWS_Config", "System_Controls_Mapping") == "System_Controls_Mapping"


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        ("MANUAL", "System_Controls_Mapping"),
        ("AWS_Config", "Procedural_Controls_Mapping"),
        ("Core_Control", "Procedural_Controls_Mapping"),
    ],
)
def test_a_set_up_option_of_another_type_is_refused(kind: str, option: str) -> None:
    with pytest.raises(InvalidRequest, match="controlMappingSources"):
        rules.set_up_option(kind, option)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kind", ["AWS_Config", "AWS_Cloudtrail", "AWS_Security_Hub", "AWS_API_Call", "Core_Control"]
)
def test_automated_sources_need_a_keyword(kind: str) -> None:
    with pytest.raises(InvalidRequest, match="keywordValue"):
        rules.check_sources([source(kind)], group)


def test_manual_sources_need_none_and_unknown_keywords_are_accepted() -> None:
    rules.check_sources([source("MANUAL"), source("AWS_Config", "NO_SUCH_RULE")], group)


def test_core_and_common_controls_must_exist() -> None:
    rules.check_sources([source("Core_Control", "c0")], group)
    with pytest.raises(NotFound, match="c1"):
        rules.check_sources([source("Core_Control", "c1")], group)
    with pytest.raises(NotFound):
        rules.check_sources([source("Common_Control", "arn:aws:controlcatalog:::x/y")], group)


def test_a_source_id_counts_once() -> None:
    twice = [source("MANUAL", None, "a"), source("AWS_Config", "X", "a")]
    with pytest.raises(InvalidRequest, match="twice"):
        rules.check_sources(twice, group)


@pytest.mark.parametrize(
    ("kind", "most"), [("AWS_Config", 100), ("Core_Control", 50), ("Common_Control", 5)]
)
def test_a_control_has_room_for_so_many_sources(kind: str, most: int) -> None:
    many = [source(kind, "c0", str(n)) for n in range(most + 1)]
    with pytest.raises(InvalidRequest, match=f"{most + 1} .*may have {most}"):
        rules.check_sources(many, group)
    if kind != "Common_Control":
        rules.check_sources(many[:-1], group)


def test_sets_are_distinct_and_hold_known_controls_once() -> None:
    good = ControlSet(id="A", name="A", control_ids=("c1", "c2"))
    rules.check_sets([good, ControlSet(id="B", name="B", control_ids=("c1",))], {"c1", "c2"})
    with pytest.raises(InvalidRequest, match="two control sets named 'A'"):
        rules.check_sets([good, ControlSet(id="B", name="A", control_ids=())], {"c1", "c2"})
    with pytest.raises(InvalidRequest, match="two control sets with the id 'A'"):
        rules.check_sets([good, ControlSet(id="A", name="B", control_ids=())], {"c1", "c2"})
    with pytest.raises(InvalidRequest, match="'c1' twice in the control set 'A'"):
        rules.check_sets([ControlSet(id="A", name="A", control_ids=("c1", "c1"))], {"c1"})
    with pytest.raises(InvalidRequest, match=re.escape("set '{0} {x} %s'")):
        odd = ControlSet(id="A", name="{0} {x} %s", control_ids=("c1", "c1"))
        rules.check_sets([odd], {"c1"})
    with pytest.raises(NotFound, match="c3"):
        rules.check_sets([ControlSet(id="A", name="A", control_ids=("c3",))], {"c1"})


def test_a_known_set_id_stays_through_a_new_name() -> None:
    before = framework(("A", "A"), ("B", "Bee"))
    assert rules.set_ids(before, [("A", "New"), ("B", "Bee")]) == ["A", "B"]
    assert rules.set_ids(before, [(None, "Bee"), (None, "New")]) == ["B", "New"]
    assert rules.set_ids(before, [("unknown", "New")]) == ["New"]
    # the id of a renamed set is not given to another one that takes its old name
    assert rules.set_ids(before, [("B", "Sea"), (None, "Bee")]) == ["B", "Bee"]


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True), st.data())
def test_sending_all_ids_back_changes_no_id(names: list[str], data: st.DataObject) -> None:
    before = framework(*((n, n) for n in names))
    renamed = [data.draw(st.text("xyz", min_size=1, max_size=3)) for _ in names]
    assert rules.set_ids(before, list(zip(names, renamed, strict=True))) == names


def test_what_is_shipped_is_not_changed() -> None:
    with pytest.raises(InvalidRequest, match="shipped"):
        rules.check_custom("control", CORE)
    rules.check_custom("framework", framework())


def test_a_full_quota_says_so() -> None:
    rules.check_quota("control", 499, 500)
    with pytest.raises(QuotaExceeded, match=re.escape("500 custom controls")):
        rules.check_quota("control", 500, 500)
