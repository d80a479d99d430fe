"""What the pages of a report show of a long statement of completeness, and that they say so."""

from msgspec.structs import replace
from tests.reports.report_house import STATED
from tests.reports.report_samples import COMPLETE, HEADING, incomplete

from auditkeep.ids import Tenant
from auditkeep.reports.completeness import MOST_LACKING, Gathering
from auditkeep.reports.pdf import completeness
from auditkeep.reports.spool import Spool
from auditkeep.verify.completeness import WAITS
from auditkeep.verify.statement import PlaceLine


def place(number: int, *reasons: str) -> PlaceLine:
    return PlaceLine(
        control=1,
        account="444455556666",
        region="us-east-1",
        source="AWS_API_Call",
        expected=1,
        answered=0,
        items=0,
        days=0,
        lacks=tuple((reason, "", "No.", f"iam_{number}") for reason in reasons),
    )


def test_things_beyond_those_that_are_shown_are_counted_once_each() -> None:
    places = (*(place(number, "denied", WAITS) for number in range(130)), place(0, "denied"))
    with Spool() as lines:
        gathering = Gathering(replace(STATED, state="missing", places=places), lines)
        statement = gathering.statement(Tenant("111122223333", "us-east-1"), HEADING, "a")
        shown = gathering.shown(statement, {})
    assert (len(shown.lacking), shown.things_lacking) == (MOST_LACKING, 130)


def test_what_is_not_shown_is_numbered() -> None:
    whole = incomplete(count=2)
    said = replace(whole.statement, gaps=1_304, doubts=7, runs=2_004)
    model = replace(whole, statement=said, things_lacking=1_204, controls=whole.controls * 100)
    data = completeness.section(model, str)
    assert {name: data[name] for name in data if name.startswith("more_")} == {
        "more_controls": "300",
        "more_lacking": "1,200",
        "more_gaps": "1,300",
        "more_doubts": "6",
        "more_runs": "2,000",
    }
    assert completeness.in_short(model).startswith("1,204 things do not arrive, ")


def test_where_all_is_shown_nothing_more_is_spoken_of() -> None:
    data = completeness.section(COMPLETE, str)
    assert {data[name] for name in data if name.startswith("more_")} == {""}


def test_regions_that_are_off_are_named_beside_what_was_due() -> None:
    off = replace(place(1), region="af-south-1", expected=0, off=True)
    places = tuple(replace(off, account=f"{number:012d}") for number in range(7))
    with Spool() as lines:
        gathering = Gathering(replace(STATED, places=(place(1), *places, off)), lines)
        statement = gathering.statement(Tenant("111122223333", "us-east-1"), HEADING, "a")
        shown = gathering.shown(statement, {})
    assert len(shown.off) == 8
    said = completeness.section(shown, str)["sentences"][-1]
    assert "in regions that an account has not switched on: 000000000000 af-south-1, " in said
    assert said.endswith("000000000004 af-south-1 and 3 more.")
    assert not any("switched on" in s for s in completeness.section(COMPLETE, str)["sentences"])
