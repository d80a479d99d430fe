"""What counts as a compliance check, and as an issue of one."""

from auditkeep.clock import Instant
from auditkeep.evidence.counts import Counts, is_check
from auditkeep.sources.digest_findings import VERDICTS


def test_a_broken_digest_is_an_issue_of_a_compliance_check() -> None:
    counts = Counts()
    for verdict in VERDICTS.values():
        counts.add("AWS_Cloudtrail", verdict, 1, 1, Instant(0))
    counts.add("AWS_Cloudtrail", "", 5, 5, Instant(0))
    counts.add("AWS_Cloudtrail", None, 2, 2, Instant(0))
    broken = sum(verdict in ("FAILED", "WARNING") for verdict in VERDICTS.values())
    assert (counts.compliance, counts.issues) == (len(VERDICTS), broken)
    assert (counts.activity, counts.total) == (7, len(VERDICTS) + 7)


def test_sources_that_judge_are_checks_whatever_they_say() -> None:
    assert all(is_check(s, None) for s in ("AWS_Config", "AWS_Security_Hub", "SCANNER"))
    assert not any(is_check(s, None) for s in ("AWS_API_Call", "MANUAL", "AWS_Cloudtrail"))
