"""`auditkeep quotas list|set|reset`."""

import re
from pathlib import Path

import pytest
from tests.cli.conftest import ACCOUNT, Run
from tests.cli.test_command_line import _json


def listed(run: Run, data: Path, account: str = ACCOUNT) -> dict[str, tuple[object, str, object]]:
    found = _json(run("quotas", "list", "--data", str(data), "--account", account, "--json"))
    return {q["name"]: (q["limit"], q["setBy"], q["used"]) for q in found["quotas"]}


def test_a_quota_is_set_for_one_tenant_and_reset(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITKEEP_QUOTAS", '{"custom-frameworks": 30}')
    where = ("--data", str(data), "--account", ACCOUNT)
    assert run("quotas", "set", "custom-controls", "2000", *where)[0] == 0
    found = listed(run, data)
    assert found["custom-controls"] == (2000, "tenant", 0)
    assert found["custom-frameworks"] == (30, "deployment", 0)
    assert found["active-assessments"] == (100, "default", 0)
    assert found["manual-file-bytes"] == (104_857_600, "default", None)
    assert found["api-rate"] == (None, "default", None)
    assert listed(run, data, "444455556666")["custom-controls"] == (500, "default", 0)
    _, words, _ = run("quotas", "list", *where)
    assert re.search(r"^custom-controls +0 of 2,000  tenant ", words, re.MULTILINE)
    assert run("quotas", "reset", "custom-controls", *where)[0] == 0
    assert listed(run, data)["custom-controls"] == (500, "default", 0)


def test_the_rate_is_the_deployments_unless_the_tenant_has_its_own(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITKEEP_THROTTLE_RATE", "20")
    assert listed(run, data)["api-rate"] == (20.0, "deployment", None)
    where = ("--data", str(data), "--account", ACCOUNT)
    assert run("quotas", "set", "api-rate", "5", *where)[0] == 0
    assert listed(run, data)["api-rate"] == (5, "tenant", None)


def test_what_is_no_quota_is_named(run: Run, data: Path) -> None:
    where = ("--data", str(data), "--account", ACCOUNT)
    code, _, errors = run("quotas", "set", "wishes", "3", *where)
    assert code == 1
    assert "There is no quota 'wishes'. There are: active-assessments," in errors
    assert run("quotas", "set", "tags", "51", *where)[0] == 1
