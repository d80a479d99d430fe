"""One fuzzing run: people who ask a deployment, and everything found wrong with its answers.

`Fuzz` draws requests and judges answers; a `Target` carries them. The same seed asks the same
requests as long as the server answers the same; ids that the server draws at random are the one
thing that differs between two runs.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.fuzz import answers
from tests.fuzz.requests import Wire, bent, laid_out
from tests.fuzz.values import Spoilt, Values, spoil
from tests.fuzz.world import World
from tests.wire.model_cases import MODEL

from auditkeep.access.credentials import AccessKey
from auditkeep.errors import RequestError
from auditkeep.wire.messages import Response
from auditkeep.wire.model import AnyOperation
from auditkeep.wire.models import auditmanager as am
from auditkeep.wire.router import Router

ADMINISTRATOR = "AWSAuditManagerAdministratorAccess"
HOME = "111122223333"
OTHER = "999988887777"
OPERATIONS = {o.name: o for o in am.OPERATIONS}

OBSERVE = 0.001
"""A `chance` at which targets let observations arrive."""
LOOKED_AT = 0.004
"""The share of requests around which all of it is read."""

WEIGHTS = {
    "DeregisterAccount": 0.02,
    "RegisterAccount": 0.3,
    "UpdateSettings": 0.6,
    "RegisterOrganizationAdminAccount": 0.1,
    "DeregisterOrganizationAdminAccount": 0.3,
    "DeleteAssessment": 0.4,
    "DeleteControl": 1.0,
    "DeleteAssessmentFramework": 1.0,
    "UpdateAssessmentStatus": 0.15,
    "CreateControl": 1.5,
    "CreateAssessmentFramework": 1.5,
    "CreateAssessment": 2.0,
    "UpdateAssessmentControl": 2.0,
    "BatchImportEvidenceToAssessmentControl": 1.5,
    "GetEvidenceFoldersByAssessment": 1.5,
    "GetEvidenceByEvidenceFolder": 2.0,
    "CreateAssessmentReport": 1.0,
    "AssociateAssessmentReportEvidenceFolder": 2.0,
    "GetEvidenceFoldersByAssessmentControl": 1.5,
}
"""How often an operation is asked, beside one for all others."""


@dataclass(frozen=True)
class Finding:
    number: int
    operation: str
    kind: str
    faults: tuple[str, ...]
    request: str
    answer: str

    def __str__(self) -> str:
        return (
            f"request {self.number}, {self.operation}, {self.kind}\n    "
            + "\n    ".join(self.faults[:6])
            + f"\n    asked:    {self.request}\n    answered: {self.answer}"
        )


@dataclass
class Tally:
    """What a run has seen."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    """Operations that were answered with 200."""
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Person:
    key: AccessKey
    region: str
    world: World


class Target(Protocol):
    """A deployment that can be asked."""

    def key(self, account: str, user: str, policy: str) -> AccessKey:
        """A key of a new user."""
        ...

    def send(self, key: AccessKey, region: str, wire: Wire) -> Response:
        """Sign the request and carry it there."""
        ...

    def complaints(self) -> list[str]:
        """What the server's log has reported as an error since it was asked last."""
        ...

    def kept(self) -> object:
        """All that a refused request must leave as it was, or None where it cannot be seen."""
        ...

    def upload(self, link: str, content: bytes) -> None:
        """Put a file where a link allows it."""
        ...

    def pass_time(self, chance: float) -> None:
        """Let time pass, and the work be done that waits; `chance` is drawn evenly from [0, 1)."""
        ...


ECHOED = {
    "CreateControl": ("control",),
    "UpdateControl": ("control",),
    "CreateAssessmentFramework": ("framework",),
    "UpdateAssessmentFramework": ("framework",),
    "CreateAssessment": ("assessment", "metadata"),
}
"""Where an answer repeats what was sent."""
TEXTS = (
    "name",
    "description",
    "complianceType",
    "testingInformation",
    "actionPlanTitle",
    "actionPlanInstructions",
)


