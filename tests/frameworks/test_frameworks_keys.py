"""From controls to match keys and labels, through core controls."""

import msgspec
import pytest
from msgspec.structs import replace

from auditkeep.clock import Instant
from auditkeep.frameworks import keys
from auditkeep.frameworks.keys import ResolveGroup
from auditkeep.frameworks.model import Control, Keyword, MappingSource, MappingType


def control(name: str, *sources: tuple[str, str | None], kind: str = "Custom") -> Control:
    return Control(
        id=name,
        name=name,
        type=kind,  # type: ignore[arg-type]
        sources=tuple(
            MappingSource(
                id=f"{name}{n}",
                type=t,  # type: ignore[arg-type]
                set_up_option="System_Controls_Mapping",
                keyword=Keyword(w) if w else None,
            )
            for n, (t, w) in enumerate(sources)
        ),
        created_at=Instant(0),
        updated_at=Instant(0),
    )


def nothing(_kind: MappingType, _name: str) -> None:
    return None


def among(*groups: Control) -> ResolveGroup:
    return lambda _kind, name: next((g for g in groups if g.id == name), None)


def test_keywords_become_match_keys() -> None:
    mixed = control(
        "x",
        ("AWS_Cloudtrail", "cloudwatch_PutMetricAlarm"),
        ("AWS_Config", "IAM_PASSWORD_POLICY"),
        ("AWS_Security_Hub", "1.12"),
        ("AWS_API_Call", "iam_ListUsers"),
        ("MANUAL", "anything"),
    )
    assert keys.match_keys_of(mixed, nothing) == {
        "monitoring:PutMetricAlarm",
        "config:IAM_PASSWORD_POLICY",
        "securityhub:IAM.4",
        "api:iam_ListUsers",
    }


def test_two_spellings_of_one_source_are_one_match_key() -> None:
    twice = control("x", ("AWS_Security_Hub", "1.12"), ("AWS_Security_Hub", "IAM.4"))
    assert keys.match_keys_of(twice, nothing) == {"securityhub:IAM.4"}


def test_core_controls_are_followed() -> None:
    core = control("core", ("AWS_Config", "IAM_PASSWORD_POLICY"), ("MANUAL", None), kind="Core")
    own = control("x", ("Core_Control", "core"), ("AWS_Cloudtrail", "iam_CreateUser"))
    assert keys.match_keys_of(own, among(core)) == {
        "config:IAM_PASSWORD_POLICY",
        "iam:CreateUser",
    }
    assert keys.labels_of(own, among(core)) == "AWS CloudTrail, AWS Config, Manual"


def test_objectives_are_a_controls_own_or_those_of_what_it_names() -> None:
    one = replace(control("one", kind="Core"), objectives=("o1",))
    two = replace(control("two", ("AWS_Config", "X"), kind="Core"), objectives=("o2",))
    named = control("x", ("Core_Control", "one"), ("Common_Control", "two"))
    assert keys.objectives_of(named, among(one, two)) == {"o1", "o2"}
    assert keys.objectives_of(replace(named, objectives=("o3",)), among(one, two)) == {"o3"}
    assert list(keys.common_controls_of(named)) == ["two"]


def test_a_core_control_that_is_gone_gives_nothing() -> None:
    own = control("x", ("Core_Control", "core"))
    assert keys.match_keys_of(own, nothing) == frozenset()
    assert keys.labels_of(own, nothing) is None


def test_core_controls_that_name_each_other_end() -> None:
    a = control("a", ("Core_Control", "b"), ("MANUAL", None), kind="Core")
    b = control("b", ("Core_Control", "a"), ("AWS_Config", "X"), kind="Core")
    assert keys.match_keys_of(a, among(a, b)) == {"config:X"}


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ("AWS_API_Call", "AWS API calls"),
        ("AWS_Cloudtrail", "AWS CloudTrail"),
        ("AWS_Config", "AWS Config"),
        ("AWS_Security_Hub", "AWS Security Hub"),
        ("MANUAL", "Manual"),
    ],
)
def test_labels_are_those_of_the_console(kind: str, label: str) -> None:
    assert keys.labels_of(control("x", (kind, "w")), nothing) == label


def test_a_control_survives_its_document() -> None:
    whole = control("x", ("AWS_Config", "X"), ("MANUAL", None))
    assert msgspec.json.decode(msgspec.json.encode(whole), type=Control) == whole
