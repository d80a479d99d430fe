"""Rules as accounts told them last are remembered, and judgements wait until one was asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.lake.making import register

from auditkeep.clock import FixedClock, Instant
from auditkeep.collection import definitions, pushed
from auditkeep.collection.definitions import Known
from auditkeep.db.database import Database
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake
from auditkeep.mapping.interest import Interest
from auditkeep.sources.rules import Rule, Source
from auditkeep.workflows.ingest import ingest

pytestmark = pytest.mark.both_databases

ONE, HERE = "111122223333", "us-east-1"
NOW = Instant(1_770_000_000_000_000)
MANAGED = Source("AWS", "S3_BUCKET_VERSIONING_ENABLED")


def rule(name: str, number: int, source: Source = MANAGED, account: str = ONE) -> Rule:
    return Rule(name, f"arn:aws:config:{HERE}:{account}:config-rule/config-rule-{number}", source)


def test_a_rule_is_known_by_place_and_name_and_never_as_another_of_that_name(
    db: Database, tenant: Tenant
) -> None:
    with db.write(tenant) as tx:
        definitions.remember(tx, ONE, HERE, [rule("ours", 1), rule("gone", 2)], NOW)
        definitions.remember(tx, ONE, HERE, [rule("ours", 1)], Instant(NOW + 1))
    with db.read(tenant) as tx:
        known = Known(tx)
        assert known.find("ours", "", ONE, HERE) == rule("ours", 1)
        assert known.find("ours", rule("ours", 1).arn, ONE, HERE) == rule("ours", 1)
        assert known.find("ours", rule("ours", 7).arn, ONE, HERE) is None
        assert known.find("ours", "", "444455556666", HERE) is None
        assert known.find("gone", "", ONE, HERE) is None
        assert not known.awaited(ONE, HERE)
        assert definitions.version(tx) == (1, NOW + 1)


def test_what_is_brought_is_remembered_beside_what_was_told(db: Database, tenant: Tenant) -> None:
    with db.write(tenant) as tx:
        definitions.remember(tx, ONE, HERE, [rule("ours", 1)], NOW)
        elsewhere = rule("theirs", 3, account="444455556666")
        definitions.add(tx, [rule("more", 2), elsewhere, Rule("no-arn", "", MANAGED)], NOW)
        assert [r.name for r in definitions.known(tx, ONE, HERE)] == ["more", "ours"]
        assert definitions.known(tx, "444455556666", HERE) == [elsewhere]


def test_what_waits_is_listed_by_place_and_waits_once(db: Database, tenant: Tenant) -> None:
    with db.write(tenant) as tx:
        for record in (b'{"a":1}', b'{"b":1}', b'{"a":1}'):
            pushed.park(tx, (ONE, HERE), record, "arn:of-somebody", "events", NOW)
        pushed.park(tx, (ONE, "eu-west-1"), b"{}", "arn:of-somebody", "events", NOW)
        some = pushed.listed(tx, ONE, HERE)
        assert sorted(one.record for one in some) == [b'{"a":1}', b'{"b":1}']
        pushed.drop(tx, some[:1])
        assert pushed.still(tx, some) == {some[1].id}


def test_files_are_read_with_what_is_remembered(
    db: Database, lake: Lake, tenant: Tenant, tmp_path: Path
) -> None:
    register(db, tenant)
    named = {"ConfigRuleName": "ours", "ResourceType": "AWS::S3::Bucket", "ResourceId": "b"}
    result = {
        "EvaluationResultIdentifier": {"EvaluationResultQualifier": named},
        "ComplianceType": "COMPLIANT",
        "ResultRecordedTime": 1_769_000_000,
        "AccountId": ONE,
        "AwsRegion": HERE,
    }
    (tmp_path / "said.json").write_text(json.dumps({"EvaluationResults": [result]}))
    wanted = Interest.of([f"config:{MANAGED.identifier}"])
    clock = FixedClock(NOW)

    def read() -> tuple[int, int]:
        counts = ingest(
            lake, tenant, "config", [tmp_path / "said.json"], wanted, principal="a", clock=clock
        )
        return counts.observations, counts.unmatched

    assert read() == (0, 1)
    with db.write(tenant) as tx:
        definitions.remember(tx, ONE, HERE, [rule("ours", 1)], NOW)
    assert read() == (1, 0), "it is read again, as more is known of it"
