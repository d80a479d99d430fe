"""Names in an archive: safe on every system, within bounds, unique, whatever people typed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.clock import parse
from auditkeep.reports import names

AT = parse("2022-07-01T21:30:24.999Z")
ID = "00000000-1111-2222-3333-a1b2c3d4e5f6"
SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def test_automated_evidence_is_named_as_the_specification_shows() -> None:
    name = names.evidence_file(AT, "IAM", "CreateUser", "111122223333", ID)
    assert name == "21-30-24_IAM_CreateUser_111122223333_a1b2c3d4e5f6.json"


def test_long_event_names_are_cut() -> None:
    name = names.evidence_file(AT, "S3", "PutBucketPublicAccessBlock", "111122223333", ID)
    assert name.split("_")[2] == "PutBucketPublicAcces"


def test_manual_evidence_has_a_record_and_a_file() -> None:
    record = names.manual_record(AT, "111122223333", ID)
    copy = names.manual_file(AT, "111122223333", ID, "password policy 2022.pdf")
    assert record == "21-30-24_manual_111122223333_a1b2c3d4e5f6.json"
    assert copy == "21-30-24_manual_111122223333_a1b2c3d4e5f6_password-p.pdf"


def test_a_manual_file_without_extension_keeps_none() -> None:
    assert names.manual_file(AT, "111122223333", ID, "README").endswith("_README")


def test_folders_carry_short_ids() -> None:
    control = "a1b2c3d4-e5f6-0789-aaaa-bbbbbbbbbbbb"
    assert names.assessment_folder("My assessment", control) == "My-assessment-a1b2c3d4"
    assert names.report_folder("report", control) == "report-a1b2c3d4e5f607"
    assert names.control_folder("2.1 Users", control) == "2.1-Users-a1b2c3d4e5f60"
    assert names.volume_file("2.1-Users-a1b2c3d4e5f60", 1) == (
        "volumes/2.1-Users-a1b2c3d4e5f60-01.pdf"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("../../etc/passwd", "etc-passwd"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("Zugriffskontrolle für Größen", "Zugriffskontrolle-fur-Groen"),
        ("日本語", "unnamed"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("a\\b:c*d?e", "a-b-c-d-e"),
        ("trailing dots...", "trailing-dots"),
    ],
)
def test_what_people_type_becomes_a_component(text: str, expected: str) -> None:
    assert names.component(text) == expected


@given(st.text(max_size=400), st.sampled_from(["", "a1b2c3d4", "a1b2c3d4e5f607"]))
def test_any_text_gives_a_safe_component(text: str, suffix: str) -> None:
    name = names.component(text, suffix)
    assert SAFE.fullmatch(name)
    assert len(name) <= names.LONGEST
    assert name.endswith(suffix)


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=20), st.text(max_size=300))
def test_any_item_gives_a_safe_file_name(a: str, b: str, c: str, d: str) -> None:
    for name in (
        names.evidence_file(AT, a, b, c, ID),
        names.manual_file(AT, c, ID, d),
        names.volume_file(names.control_folder(a, ID), 7).removeprefix("volumes/"),
    ):
        assert SAFE.fullmatch(name)
        assert len(name) <= 100


@given(st.lists(st.sampled_from(["a.json", "A.json", "a-2.json", "b"]), max_size=12))
def test_no_name_is_given_twice(wanted: list[str]) -> None:
    taken = names.Taken()
    given_names = [taken.give(name) for name in wanted]
    assert len({name.lower() for name in given_names}) == len(wanted)


def test_the_second_of_a_name_is_numbered_before_its_extension() -> None:
    taken = names.Taken()
    assert [taken.give("a.json") for _ in range(3)] == ["a.json", "a-2.json", "a-3.json"]


def test_volumes_of_long_control_names_keep_apart() -> None:
    one, other = (
        names.volume_file(names.control_folder("A very long name " * 9, f"{n}" * 32), 1)
        for n in (1, 2)
    )
    assert one != other
    assert one.endswith("-1111111111111-01.pdf")
    assert len(one.removeprefix("volumes/")) <= names.LONGEST


def test_names_that_differ_by_case_alone_are_given_apart() -> None:
    taken = names.Taken()
    assert [taken.give(n) for n in ("IAM.json", "iam.json", "Iam.JSON")] == [
        "IAM.json",
        "iam-2.json",
        "Iam-3.JSON",
    ]
