"""The drawn pages: every section in its place, tagged, bounded, and data never run as code."""

import io
import re
import subprocess
from typing import Any

import msgspec
import pytest
from pypdf import PdfReader
from pypdf.generic import DictionaryObject
from tests.reports import report_samples as samples

from auditkeep.errors import ReportError
from auditkeep.reports.model import Volume
from auditkeep.reports.pdf import document, process, render

MEMORY_MB = 1024


def read(pdf: bytes) -> Any:
    return PdfReader(io.BytesIO(pdf))


def words(pdf: bytes) -> str:
    text = "\n".join(page.extract_text() for page in read(pdf).pages)
    return re.sub(r"\s+", " ", text.replace("\u200b", ""))


@pytest.fixture(scope="module")
def small() -> bytes:
    entries = (samples.entry(1), samples.entry(2, "non-compliant"), samples.entry(3))
    page = samples.control("AC-2 Account management", (samples.folder("2026-05-01", entries),))
    return process.render(samples.summary(page), memory_mb=MEMORY_MB)


def test_the_sections_follow_the_specification(small: bytes) -> None:
    text = words(small)
    order = [
        "Q2-2026-access-review",
        "Report generated on 05/01/2026 at 03:07:09 PM UCT by 111122223333",
        "Report summary",
        "Assessment summary",
        "Contents",
        "Access control",
        "Collected evidence",
        "Evidence summary",
        "Evidence detail",
        "How to check this report",
    ]
    at = 0
    for part in order:
        assert part in text[at:]
        at = text.index(part, at)


def test_it_says_what_is_proven_and_what_is_not(small: bytes) -> None:
    assert "unchanged since it was logged, not that it was true when it was collected" in words(
        small
    )


def test_nothing_is_a_hyphen(small: bytes) -> None:
    assert "Testing information -" in words(small)


def test_totals_and_issues_are_shown(small: bytes) -> None:
    assert "3 evidence items, 1 compliance issue" in words(small)


