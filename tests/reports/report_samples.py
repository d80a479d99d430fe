"""Report models to draw and pack: small, made by hand, with awkward text where asked."""

from auditkeep.clock import DAY, SECOND, Instant, parse
from auditkeep.observations import Verdict
from auditkeep.reports.model import (
    Assessed,
    ControlPage,
    DayFolder,
    DayTotal,
    Entry,
    Heading,
    Integrity,
    Listing,
    Overview,
    SetPage,
    Subject,
    Summary,
    Totals,
    Volume,
)

AT = parse("2026-05-01T15:07:09Z")
AWKWARD = (
    'مرحبا \u202eexe.fdp שלום 日本語 🙂 e\u0301\u0301\u0301\u0301\u0301 #panic("x") @label $x^2$ *b* \\u{41} '
    "<tag> `raw` https://example.com/" + "W" * 300
)

HEADING = Heading(
    report_id="11111111-2222-4333-8444-555555555555",
    report_name="Q2-2026-access-review",
    description=None,
    account="111122223333",
    generated_at=AT,
    assessment="NIST SP 800-53, production",
)
INTEGRITY = Integrity(
    origin="auditkeep.local/7d3e2a",
    log_size=1234,
    log_root="q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
    log_key="auditkeep.local/7d3e2a+1a2b3c4d+AbcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQR",
    report_key="ab" * 32,
)


def entry(number: int, verdict: Verdict = "compliant", text: str = "alice") -> Entry:
    return Entry(
        evidence_id=f"a1b2c3d4-1111-4222-8333-{number:012x}",
        file=f"10-00-00_IAM_CreateUser_111122223333_{number:012x}.json",
        verdict=verdict,
        collected_at=AT,
        event_time=Instant(AT - number * SECOND),
        data_source="AWS Config",
        kind="Compliance check",
        account="111122223333",
        region="us-east-1",
        service="iam.amazonaws.com",
        event_name=text,
        iam_id=None,
        check={"compliant": "COMPLIANT", "non-compliant": "NON_COMPLIANT"}.get(verdict),
        subjects=(Subject(f"arn:aws:iam::111122223333:user/{text}", "COMPLIANT"),),
        attributes=(("requestParameters.userName", text),),
    )


def folder(day: str, entries: tuple[Entry, ...]) -> DayFolder:
    totals = Totals()
    for one in entries:
        totals = totals.plus(one.verdict)
    return DayFolder(
        day=day,
        data_source="AWS Config",
        path=f"Access-a1b2c3d4e5f60/Config/{day}",
        totals=totals,
        entries=entries,
    )


def control(
    name: str, folders: tuple[DayFolder, ...], volumes: tuple[Volume, ...] = ()
) -> ControlPage:
    totals = Totals()
    for one in folders:
        totals = totals + one.totals
    return ControlPage(
        number="1.1",
        name=name,
        control_set="Access control",
        status="UNDER_REVIEW",
        description="Accounts are managed.",
        testing_information=None,
        action_plan_title=None,
        action_plan_instructions=None,
        path="Access-a1b2c3d4e5f60",
        totals=totals,
        days=tuple(DayTotal(f.day, f.totals) for f in folders),
        folders=() if volumes else folders,
        volumes=volumes,
    )


def summary(*controls: ControlPage, pages: bool = True, heading: Heading = HEADING) -> Summary:
    totals = Totals()
    for one in controls:
        totals = totals + one.totals
    return Summary(
        heading=heading,
        overview=Overview(
            controls=len(controls),
            accounts=("111122223333",),
            totals=totals,
            first_event=Instant(AT - DAY),
            last_event=AT,
        ),
        assessed=Assessed(
            id="99999999-1111-4222-8333-123456789012",
            name=heading.assessment,
            description=None,
            status="ACTIVE",
            region="us-east-1",
            accounts=("111122223333",),
            framework="NIST SP 800-53",
            compliance_type=None,
            owners=("arn:aws:iam::111122223333:user/admin",),
            last_updated=AT,
        ),
        sets=(SetPage(number="1", name="Access control", totals=totals, controls=controls),),
        integrity=INTEGRITY,
        evidence_pages=pages,
    )


def listing(rows: int, text: str = "alice") -> Listing:
    entries = tuple(entry(n, "compliant" if n % 3 else "non-compliant", text) for n in range(rows))
    return Listing(
        heading=HEADING,
        control_number="1.1",
        control_name="AC-2 Account management",
        control_set="Access control",
        number=1,
        first=1,
        last=rows,
        folders=(folder("2026-05-01", entries),),
    )
