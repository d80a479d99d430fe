"""A deployment in this process, driven by boto3 alone, for tables of rules.

`World` makes what a rule is about with one call per noun, each new, so that the rules of a table
can share one world. `fingerprint` is everything a tenant owns: a refused request must not move it.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError
from tests.databases import opened
from tests.lakes import new_lake
from tests.operations.in_process import Api

from auditkeep import settings as settings_room
from auditkeep.access.credentials import AccessKey
from auditkeep.clock import MINUTE, SECOND, FixedClock, Instant, parse
from auditkeep.collection.keeping import LensKeeper
from auditkeep.db import schema
from auditkeep.evidence.metering import LensMeter
from auditkeep.ids import Tenant, new_id
from auditkeep.lake.append import Unit, append
from auditkeep.library.library import Library
from auditkeep.observations import Observation, Provenance
from auditkeep.operations.call import Deps
from auditkeep.reports import store as reports
from auditkeep.wire.links import Links

HOME, MEMBER, OTHER = "111122223333", "222233334444", "999988887777"
NOTHING = "00000000-0000-4000-8000-000000000000"
VALIDATION = ("ValidationException", 400)
NOT_FOUND = ("ResourceNotFoundException", 404)
DENIED = ("AccessDeniedException", 403)
QUOTA = ("ServiceQuotaExceededException", 402)
DESTINATION = {"destinationType": "S3", "destination": "s3://audit-reports/here"}
OWNER = f"arn:aws:iam::{HOME}:role/Owner"
EXPERT = f"arn:aws:iam::{HOME}:user/expert"
MANUAL = {
    "sourceName": "people",
    "sourceSetUpOption": "Procedural_Controls_Mapping",
    "sourceType": "MANUAL",
}
TRAIL = {
    "sourceName": "trail",
    "sourceSetUpOption": "System_Controls_Mapping",
    "sourceType": "AWS_Cloudtrail",
    "sourceKeyword": {"keywordInputType": "SELECT_FROM_LIST", "keywordValue": "iam_CreateUser"},
}

_OWNED = (
    "tenants", "tags", "controls", "frameworks", "framework_shares", "delegated_administrators",
    "assessments", "assessment_control_sets", "assessment_controls", "control_comments",
    "delegations", "change_logs", "notifications", "lens_intervals", "reports", "uploads", "tail",
    "selections", "selection_exceptions", "jobs",
)  # fmt: skip


@cache
def _library() -> Library:
    return Library.load()  # the same for every world, and never changed


@dataclass(frozen=True)
class Made:
    """An assessment as it was answered, with what tests name of it."""

    shown: dict[str, Any]
    set_id: str

    @property
    def id(self) -> str:
        return str(self.shown["metadata"]["id"])

    @property
    def arn(self) -> str:
        return str(self.shown["arn"])

    @property
    def control(self) -> str:
        (one,) = [s for s in self.shown["framework"]["controlSets"] if s["id"] == self.set_id]
        return str(one["controls"][0]["id"])

    def at(self, **more: Any) -> dict[str, Any]:
        """The members that name its first control."""
        return {
            "assessmentId": self.id, "controlSetId": self.set_id, "controlId": self.control, **more
        }  # fmt: skip


class World:
    """One deployment; `client` is an administrator of HOME in us-east-1, which has registered."""

    def __init__(self, folder: Path, database: str = "", **settings: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.db = opened(database or f"sqlite:///{folder / 'audit.db'}")
        chosen = settings_room.load(folder).model_copy(update=settings)
        meter = LensMeter()
        keeper = LensKeeper(meter, _library(), chosen)
        lake = new_lake(self.db, folder, meter=meter, keeper=keeper)
        self.clock = FixedClock(parse("2026-05-01T12:00:00Z"))
        self.deps = Deps(
            settings=chosen,
            library=_library(),
            lake=lake,
            links=Links(b"l" * 32, 15 * MINUTE),
            id_secret=b"i" * 32,
        )
        self.api = Api(self.db, self.deps, self.clock)
        with self.db.system_write() as tx:
            tx.insert(
                schema.meta,
                {"key": "account", "value": HOME},
                {"key": "log_origin", "value": "auditkeep.test/log"},
            )
        self._numbers = itertools.count(1)
        self._clients: dict[Any, Any] = {}
        self.client = self.client_of()
        self.ask("register_account")
        self.mine = str(self.control()["id"])
        """A custom control."""
        self.theirs = str(self.framework()["id"])
        """A framework that tests make assessments of where its content does not matter."""

    def close(self) -> None:
        self.db.close()

    # --- asking ----------------------------------------------------------------------------

    def client_of(self, key: AccessKey | None = None, region: str = "us-east-1") -> Any:
        who = (key.access_key_id if key else "", region)
        if who not in self._clients:
            self._clients[who] = self.api.client(key, region)
        return self._clients[who]

    def ask(self, operation: str, /, *, client: Any = None, **members: Any) -> Any:
        """One request, a second after the one before: no two things happen at the same time."""
        self.clock.advance(SECOND)
        return self.api.call(getattr(client or self.client, operation), **members)

    def refused(self, operation: str, /, *, client: Any = None, **members: Any) -> Any:
        """The error a request is answered with, having changed nothing."""
        return self.refusal(lambda w: w.ask(operation, client=client, **members))

    def refusal(self, act: Callable[[World], Any]) -> Any:
        before = self.fingerprint()
        with pytest.raises(ClientError) as caught:
            act(self)
        assert self.fingerprint() == before
        error = dict(caught.value.response["Error"])
        error["status"] = caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
        return error | {k: v for k, v in caught.value.response.items() if k != "Error"}

    def user(
        self, name: str, *policies: str, account: str = HOME, region: str = "us-east-1"
    ) -> Any:
        """A client of somebody; without policies one who may do everything but administer."""
        chosen = policies or ("AuditkeepManagement",)
        return self.client_of(self.api.key(name, *chosen, account=account), region)

    def account(self, account: str, region: str = "us-east-1", *, registered: bool = True) -> Any:
        """A client of another account's administrator."""
        key = self.api.key("root", "AWSAuditManagerAdministratorAccess", account=account)
        client = self.client_of(key, region)
        if registered:
            self.ask("register_account", client=client)
        return client

    def pages(self, operation: str, member: str, /, *, size: int, **members: Any) -> Iterator[Any]:
        """The pages of a list, each asked for with the token of the one before."""
        token: dict[str, str] = {}
        while True:
            answer = self.ask(operation, maxResults=size, **members, **token)
            yield answer[member]
            if "nextToken" not in answer:
                return
            token = {"nextToken": answer["nextToken"]}

    # --- assessments that wait to be refused -------------------------------------------------

    @cached_property
    def open(self) -> Made:
        return self.assessment(frameworkId=self.theirs)

    @cached_property
    def over(self) -> Made:
        made = self.assessment(frameworkId=self.theirs)
        self.ask("update_assessment_status", assessmentId=made.id, status="INACTIVE")
        return made

    def reviewed_by_owner_and_expert(self) -> Made:
        """One with evidence, which user/owner owns and user/expert is a delegate of."""
        roles = [{"roleType": "PROCESS_OWNER", "roleArn": f"arn:aws:iam::{HOME}:user/owner"}]
        made = self.assessment(frameworkId=self.theirs, roles=roles)
        self.delegate(made)
        self.write_evidence(made)
        return made

    # --- time and state --------------------------------------------------------------------

    def later(self, microseconds: int = SECOND) -> Instant:
        self.clock.advance(microseconds)
        return self.clock.now()

    def fingerprint(self) -> Mapping[str, list[str]]:
        """Every row of every table that requests write to."""
        with self.db.system_read() as tx:
            return {
                name: sorted(repr(tuple(row)) for row in tx.all(tx.select(table)))
                for name, table in schema.metadata.tables.items()
                if name in _OWNED
            }

    # --- nouns -----------------------------------------------------------------------------

    def name(self, noun: str) -> str:
        return f"{noun} {next(self._numbers)}"

    def control(self, *sources: Mapping[str, Any], **members: Any) -> dict[str, Any]:
        ask = {"name": self.name("control"), "controlMappingSources": list(sources or (TRAIL,))}
        made: dict[str, Any] = self.ask("create_control", **{**ask, **members})["control"]
        return made

    def framework(
        self, sets: Mapping[str, list[str]] | None = None, **members: Any
    ) -> dict[str, Any]:
        chosen = sets or {"Access": [self.control()["id"]]}
        ask = {
            "name": self.name("framework"),
            "controlSets": [
                {"name": n, "controls": [{"id": i} for i in ids]} for n, ids in chosen.items()
            ],
        }
        made: dict[str, Any] = self.ask("create_assessment_framework", **{**ask, **members})[
            "framework"
        ]
        return made

    def assessment(self, *, client: Any = None, **members: Any) -> Made:
        ask = {
            "name": self.name("assessment"),
            "assessmentReportsDestination": DESTINATION,
            "scope": {"awsAccounts": [{"id": HOME}]},
            "roles": [{"roleType": "PROCESS_OWNER", "roleArn": OWNER}],
        }
        if "frameworkId" not in members:
            members["frameworkId"] = self.framework()["id"]
        answer = self.ask("create_assessment", client=client, **{**ask, **members})["assessment"]
        return Made(answer, answer["framework"]["controlSets"][0]["id"])

    def delegate(self, made: Made, *, role: str = EXPERT, **members: Any) -> dict[str, Any]:
        ask = {"controlSetId": made.set_id, "roleArn": role, "roleType": "RESOURCE_OWNER"}
        answer = self.ask(
            "batch_create_delegation_by_assessment",
            assessmentId=made.id,
            createDelegationRequests=[{**ask, **members}],
        )
        assert answer["errors"] == []
        newest: dict[str, Any] = answer["delegations"][0]
        return newest

    def write_evidence(self, made: Made, *texts: str, client: Any = None) -> None:
        answer = self.ask(
            "batch_import_evidence_to_assessment_control",
            client=client,
            **made.at(manualEvidence=[{"textResponse": t} for t in texts or ("we looked",)]),
        )
        assert answer["errors"] == []

    def observe(self, *times: Instant, match_key: str = "iam:CreateUser") -> None:
        """Keep an observation of each of these times, as a collector would."""
        with self.db.write(Tenant(HOME, "us-east-1")) as tx:
            append(
                tx,
                self.deps.lake,
                unit=Unit(new_id(), "test"),
                klass="facts",
                observations=[
                    Observation(
                        source="AWS_Cloudtrail",
                        natural_key=(new_id(),),
                        event_time=time,
                        match_key=match_key,
                        account=HOME,
                        region="us-east-1",
                        raw=b'{"eventID":"%d"}' % number,
                        reader="test/1",
                        position=str(number),
                        event_name="CreateUser",
                        event_source="iam.amazonaws.com",
                    )
                    for number, time in enumerate(times)
                ],
                provenance=Provenance(how="file", collector="test", run="run", software="test"),
                now=self.clock.now(),
            )

    def folder(self, made: Made) -> dict[str, Any]:
        """The newest evidence folder of the assessment."""
        found = self.ask("get_evidence_folders_by_assessment", assessmentId=made.id)
        newest: dict[str, Any] = found["evidenceFolders"][0]
        return newest

    def item(self, made: Made, folder: Mapping[str, Any]) -> dict[str, Any]:
        """The newest evidence of a folder."""
        found = self.ask(
            "get_evidence_by_evidence_folder",
            assessmentId=made.id,
            controlSetId=folder["controlSetId"],
            evidenceFolderId=folder["id"],
        )
        newest: dict[str, Any] = found["evidence"][0]
        return newest

    def finish_report(self, report_id: str, status: Any = "COMPLETE") -> None:
        """What the worker would have made of a report, without making it."""
        with self.db.write(Tenant(HOME, "us-east-1")) as tx:
            report = reports.find(tx, report_id)
            assert report is not None
            reports.save(tx, msgspec.structs.replace(report, status=status, reason="Broken."))

    def changes(self, made: Made, **members: Any) -> list[tuple[str, str, str]]:
        """Object type, object name and action of each line of the change log, oldest first."""
        found = self.ask("get_change_logs", assessmentId=made.id, **members)["changeLogs"]
        return [(c["objectType"], c["objectName"], c["action"]) for c in reversed(found)]


@dataclass(frozen=True)
class Refusal:
    """One row of a table of refusals: what is asked, and the documented answer."""

    rule: str
    act: Callable[[World], Any]
    error: tuple[str, int]
    text: str = ""

    def holds(self, world: World) -> None:
        seen = world.refusal(self.act)
        assert (seen["Code"], seen["status"]) == self.error, seen
        assert re.search(self.text, seen["Message"]), seen
        if self.error == NOT_FOUND:
            assert seen["resourceId"]
            assert seen["resourceType"]


def table(rows: Sequence[Refusal]) -> Any:
    """The rows as a parametrization, each named by its rule."""
    assert len({r.rule for r in rows}) == len(rows)
    return pytest.mark.parametrize("row", rows, ids=[r.rule for r in rows])


def forged(token: str) -> str:
    """The token with its last byte changed."""
    raw = bytearray(base64.b64decode(token))
    raw[-1] ^= 1
    return base64.b64encode(bytes(raw)).decode()
