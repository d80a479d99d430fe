"""Manual evidence out of S3: only from admitted buckets, whole or not at all, and never in a
transaction."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from tests.moto_server import running_moto
from tests.operations.in_process import Api

from auditkeep.clock import FixedClock
from auditkeep.db.database import Database
from auditkeep.operations.call import Deps
from auditkeep.sources.ambient import AmbientClients

pytestmark = [pytest.mark.server, pytest.mark.slow]

BUCKET = "our-evidence"
OTHER = "somebody-elses"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with running_moto() as url:
        yield url


class World:
    """A control that takes evidence, and buckets to take it from."""

    def __init__(self, db: Database, deps: Deps, clock: FixedClock, endpoint: str) -> None:
        settings = deps.settings.model_copy(update={"manual_s3_buckets": f"x-y-z, {BUCKET}"})
        clients = AmbientClients(endpoint=endpoint)
        self.api = Api(db, dataclasses.replace(deps, settings=settings, clients=clients), clock)
        self.s3 = boto3.client("s3", region_name="us-east-1", endpoint_url=endpoint)
        for name in (BUCKET, OTHER):
            self.s3.create_bucket(Bucket=name)
        client = self.client = self.api.client()
        call = self.api.call
        call(client.register_account)
        source = {"sourceType": "MANUAL", "sourceName": "m"}
        source["sourceSetUpOption"] = "Procedural_Controls_Mapping"
        control = call(client.create_control, name="Policy", controlMappingSources=[source])
        sets = [{"name": "set", "controls": [{"id": control["control"]["id"]}]}]
        framework = call(client.create_assessment_framework, name="F", controlSets=sets)
        made = call(
            client.create_assessment,
            name="A",
            frameworkId=framework["framework"]["id"],
            scope={"awsAccounts": [{"id": "111122223333"}]},
            roles=[],
            assessmentReportsDestination={"destinationType": "S3", "destination": "s3://audit"},
        )["assessment"]
        self.where = {
            "assessmentId": made["metadata"]["id"],
            "controlSetId": "set",
            "controlId": control["control"]["id"],
        }

    def put(self, key: str, body: bytes, bucket: str = BUCKET) -> str:
        self.s3.put_object(Bucket=bucket, Key=key, Body=body)
        return f"s3://{bucket}/{key}"

    def bring(self, *urls: str) -> list[tuple[str, str]]:
        items = [{"s3ResourcePath": url} for url in urls]
        told = self.api.call(
            self.client.batch_import_evidence_to_assessment_control,
            **self.where,
            manualEvidence=items,
        )
        return [(e["errorCode"], e["errorMessage"]) for e in told["errors"]]

    def kept(self) -> list[dict[str, Any]]:
        folders = self.api.call(
            self.client.get_evidence_folders_by_assessment_control, **self.where
        )["evidenceFolders"]
        where = {k: v for k, v in self.where.items() if k != "controlId"}
        return [
            one["attributes"]
            for folder in folders
            for one in self.api.call(
                self.client.get_evidence_by_evidence_folder,
                **where,
                evidenceFolderId=folder["id"],
            )["evidence"]
        ]


@pytest.fixture
def world(
    db: Database,
    deps: Deps,
    clock: FixedClock,
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return World(db, deps, clock, endpoint)


@pytest.mark.both_databases
def test_an_object_is_copied_and_says_where_it_was(world: World) -> None:
    url = world.put("2026/policy.txt", b"We lock the door.")
    assert world.bring(url) == []
    (kept,) = world.kept()
    assert (kept["form"], kept["path"], kept["size"]) == ("s3", url, "17")


def test_each_item_is_told_for_itself(world: World) -> None:
    good = world.put("a.txt", b"good")
    lying = world.put("b.pdf", b"no PDF")
    odd = world.put("c.exe", b"MZ")
    missing = f"s3://{BUCKET}/none.txt"
    errors = world.bring(good, lying, odd, missing)
    assert [code for code, _ in errors] == ["400", "400", "404"]
    assert [one["path"] for one in world.kept()] == [good]


def test_a_bucket_that_is_not_admitted_is_not_read(world: World) -> None:
    url = world.put("secret.txt", b"not for you", OTHER)
    assert [code for code, _ in world.bring(url)] == ["404"]
    assert world.kept() == []


def test_a_file_that_is_too_large_is_refused(world: World, db: Database, clock: FixedClock) -> None:
    deps = world.api.deps
    limits = deps.settings.model_copy(update={"quotas": {"manual-file-bytes": 1000}})
    world.api = Api(db, dataclasses.replace(deps, settings=limits), clock)
    world.client = world.api.client(world.api.key("other", "AWSAuditManagerAdministratorAccess"))
    errors = world.bring(world.put("large.txt", b"x" * 1001))
    assert [code for code, _ in errors] == ["400"]
    assert world.bring(world.put("small.txt", b"x" * 1000)) == []


def test_what_s3_refuses_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.s3.put_object(Bucket=BUCKET, Key="cold.txt", Body=b"x", StorageClass="GLACIER")
    ((code, words),) = world.bring(f"s3://{BUCKET}/cold.txt")
    assert code == "400"
    assert "archived" in words
