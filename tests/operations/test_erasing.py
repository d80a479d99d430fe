"""DeregisterAccount with the policy ALL: nothing of a tenant is left, and a certificate says so."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BigInteger, Boolean, LargeBinary, Table
from tests.databases import BOTH, url_of
from tests.operations.world import DENIED, HOME, MEMBER, OTHER, VALIDATION, World

from auditkeep.accounts import erasure
from auditkeep.activity.batcher import Batcher
from auditkeep.clock import DAY, MINUTE, Instant, iso
from auditkeep.db import clearing, schema
from auditkeep.errors import KeyUnusable, StorageError
from auditkeep.ids import Tenant, new_id
from auditkeep.lake.append import Unit, append
from auditkeep.lake.audit.run import audit
from auditkeep.lake.blobs import get_blob, object_name, put_blob, stored_name
from auditkeep.lake.seal import seal
from auditkeep.lake.sequencer import Sequencer
from auditkeep.lake.sweep import clear_away as swept
from auditkeep.observations import Provenance
from auditkeep.verify.certificate import Certificate, verify_certificate
from auditkeep.work.jobs import DatabaseJobs
from auditkeep.work.pump import Pump
from auditkeep.workflows import erase as erase_module
from auditkeep.workflows.erase import erase_handler

REGION = "us-east-1"
ALL = {"deleteResources": "ALL"}
DUMMY, NUMBER = "a dummy", 987_654_321_012

ACCOUNT_WIDE = {
    "access_keys": "who may sign in, as IAM would keep it; no tenant's",
    "policies": "the same",
    "roles": "the same",
    "sessions": "the same, for hours",
    "organisation_members": "what AWS Organizations says of the deployment's organisation",
    "jobs": "deleted too, but for the job that erases",
}
"""Tables with an account and no region, or that are not a tenant's: looked at one by one."""


@pytest.fixture(params=BOTH)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "data", url_of(request))
    with made.db.system_write() as tx:
        tx.insert(schema.meta, {"key": "region", "value": REGION})  # it has a home from now on
    yield made
    made.close()


