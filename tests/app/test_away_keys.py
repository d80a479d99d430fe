"""A tenant's key that is disabled, pending deletion, denied or silent: what each kind of work says.

A deployment over the KMS of `tests.kms`. Each state is tried with all that reads or keeps what lies
under the key; another tenant goes on meanwhile, and afterwards the same work is done: nothing is
repaired, kept twice, or left of what was refused.
"""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.kms import KmsServer, running_kms
from tests.operations.in_process import Api
from tests.operations.test_events import TRAIL

from auditkeep import app, settings
from auditkeep.access import tokens
from auditkeep.access.grants import ADMINISTRATOR
from auditkeep.access.tokens import Tokens
from auditkeep.accounts.erasure import Erasure, newest
from auditkeep.app.parts import Parts
from auditkeep.clock import SystemClock
from auditkeep.crypto.providers import guard
from auditkeep.errors import KeyAway
from auditkeep.ids import Tenant
from auditkeep.operations.events import PATH, Events
from auditkeep.reports.model import JOB
from auditkeep.wire.messages import Request
from auditkeep.work.pump import Pump
from auditkeep.workflows.erase import erase_handler
from auditkeep.workflows.report import report_handler

pytestmark = pytest.mark.server

HOME, OTHER = Tenant("111122223333", "us-east-1"), Tenant("444455556666", "us-east-1")
BACK = {
    "disable_key": ("enable_key",),
    "schedule_key_deletion": ("cancel_key_deletion", "enable_key"),
}


@pytest.fixture(scope="module")
def kms() -> Iterator[KmsServer]:
    with running_kms() as server:
        yield server


@dataclass
class House:
    """A deployment whose home tenant has a key of its own, with evidence of each kind under it."""

    parts: Parts
    api: Api
    client: Any
    arn: str
    place: dict[str, Any]
    token: str
    events: Events
    pushed: int = 0

    def forget(self) -> None:
        """As if the time for which keys stay in memory were over."""
        self.parts.lake.keys._keys.clear()
        self.parts.lake.keys._spares.clear()

    def ask(self, operation: str, **members: Any) -> Any:
        return self.api.call(getattr(self.client, operation), **members)

    def evidence(self) -> int:
        """How many items a reader sees."""
        folders = self.ask("get_evidence_folders_by_assessment_control", **self.place)
        found = 0
        for folder in folders["evidenceFolders"]:
            answer = self.ask(
                "get_evidence_by_evidence_folder",
                assessmentId=self.place["assessmentId"],
                controlSetId=self.place["controlSetId"],
                evidenceFolderId=folder["id"],
            )
            found += len(answer["evidence"])
        return found

    def write(self, text: str) -> None:
        answer = self.ask(
            "batch_import_evidence_to_assessment_control",
            **self.place,
            manualEvidence=[{"textResponse": text}],
        )
        assert answer["errors"] == []

    def upload(self) -> None:
        self.parts.stock(HOME, f"s3://evidence/{self.pushed}.txt", io.BytesIO(b"a file"))

    def push(self) -> None:
        event = json.loads(json.dumps(TRAIL))
        event["detail"]["eventID"] = f"e-{self.pushed}"
        body = json.dumps(event).encode()
        headers = ((b"x-api-key", self.token.encode()),)
        answer = self.events.answer(Request("POST", PATH, b"", headers, body, "r-1"))
        if answer.status != 200:
            raise KeyAway(answer.body.decode(), "denied")
        assert json.loads(answer.body)["observations"] == 1

    def report(self) -> None:
        """Ask for a report, and make it as a worker does: at once, or when it is tried again."""
        made = self.ask(
            "create_assessment_report", name="r", assessmentId=self.place["assessmentId"]
        )["assessmentReport"]
        making = report_handler(self.parts.deps, self.parts.report_key, self.parts.clock)
        making.run(HOME, made["id"])
        listed = self.ask("list_assessment_reports")["assessmentReports"]
        assert {one["id"]: one["status"] for one in listed}[made["id"]] == "COMPLETE"


