"""What must have been collected, computed from the estate's own history and the specification.

Written from the specification (sections 3 and 7) and the design (section 1), never from the code
it judges, and without importing any of it. It knows what was true when, who was refused what and
when, and at which moments the collector was let run; it says what evidence there must be then.

    API calls      a slot's resources as they are when it is asked, dated to the slot (3.1, 3.5);
                   a slot missed is asked once, late, until the next one is due
    AWS Config     at each look the last result of each rule and resource, dated to the result;
                   at the first look after an assessment, or its scope, began all that holds, dated
                   to that look (3.2, "first look")
    Security Hub   the same with findings that are not archived (3.3)
    CloudTrail     every event since the beginning, however late it was asked for (3.4)

A gap begins when something was due first, or last had, and ends when it is had again; it is filled
if nothing was lost by it. Times are asked about once a day, slots until they are had.
"""

import calendar
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from tests.e2e import organisation
from tests.e2e.organisation import ACCOUNTS, BEGINS, REGIONS, Place
from tests.simulator.estate import EVALUATION, FINDING, Estate

Every = Literal["DAILY", "WEEKLY", "MONTHLY"]
DAY = 86_400 * 1_000_000
HOME, EVERYWHERE = "us-east-1", "aws-global"


def day_of(at: int) -> date:
    return datetime.fromtimestamp(at // 1_000_000, UTC).date()


def start_of(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was observed: what metering counts, whoever looks at it."""

    source: str
    """As evidence calls its source."""
    account: str
    region: str
    event: str
    resource: str
    verdict: str
    """As the source says it; empty where it says none."""
    at: int
    """When it happened, by its source."""

    @property
    def day(self) -> str:
        return day_of(self.at).isoformat()

    @property
    def verdict_class(self) -> str:
        if self.verdict in {"COMPLIANT", "PASSED"}:
            return "compliant"
        if self.verdict in {"NON_COMPLIANT", "FAILED", "WARNING"}:
            return "noncompliant"
        return "inconclusive"


# ---- slots


def slots(every: Every, until: int) -> list[date]:
    """The slots of what began with the assessment: from the first midnight on."""
    first = day_of(BEGINS) + timedelta(days=1)
    last, number = day_of(until), 0
    found: list[date] = []
    while True:
        if every == "MONTHLY":
            month = first.month - 1 + number
            year, month = first.year + month // 12, month % 12 + 1
            slot = date(year, month, min(first.day, calendar.monthrange(year, month)[1]))
        else:
            slot = first + timedelta(days=number * (7 if every == "WEEKLY" else 1))
        if slot > last:
            return found
        found.append(slot)
        number += 1


# ---- gaps


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which something due was not collected."""

    account: str
    region: str
    source: str
    what: str
    opens_at: int
    closes_at: int | None
    reason: str
    detail: str
    filled: bool


# ---- who can be asked


@dataclass(frozen=True)
class Reckoning:
    """The evidence of one organisation after the collector ran at `moments`, in order.

    `accounts` are asked for API calls, `watched` for everything else.
    """

    estate: Estate
    moments: tuple[int, ...] = organisation.MOMENTS
    accounts: tuple[str, ...] = ACCOUNTS
    watched: tuple[str, ...] = organisation.WATCHED

    def refused(self, account: str, region: str, action: str, at: int) -> tuple[str, str] | None:
        """Why a call is not answered, and what is lacking; None where it is."""
        o = organisation
        if account == o.SHUT and o.SHUT_FROM <= at < o.SHUT_UNTIL:
            return "denied", "sts:AssumeRole"
        if account == o.NEVER and action == "ec2:DescribeVpcs":
            return "denied", action
        busy = o.BUSY_FROM <= at < o.BUSY_UNTIL
        if (account, region, action) == (o.THROTTLED, o.BUSY, "ec2:DescribeVpcs") and busy:
            return "throttled", ""
        return None  # who is throttled for a little while is asked again soon

    def scoped(self, account: str) -> list[int]:
        """The moments at which an account is a member: who leaves is asked nothing more."""
        o = organisation
        return [at for at in self.moments if account != o.LEAVING or at < o.LEAVES]

    def looks(self, account: str, region: str, action: str) -> list[int]:
        """The moments at which a round is asked with success: once a day."""
        found: list[int] = []
        for at in self.scoped(account):
            asked = found and day_of(found[-1]) == day_of(at)
            if not asked and self.refused(account, region, action, at) is None:
                found.append(at)
        return found

    # ---- API calls

    def asked(
        self, account: str, region: str, action: str, every: Every
    ) -> Iterator[tuple[date, int]]:
        """Each slot that was asked for, and when."""
        due = slots(every, self.moments[-1])
        for slot, following in zip(due, [*due[1:], None], strict=True):
            end = start_of(following) if following else self.moments[-1] + 1
            when = [
                at
                for at in self.scoped(account)
                if start_of(slot) <= at < end and not self.refused(account, region, action, at)
            ]
            if when:
                yield slot, when[0]

    def _calls(
        self, control: str, kind: str, event: str, regions: Iterable[str], shown: str | None = None
    ) -> Iterator[Fact]:
        action, every = ACTIONS[control], CONTROLS[control][2]
        assert every is not None
        for account in self.accounts:
            for region in regions:
                for slot, at in self.asked(account, region, action, every):
                    for resource in self.estate.listed(account, region, kind, at):  # type: ignore[arg-type]
                        yield Fact(
                            "AWS API calls", account, shown or region, event, resource.name, "",
                            start_of(slot),
                        )  # fmt: skip

    def networks(self) -> Iterator[Fact]:
        return self._calls("Networks daily", organisation.VPCS, "DescribeVpcs", REGIONS)

    def people(self) -> Iterator[Fact]:
        return self._calls("People weekly", organisation.USERS, "ListUsers", (HOME,), EVERYWHERE)

    def keys(self) -> Iterator[Fact]:
        return self._calls("Keys monthly", organisation.KEYS, "GetKeyRotationStatus", REGIONS)

    # ---- judgements

    def _judgements(
        self, control: str, kind: str, fact: Callable[[Place, dict[str, str], int], Fact | None]
    ) -> Iterator[Fact]:
        beginnings = [BEGINS, organisation.NOTICED, organisation.SECOND_BEGINS]
        for place in organisation.places(self.watched):
            found: set[Fact] = set()
            last = int(BEGINS)
            for look in self.looks(place.account, place.region, ACTIONS[control]):
                whole = any(last <= begins < look for begins in beginnings)
                for held in self.estate.listed(place.account, place.region, kind, look):  # type: ignore[arg-type]
                    if not whole and held.at < BEGINS:
                        continue
                    one = fact(place, held.members, look if whole else int(held.at))
                    if one is not None:
                        found.add(one)
                last = look
            yield from found

    def buckets_judged(self) -> Iterator[Fact]:
        def fact(place: Place, members: dict[str, str], at: int) -> Fact:
            return Fact(
                "AWS Config", place.account, place.region, organisation.RULE,
                members["id"], members["compliance"], at,
            )  # fmt: skip

        return self._judgements("Buckets judged", EVALUATION, fact)

    def buckets_found(self) -> Iterator[Fact]:
        def fact(place: Place, members: dict[str, str], at: int) -> Fact | None:
            if members["record_state"] == "ARCHIVED":
                return None
            suppressed = members["workflow"] == "SUPPRESSED"
            return Fact(
                "AWS Security Hub", place.account, place.region, organisation.CONTROL,
                members["resource"], "SUPPRESSED" if suppressed else members["status"], at,
            )  # fmt: skip

        return self._judgements("Buckets found", FINDING, fact)

    # ---- events

    def instances(self) -> Iterator[Fact]:
        for place in organisation.places(self.watched):
            last = self.looks(place.account, place.region, ACTIONS["Instances started"])[-1]
            for event in self.estate.events(place.account, place.region):
                if BEGINS <= event.at <= last:
                    yield Fact(
                        "AWS CloudTrail", place.account, place.region, organisation.EVENT, event.id,
                        "", event.at,
                    )  # fmt: skip

    # ---- all of it

    def controls(self) -> dict[str, list[Fact]]:
        """Facts by the control that looks at them."""
        return {
            "Networks daily": list(self.networks()),
            "People weekly": list(self.people()),
            "Keys monthly": list(self.keys()),
            "Buckets judged": list(self.buckets_judged()),
            "Buckets found": list(self.buckets_found()),
            "Instances started": list(self.instances()),
        }

    def metered(self) -> Counter[tuple[str, str, str]]:
        """Facts by account, region and source, each once."""
        facts = {fact for some in self.controls().values() for fact in some}
        return Counter((f.account, f.region, f.source) for f in facts)

    # ---- what is missing

    def gaps(self) -> set[Gap]:
        """Everything that was due and not had, also where it was had later."""
        found: set[Gap] = set()
        for control, (source, keyword, every) in CONTROLS.items():
            everywhere = control == "People weekly"
            for account in self.accounts if every else self.watched:
                for region in (EVERYWHERE,) if everywhere else REGIONS:
                    what = keyword if every else ""
                    for gap, closed in self._gaps(account, region, ACTIONS[control], every):
                        opens, closes, reason, detail = gap
                        found.add(
                            Gap(
                                account, region, source, what, opens, closes, reason, detail, closed
                            )
                        )
        return found

    def _gaps(
        self, account: str, region: str, action: str, every: Every | None
    ) -> Iterator[tuple[tuple[int, int | None, str, str], bool]]:
        """Gaps of one question, each with whether it was filled."""
        due = [start_of(slot) for slot in slots(every, self.moments[-1])] if every else []
        opened: tuple[int, str, str] | None = None
        done, had = int(BEGINS), 0
        for at in self.scoped(account):
            wanted = max((slot for slot in due if slot <= at), default=0)
            if every:
                if wanted <= had:
                    continue
            elif done > BEGINS and day_of(done) == day_of(at):
                continue
            refused = self.refused(account, region, action, at)
            if refused is not None:
                if opened is None:
                    opened = (wanted if every else done, *refused)
                continue
            if opened is not None:
                late = every and wanted > opened[0]
                closes = wanted if late else at
                filled = (wanted <= opened[0]) if every else action == "cloudtrail:LookupEvents"
                yield (opened[0], closes, opened[1], opened[2]), bool(filled)
                opened = None
            done, had = at, wanted
        if opened is not None:
            yield (opened[0], None, opened[1], opened[2]), False


CONTROLS: dict[str, tuple[str, str, Every | None]] = {
    "Networks daily": ("AWS_API_Call", "ec2_DescribeVpcs", "DAILY"),
    "People weekly": ("AWS_API_Call", "iam_ListUsers", "WEEKLY"),
    "Keys monthly": ("AWS_API_Call", "kms_GetKeyRotationStatus", "MONTHLY"),
    "Buckets judged": ("AWS_Config", organisation.IDENTIFIER, None),
    "Buckets found": ("AWS_Security_Hub", organisation.CONTROL, None),
    "Instances started": ("AWS_Cloudtrail", f"{organisation.SOURCE}_{organisation.EVENT}", None),
}
"""What each control is mapped to: source type, keyword, frequency."""

ACTIONS = {
    "Networks daily": "ec2:DescribeVpcs",
    "People weekly": "iam:ListUsers",
    "Keys monthly": "kms:GetKeyRotationStatus",
    "Buckets judged": "config:GetComplianceDetailsByConfigRule",
    "Buckets found": "securityhub:GetFindings",
    "Instances started": "cloudtrail:LookupEvents",
}
"""The action without which a control's source says nothing."""
