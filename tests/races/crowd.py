"""Clients that ask at the same moment.

Each client is a thread that signs its own requests; all begin behind one barrier, so that their
transactions meet. Nothing is mocked: dispatcher, pool and database are those of a deployment.
"""

import json
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.fuzz.inside import InProcess
from tests.fuzz.requests import laid_out
from tests.fuzz.running import ADMINISTRATOR, HOME, OPERATIONS

from auditkeep.access.credentials import AccessKey

Ask = tuple[str, dict[str, Any]]
"""An operation and the members of its request."""

SOURCE = {
    "sourceName": "people",
    "sourceSetUpOption": "Procedural_Controls_Mapping",
    "sourceType": "MANUAL",
}
SET = "Access / people"


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict[str, Any]

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def code(self) -> str:
        return str(self.body.get("__type", ""))


class Crowd:
    """People of one account who share a key, and a barrier they start from."""

    def __init__(self, target: InProcess) -> None:
        self.target = target
        self.key = target.key(HOME, "crowd", ADMINISTRATOR)
        self.must("RegisterAccount")

    def ask(
        self,
        operation: str,
        *,
        key: AccessKey | None = None,
        region: str = "us-east-1",
        **members: Any,
    ) -> Answer:
        wire = laid_out(OPERATIONS[operation], members, random.Random(0))
        response = self.target.send(key or self.key, region, wire)
        return Answer(response.status, json.loads(response.body))

    def must(self, operation: str, **members: Any) -> dict[str, Any]:
        answer = self.ask(operation, **members)
        assert answer.ok, answer
        return answer.body

    def meet(self, asks: Sequence[Ask]) -> list[Answer]:
        """All at once; their answers in the order asked. A 5xx among them fails the test."""
        answers: list[Answer | BaseException] = [AssertionError("no answer")] * len(asks)
        barrier = threading.Barrier(len(asks))

        def one(number: int, ask: Ask) -> None:
            barrier.wait()
            try:
                answers[number] = self.ask(ask[0], **ask[1])
            except BaseException as error:
                answers[number] = error

        self._together([lambda n=n, a=a: one(n, a) for n, a in enumerate(asks)])  # type: ignore[misc]
        found = []
        for answer in answers:
            assert isinstance(answer, Answer), answer
            assert answer.status < 500, answer
            found.append(answer)
        assert self.target.complaints() == []
        return found

    @staticmethod
    def _together(works: Sequence[Callable[[], None]]) -> None:
        threads = [threading.Thread(target=work) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"

    def control(self, name: str = "control") -> str:
        made = self.must("CreateControl", name=name, controlMappingSources=[SOURCE])
        return str(made["control"]["id"])

    def framework(self, *controls: str, name: str = "framework") -> str:
        groups = [{"name": SET, "controls": [{"id": c} for c in controls]}]
        made = self.must("CreateAssessmentFramework", name=name, controlSets=groups)
        return str(made["framework"]["id"])

    def assessment(self, framework: str, name: str = "assessment") -> str:
        made = self.must("CreateAssessment", **asked(framework, name))
        return str(made["assessment"]["metadata"]["id"])

    def read(self, assessment: str) -> dict[str, Any]:
        found: dict[str, Any] = self.must("GetAssessment", assessmentId=assessment)["assessment"]
        return found

    def log(self, assessment: str, **narrowed: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.must(
            "GetChangeLogs", assessmentId=assessment, maxResults=1000, **narrowed
        )["changeLogs"]
        return found


def asked(framework: str, name: str = "assessment") -> dict[str, Any]:
    """What CreateAssessment is asked with."""
    return {
        "name": name,
        "frameworkId": framework,
        "assessmentReportsDestination": {
            "destinationType": "S3",
            "destination": "s3://audit-reports/x",
        },
        "scope": {"awsAccounts": [{"id": HOME}]},
        "roles": [{"roleType": "PROCESS_OWNER", "roleArn": role("Owner")}],
    }


def role(name: str) -> str:
    return f"arn:aws:iam::{HOME}:role/{name}"
