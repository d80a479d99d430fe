"""What is shipped: sound, stable, quick to load, and honest about what it is."""

import re
from pathlib import Path

import msgspec
import pytest

from auditkeep.errors import InputError
from auditkeep.library import lint, reading
from auditkeep.library.content import (
    Content,
    ControlText,
    SetText,
    SourceText,
    control_id,
    framework_id,
)
from auditkeep.library.library import Library
from auditkeep.mapping import keywords


@pytest.fixture(scope="module")
def library() -> Library:
    return Library.load()


def sources(*types_and_words: tuple[str, str | None]) -> tuple[SourceText, ...]:
    return tuple(
        SourceText(type=t, keywords=(w,) if w else (), name=None if w else "By hand")  # type: ignore[arg-type]
        for t, w in types_and_words
    )


def control(key: str = "A-1", **changes: object) -> ControlText:
    text = ControlText(
        key=key,
        name=f"Control {key}",
        description="What it is.",
        testing="How to look.",
        plan_title="What to do",
        plan="How to do it.",
        sources=sources(("AWS_Config", "IAM_PASSWORD_POLICY")),
    )
    return msgspec.structs.replace(text, **changes)


def content(*controls: ControlText, **changes: object) -> Content:
    text = Content(
        slug="test",
        name="Test",
        compliance_type="Test",
        description="A test.",
        released="2026-05-01T00:00:00Z",
        sets=(SetText(name="One", controls=controls or (control(),)),),
    )
    return msgspec.structs.replace(text, **changes)


def test_the_shipped_content_has_no_fault() -> None:
    assert lint.faults(reading.read_frameworks()) == []


def test_ids_never_change() -> None:
    # These stand in customers' assessments, templates and scripts.
    assert framework_id("auditkeep-sample") == "aa793097-d074-53dc-9187-49fcf7b4630d"
    assert framework_id("nist-800-53-r5-moderate") == "c133862e-1aae-52e9-b667-bf7ae4ba9588"
    assert (
        control_id("nist-800-53-r5-moderate", "AC-2(1)") == "5d4ad27f-0e1e-5fcd-ae21-ab5f28b0da12"
    )


def test_the_sample_framework_is_the_one_users_know(library: Library) -> None:
    sample = library.frameworks[framework_id("auditkeep-sample")]
    controls = [library.controls[i] for s in sample.sets for i in s.control_ids]
    assert [c.name for c in controls] == [
        "CloudTrail Instance Events",
        "CloudTrail Volume Events",
        "List Principals and Policies",
        "Describe Networks",
        "Account Summary",
    ]
    words = {c.name: [(s.type, s.keyword and s.keyword.value) for s in c.sources] for c in controls}
    assert words["CloudTrail Volume Events"] == [
        ("AWS_Cloudtrail", "ec2_CreateVolume"),
        ("AWS_Cloudtrail", "ec2_DetachVolume"),
    ]
    assert words["Account Summary"] == [("MANUAL", None)]
    daily = [s.frequency for c in controls for s in c.sources if s.type == "AWS_API_Call"]
    assert daily == ["DAILY"] * 8


def test_nist_moderate_is_complete(library: Library) -> None:
    nist = library.frameworks[framework_id("nist-800-53-r5-moderate")]
    assert len(nist.sets) == 18
    assert sum(len(s.control_ids) for s in nist.sets) == 287
    controls = [library.controls[i] for i in nist.control_ids()]
    automated = [c for c in controls if any(s.type != "MANUAL" for s in c.sources)]
    assert len(automated) == 107
    assert all(c.sources[-1].type == "MANUAL" for c in controls)
    account = library.controls[control_id("nist-800-53-r5-moderate", "AC-2")]
    assert account.name == "AC-2: Account Management"
    assert {"AWS_Config", "AWS_Security_Hub", "AWS_Cloudtrail"} < {s.type for s in account.sources}


def test_everything_shipped_is_standard_and_dated(library: Library) -> None:
    assert {c.type for c in library.controls.values()} == {"Standard"}
    assert {f.type for f in library.frameworks.values()} == {"Standard"}
    assert len({c.created_at for c in library.controls.values()}) == 1


def test_match_keys_are_those_of_all_controls(library: Library) -> None:
    assert "iam:CreateUser" in library.match_keys
    assert "config:IAM_PASSWORD_POLICY" in library.match_keys
    assert "securityhub:IAM.4" in library.match_keys
    assert "api:iam_ListUsers" in library.match_keys
    catalogue = library.catalogue
    sources = [s for c in library.controls.values() for s in c.sources]
    sources += [s for c in catalogue.common_controls for s in c.sources]
    used = {
        key
        for s in sources
        if s.keyword and s.keyword.value
        for key in keywords.match_keys(s.type, s.keyword.value)
    }
    assert library.match_keys == used


def test_services_in_scope_have_words_of_our_own(library: Library) -> None:
    assert len(library.services) == 154
    assert len({s.name for s in library.services}) == 154
    assert all(re.fullmatch(r"[A-Z].{10,80}\.", s.description) for s in library.services)


@pytest.mark.parametrize(
    ("faulty", "words"),
    [
        (content(control(), control()), "two controls have the key 'A-1'"),
        (content(sets=()), "has no control set"),
        (content(sets=(SetText(name="One", controls=()),)), "'One' is empty"),
        (content(control(sources=())), "has no source"),
        (content(sets=(SetText(name="One", controls=(control(),)),) * 2), "named 'One'"),
        (content(control(name="back\\slash")), "does not fit the API's model"),
        (content(control(description="x" * 1001)), "does not fit the API's model"),
        (
            content(sets=(SetText(name="under_score", controls=(control(),)),)),
            "does not fit the API's model",
        ),
        (content(control(sources=sources(("AWS_Config", "IAM_PASWORD")))), "names IAM_PASWORD"),
        (
            content(control(sources=sources(("AWS_Cloudtrail", "iam_ListUsers")))),
            "names iam_ListUsers",
        ),
        (content(control(sources=sources(("AWS_Config", None)))), "without a keyword"),
        (content(control(sources=(SourceText(type="MANUAL"),))), "without a name"),
        (
            content(control(sources=sources(*[("AWS_Config", "IAM_PASSWORD_POLICY")] * 2))),
            "twice",
        ),
        (
            content(
                control(
                    sources=sources(*(("AWS_Config", w) for w in keywords.keywords("AWS_Config")))
                )
            ),
            "more than 100 sources",
        ),
        (content(control(plan="This proves it.")), "says 'proves'"),
        (content(control(testing="You are fully compliant then.")), "says 'fully compliant'"),
    ],
)
def test_lint_names_what_is_wrong(faulty: Content, words: str) -> None:
    found = lint.faults([faulty])
    assert any(words in fault for fault in found), found


def test_two_frameworks_of_one_slug_are_a_fault() -> None:
    assert any("slug 'test'" in f for f in lint.faults([content(), content()]))


@pytest.mark.parametrize("text", ["slug: [", "slug: only", "- 1", "slug: x\nunknown: 1"])
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.yaml").write_text(text)
    with pytest.raises(InputError, match=r"broken\.yaml"):
        reading.read_frameworks(tmp_path)


def test_yaml_cannot_run_code(tmp_path: Path) -> None:
    (tmp_path / "evil.yaml").write_text("!!python/object/apply:os.getcwd []")
    with pytest.raises(InputError):
        reading.read_frameworks(tmp_path)