def test_it_is_tagged_and_archival(small: bytes) -> None:
    catalog = read(small).trailer["/Root"]
    assert catalog["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in catalog
    assert catalog["/Lang"] == "en"
    metadata = catalog["/Metadata"].get_data().decode()
    assert "<pdfaid:part>2</pdfaid:part><pdfaid:conformance>A</pdfaid:conformance>" in metadata
    assert "<pdfuaid:part>1</pdfuaid:part>" in metadata


def test_the_chart_is_described_for_those_who_cannot_see_it(small: bytes) -> None:
    alt = "Verdict chart of 3 evidence items"
    assert any(alt in str(o.get("/Alt", "")) for o in _objects(read(small)))


def _objects(reader: Any) -> list[DictionaryObject]:
    found = (reader.get_object(number) for number in range(1, len(reader.xref_objStm) + 5000))
    return [o for o in found if isinstance(o, DictionaryObject)]


def test_the_contents_lead_to_controls_and_names_to_evidence(small: bytes) -> None:
    reader = read(small)
    titles = [getattr(o, "title", None) for o in _flat(reader.outline)]
    assert any(t and "AC-2 Account management" in t for t in titles)
    links = [a for page in reader.pages for a in page.get("/Annots", [])]
    assert len(links) > 5


def _flat(outline: list[Any]) -> list[Any]:
    return [x for o in outline for x in (_flat(o) if isinstance(o, list) else [o])]


def test_only_fonts_that_come_with_the_renderer_are_used(small: bytes) -> None:
    fonts = {
        str(font.get_object()["/BaseFont"]).split("+")[1]
        for page in read(small).pages
        for font in page["/Resources"].get("/Font", {}).values()
    }
    assert {re.sub(r"-.*", "", f) for f in fonts} <= {"LibertinusSerif", "DejaVuSansMono"}


def test_the_same_model_gives_the_same_bytes() -> None:
    model = samples.listing(3)
    assert process.render(model, memory_mb=MEMORY_MB) == process.render(model, memory_mb=MEMORY_MB)


def test_awkward_text_is_text() -> None:
    heading = msgspec.structs.replace(
        samples.HEADING, assessment=samples.AWKWARD, description=samples.AWKWARD
    )
    rows = (samples.entry(1, "inconclusive", samples.AWKWARD),)
    page = samples.control(samples.AWKWARD, (samples.folder("2026-05-01", rows),))
    text = words(process.render(samples.summary(page, heading=heading), memory_mb=MEMORY_MB))
    assert '#panic("x")' in text
    assert "[U+202E]" in text
    assert "[U+65E5]" in text


def test_text_that_cannot_be_drawn_after_all_is_spelled_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def undrawable(text: str | None, longest: int = 0, *, ascii_only: bool = False) -> str:
        return "ascii" if ascii_only else "\u65e5"

    monkeypatch.setattr(document, "printable", undrawable)
    model = msgspec.json.encode(samples.listing(1))
    assert "ascii" in words(render.draw("listing", model))


def test_what_is_missing_and_what_was_seen_late_is_on_the_pages() -> None:
    model = samples.summary(
        samples.control("AC-2", ()),
        complete=samples.incomplete("No, not you."),
        vouched=samples.LATE,
    )
    text = words(process.render(model, memory_mb=MEMORY_MB))
    for part in (
        "2 things do not arrive, 1 gap was not filled, 1 keyword is unknown; see the section",
        "Not all that was due has arrived.",
        "access denied API calls: iam_ListUsers 444455556666 aws-global",
        "No, not you. (iam:ListUsers)",
        "The account's Config recorder is off. (configuration recorder)",
        "IAM_PASWORD_POLICY",
        "2026-04-22 15:07 lasts 444455556666",
        "4 of 5 agree",
        "Not answered whole: 4 access denied, 2 throttled",
        "1 run has no record here",
        "3 evidence items were vouched for more than 24 hours after being logged (on 2026-04-20)",
        "2 evidence items lie in no checkpoint",
    ):
        assert part in text, part


def test_nothing_missing_is_said_in_words(small: bytes) -> None:
    text = words(small)
    assert "Nothing that was due is missing." in text
    assert "12 of 12 questions are answered" in text
    assert "Nobody outside this house vouches for the log's checkpoints" in text


def test_a_long_statement_and_awkward_words_are_drawn_and_what_is_not_shown_is_told() -> None:
    whole = samples.incomplete(samples.AWKWARD, count=40)
    said = msgspec.structs.replace(whole.statement, gaps=1_304, doubts=4, runs=16)
    long = msgspec.structs.replace(whole, statement=said, things_lacking=1_204)
    model = samples.summary(samples.control("AC-2", ()), complete=long)
    text = words(process.render(model, memory_mb=MEMORY_MB))
    for part in (
        "1,204 things do not arrive, ",
        "Not shown here: 1,124 more things that do not arrive. All are in completeness.jsonl.",
        "Not shown here: 1,224 more gaps.",
        "Not shown here: 3 more keywords.",
        "Not shown here: 12 more runs.",
    ):
        assert part in text, part


def test_listings_in_volumes_are_referred_to() -> None:
    folders = (samples.folder("2026-05-01", (samples.entry(1),)),)
    volume = Volume(file="volumes/AC-2-01.pdf", first=1, last=2000)
    page = samples.control("AC-2", folders, (volume,))
    text = words(process.render(samples.summary(page, pages=False), memory_mb=MEMORY_MB))
    assert "volumes/AC-2-01.pdf 1 to 2,000" in text
    assert "Evidence summary" not in text


@pytest.mark.slow
def test_a_full_volume_is_drawn_within_its_bounds() -> None:
    pdf = process.render(samples.listing(2000, "AWSReservedSSO/jane.doe"), memory_mb=MEMORY_MB)
    assert 40 < len(read(pdf).pages) < 200


def test_too_little_memory_is_named_with_the_way_out() -> None:
    with pytest.raises(ReportError, match="AUDITKEEP_REPORT_MEMORY_MB"):
        process.render(samples.listing(2000), memory_mb=200)


def test_time_is_bounded() -> None:
    with pytest.raises(ReportError, match="longer than"):
        process.render(samples.listing(10), memory_mb=MEMORY_MB, seconds=0.01)


def test_the_drawing_process_sees_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITKEEP_DATABASE_URL", "postgresql://secret")
    seen: dict[str, str] = {}
    run = subprocess.run

    def watch(*args: Any, **kwargs: Any) -> Any:
        seen.update(kwargs["env"])
        return run(*args, **kwargs)

    monkeypatch.setattr(subprocess, "run", watch)
    process.render(samples.listing(1), memory_mb=MEMORY_MB)
    assert set(seen) == {"PYTHONPATH", "LC_ALL"}
