"""Which value of a quota counts: the tenant's, the deployment's, or AWS's."""

from pathlib import Path
from typing import get_args

import pytest

from auditkeep import settings as settings_room
from auditkeep.accounts import quotas
from auditkeep.accounts.quotas import QUOTAS
from auditkeep.db.database import Database
from auditkeep.errors import SetupError
from auditkeep.ids import Tenant
from auditkeep.settings import QuotaName, Settings

OTHER = Tenant("444455556666", "us-east-1")


def test_each_name_that_may_be_set_is_a_quota() -> None:
    assert get_args(QuotaName) == tuple(QUOTAS)


def test_the_defaults_are_awss() -> None:
    assert {name: q.default for name, q in QUOTAS.items()} == {
        "active-assessments": 100,
        "member-accounts": 250,
        "accounts-per-assessment": 200,
        "custom-controls": 500,
        "custom-frameworks": 100,
        "share-recipients": 100,
        "share-days": 120,
        "sources-per-control": 100,
        "core-controls": 50,
        "common-controls": 5,
        "manual-items-per-day": 100,
        "manual-file-bytes": 104_857_600,
        "report-items": 22_000,
        "tags": 50,
    }


@pytest.mark.both_databases
def test_the_narrower_word_counts(db: Database, tenant: Tenant, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, quotas={"custom-controls": 7})
    with db.write(tenant) as tx:
        assert quotas.limit(tx, settings, "custom-controls") == 7
        assert quotas.limit(tx, settings, "custom-frameworks") == 100
        quotas.save(tx, "custom-controls", 9)
        quotas.save(tx, "custom-controls", 8)
        assert quotas.limit(tx, settings, "custom-controls") == 8
        assert quotas.own(tx) == {"custom-controls": 8}
        assert quotas.limit(tx.system().of(OTHER), settings, "custom-controls") == 7
        quotas.reset(tx, "custom-controls")
        quotas.reset(tx, "custom-controls")
        assert quotas.limit(tx, settings, "custom-controls") == 7


def test_what_the_model_caps_can_only_be_lowered(
    db: Database, tenant: Tenant, tmp_path: Path
) -> None:
    settings = Settings(data=tmp_path, quotas={"tags": 80, "accounts-per-assessment": 10})
    with db.write(tenant) as tx:
        assert quotas.limit(tx, settings, "tags") == 50
        assert quotas.limit(tx, settings, "accounts-per-assessment") == 10
        with pytest.raises(SetupError, match="no more than 50 for tags"):
            quotas.save(tx, "tags", 51)
        quotas.save(tx, "tags", 20)
        assert quotas.limit(tx, settings, "tags") == 20


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("assessments", 5, "no quota 'assessments'"),
        ("custom-controls", -1, "cannot be -1"),
        ("api-rate", 0, "cannot be 0"),
    ],
)
def test_what_is_no_quota_is_refused(
    db: Database, tenant: Tenant, name: str, value: int, words: str
) -> None:
    with db.write(tenant) as tx:
        with pytest.raises(SetupError, match=words):
            quotas.save(tx, name, value)
        assert quotas.own(tx) == {}


def test_a_rate_is_a_tenants_own_or_none(db: Database, tenant: Tenant) -> None:
    with db.write(tenant) as tx:
        assert quotas.rate(tx) is None
        quotas.save(tx, "api-rate", 50)
        assert quotas.rate(tx) == 50


@pytest.mark.parametrize(
    "text", ['{"custom-control": 5}', '{"custom-controls": -5}', '{"tags": "many"}', "[5]"]
)
def test_a_deployments_quotas_are_checked_at_start(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITKEEP_QUOTAS", text)
    with pytest.raises(SetupError, match="AUDITKEEP_QUOTAS"):
        settings_room.load(tmp_path)


def test_a_deployments_quotas_are_read_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITKEEP_QUOTAS", '{"custom-controls": 2000, "tags": 20}')
    assert settings_room.load(tmp_path).quotas == {"custom-controls": 2000, "tags": 20}
