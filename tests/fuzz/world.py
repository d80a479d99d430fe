"""What the answers so far have told: ids to ask about, so that requests get past "not found".

An assessment is kept with its sets, controls, folders, evidence, reports and delegations, so that
a request names things that belong together; now and then it does not, on purpose.
"""

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.fuzz.values import uuid_of

KEPT = 120
"""How many of each kind are remembered: more than a quota admits."""
GONE = {"DeleteControl": "controlId", "DeleteAssessmentFramework": "frameworkId"}


def _pool() -> deque[Any]:
    return deque(maxlen=KEPT)


@dataclass
class Assessment:
    id: str
    arn: str = ""
    controls: list[tuple[str, str]] = field(default_factory=list)
    """Control set and control."""
    folders: deque[Any] = field(default_factory=_pool)
    """Control set, control and folder."""
    evidence: deque[Any] = field(default_factory=_pool)
    """Control set, folder and item."""
    reports: deque[Any] = field(default_factory=_pool)
    delegations: deque[Any] = field(default_factory=_pool)


class World:
    """One tenant as a client knows it."""

    def __init__(self, source: random.Random) -> None:
        self.random = source
        self.controls: deque[str] = _pool()
        self.shipped: deque[str] = _pool()
        self.frameworks: deque[str] = _pool()
        self.assessments: dict[str, Assessment] = {}
        self.shares: deque[str] = _pool()
        self.arns: deque[str] = _pool()
        self.uploads: deque[str] = _pool()
        self.archives: deque[str] = _pool()
        self.tokens: deque[tuple[str, dict[str, Any], str]] = deque(maxlen=KEPT)
        self.domains: deque[str] = _pool()
        self.sources: deque[str] = _pool()

    def fill(self, operation: str, ask: dict[str, Any]) -> None:
        """Put things that exist in place of what was made up."""
        chance = self.random.random
        if "nextToken" in ask:
            self._token(operation, ask)
        if chance() < 0.1:
            return
        if "assessmentId" in ask and self.assessments:
            self._within(operation, ask)
        if "controlId" in ask and "assessmentId" not in ask:
            ask["controlId"] = self._any(*[self.controls] * 5, self.shipped)
        if "frameworkId" in ask:
            ask["frameworkId"] = self._any(self.frameworks)
        if "requestId" in ask:
            ask["requestId"] = self._any(self.shares)
        if "resourceArn" in ask and self.arns:
            ask["resourceArn"] = self.random.choice(self.arns)
        if "s3RelativePath" in ask and self.archives and chance() < 0.7:
            ask["s3RelativePath"] = self.random.choice(self.archives)
        if "controlDomainId" in ask and self.domains and chance() < 0.5:
            ask["controlDomainId"] = self.random.choice(self.domains)
        for group in ask.get("controlSets", ()):
            for control in group.get("controls") or ():
                control["id"] = self._any(self.controls, self.shipped)
        for item in ask.get("manualEvidence", ()):
            self._evidence(item)
        if operation == "UpdateControl":
            for mapped in ask["controlMappingSources"]:
                if "sourceId" in mapped:
                    mapped["sourceId"] = self._any(self.sources)
        for mapped in ask.get("controlMappingSources", ()):
            self._source(mapped)
        self._plausible(operation, ask)

    def _plausible(self, operation: str, ask: dict[str, Any]) -> None:
        """Let most requests keep the rules that the model does not tell."""
        wanted = "RESOURCE_OWNER" if "Delegation" in operation else "PROCESS_OWNER"
        members = (ask.get("roles"), ask.get("defaultProcessOwners"))
        for listed in (*members, ask.get("createDelegationRequests")):
            for role in listed or ():
                if self.random.random() < 0.95:
                    role["roleType"] = wanted
        if operation == "BatchCreateDelegationByAssessment":
            for role in ask["createDelegationRequests"]:
                role.setdefault("controlSetId", "Access")
                role.setdefault("roleArn", "arn:aws:iam::111122223333:role/Expert")
        if operation == "GetEvidenceFileUploadUrl":
            ask["fileName"] = ask["fileName"][:290] + self.random.choice([".txt", ".pdf", ".CSV"])
        if operation == "CreateAssessmentReport" and self.random.random() < 0.9:
            ask.pop("queryStatement", None)
        for name in ("assessmentReportsDestination", "defaultAssessmentReportsDestination"):
            if ask.get(name) and self.random.random() < 0.9:
                ask[name] = {"destinationType": "S3", "destination": "s3://audit-reports/x"}
        if ask.get("defaultExportDestination") and self.random.random() < 0.9:
            ask["defaultExportDestination"]["destination"] = "s3://audit-reports/exports"
            ask["defaultExportDestination"]["destinationType"] = "S3"
        for role in ask.get("roles") or ask.get("defaultProcessOwners") or ():
            if self.random.random() < 0.7:
                role["roleArn"] = "arn:aws:iam::111122223333:role/Owner"
        if operation == "UpdateAssessmentFrameworkShare" and self.random.random() < 0.7:
            ask["requestType"] = "SENT" if ask["action"] == "REVOKE" else "RECEIVED"
        scope = ask.get("scope")
        if isinstance(scope, dict) and self.random.random() < 0.9:
            scope["awsAccounts"] = [{"id": "111122223333"}]

    def forget(self, refusal: dict[str, Any]) -> None:
        """Most of what was not found is not asked about again."""
        gone = str(refusal.get("resourceId", ""))
        if self.random.random() < 0.2:
            return
        self.assessments.pop(gone, None)
        for pool in (self.controls, self.frameworks, self.shares, self.arns, self.archives):
            while gone in pool:
                pool.remove(gone)
        for known in self.assessments.values():
            for ids in (known.folders, known.evidence, known.reports, known.delegations):
                for held in [h for h in ids if gone in h]:
                    ids.remove(held)

    def _token(self, operation: str, ask: dict[str, Any]) -> None:
        fitting = [t for t in self.tokens if t[0] == operation]
        if fitting and self.random.random() < 0.8:
            _, asked, token = self.random.choice(fitting)
            ask.update(asked, nextToken=token)
        elif self.tokens and self.random.random() < 0.3:
            ask["nextToken"] = self.random.choice(self.tokens)[2]
        elif self.random.random() < 0.8:
            del ask["nextToken"]

    def _within(self, operation: str, ask: dict[str, Any]) -> None:
        known = self.random.choice(self._fitting(ask))
        ask["assessmentId"] = known.id
        folder = evidence = ""
        if known.controls:
            group, control = self.random.choice(known.controls)
            if known.folders and "evidenceFolderId" in ask:
                group, control, folder = self.random.choice(known.folders)
            if known.evidence and ("evidenceId" in ask or self.random.random() < 0.5):
                group, folder, evidence = self.random.choice(known.evidence)
            found = {
                "controlSetId": group,
                "controlId": control,
                "evidenceFolderId": folder,
                "evidenceId": evidence,
            }
            ask.update({k: v for k, v in found.items() if k in ask and v})
            for item in ask.get("createDelegationRequests", ()):
                item["controlSetId"] = self.random.choice(known.controls)[0]
        if "evidenceIds" in ask:
            ids = [e for _, f, e in known.evidence if f == ask["evidenceFolderId"]]
            ask["evidenceIds"] = ids[:50] if self.random.random() < 0.9 else ask["evidenceIds"]
        if "assessmentReportId" in ask and known.reports:
            ask["assessmentReportId"] = self.random.choice(known.reports)
        if "delegationIds" in ask and known.delegations:
            ask["delegationIds"] = [self.random.choice(known.delegations)]

    def _fitting(self, ask: dict[str, Any]) -> list[Assessment]:
        """Assessments that hold what the request asks about; any, where none does."""
        wanted = {
            "evidenceId": "evidence",
            "evidenceIds": "evidence",
            "evidenceFolderId": "folders",
            "assessmentReportId": "reports",
            "delegationIds": "delegations",
            "controlId": "controls",
            "controlSetId": "controls",
        }
        members = {pool for name, pool in wanted.items() if name in ask}
        every = list(self.assessments.values())
        return [a for a in every if all(getattr(a, m) for m in members)] or every[-8:]

    def _evidence(self, item: dict[str, Any]) -> None:
        """Mostly one form of evidence, as the rule wants it."""
        if self.random.random() < 0.95:
            form = self.random.choice(sorted(item) or ["textResponse"])
            value = item.get(form, "we looked")
            if form == "s3ResourcePath" and self.random.random() < 0.8:
                form, value = "textResponse", "we looked"
            item.clear()
            item[form] = value
        if "evidenceFileName" in item and self.uploads:
            item["evidenceFileName"] = self.random.choice(self.uploads)

    def _source(self, mapped: dict[str, Any]) -> None:
        """A mapping source mostly as the rules behind the model want it."""
        if self.random.random() < 0.15:
            return
        kind = self.random.choice(["AWS_Cloudtrail", "AWS_Config", "MANUAL", "AWS_API_Call"])
        mapped["sourceType"] = kind
        procedural = kind == "MANUAL"
        mapped["sourceSetUpOption"] = (
            "Procedural_Controls_Mapping" if procedural else "System_Controls_Mapping"
        )
        words = {
            "AWS_Cloudtrail": "iam_CreateUser",
            "AWS_Config": "IAM_PASSWORD_POLICY",
            "AWS_API_Call": "iam_ListUsers",
        }
        if procedural:
            mapped.pop("sourceKeyword", None)
            mapped.pop("sourceFrequency", None)
        else:
            mapped["sourceKeyword"] = {
                "keywordInputType": "SELECT_FROM_LIST",
                "keywordValue": words[kind],
            }
        if kind in ("AWS_Cloudtrail", "AWS_Config"):
            mapped.pop("sourceFrequency", None)

    def _any(self, *pools: deque[str]) -> str:
        pool = self.random.choice(pools)
        return self.random.choice(pool) if pool else uuid_of(self.random)

    def learn(self, operation: str, ask: dict[str, Any], answer: dict[str, Any]) -> None:
        """Remember what a good answer tells."""
        token = answer.get("nextToken")
        if token:
            rest = {k: v for k, v in ask.items() if k != "nextToken"}
            self.tokens.append((operation, rest, token))
        if operation in ("CreateControl", "UpdateControl"):
            control = answer["control"]
            self.controls.append(control["id"])
            self.arns.append(control["arn"])
            self.sources.extend(s["sourceId"] for s in control["controlMappingSources"])
        elif operation == "ListControls":
            self.shipped.extend(
                c["id"] for c in answer["controlMetadataList"][:5] if "::" in c["arn"]
            )
        elif operation == "CreateAssessmentFramework":
            self.frameworks.append(answer["framework"]["id"])
            self.arns.append(answer["framework"]["arn"])
        elif operation in ("CreateAssessment", "GetAssessment", "UpdateAssessment"):
            self._assessment(answer["assessment"])
        elif operation == "DeleteAssessment":
            gone = self.assessments.pop(ask["assessmentId"], None)
            if gone is not None and self.random.random() < 0.1:
                self.assessments[gone.id] = gone
        elif operation in GONE and self.random.random() < 0.9:
            for pool in (self.controls, self.frameworks):
                while ask[GONE[operation]] in pool:
                    pool.remove(ask[GONE[operation]])
        elif operation == "GetEvidenceFileUploadUrl":
            self.uploads.append(answer["evidenceFileName"])
        elif operation == "GetAssessmentReportUrl":
            path = unquote(urlsplit(answer["preSignedUrl"]["link"]).path)
            self.archives.append("s3://" + path.removeprefix("/files/reports/"))
        elif operation == "StartAssessmentFrameworkShare":
            self.shares.append(answer["assessmentFrameworkShareRequest"]["id"])
        elif operation == "ListAssessmentFrameworkShareRequests":
            self.shares.extend(r["id"] for r in answer["assessmentFrameworkShareRequests"][:3])
        elif operation == "ListControlDomainInsights":
            self.domains.extend(d["id"] for d in answer["controlDomainInsights"][:5])
        known = self.assessments.get(ask.get("assessmentId", ""))
        if known is not None:
            self._more(known, operation, ask, answer)

    def _assessment(self, found: dict[str, Any]) -> None:
        meta = found["metadata"]
        known = self.assessments.setdefault(meta["id"], Assessment(meta["id"]))
        known.arn = found["arn"]
        self.arns.append(known.arn)
        known.controls = [
            (group["id"], control["id"])
            for group in found["framework"]["controlSets"]
            for control in group["controls"]
        ][:40]
        known.delegations.extend(d["id"] for d in meta.get("delegations", ())[:10])
        while len(self.assessments) > KEPT:
            del self.assessments[next(iter(self.assessments))]

    def _more(
        self, known: Assessment, operation: str, ask: dict[str, Any], answer: dict[str, Any]
    ) -> None:
        for folder in answer.get("evidenceFolders", ())[:10]:
            if "controlSetId" in folder:
                known.folders.append((folder["controlSetId"], folder["controlId"], folder["id"]))
        if operation == "GetEvidenceByEvidenceFolder":
            place = (ask["controlSetId"], ask["evidenceFolderId"])
            known.evidence.extend((*place, e["id"]) for e in answer["evidence"][:10])
        if operation == "CreateAssessmentReport":
            known.reports.append(answer["assessmentReport"]["id"])
        known.delegations.extend(d["id"] for d in answer.get("delegations", ())[:5])
