"""A tenant's key that is disabled, pending deletion, denied or silent: what each kind of work says.

A deployment over the KMS of `tests.kms`. Each state is tried with all that reads or keeps what lies
under the key; another tenant goes on meanwhile, and afterwards the same work is done: nothing is
repaired, kept twice, or left of what was refused.
"""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.e2e.over_users import assessment
from tests.kms import KmsServer, running_kms
from tests.operations.in_process import Api
from tests.operations.test_events import TRAIL
from tests.softhsm import PIN, TOKEN, new_token

from auditkeep import app, settings
from auditkeep.access import tokens
from auditkeep.access.grants import ADMINISTRATOR
from auditkeep.access.tokens import Tokens
from auditkeep.accounts.erasure import Erasure, newest
from auditkeep.app.parts import Parts
from auditkeep.clock import SystemClock
from auditkeep.crypto.providers import guard
from auditkeep.crypto.providers.hsm import Hsm, uri_of
from auditkeep.crypto.providers.local import LocalKeyProvider
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
    meanwhile: Callable[[], None] = lambda: None

    def forget(self) -> None:
        """As if the time for which keys stay in memory were over."""
        self.parts.lake.keys._keys.clear()
        self.parts.lake.keys._spares.clear()
        self.parts.lake.secrets._held = None  # type: ignore[attr-defined]  # the deployment's own

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
        folder = tmp_path_factory.mktemp("away")
        patch.setenv("AUDITKEEP_PKCS11_MODULE", str(new_token(folder, patch)))
        patch.setenv("AUDITKEEP_PKCS11_PIN", PIN)
        data = folder / "audit"
        clock = SystemClock()
        app.initialise(settings.load(data), HOME, clock)
        with app.opened(settings.load(data), clock) as parts:
            yield _furnished(parts, kms)


def _furnished(parts: Parts, kms: KmsServer) -> House:
    api = Api(parts.db, parts.deps, parts.clock)
    client = api.client()
    arn = kms.key()
    api.call(client.update_settings, kmsKey=arn)
    place = assessment(client, "root", api.call)
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


def _tried(
    house: House, away: Callable[[], None], well: Callable[[], None], said: Sequence[str], mark: str
) -> None:
    """Each kind of work while a key is away, and once it is well again."""
    house.pushed += 1
    before = house.evidence()
    work: dict[str, Callable[[], object]] = {
        "reading": house.evidence,
        "manual evidence": lambda: house.write(f"while {mark}"),
        "an upload": house.upload,
        "a push": house.push,
        "a report": house.report,
    }
    house.forget()
    away()
    try:
        for name, done in work.items():
            house.forget()
            with pytest.raises((ClientError, KeyAway)) as caught:
                done()
            told = caught.value.told if isinstance(caught.value, KeyAway) else str(caught.value)
            for words in said:
                assert words in told, name
        house.meanwhile()
    finally:
        well()
    house.forget()
    assert house.evidence() == before, "nothing is left of what was refused"
    for done in work.values():
        house.forget()
        done()
    assert house.evidence() == before + 1


@pytest.mark.parametrize("state", SAID)
def test_what_needs_the_key_is_refused_with_a_sentence_and_works_again(
    house: House, kms: KmsServer, state: str
) -> None:
    def meanwhile() -> None:
        """What needs no key of the tenant's goes on, its own settings too."""
        house.ask("update_settings", snsTopic="NONE")
        assert house.ask("list_assessments")["assessmentMetadata"]
        other = house.api.client(house.api.key("o", ADMINISTRATOR, account=OTHER.account))
        assert house.api.call(other.list_assessments) is not None
        house.api.call(other.update_settings, snsTopic="NONE")

    house.meanwhile = meanwhile
    _tried(
        house,
        lambda: _away(kms, house.arn, state),
        lambda: _well(kms, house.arn, state),
        (SAID[state], house.arn),
        state,
    )


@contextmanager
def _own_key(house: House) -> Iterator[Path]:
    """New data goes under the deployment's own key; the file that names it."""
    house.meanwhile = lambda: None  # all who have no key of their own need this one
    house.ask("update_settings", kmsKey="DEFAULT")
    try:
        yield house.parts.settings.keys_dir / "master.key"
    finally:
        house.ask("update_settings", kmsKey=house.arn)


OWN = ("The master key of this deployment cannot be used now", "nothing needs repair")


@pytest.mark.parametrize("state", ["missing", "open to others", "another"])
def test_a_master_key_in_a_file_that_is_away_is_well_again_when_it_is_back(
    house: House, state: str
) -> None:
    with _own_key(house) as path:
        mode, kept = path.stat().st_mode, path.with_suffix(".kept")

        def away() -> None:
            if state == "open to others":
                path.chmod(0o644)
                return
            path.rename(kept)
            if state == "another":
                LocalKeyProvider.create(path)

        def well() -> None:
            if kept.exists():
                kept.replace(path)
            path.chmod(mode)

        _tried(house, away, well, OWN, state)


@pytest.mark.parametrize("state", ["disabled", "gone", "denied", "unreachable"])
def test_a_master_key_in_an_hsm_that_is_away_is_well_again_when_it_is_back(
    house: House, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pkcs11

    uri = uri_of(TOKEN, "own")
    hsm = house.parts.lake.keys.ring.hsm
    assert hsm is not None
    opened, attribute = Hsm._open, pkcs11.Attribute
    said = {
        "disabled": "does not let the key",
        "gone": "has no key",
        "denied": "refuses the PIN",
        "unreachable": "does not answer as it should",
    }

    def turn(name: Any, before: object, after: object) -> None:
        def turned(session: Any) -> None:
            session.get_key(label=before if name is attribute.LABEL else "own")[name] = after

        hsm.with_session(TOKEN, turned)

    def failing(error: type[Exception]) -> None:
        hsm._sessions.clear()

        def fails(_hsm: Hsm, _token: str) -> Any:
            raise error

        monkeypatch.setattr(Hsm, "_open", fails)

    def away() -> None:
        if state == "disabled":
            turn(attribute.ENCRYPT, "", after=False)
            turn(attribute.DECRYPT, "", after=False)
        elif state == "gone":
            turn(attribute.LABEL, "own", "elsewhere")
        else:
            failing(pkcs11.PinIncorrect if state == "denied" else pkcs11.TokenNotPresent)

    def well() -> None:
        monkeypatch.setattr(Hsm, "_open", opened)
        if state == "disabled":
            turn(attribute.ENCRYPT, "", after=True)
            turn(attribute.DECRYPT, "", after=True)
        elif state == "gone":
            turn(attribute.LABEL, "elsewhere", "own")

    with _own_key(house):
        house.parts.rotate_keys(None, uri, lambda _done: None)
        assert house.parts.lake.keys.ring.key_id == uri
        _tried(house, away, well, (said[state], uri), state)


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


def test_leaving_with_everything_needs_no_key_of_the_tenant(house: House, kms: KmsServer) -> None:
    """It may be gone for good; what is destroyed is told to the log without it."""
    parts = house.parts
    _away(kms, house.arn, "disable_key")
    house.forget()
    house.ask("update_settings", deregistrationPolicy={"deleteResources": "ALL"})
    house.ask("deregister_account")
    handler = erase_handler(parts.deps, parts.clock, parts.deps.caches.clear)
    handler.run(HOME, _erasure(parts).id)
    assert _erasure(parts).stage == "done"
    _well(kms, house.arn, "disable_key")


def _erasure(parts: Parts) -> Erasure:
    with parts.db.read(HOME) as tx:
        found = newest(tx)
    assert found is not None
    return found
