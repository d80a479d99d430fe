"""An audit of the organisation, through boto3 alone: its controls, and what is shown of them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.e2e import organisation
from tests.e2e.reckoning import CONTROLS, Fact
from tests.operations.auditkeep.keeping import Keep
from tests.operations.in_process import Api

from auditkeep.app.parts import Parts
from auditkeep.clock import Instant

Answer = dict[str, Any]
Shown = tuple[str, str, str, str, str, str]
"""Day, source, origin account, event, resource, verdict: what evidence says of a fact."""

Sets = dict[str, dict[str, tuple[str, ...]]]
"""Control sets of a framework, each control with the controls of the reckoning that it maps."""

CALLS: Sets = {"Calls": {name: (name,) for name in ("Networks daily", "People weekly")}}
MONTHLY: Sets = {"Keys": {"Keys monthly": ("Keys monthly",)}}
WATCH: Sets = {
    "Judgements": {name: (name,) for name in ("Buckets judged", "Buckets found")},
    "Events": {"Instances started": ("Instances started",)},
}
ANOTHER: Sets = {
    "All of it": {
        "Networks and people": ("Networks daily", "People weekly"),
        "What was seen": tuple(one for controls in WATCH.values() for one in controls),
    }
}
"""A second framework over the same sources, in another order."""


@dataclass
class Audit:
    """Whoever audits: an administrator of the account that manages the organisation."""

    parts: Parts
    _api: Api = field(init=False)

    def __post_init__(self) -> None:
        self._api = Api(self.parts.db, self.parts.deps, self.parts.clock)
        self._key = self._api.key(
            "auditor", "AWSAuditManagerAdministratorAccess", account=organisation.MANAGER
        )
        self._client = self._api.client(self._key, organisation.HOME)

    def ask(self, operation: str, **members: Any) -> Answer:
        found: Answer = self._api.call(getattr(self._client, operation), **members)
        return found

    def own(self, operation: str, **members: Any) -> Answer:
        """Ask Auditkeep's own service."""
        client = Keep.client(self._api, self._key, organisation.HOME)  # type: ignore[arg-type]
        found: Answer = self._api.call(getattr(client, operation), **members)
        return found

    def _all(self, operation: str, member: str, **members: Any) -> Iterator[Answer]:
        token: dict[str, str] = {}
        while True:
            answer = self.ask(operation, maxResults=1_000, **members, **token)
            yield from answer[member]
            if "nextToken" not in answer:
                return
            token = {"nextToken": answer["nextToken"]}

    def framework(self, name: str, sets: Sets) -> str:
        """A custom framework of custom controls; its id."""
        made = self.ask(
            "create_assessment_framework",
            name=name,
            controlSets=[
                {
                    "name": title,
                    "controls": [{"id": self._control(*one)} for one in controls.items()],
                }
                for title, controls in sets.items()
            ],
        )
        return str(made["framework"]["id"])

    def _control(self, name: str, mapped: tuple[str, ...]) -> str:
        sources: list[Answer] = []
        for one in mapped:
            kind, keyword, every = CONTROLS[one]
            source: Answer = {
                "sourceName": one,
                "sourceSetUpOption": "System_Controls_Mapping",
                "sourceType": kind,
                "sourceKeyword": {"keywordInputType": "SELECT_FROM_LIST", "keywordValue": keyword},
            }
            sources.append({**source, "sourceFrequency": every} if every else source)
        made = self.ask("create_control", name=name, controlMappingSources=sources)
        return str(made["control"]["id"])

    def assess(
        self, name: str, sets: Sets, accounts: Iterable[str], framework: str | None = None
    ) -> "Assessment":
        """An assessment of some accounts, from this moment on, of a framework of its own or not."""
        framework = framework or self.framework(name, sets)
        made = self.ask(
            "create_assessment",
            name=name,
            assessmentReportsDestination={"destinationType": "S3", "destination": "s3://reports"},
            scope={"awsAccounts": [{"id": account} for account in accounts]},
            roles=[
                {
                    "roleType": "PROCESS_OWNER",
                    "roleArn": f"arn:aws:iam::{organisation.MANAGER}:role/Owner",
                }
            ],
            frameworkId=framework,
        )["assessment"]
        controls = {
            control["id"]: control["name"]
            for one in made["framework"]["controlSets"]
            for control in one["controls"]
        }
        since = self.parts.clock.now()
        return Assessment(self, made["metadata"]["id"], controls, sets, frozenset(accounts), since)

    def metered(self) -> Counter[tuple[str, str, str]]:
        """What was metered, by origin account, region and source."""
        from auditkeep.accounts.usage import metered
        from auditkeep.clock import Day, day_of

        end = Day(day_of(self.parts.clock.now()) + 1)
        with self.parts.db.system_read() as tx:
            rows = metered(tx, Day(0), end)
        found: Counter[tuple[str, str, str]] = Counter()
        for row in rows:
            found[row.origin_account, row.origin_region, LABELS[row.source]] += row.items
        return found


