"""Report models to draw and pack: small, made by hand, with awkward text where asked."""

from msgspec.structs import replace

from auditkeep.clock import DAY, SECOND, Instant, iso, parse
from auditkeep.observations import Verdict
from auditkeep.reports.model import (
    Assessed,
    Completeness,
    ControlPage,
    DayFolder,
    DayTotal,
    Entry,
    Heading,
    Integrity,
    Lacking,
    Listing,
    Overview,
    RunGroup,
    SetPage,
    Subject,
    Summary,
    Totals,
    Volume,
    Vouched,
)
from auditkeep.verify.statement import ControlLine, DoubtLine, GapLine, Statement

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


STATEMENT = Statement(
    v=1,
    account="111122223333",
    region="us-east-1",
    assessment="99999999-1111-4222-8333-123456789012",
    report=HEADING.report_id,
    state="nothing-missing",
    first=iso(Instant(AT - 30 * DAY)),
    last=iso(AT),
    created=iso(Instant(AT - 30 * DAY)),
    minutes=15,
    all_places=True,
    expected=12,
    answered=12,
    controls=1,
    places=1,
    gaps=0,
    open_gaps=0,
    lost_gaps=0,
    doubts=0,
    runs=2,
    unrecorded=0,
)
COMPLETE = Completeness(
    statement=STATEMENT,
    controls=(
        ControlLine(
            control=1,
            name="AC-2 Account management",
            set="Access control",
            state="collecting",
            expected=12,
            answered=12,
            items=40,
            selected=3,
            last_answer=iso(AT),
            last_evidence=iso(AT),
        ),
    ),
    numbers={1: "1.1"},
    lacking=(),
    things_lacking=0,
    gaps=(),
    doubts=(),
    runs=(
        RunGroup(
            source="AWS_Config",
            caller="arn:aws:iam::111122223333:role/AuditkeepCollector",
            software="auditkeep/0.1.0",
            runs=2,
            items=3,
            questions=2,
            calls=7,
            pages=5,
            records=40,
            first=iso(Instant(AT - DAY)),
            last=iso(AT),
        ),
    ),
)


def incomplete(text: str = "No.", count: int = 1) -> Completeness:
    """A statement of much that is missing; `text` stands wherever foreign words may."""
    gap = GapLine(
        id="g",
        account="444455556666",
        region="eu-central-1",
        source="AWS_API_Call",
        what="iam_ListUsers",
        opens=iso(Instant(AT - 9 * DAY)),
        closes=None,
        reason="denied",
        detail="iam:ListUsers",
        message=text,
        filled=False,
        run="",
        controls=(1, 2),
    )
    over = replace(
        gap,
        closes=iso(AT),
        filled=True,
        reason="throttled",
        detail="",
        source="AWS_Cloudtrail",
        what="",
    )
    lacking = Lacking(
        reason="denied",
        detail="iam:ListUsers",
        message=text,
        what="iam_ListUsers",
        source="AWS_API_Call",
        places=200,
        examples=("444455556666 aws-global", "444455556667 aws-global"),
        controls=2,
    )
    off = replace(
        lacking, reason="switched-off", detail="configuration recorder", what="", source="AWS_Config",
        message="The account's Config recorder is off.", places=1, examples=("444455556666 eu-west-1",),
    )  # fmt: skip
    control = replace(
        COMPLETE.controls[0],
        control=2,
        name=text,
        state="partly",
        answered=8,
        gaps=2,
        last_evidence=None,
    )
    silent = replace(
        control, control=3, name="AC-17 Remote access", state="silent", answered=0, gaps=1
    )
    by_hand = replace(
        COMPLETE.controls[0], control=4, name="PL-1 Policy", state="by-hand", expected=0, answered=0
    )
    doubt = DoubtLine(
        control=1,
        source="AWS_Config",
        keyword="IAM_PASWORD_POLICY",
        message="No list of AWS_Config knows 'IAM_PASWORD_POLICY'. Did you mean IAM_PASSWORD_POLICY?",
    )
    bad = replace(
        COMPLETE.runs[0],
        caller=text,
        failed=(("denied", 4), ("throttled", 2)),
        counted=5,
        agreed=4,
        rejected=3,
    )
    said = replace(
        STATEMENT, state="missing", answered=8, gaps=2 * count, open_gaps=count, lost_gaps=count,
        doubts=1, runs=4, controls=4, unrecorded=1, first=iso(Instant(AT - 90 * DAY)),
    )  # fmt: skip
    return replace(
        COMPLETE,
        statement=said,
        controls=(COMPLETE.controls[0], control, silent, by_hand) * count,
        lacking=(lacking, off) * count,
        things_lacking=2 * count,
        gaps=(gap, over) * count,
        doubts=(doubt,),
        runs=(COMPLETE.runs[0], bad),
    )


LATE = Vouched(
    names=("witness.example.org", "a timestamp authority"),
    hours=24,
    covered=40,
    late=3,
    uncovered=2,
    last=AT,
    late_days=("2026-04-20",),
)


def summary(
    *controls: ControlPage,
    pages: bool = True,
    heading: Heading = HEADING,
    complete: Completeness | None = None,
    vouched: Vouched | None = None,
) -> Summary:
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
        completeness=complete or COMPLETE,
        vouched=vouched,
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
