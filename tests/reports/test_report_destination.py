"""Destinations: what `s3://…` stands for, and what is refused before anything is written."""

import pytest

from auditkeep.errors import InvalidRequest
from auditkeep.reports import destination

ID = "a1b2c3d4-e5f6-4789-8aaa-bbbbbbbbbbbb"


def test_a_report_lies_under_prefix_assessment_and_name() -> None:
    place = destination.place_of(
        "s3://audit-reports/2026/q2", assessment=("My assessment", ID), report=("report", ID)
    )
    assert place.url == (
        "s3://audit-reports/2026/q2/My-assessment-a1b2c3d4/report-a1b2c3d4e5f647.zip"
    )
    assert place.object_key == f"reports/audit-reports/{place.key}"
    assert destination.place(place.url, "s3RelativePath") == place


@pytest.mark.parametrize("url", ["s3://audit-reports", "s3://audit-reports/"])
def test_a_prefix_is_not_needed(url: str) -> None:
    place = destination.place_of(url, assessment=("a", ID), report=("r", ID))
    assert place.key == "a-a1b2c3d4/r-a1b2c3d4e5f647.zip"


@pytest.mark.parametrize(
    "url",
    [
        "audit-reports/key",
        "s3://",
        "s3://Audit/key",
        "s3://a..b/key",
        "s3://audit-reports/../other/key",
        "s3://audit-reports/a//b",
        "s3://audit-reports/a/./b",
        "s3://audit-reports/a\x00b",
        "s3://audit-reports/.new-1",
        "s3://audit-reports/" + "k" * 901,
        "s3://audit-reports/" + "k" * 256,
    ],
)
def test_what_cannot_be_a_place_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="s3RelativePath"):
        destination.parse(url, "s3RelativePath")


def test_a_bucket_alone_is_no_object() -> None:
    with pytest.raises(InvalidRequest, match="must name an object"):
        destination.place("s3://audit-reports", "s3RelativePath")