@pytest.fixture(scope="module")
def house(kms: KmsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AUDITKEEP_KMS", "aws")
        patch.setenv("AUDITKEEP_KMS_ENDPOINT_URL", kms.url)
        patch.setenv("AUDITKEEP_KMS_TIMEOUT_SECONDS", "0.3")
        patch.setattr(guard, "PAUSE", 0.0)  # who was refused asks again at once
        data = tmp_path_factory.mktemp("away") / "audit"
        clock = SystemClock()
        app.initialise(settings.load(data), HOME, clock)
        with app.opened(settings.load(data), clock) as parts:
            yield _furnished(parts, kms)


def _furnished(parts: Parts, kms: KmsServer) -> House:
    api = Api(parts.db, parts.deps, parts.clock)
    client = api.client()
    arn = kms.key()
    api.call(client.update_settings, kmsKey=arn)
    control = api.call(
        client.create_control,
        name="users",
        controlMappingSources=[
            {
                "sourceName": "trail",
                "sourceSetUpOption": "System_Controls_Mapping",
                "sourceType": "AWS_Cloudtrail",
                "sourceKeyword": {
                    "keywordInputType": "SELECT_FROM_LIST",
                    "keywordValue": "iam_CreateUser",
                },
            }
        ],
    )["control"]
    framework = api.call(
        client.create_assessment_framework,
        name="f",
        controlSets=[{"name": "set", "controls": [{"id": control["id"]}]}],
    )["framework"]
    owner = f"arn:aws:iam::{HOME.account}:user/root"
    made = api.call(
        client.create_assessment,
        name="a",
        frameworkId=framework["id"],
        roles=[{"roleType": "PROCESS_OWNER", "roleArn": owner}],
        scope={"awsAccounts": [{"id": HOME.account}], "awsServices": []},
        assessmentReportsDestination={"destinationType": "S3", "destination": "s3://reports"},
    )["assessment"]
    place = {
        "assessmentId": made["metadata"]["id"],
        "controlSetId": "set",
        "controlId": made["framework"]["controlSets"][0]["controls"][0]["id"],
    }
    with parts.db.system_write() as tx:
        token = tokens.create(tx, "events", "bus", parts.clock.now(), None, HOME).token
    holder = Tokens(parts.db, parts.clock, "events").holder
    events = Events(parts.db, parts.deps, parts.clock, holder)
    found = House(parts, api, client, arn, place, token, events)
    found.write("before anything was away")
    folder = found.ask("get_evidence_folders_by_assessment_control", **place)["evidenceFolders"][0]
    found.ask(
        "associate_assessment_report_evidence_folder",
        assessmentId=place["assessmentId"],
        evidenceFolderId=folder["id"],
    )
    key = api.key("other", ADMINISTRATOR, account=OTHER.account)
    api.call(api.client(key).register_account)
    return found


def _away(kms: KmsServer, arn: str, state: str) -> None:
    if state == "denied":
        kms.denied.update({"Encrypt", "Decrypt"})
    elif state == "silent":
        kms.silent.add("us-east-1")
    else:
        kms.turn(state, arn, *((7,) if "schedule" in state else ()))


def _well(kms: KmsServer, arn: str, state: str) -> None:
    kms.denied.clear()
    kms.silent.clear()
    for call in BACK.get(state, ()):
        kms.turn(call, arn)


SAID = {
    "disable_key": "is disabled",
    "schedule_key_deletion": "pending deletion",
    "denied": "may not be used",
    "silent": "does not answer",
}


@pytest.mark.parametrize("state", SAID)
def test_what_needs_the_key_is_refused_with_a_sentence_and_works_again(
    house: House, kms: KmsServer, state: str
) -> None:
    house.pushed += 1
    before = house.evidence()
    work: dict[str, Callable[[], object]] = {
        "reading": house.evidence,
        "manual evidence": lambda: house.write(f"while {state}"),
        "an upload": house.upload,
        "a push": house.push,
        "a report": house.report,
    }
    house.forget()
    _away(kms, house.arn, state)
    try:
        for name, done in work.items():
            house.forget()
            with pytest.raises((ClientError, KeyAway)) as caught:
                done()
            assert SAID[state] in str(caught.value), name
            assert house.arn in str(caught.value), name
        # what needs no key of the tenant's goes on, its own settings too
        house.ask("update_settings", snsTopic="NONE")
        assert house.ask("list_assessments")["assessmentMetadata"]
        other = house.api.client(house.api.key("o", ADMINISTRATOR, account=OTHER.account))
        assert house.api.call(other.list_assessments) is not None
        house.api.call(other.update_settings, snsTopic="NONE")
    finally:
        _well(kms, house.arn, state)
    house.forget()
    assert house.evidence() == before, "nothing is left of what was refused"
    for done in work.values():
        house.forget()
        done()
    assert house.evidence() == before + 1


def test_a_report_that_waits_for_the_key_is_made_by_itself(house: House, kms: KmsServer) -> None:
    made = house.ask(
        "create_assessment_report", name="later", assessmentId=house.place["assessmentId"]
    )["assessmentReport"]
    making = report_handler(house.parts.deps, house.parts.report_key, house.parts.clock)
    _away(kms, house.arn, "disable_key")
    house.forget()
    pump = Pump(house.parts.jobs, {JOB: making}, house.parts.clock)
    assert pump.step(), "it is tried, and put off"
    _well(kms, house.arn, "disable_key")
    making.run(HOME, made["id"])
    listed = house.ask("list_assessment_reports")["assessmentReports"]
    assert {one["id"]: one["status"] for one in listed}[made["id"]] == "COMPLETE"


def test_leaving_with_everything_waits_for_the_key_and_ends_by_itself(
    house: House, kms: KmsServer
) -> None:
    """What is destroyed is told to the log by what opens its entries: the key is needed once more."""
    parts = house.parts
    _away(kms, house.arn, "disable_key")
    house.forget()
    house.ask("update_settings", deregistrationPolicy={"deleteResources": "ALL"})
    house.ask("deregister_account")
    handler = erase_handler(parts.deps, parts.clock, parts.deps.caches.clear)
    asked = _erasure(parts)
    with pytest.raises(KeyAway, match="is disabled"):
        handler.run(HOME, asked.id)
    assert _erasure(parts).stage == "keys", "nothing is half gone"
    _well(kms, house.arn, "disable_key")
    handler.run(HOME, asked.id)
    assert _erasure(parts).stage == "done"


def _erasure(parts: Parts) -> Erasure:
    with parts.db.read(HOME) as tx:
        found = newest(tx)
    assert found is not None
    return found
