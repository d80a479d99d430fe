"""Several fuzzers over one deployment: any operation beside any other, and what must hold after."""

import threading
from collections import Counter
from typing import Any

import pytest
from tests.fuzz.inside import InProcess
from tests.fuzz.requests import Wire
from tests.fuzz.running import Finding, Fuzz
from tests.races.crowd import Crowd

from auditkeep.access.credentials import AccessKey
from auditkeep.wire.messages import Response

pytestmark = pytest.mark.slow

SEED = 41
CLIENTS = 4
REQUESTS = 200


class Shared:
    """A deployment that others ask at the same time: what it keeps, and its clock, are not one's own."""

    def __init__(self, target: InProcess, name: str) -> None:
        self._target, self._name = target, name

    def key(self, account: str, user: str, policy: str) -> AccessKey:
        return self._target.key(account, f"{user}-{self._name}", policy)

    def send(self, key: AccessKey, region: str, wire: Wire) -> Response:
        return self._target.send(key, region, wire)

    def complaints(self) -> list[str]:
        return self._target.complaints()

    def kept(self) -> None:
        """Others change it meanwhile."""

    def upload(self, link: str, content: bytes) -> None:
        self._target.upload(link, content)

    def pass_time(self, _chance: float) -> None:
        """It stands still, so that all are on the same day."""


def test_any_operation_beside_any_other(crowd: Crowd) -> None:
    fuzzers = [Fuzz(Shared(crowd.target, str(n)), SEED + n) for n in range(CLIENTS)]
    for fuzz in fuzzers:
        fuzz.prepare()
    failed: list[BaseException] = []

    def ask(fuzz: Fuzz) -> None:
        try:
            for _ in fuzz.run(REQUESTS):
                continue
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(fuzz,)) for fuzz in fuzzers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert failed == []
    found: list[Finding] = [f for fuzz in fuzzers for f in fuzz.tally.findings]
    assert not found, "\n".join(map(str, found))
    assert sum(fuzz.tally.statuses[200] for fuzz in fuzzers) > CLIENTS * REQUESTS / 5
    crowd.ask("RegisterAccount")
    for listed in crowd.must("ListAssessments", maxResults=1000)["assessmentMetadata"]:
        answer = crowd.ask("GetAssessment", assessmentId=listed["id"])
        assert answer.ok, answer
        _holds(crowd, answer.body["assessment"])


def _holds(crowd: Crowd, assessment: dict[str, Any]) -> None:
    meta = assessment["metadata"]
    open_ = Counter(
        (d["roleArn"], d["controlSetId"])
        for d in meta.get("delegations", ())
        if d["status"] == "IN_PROGRESS"
    )
    assert all(count == 1 for count in open_.values()), "one delegation per role and set"
    folders = crowd.must(
        "GetEvidenceFoldersByAssessment", assessmentId=meta["id"], maxResults=1000
    ).get("evidenceFolders", [])
    for group in assessment["framework"]["controlSets"]:
        controls = group.get("controls", [])
        assert group["manualEvidenceCount"] == sum(
            f["evidenceByTypeManualCount"] for f in folders if f["controlSetId"] == group["id"]
        )
        for control in controls:
            total = sum(
                f["totalEvidence"]
                for f in folders
                if (f["controlSetId"], f["controlId"]) == (group["id"], control["id"])
            )
            assert control["evidenceCount"] == total, "counts are those of the folders"