def changed(operation: str, ask: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    """The texts, tags and sources that came back otherwise than they were sent."""
    if operation not in ECHOED:
        return []
    top = told = answer[ECHOED[operation][0]]
    for step in ECHOED[operation][1:]:
        told = told[step]
    found = [
        f"{name} was sent as {ask.get(name)!r} and came back as {told.get(name)!r}"
        for name in TEXTS
        if name in MODEL.operation_model(operation).input_shape.members
        and (ask.get(name) or "") != (told.get(name) or "")
    ]
    if operation.startswith("Create") and (ask.get("tags") or {}) != (top.get("tags") or {}):
        found.append(f"the tags came back as {top.get('tags')!r}")
    for sent, kept in zip(
        ask.get("controlMappingSources", ()), told.get("controlMappingSources", ()), strict=False
    ):
        came = {name: kept.get(name) for name in sent if name != "sourceId"}
        asked = {name: value for name, value in sent.items() if name != "sourceId"}
        if came != asked:
            found.append(f"a source was sent as {asked!r} and came back as {came!r}")
    return found


class Fuzz:
    """A run against one deployment; every random choice comes from `seed`."""

    def __init__(self, target: Target, seed: int) -> None:
        self.random = random.Random(seed)
        self.values = Values(self.random)
        self.tally = Tally()
        self._target = target
        self._router = Router(am.OPERATIONS)
        home = World(self.random)
        admin = target.key(HOME, "root", ADMINISTRATOR)
        self._people = (
            Person(admin, "us-east-1", home),
            Person(admin, "eu-west-1", World(self.random)),
            Person(target.key(OTHER, "them", ADMINISTRATOR), "us-east-1", home),
            Person(target.key(HOME, "reader", "AuditkeepReadOnly"), "us-east-1", home),
            Person(target.key(HOME, "expert", "AuditkeepDelegate"), "us-east-1", home),
        )
        self._names = sorted(OPERATIONS)
        self._odds = [WEIGHTS.get(name, 1.0) for name in self._names]

    def prepare(self) -> None:
        """A registered tenant with a control, a framework, an assessment and evidence in it."""
        for person in self._people[:3]:
            self._must(person, "RegisterAccount")
        one = self._people[0]
        source = {
            "sourceName": "trail",
            "sourceSetUpOption": "System_Controls_Mapping",
            "sourceType": "AWS_Cloudtrail",
            "sourceKeyword": {
                "keywordInputType": "SELECT_FROM_LIST",
                "keywordValue": "iam_CreateUser",
            },
        }
        made = self._must(one, "CreateControl", name="users", controlMappingSources=[source])
        control = {"id": made["control"]["id"]}
        made = self._must(
            one,
            "CreateAssessmentFramework",
            name="ours",
            controlSets=[{"name": "Access / people", "controls": [control]}],
        )
        ask = {
            "name": "first",
            "frameworkId": made["framework"]["id"],
            "assessmentReportsDestination": {
                "destinationType": "S3",
                "destination": "s3://audit-reports/x",
            },
            "scope": {"awsAccounts": [{"id": HOME}]},
            "roles": [{"roleType": "PROCESS_OWNER", "roleArn": f"arn:aws:iam::{HOME}:role/Owner"}],
        }
        made = self._must(one, "CreateAssessment", **ask)
        self._target.pass_time(OBSERVE)
        self._must(
            one, "GetEvidenceFoldersByAssessment", assessmentId=made["assessment"]["metadata"]["id"]
        )
        self._must(one, "ListControls", controlType="Standard", maxResults=50)
        self._must(one, "ListControls", controlType="Core", maxResults=50)

    def run(self, count: int) -> Iterator[Tally]:
        """Ask `count` requests; the tally after each."""
        for _ in range(count):
            self._one()
            yield self.tally

    def _one(self) -> None:
        number = self.tally.requests
        self._target.pass_time(self.random.random())
        person = self._people[0]
        if self.random.random() < 0.12:
            person = self.random.choice(self._people)
        name = self.random.choices(self._names, self._odds)[0]
        operation = OPERATIONS[name]
        wire, ask, kind, forbidden = self._request(operation, person.world)
        before = self._target.kept() if self.random.random() < LOOKED_AT else None
        response = self._send(person, wire)
        asked = name if "bent" not in kind else self._meant(wire)
        faults = [] if wire.method == "HEAD" else answers.wrong(asked, response)
        faults += [f"logged: {words}" for words in self._target.complaints()]
        if forbidden and response.status == 200:
            faults.append("the model forbids this")
        if before is not None and response.status != 200 and self._target.kept() != before:
            faults.append("it was refused, and yet something changed")
        ours = person is self._people[0] or person is self._people[1]
        if response.status == 404 and kind == "valid" and ours:
            person.world.forget(json.loads(response.body))
        if response.status == 200 and kind == "valid" and not faults:
            faults += changed(name, ask, json.loads(response.body))
        if response.status == 200 and kind == "valid" and ours and not faults:
            answer = json.loads(response.body)
            person.world.learn(name, ask, answer)
            if name == "GetEvidenceFileUploadUrl" and self.random.random() < 0.7:
                self._target.upload(answer["uploadUrl"], b"%PDF-1.7 the policy")
        self._note(number, name, kind, wire, response, faults)
        if response.status == 403 and person in self._people[:3]:
            self._register(person)

    def _request(
        self, operation: AnyOperation, world: World
    ) -> tuple[Wire, dict[str, Any], str, bool]:
        shape = MODEL.operation_model(operation.name).input_shape
        ask = {} if shape is None else self.values.valid(shape)
        world.fill(operation.name, ask)
        way = self.random.random()
        if way < 0.55 or shape is None or not shape.members:
            wire = laid_out(operation, ask, self.random)
            if way < 0.85:
                return wire, ask, "valid", False
        if way < 0.85 and shape is not None:
            bound = {"uri": set[str](), "querystring": set[str]()}
            for binding in operation.bindings:
                bound[binding.location].add(binding.member)
            broken: Spoilt = spoil(
                self.values, shape, ask, frozenset(bound["uri"]), frozenset(bound["querystring"])
            )
            wire = laid_out(operation, broken.ask, self.random)
            return wire, broken.ask, f"spoilt ({broken.what})", broken.forbidden
        wire = laid_out(operation, ask, self.random)
        wire, what = bent(wire, self.random, big=self.random.random() < 0.002)
        return wire, ask, f"bent ({what})", False

    def _meant(self, wire: Wire) -> str | None:
        """The operation that a bent request names now, as the router of the server reads it."""
        try:
            return self._router.find(wire.method, wire.path).operation.name
        except RequestError:
            return None

    def _send(self, person: Person, wire: Wire) -> Response:
        return self._target.send(person.key, person.region, wire)

    def _note(
        self,
        number: int,
        name: str,
        kind: str,
        wire: Wire,
        response: Response,
        faults: list[str],
    ) -> None:
        self.tally.requests += 1
        self.tally.statuses[response.status] += 1
        if response.status == 200:
            self.tally.answered[name] += 1
        if faults:
            answer = f"{response.status} {response.body[:300]!r}"
            self.tally.findings.append(
                Finding(number, name, kind, tuple(faults), wire.shown, answer)
            )

    def _register(self, person: Person) -> None:
        wire = laid_out(OPERATIONS["RegisterAccount"], {}, self.random)
        self._send(person, wire)

    def _must(self, person: Person, operation: str, **ask: Any) -> dict[str, Any]:
        response = self._send(person, laid_out(OPERATIONS[operation], ask, self.random))
        assert response.status == 200, response.body
        answer: dict[str, Any] = json.loads(response.body)
        person.world.learn(operation, ask, answer)
        return answer