class Erasing:
    """A world whose erasures are carried out when the test says so."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.forgotten = 0
        self.jobs = DatabaseJobs(world.db)

    def forget(self) -> None:
        self.forgotten += 1
        self.world.deps.caches.clear()

    def run(self) -> int:
        handler = erase_handler(self.world.deps, self.world.clock, self.forget)
        return Pump(self.jobs, {erasure.JOB: handler}, self.world.clock).drain()

    def newest(self, tenant: Tenant) -> erasure.Erasure:
        with self.world.db.read(tenant) as tx:
            found = erasure.newest(tx)
        assert found is not None
        return found

    def certificate(self, tenant: Tenant) -> bytes:
        found = self.newest(tenant)
        with self.world.db.read(tenant) as tx:
            return b"".join(get_blob(tx, self.world.deps.lake, found.certificate))


@pytest.fixture
def erasing(world: World) -> Erasing:
    return Erasing(world)


def furnish(world: World, account: str, client: Any) -> dict[str, Any]:
    """Something of every kind: an assessment with evidence, files, a report, people, settings."""
    control = world.ask(
        "create_control", client=client, name="own", tags={"k": "v"},
        controlMappingSources=[{"sourceName": "s", "sourceType": "AWS_Cloudtrail",
                                "sourceSetUpOption": "System_Controls_Mapping",
                                "sourceKeyword": {"keywordInputType": "SELECT_FROM_LIST",
                                                  "keywordValue": "iam_CreateUser"}}],
    )["control"]["id"]  # fmt: skip
    framework = world.ask(
        "create_assessment_framework", client=client, name="f",
        controlSets=[{"name": "s", "controls": [{"id": control}]}],
    )["framework"]["id"]  # fmt: skip
    scope = {"awsAccounts": [{"id": account}]}
    made = world.assessment(client=client, frameworkId=framework, scope=scope)
    world.write_evidence(made, client=client)
    world.ask("get_evidence_file_upload_url", client=client, fileName="policy.pdf")
    tenant = Tenant(account, REGION)
    with world.db.write(tenant) as tx:
        lake, now = world.deps.lake, world.clock.now()
        for klass, name in (
            ("reports", "reports/audit/Payroll-1234/q1.zip"),
            ("stock", "stock/bucket/policy.pdf"),
            ("uploads", "uploads/unused"),
        ):
            put_blob(tx, lake, klass, name, b"a file of the customer's", now)
    while seal(world.deps.lake, tenant, now=world.clock.now(), min_rows=1):
        pass
    world.write_evidence(made, "and once more", client=client)
    return {"framework": framework, "control": control, "assessment": made.id}


def deregister(world: World, client: Any = None) -> Any:
    world.ask("update_settings", client=client, deregistrationPolicy=ALL)
    return world.ask("deregister_account", client=client)


def dummy(table: Table, tenant: Tenant) -> dict[str, Any]:
    """A row of any table, filled in by its types."""
    row: dict[str, Any] = {}
    for column in table.columns:
        if column.name in {"account", "region"}:
            row[column.name] = getattr(tenant, column.name)
        elif isinstance(column.type, Boolean):
            row[column.name] = False
        elif isinstance(column.type, BigInteger):
            row[column.name] = NUMBER
        elif isinstance(column.type, LargeBinary):
            row[column.name] = b"x" * (column.type.length or 8)
        else:
            row[column.name] = DUMMY
    return row


def rows_of(world: World, tenant: Tenant) -> dict[str, list[str]]:
    """Every row that names the tenant as its owner, by table."""
    found: dict[str, list[str]] = {}
    with world.db.system_read() as tx:
        for table in schema.metadata.sorted_tables:
            if "account" not in table.c:
                continue
            query = tx.select(table).where(table.c.account == tenant.account)
            if "region" in table.c:
                query = query.where(table.c.region == tenant.region)
            if rows := sorted(repr(tuple(row)) for row in tx.all(query)):
                found[table.name] = rows
    return found


def files_of(world: World, tenant: Tenant) -> set[str]:
    folder = world.deps.lake.data
    owner = f"{tenant.account}/{tenant.region}"
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*") if f"/{owner}/" in f"{path}/"
    }


# --- everything --------------------------------------------------------------------------------


def test_nothing_of_a_tenant_is_left_and_nothing_of_another_is_touched(
    world: World, erasing: Erasing
) -> None:
    other = Tenant(OTHER, REGION)
    client = world.account(OTHER)
    furnish(world, HOME, world.client)
    furnish(world, OTHER, client)
    home = rows_of(world, Tenant(HOME, REGION)), files_of(world, Tenant(HOME, REGION))
    assert deregister(world, client)["status"] == "INACTIVE"
    with world.db.write(other) as tx:
        for table in clearing.tables():
            tx.insert(table, dummy(table, other))
    before = rows_of(world, other)
    assert {t.name for t in clearing.tables()} <= set(before), "there is something of everything"
    assert erasing.run() == 1

    left = rows_of(world, other)
    aside = set(clearing.KEPT) | clearing.BY_BUCKET | clearing.BY_BATCH
    assert set(left) - aside <= set(ACCOUNT_WIDE), "wholly emptied"
    assert all("governance" in row for row in left["rollups"])
    for name in aside - {"quotas"}:
        assert not [row for row in left.get(name, []) if DUMMY in row or str(NUMBER) in row], name
    assert [row for row in left["jobs"] if "'erase'" not in row] == []
    with world.db.read(other) as tx:
        alive = tx.select(schema.buckets).where(schema.buckets.c.destroyed_at.is_(None))
        assert [row._mapping["class"] for row in tx.all(alive)] == ["governance"]
        gone = tx.all(tx.select(schema.buckets).where(schema.buckets.c.destroyed_at.is_not(None)))
        tenants = tx.first(tx.select(schema.tenants))
    assert not {row.id for row in gone} & set(world.deps.lake.keystore.bucket_ids())
    assert {row._mapping["class"].split("/")[0] for row in gone} >= {
        "activity", "manual", "reports", "stock", "uploads"
    }  # fmt: skip
    assert tenants is not None
    assert (tenants.status, tenants.settings, tenants.kms_key) == ("ERASED", None, "DEFAULT")
    with world.db.read(other) as tx:
        certificate = object_name(other, stored_name(tx, erasing.newest(other).certificate))
    objects = {n for n in world.deps.lake.objects.list("") if f"/{OTHER}/" in n}
    assert objects == {certificate}
    assert not [f for f in files_of(world, other) if "reports" in f or "Payroll" in f]
    now = rows_of(world, Tenant(HOME, REGION)), files_of(world, Tenant(HOME, REGION))
    for name, rows in home[0].items():
        assert set(rows) <= set(now[0][name]), name
    assert home[1] <= now[1]
    assert erasing.forgotten >= 2


def test_every_table_of_a_tenant_is_emptied_or_named_with_a_reason() -> None:
    named = {t.name for t in schema.metadata.sorted_tables if "account" in t.c}
    assert named - schema.TENANT_TABLES == set(ACCOUNT_WIDE)
    emptied = {t.name for t in clearing.tables()}
    assert emptied | set(clearing.KEPT) == schema.TENANT_TABLES
    assert emptied >= clearing.BY_BUCKET | clearing.BY_BATCH
    for table in clearing.tables():
        assert ("bucket_id" in table.c) == (table.name in clearing.BY_BUCKET), table.name
        assert ("batch_no" in table.c) == (table.name in clearing.BY_BATCH), table.name
    for table in schema.metadata.sorted_tables:
        if "account" not in table.c:
            names = [c.name for c in table.c if re.search("account|region|tenant|owner", c.name)]
            assert names == [], f"does something of a tenant lie in {table.name}?"


# --- on the wire -------------------------------------------------------------------------------


def test_meanwhile_the_account_is_inactive_and_cannot_register(
    world: World, erasing: Erasing
) -> None:
    deregister(world)
    assert world.ask("get_account_status")["status"] == "INACTIVE"
    assert world.ask("deregister_account")["status"] == "INACTIVE"
    seen = world.refused("register_account")
    assert (seen["Code"], seen["status"]) == VALIDATION
    found = erasing.newest(Tenant(HOME, REGION))
    assert found.deadline == found.asked_at + 10 * MINUTE
    assert (
        f"is still being destroyed (stage: keys; to be done by {iso(found.deadline)})"
        in (seen["Message"])
    )
    assert seen["reason"] == "other"
    for operation in ("get_settings", "list_assessments", "get_insights"):
        refused = world.refused(
            operation, **({"attribute": "ALL"} if "settings" in operation else {})
        )
        assert (refused["Code"], refused["status"]) == DENIED
    erasing.run()
    assert world.ask("get_account_status")["status"] == "INACTIVE"
    assert world.ask("deregister_account")["status"] == "INACTIVE"
    assert world.refused("get_settings", attribute="ALL")["Code"] == DENIED[0]


def test_who_registers_again_begins_from_nothing(world: World, erasing: Erasing) -> None:
    furnish(world, HOME, world.client)
    world.ask("update_settings", snsTopic="arn:aws:sns:us-east-1:111122223333:t")
    deregister(world)
    erasing.run()
    assert world.ask("register_account")["status"] == "ACTIVE"
    told = world.ask("get_settings", attribute="ALL")["settings"]
    assert "snsTopic" not in told or not told["snsTopic"]
    assert told["kmsKey"] == "DEFAULT"
    assert told["deregistrationPolicy"]["deleteResources"] == "DEFAULT"
    assert world.ask("list_assessments")["assessmentMetadata"] == []
    assert world.ask("list_controls", controlType="Custom")["controlMetadataList"] == []
    made = furnish(world, HOME, world.client)
    assert world.ask("get_evidence_folders_by_assessment", assessmentId=made["assessment"])[
        "evidenceFolders"
    ]
    deregister(world)
    erasing.run()
    assert verified(world, erasing.certificate(Tenant(HOME, REGION))).state == "valid"


def test_the_policy_default_keeps_everything(world: World, erasing: Erasing) -> None:
    made = furnish(world, HOME, world.client)
    kept = set(world.deps.lake.keystore.bucket_ids())
    world.ask("update_settings", deregistrationPolicy={"deleteResources": "DEFAULT"})
    assert world.ask("deregister_account")["status"] == "INACTIVE"
    assert erasing.run() == 0
    assert kept <= set(world.deps.lake.keystore.bucket_ids())
    world.ask("register_account")
    assert [a["id"] for a in world.ask("list_assessments")["assessmentMetadata"]] == [
        made["assessment"]
    ]


def test_the_managing_account_takes_its_administrators_data_with_it(
    world: World, erasing: Erasing
) -> None:
    client, stranger = world.account(OTHER), world.account(MEMBER)
    world.ask("register_organization_admin_account", adminAccountId=OTHER)
    furnish(world, OTHER, client)
    furnish(world, MEMBER, stranger)
    deregister(world)
    assert erasing.run() == 2
    for account in (HOME, OTHER):
        assert verified(world, erasing.certificate(Tenant(account, REGION))).state == "valid"
    assert world.ask("get_account_status", client=client)["status"] == "INACTIVE"
    assert len(world.ask("list_assessments", client=stranger)["assessmentMetadata"]) == 1


def test_the_policy_default_of_the_managing_account_leaves_its_administrators_data(
    world: World, erasing: Erasing
) -> None:
    client = world.account(OTHER)
    world.ask("register_organization_admin_account", adminAccountId=OTHER)
    furnish(world, OTHER, client)
    world.ask("deregister_account")
    assert erasing.run() == 0
    assert len(world.ask("list_assessments", client=client)["assessmentMetadata"]) == 1


def test_offers_of_frameworks_end_on_both_sides(world: World, erasing: Erasing) -> None:
    client = world.account(OTHER)
    mine = world.theirs
    theirs = furnish(world, OTHER, client)["framework"]
    for sender, framework, to in ((None, mine, OTHER), (client, theirs, HOME)):
        world.ask(
            "start_assessment_framework_share", client=sender, frameworkId=framework,
            destinationAccount=to, destinationRegion=REGION,
        )  # fmt: skip
    deregister(world)
    requests = {
        kind: world.ask("list_assessment_framework_share_requests", client=client, requestType=kind)
        ["assessmentFrameworkShareRequests"]
        for kind in ("RECEIVED", "SENT")
    }  # fmt: skip
    assert [r["status"] for r in requests["RECEIVED"]] == ["REVOKED"]
    assert [r["status"] for r in requests["SENT"]] == ["FAILED"]
    with world.db.read(Tenant(OTHER, REGION)) as tx:
        kept = tx.all(tx.select(schema.framework_shares.c.snapshot))
    assert [row.snapshot for row in kept] == [None, None], "what was offered is the sender's"
    erasing.run()
    again = world.ask("list_assessment_framework_share_requests", client=client, requestType="SENT")
    assert len(again["assessmentFrameworkShareRequests"]) == 1


# --- a large one -------------------------------------------------------------------------------


def test_a_large_tenant_goes_in_pieces_and_others_write_in_between(
    world: World, erasing: Erasing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase_module, "MOST_BATCHES", 1)
    monkeypatch.setattr(clearing, "SOME", 3)
    client, other = world.account(OTHER), Tenant(OTHER, REGION)
    furnish(world, OTHER, client)
    deregister(world, client)
    seen: list[tuple[str, int, int]] = []

    def reached(name: str) -> None:
        if name not in {"erase.some-keys-gone", "erase.some-rows-gone"}:
            return
        found = erasing.newest(other)
        seen.append((found.stage, found.gone.keys, found.gone.rows))
        if len(seen) % 10 == 1:
            world.control()  # of another account, while this one is being erased
            refused = world.refused("register_account", client=client)
            assert f"(stage: {found.stage};" in refused["Message"]

    monkeypatch.setattr(erase_module, "reach", reached)
    erasing.run()
    keys = [keys for stage, keys, _ in seen if stage == "keys"]
    rows = [rows for stage, _, rows in seen if stage == "rows"]
    assert len(keys) >= 3
    assert len(rows) >= 10
    assert keys == sorted(set(keys)), "more and more of it is gone"
    assert rows == sorted(set(rows))
    told = Certificate_of(erasing.certificate(other))
    assert len({key.destruction for key in told.keys}) == len(keys)
    assert told.keys[-1].klass == "fields", "until then its key opens what batches were"
    assert verified(world, erasing.certificate(other)).state == "valid"
    assert world.ask("register_account", client=client)["status"] == "ACTIVE"


# --- late comers -------------------------------------------------------------------------------


def test_nothing_more_is_kept_for_a_tenant_that_is_erased(world: World, erasing: Erasing) -> None:
    client = world.account(OTHER)
    other = Tenant(OTHER, REGION)
    deregister(world, client)
    for when in ("before", "after"):
        with world.db.write(other) as tx, pytest.raises(StorageError, match="until it registers"):
            append(
                tx, world.deps.lake, unit=Unit(new_id(), "t", "t"), klass="facts", observations=[],
                provenance=Provenance(how="file", collector="c", run="r", software="s"),
                now=world.clock.now(),
            )  # fmt: skip
        with world.db.write(other) as tx, pytest.raises(StorageError, match="until it registers"):
            put_blob(tx, world.deps.lake, "reports", f"reports/{when}", b"late", world.clock.now())
        erasing.run()


def test_what_came_in_between_is_destroyed_in_another_round(
    world: World, erasing: Erasing, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = world.account(OTHER)
    other = Tenant(OTHER, REGION)
    furnish(world, OTHER, client)
    deregister(world, client)
    late: list[int] = []

    def clear_away(lake: Any, tenant: Tenant) -> int:
        if not late:  # whoever had looked at the status before it changed
            late.append(1)
            with world.db.write(other) as tx:
                tx.run(tx.update(schema.tenants).values(status="ACTIVE"))
                put_blob(tx, lake, "reports", "reports/late", b"late", world.clock.now())
                tx.insert(schema.tags, {"arn": "a", "key": "k", "value": "v"})
                tx.run(tx.update(schema.tenants).values(status="ERASING"))
        return swept(lake, tenant)

    monkeypatch.setattr(erase_module, "clear_away", clear_away)
    erasing.run()
    assert "tags" not in rows_of(world, other)
    with world.db.read(other) as tx:
        alive = tx.select(schema.buckets).where(schema.buckets.c.destroyed_at.is_(None))
        assert [row._mapping["class"] for row in tx.all(alive)] == ["governance"]
    told = Certificate_of(erasing.certificate(other))
    assert len({key.destruction for key in told.keys}) == 2
    assert verified(world, erasing.certificate(other)).state == "valid"


def test_records_of_calls_before_go_and_those_after_are_the_deployments(
    world: World, erasing: Erasing
) -> None:
    client = world.account(OTHER)
    other = Tenant(OTHER, REGION)
    batcher = Batcher(world.deps.lake, world.deps.heard, world.clock)
    world.ask("get_settings", client=client, attribute="ALL")  # only heard yet
    deregister(world, client)
    world.ask("get_account_status", client=client)
    batcher.flush()
    erasing.run()
    world.ask("get_account_status", client=client)
    batcher.flush()
    assert "activity_pending" not in rows_of(world, other)
    with world.db.read(other) as tx:
        alive = tx.select(schema.buckets).where(schema.buckets.c.destroyed_at.is_(None))
        assert [row._mapping["class"] for row in tx.all(alive)] == ["governance"]
    from auditkeep.activity.reading import Wanted, records

    kept = [r for r in records(world.deps.lake, Wanted()) if r["recipientAccountId"] == OTHER]
    names = [r["eventName"] for r in kept]
    assert names.count("GetAccountStatus") == 2
    assert "DeregisterAccount" in names
    assert "GetSettings" not in names, "heard before, and destroyed with the rest"
    assert "UpdateSettings" not in names


# --- keys --------------------------------------------------------------------------------------


def test_no_key_is_left_in_the_database_its_log_or_a_backup_of_the_data(
    tmp_path: Path,
) -> None:
    """Keys lie in the key store alone: whoever has all else, of whatever age, reads nothing."""
    world = World(tmp_path / "data")
    erasing = Erasing(world)
    client = world.account(OTHER)
    furnish(world, OTHER, client)
    keystore, provider = world.deps.lake.keystore, world.deps.lake.provider
    with world.db.read(Tenant(OTHER, REGION)) as tx:
        ids = [row.id for row in tx.all(tx.select(schema.buckets.c.id))]
    wrapped = {i: keystore.get(i) for i in ids}
    secrets = [
        *wrapped.values(),
        *(
            provider.unwrap(w, {"account": OTHER, "region": REGION, "bucket": i})
            for i, w in wrapped.items()
        ),
    ]
    backup = tmp_path / "backup.db"
    with sqlite3.connect(tmp_path / "data" / "audit.db") as live, sqlite3.connect(backup) as copy:
        live.backup(copy)
    deregister(world, client)
    erasing.run()
    folder = tmp_path / "data"
    looked = [f for f in folder.rglob("*") if f.is_file()]
    assert {"audit.db", "audit.db-wal"} <= {f.name for f in looked}
    governance = {f for f in keystore.bucket_ids() if f in ids}
    for file in [*looked, backup]:
        content = file.read_bytes()
        for secret in secrets:
            assert secret not in content or file.name in governance, file
    for i in ids:
        if i not in governance:
            with pytest.raises(KeyUnusable, match="destroyed"):
                keystore.get(i)
    world.close()


# --- the certificate ---------------------------------------------------------------------------


def verified(world: World, content: bytes) -> Any:
    return verify_certificate(content, [world.deps.lake.signer.vkey])


def Certificate_of(content: bytes) -> Certificate:  # noqa: N802 - reads as the noun it gives
    import msgspec

    return msgspec.json.decode(content, type=Certificate)


@pytest.fixture
def certified(world: World, erasing: Erasing) -> tuple[World, bytes]:
    client = world.account(OTHER)
    furnish(world, OTHER, client)
    deregister(world, client)
    erasing.run()
    return world, erasing.certificate(Tenant(OTHER, REGION))


def test_a_certificate_says_what_was_destroyed_when_and_where_the_log_holds_it(
    certified: tuple[World, bytes], erasing: Erasing
) -> None:
    world, content = certified
    seen = verified(world, content)
    assert (seen.state, seen.problems, seen.doubts) == ("valid", (), ())
    told = json.loads(content)
    found = erasing.newest(Tenant(OTHER, REGION))
    assert found.destroyed_at is not None
    assert told["destroyedAt"] == iso(found.destroyed_at)
    out = iso(Instant(found.destroyed_at + 7 * DAY))
    assert told["outOfBackupsBy"] == out
    assert f"Destroyed live at {told['destroyedAt']}, out of backups by {out}" in told["statement"]
    assert told["asked"]["principal"] == f"arn:aws:iam::{OTHER}:user/root"
    assert told["asked"]["action"] == "DeregisterAccount"
    with world.db.read(Tenant(OTHER, REGION)) as tx:
        gone = tx.all(tx.select(schema.buckets).where(schema.buckets.c.destroyed_at.is_not(None)))
        entries = {
            bytes(row.entry).hex(): row.log_index
            for row in tx.system().all(tx.system().select(schema.log_entries))
        }
    assert {key["id"] for key in told["keys"]} == {row.id for row in gone}
    kinds = [entry["kind"] for entry in told["log"]["entries"]]
    assert kinds == ["authority", "destruction"]
    import hashlib

    for line in told["log"]["batches"]:
        opened = hashlib.sha256(
            b"auditkeep/batch/1" + bytes.fromhex(line["salt"]) + line["record"].encode()
        ).hexdigest()
        assert entries[opened] == line["index"]
    assert told["destroyed"]["files"] == 3
    assert told["destroyed"]["observations"] >= 2


def test_an_audit_of_the_log_is_sound_after_an_erasure(certified: tuple[World, bytes]) -> None:
    world, _ = certified
    lake = world.deps.lake
    with Sequencer(lake) as sequencer:
        sequencer.step()
    seen = audit(lake, now=world.clock.now())
    assert seen.problems == ()
    assert seen.counts.destroyed == 2


def test_without_the_logs_key_a_certificate_tells_nothing(certified: tuple[World, bytes]) -> None:
    _, content = certified
    seen = verify_certificate(content, [])
    assert seen.state == "cannot-tell"
    assert "No key of the log auditkeep.test/log is pinned" in seen.doubts[0]


Change = Callable[[dict[str, Any]], None]


def _set(*path: Any, to: Any) -> Change:
    def change(told: dict[str, Any]) -> None:
        at: Any = told
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = to

    return change


def _drop_key(told: dict[str, Any]) -> None:
    told["keys"].pop()


def _add_key(told: dict[str, Any]) -> None:
    told["keys"].append(dict(told["keys"][0], id=new_id()))


def _drop_destruction(told: dict[str, Any]) -> None:
    told["log"]["entries"].pop()


CHANGES: Mapping[str, tuple[Change, str]] = {
    "another account": (_set("account", to=HOME), "another account or region"),
    "a key less": (_drop_key, "keys it names are not those"),
    "a key more": (_add_key, "keys it names are not those"),
    "an earlier day": (
        _set("destroyedAt", to="2020-01-01T00:00:00.000000Z"),
        "before it was begun",
    ),
    "a longer reach": (_set("keyBackupDays", to=0), "out of backups does not follow"),
    "another sentence": (_set("statement", to="All is gone."), "statement is not what"),
    "another asker": (_set("asked", "principal", to="arn:aws:iam::1:user/x"), "Who asked for it"),
    "another record": (_set("log", "entries", 1, "raw", to="{}"), "are not those that were logged"),
    "another place": (_set("log", "entries", 1, "index", to=0), "is not proven to be there"),
    "no destruction": (_drop_destruction, "keys it names are not those"),
    "another checkpoint": (_set("log", "size", to=1), "another size or root"),
    "fewer counted": (_set("destroyed", "keys", to=0), "counts another number"),
}


def test_a_certificate_that_says_anything_else_is_named(certified: tuple[World, bytes]) -> None:
    """Also where it is signed anew: a certificate says nothing that the log does not hold."""
    world, content = certified
    import msgspec

    for name, (change, sentence) in CHANGES.items():
        told = json.loads(content)
        change(told)
        changed = msgspec.json.decode(msgspec.json.encode(told), type=Certificate)
        seen = verified(world, changed.file_bytes())
        assert seen.state == "invalid", name
        assert any("certificate was changed" in p for p in seen.problems), name
        signed = verified(world, changed.signed(world.deps.lake.signer).file_bytes())
        assert signed.state == "invalid", name
        assert any(sentence in p for p in signed.problems), (name, signed.problems)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{}", "does not read as a certificate"),
        (b"{\xff", "does not read as a certificate"),
        (b"", "does not read as a certificate"),
    ],
)
def test_what_is_no_certificate_is_said_to_be_none(content: bytes, sentence: str) -> None:
    seen = verify_certificate(content, [])
    assert seen.state == "invalid"
    assert sentence in seen.problems[0]


def test_a_certificate_that_was_formatted_anew_is_not_the_one_that_was_made(
    certified: tuple[World, bytes],
) -> None:
    world, content = certified
    seen = verified(world, json.dumps(json.loads(content), indent=1).encode())
    assert seen.state == "invalid"
    assert "not the canonical JSON" in seen.problems[0]


def test_the_guides_commands_check_a_certificate_by_hand(
    certified: tuple[World, bytes], tmp_path: Path
) -> None:
    guide = (Path(__file__).parents[2] / "docs/verification.md").read_text()
    _, section = guide.split("## A certificate of destruction")
    (commands,) = re.findall(r"```bash\n(.*?)```", section.split("\n## ")[0], re.DOTALL)
    world, content = certified
    for changed in (False, True):
        told = content.replace(b'"keyBackupDays":7', b'"keyBackupDays":0') if changed else content
        (tmp_path / "certificate.json").write_bytes(told)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "KEY": world.deps.lake.signer.vkey},
            capture_output=True,
            text=True,
            check=True,
        )
        ours, signed, verdict = done.stdout.splitlines()
        assert (ours.split()[0] == signed) != changed
        assert verdict == "Signature Verified Successfully"