LABELS = {
    "AWS_API_Call": "AWS API calls",
    "AWS_Config": "AWS Config",
    "AWS_Security_Hub": "AWS Security Hub",
    "AWS_Cloudtrail": "AWS CloudTrail",
}
"""How evidence calls its sources."""


@dataclass
class Assessment:
    audit: Audit
    id: str
    controls: dict[str, str]
    """Names of its controls by id."""
    sets: Sets
    accounts: frozenset[str]
    since: Instant

    def sees(self, facts: dict[str, list[Fact]]) -> dict[str, list[Fact]]:
        """The facts that each of its controls must see."""
        return {
            name: [
                f
                for one in mapped
                for f in facts[one]
                if f.at >= self.since and f.account in self.accounts
            ]
            for controls in self.sets.values()
            for name, mapped in controls.items()
        }

    def folders(self) -> list[Answer]:
        return list(
            self.audit._all(
                "get_evidence_folders_by_assessment", "evidenceFolders", assessmentId=self.id
            )
        )

    def evidence(self, folder: Answer) -> Iterator[Answer]:
        return self.audit._all(
            "get_evidence_by_evidence_folder",
            "evidence",
            assessmentId=self.id,
            controlSetId=folder["controlSetId"],
            evidenceFolderId=folder["id"],
        )

    def shown(self) -> dict[str, Counter[Shown]]:
        """All evidence by the name of its control."""
        found: dict[str, Counter[Shown]] = {}
        for folder in self.folders():
            items = found.setdefault(self.controls[folder["controlId"]], Counter())
            items.update(shown(folder, item) for item in self.evidence(folder))
        return found

    def counted(self) -> dict[tuple[str, str], dict[str, int]]:
        """What folders say of themselves, by control and day."""
        return {
            (self.controls[f["controlId"]], f["name"]): {name: f[name] for name in COUNTS}
            for f in self.folders()
        }

    def insights(self) -> Answer:
        found: Answer = self.audit.ask("get_insights_by_assessment", assessmentId=self.id)[
            "insights"
        ]
        return found


# ---- what must be shown


def said(fact: Fact) -> Shown:
    """What evidence must say of a fact."""
    return fact.day, fact.source, fact.account, fact.event, fact.resource, fact.verdict


def shown(folder: Answer, item: Answer) -> Shown:
    """What a piece of evidence says."""
    if item["dataSource"] == "AWS CloudTrail":
        resource = item["attributes"]["eventID"]
    else:
        (one,) = item["resourcesIncluded"]
        resource = one["value"]
    return (
        folder["name"], item["dataSource"], item["evidenceAwsAccountId"], item["eventName"],
        resource, item.get("complianceCheck", ""),
    )  # fmt: skip


COUNTS = (
    "totalEvidence",
    "evidenceByTypeComplianceCheckCount",
    "evidenceByTypeComplianceCheckIssuesCount",
    "evidenceByTypeUserActivityCount",
    "evidenceByTypeConfigurationDataCount",
    "evidenceByTypeManualCount",
    "assessmentReportSelectionCount",
)


def counts(facts: list[Fact]) -> dict[str, int]:
    """What a folder of these facts must say of itself (specification 1.8)."""
    checks = [f for f in facts if f.source in {"AWS Config", "AWS Security Hub"}]
    return {
        "totalEvidence": len(facts),
        "evidenceByTypeComplianceCheckCount": len(checks),
        "evidenceByTypeComplianceCheckIssuesCount": sum(
            f.verdict_class == "noncompliant" for f in checks
        ),
        "evidenceByTypeUserActivityCount": sum(f.source == "AWS CloudTrail" for f in facts),
        "evidenceByTypeConfigurationDataCount": sum(f.source == "AWS API calls" for f in facts),
        "evidenceByTypeManualCount": 0,
        "assessmentReportSelectionCount": 0,
    }


def folders(controls: dict[str, list[Fact]]) -> dict[tuple[str, str], dict[str, int]]:
    """The folders that must be there, by control and day."""
    by: dict[tuple[str, str], list[Fact]] = {}
    for control, facts in controls.items():
        for fact in facts:
            by.setdefault((control, fact.day), []).append(fact)
    return {key: counts(facts) for key, facts in by.items()}


def insights(controls: dict[str, list[Fact]], day: str) -> dict[str, int]:
    """What the dashboard must say of one assessment on a day (specification 7)."""
    today = {name: [f for f in facts if f.day == day] for name, facts in controls.items()}
    classes = Counter(f.verdict_class for facts in today.values() for f in facts)
    return {
        "noncompliantEvidenceCount": classes["noncompliant"],
        "compliantEvidenceCount": classes["compliant"],
        "inconclusiveEvidenceCount": classes["inconclusive"],
        "assessmentControlsCountByNoncompliantEvidence": sum(
            any(f.verdict_class == "noncompliant" for f in facts) for facts in today.values()
        ),
        "totalAssessmentControlsCount": len(controls),
    }
