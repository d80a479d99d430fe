"""`auditkeep collect …` over a deployment, and a server that collects from a simulated cloud."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import ACCOUNT, Run
from tests.operations.in_process import Api
from tests.simulator.cloud import Simulator
from tests.simulator.estate import Estate

from auditkeep import app
from auditkeep.clock import MINUTE, Instant, SystemClock, iso
from auditkeep.collection import backfills, policy, regions, trails
from auditkeep.collection.targets import Place
from auditkeep.db.schema import rollups
from auditkeep.evidence import lens
from auditkeep.evidence.lens import Reach
from auditkeep.frameworks import keys
from auditkeep.ids import GLOBAL_REGION, Tenant
from auditkeep.settings import load

TENANT = Tenant(ACCOUNT, "us-east-1")
A = "a0000000-0000-4000-8000-000000000000"


@pytest.fixture
def looked_at(data: Path) -> Path:
    """A control has looked at users, VPCs and events since long ago."""
    with app.opened(load(data), SystemClock()) as parts, parts.db.write(TENANT) as tx:
        reach = Reach(frozenset({ACCOUNT}), frozenset({"us-east-1", GLOBAL_REGION}))
        keys = {"api:iam_ListUsers", "api:ec2_DescribeVpcs"}
        opened = Instant(parts.clock.now() // 86_400_000_000 * 86_400_000_000)
        lens.open_for_control(tx, A, 1, keys, reach, opened)
    return data


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(Estate(), at=SystemClock().now(), page_size=2) as made:
        key = made.key(ACCOUNT)
        for name in ("ada", "bob", "eve"):
            made.estate.put(ACCOUNT, GLOBAL_REGION, "iam:ListUsers", name)
        made.estate.put(ACCOUNT, "us-east-1", "ec2:DescribeVpcs", "vpc-1")
        for name, value in {
            "AWS_ACCESS_KEY_ID": key.id,
            "AWS_SECRET_ACCESS_KEY": key.secret,
            "AWS_ENDPOINT_URL": made.url,
            "AWS_CONFIG_FILE": str(tmp_path / "none"),
            "AUDITKEEP_COLLECT": "aws",
            "AUDITKEEP_COLLECT_ROLE": "",
            "AUDITKEEP_COLLECT_RATE": "1000",
        }.items():
            monkeypatch.setenv(name, value)
        yield made


def words(data: Path) -> list[str]:
    return ["--data", str(data), "--account", ACCOUNT]


def told(run: Run, data: Path, *command: str) -> Any:
    code, out, error = run("collect", *command, *words(data), "--json")
    assert code == 0, error
    return json.loads(out)


def test_the_plan_names_what_it_leaves_out(run: Run, data: Path) -> None:
    said = Instant(SystemClock().now() - 90 * MINUTE)
    with app.opened(load(data), SystemClock()) as parts, parts.db.write(TENANT) as tx:
        places = Reach(frozenset({ACCOUNT}), frozenset({"us-east-1", "af-south-1"}))
        lens.open_for_control(tx, A, 1, {"config:X"}, places, said)
        known = regions.became(None, frozenset({"us-east-1"}), said)
        regions.save(tx, ACCOUNT, known, changed=True)
    plan = told(run, data, "plan")
    assert plan["questions"] == 1
    (left_out,) = plan["leftOut"]
    assert (left_out["region"], left_out["reason"], left_out["accounts"]) == (
        "af-south-1", "region-off", 1,
    )  # fmt: skip
    assert (left_out["for"], left_out["questions"], left_out["said"]) == ([ACCOUNT], 1, iso(said))
    _, out, _ = run("collect", "plan", *words(data))
    assert f"left out     af-south-1: region-off for {ACCOUNT}, as said at {iso(said)[:16]}Z" in out


def test_the_plan_says_what_is_asked_and_why(run: Run, looked_at: Path) -> None:
    plan = told(run, looked_at, "plan")
    assert not plan["asks"]
    assert plan["questions"] == 2
    assert [(r["what"], r["regions"], r["often"]) for r in plan["plan"]] == [
        ("ec2_DescribeVpcs", ["us-east-1"], "DAILY"),
        ("iam_ListUsers", [GLOBAL_REGION], "DAILY"),
    ]
    code, out, _ = run("collect", "plan", *words(looked_at))
    assert code == 0
    assert "Nobody asks" in out


def test_nobody_is_asked_unless_that_is_set(run: Run, looked_at: Path) -> None:
    code, _, error = run("collect", "run", *words(looked_at))
    assert code == 1
    assert "AUDITKEEP_COLLECT=aws" in error


def test_a_baseline_and_an_account_s_own_ways_are_kept(run: Run, data: Path) -> None:
    with app.opened(load(data), SystemClock()) as parts:
        framework = next(f for f in parts.deps.library.frameworks.values() if "Sample" in f.name)
    assert told(run, data, "plan")["questions"] == 0
    told(run, data, "baseline", framework.id)
    assert told(run, data, "baseline")["frameworks"] == [framework.id]
    told(run, data, "account", ACCOUNT, "--regions", "us-east-1", "--role", "Mine")
    assert told(run, data, "account")["accounts"][0]["role"] == "Mine"
    assert told(run, data, "plan")["questions"] > 0
    code, _, error = run("collect", "account", "12", *words(data))
    assert code == 1
    assert "twelve digits" in error
    told(run, data, "baseline", "--none")
    assert told(run, data, "plan")["questions"] == 0


def test_the_policy_is_what_the_plan_needs(run: Run, looked_at: Path) -> None:
    code, out, _ = run("collect", "policy", *words(looked_at))
    assert code == 0
    (statement,) = json.loads(out)["Statement"]
    assert statement["Action"] == [
        "ec2:DescribeVpcs", "iam:GetAccountSummary", "iam:ListUsers",
    ]  # fmt: skip
    file = looked_at / "role.json"
    principal = f"arn:aws:iam::{ACCOUNT}:role/server"
    code, _, _ = run(
        "collect", "stackset", "--principal", principal, "--out", str(file), *words(looked_at)
    )
    assert code == 0
    assert "AWS::IAM::Role" in file.read_text()


@pytest.mark.server
def test_what_is_due_is_asked_of_aws_and_kept(run: Run, looked_at: Path, cloud: Simulator) -> None:
    done = told(run, looked_at, "run")
    assert done == {"jobs": 2, "runs": 2, "openGaps": 0}
    assert told(run, looked_at, "gaps")["gaps"] == []
    with app.opened(load(looked_at), SystemClock()) as parts:
        origins = parts.origins(TENANT)
    assert origins.accounts == (ACCOUNT,)
    asked = [f"{c.service}:{c.operation}" for c in cloud.history.calls()]
    assert asked.count("iam:ListUsers") == 2
    assert told(run, looked_at, "run")["runs"] == 0


def framework_of_rules(data: Path) -> tuple[str, frozenset[str]]:
    """A shipped framework that looks at Config rules: its id, and those rules' match keys."""
    with app.opened(load(data), SystemClock()) as parts:
        library = parts.deps.library
        framework = next(f for f in library.frameworks.values() if "800-53" in f.name)
        controls = [library.controls[c] for c in framework.control_ids()]
        found = (keys.match_keys_of(c, library.group) for c in controls)
        return framework.id, policy.rules_of(frozenset[str]().union(*found))


def look_at(data: Path, match_keys: frozenset[str]) -> None:
    with app.opened(load(data), SystemClock()) as parts, parts.db.write(TENANT) as tx:
        reach = Reach(frozenset({ACCOUNT}), frozenset({"us-east-1"}))
        lens.open_for_control(tx, A, 1, match_keys, reach, parts.clock.now())


def missing(run: Run, data: Path, framework: str) -> tuple[int, str, str]:
    words_of = ("collect", "conformance-pack", "--framework", framework, "--missing")
    return run(*words_of, *words(data))


@pytest.mark.server
def test_no_rule_is_missing_where_config_said_nothing(
    run: Run, data: Path, cloud: Simulator
) -> None:
    framework, wanted = framework_of_rules(data)
    code, out, error = missing(run, data, framework)
    assert (code, out) == (1, "")
    assert "not known" in error
    assert "nobody looks" in error

    look_at(data, wanted)
    code, out, error = missing(run, data, framework)
    assert (code, out) == (1, "")
    assert f"{ACCOUNT} us-east-1 (It has not been asked yet.)" in error

    cloud.estate.recorder(ACCOUNT, "us-east-1", Instant(1), on=False)
    run("collect", "run", *words(data))
    code, out, error = missing(run, data, framework)
    assert (code, out) == (1, "")
    assert "no recorder is on" in error


@pytest.mark.server
def test_rules_are_missing_that_config_named_as_not_there(
    run: Run, data: Path, cloud: Simulator
) -> None:
    framework, wanted = framework_of_rules(data)
    some = sorted(wanted)[:5]
    look_at(data, frozenset(some))
    identifiers = [key.removeprefix("config:") for key in some]
    cloud.estate.rule(ACCOUNT, "us-east-1", "renamed", identifier=identifiers[0])
    run("collect", "run", *words(data))
    code, out, error = missing(run, data, framework)
    assert code == 0
    made = [r["Properties"]["Source"] for r in json.loads(out)["Resources"].values()]
    assert [source["SourceIdentifier"] for source in made] == identifiers[1:]
    assert f"{len(wanted) - len(some)} of its rules were never asked for" in error


def test_packs_are_written_to_a_folder_if_one_is_not_enough(run: Run, data: Path) -> None:
    framework, wanted = framework_of_rules(data)
    command = ("collect", "conformance-pack", "--framework", framework, *words(data))
    code, out, error = run(*command)
    assert (code, out) == (1, "")
    assert "2 conformance packs" in error
    assert "--to" in error

    folder = data / "new" / "packs"
    code, out, error = run(*command, "--to", str(folder))
    assert code == 0
    files = sorted(folder.iterdir())
    stem = "nist-sp-800-53-rev-5-moderate-baseline"
    assert [f.name for f in files] == [f"{stem}-1-of-2.json", f"{stem}-2-of-2.json"]
    assert out == "".join(f"Written to {f}.\n" for f in files)
    made = [json.loads(f.read_text()) for f in files]
    assert sum(len(one["Resources"]) for one in made) == len(wanted)
    told = [f"{stem}-{n}-of-2 needs a value of {name}:" for n, one in enumerate(made, 1)
            for name in policy.to_fill_in(one)]  # fmt: skip
    assert len(told) == 12
    lines = error.splitlines()
    assert all(line.startswith(start) for line, start in zip(lines, told, strict=True))
    code, _, error = run(*command, "--to", str(files[0]))
    assert code == 1
    assert "cannot be made" in error


@pytest.mark.server
def test_what_is_done_to_config_itself_is_had_from_cloudtrail_and_is_no_missing_rule(
    run: Run, data: Path, cloud: Simulator
) -> None:
    opened = Instant(SystemClock().now() - MINUTE)
    with app.opened(load(data), SystemClock()) as parts, parts.db.write(TENANT) as tx:
        reach = Reach(frozenset({ACCOUNT}), frozenset({"us-east-1"}))
        lens.open_for_control(tx, A, 1, {"config:StopConfigurationRecorder"}, reach, opened)
        assert trails.looked_at_since(tx) == opened, "a trail is read for it"
    happened = Instant(opened + MINUTE // 2)
    cloud.estate.event(ACCOUNT, "us-east-1", "config", "StopConfigurationRecorder", happened)
    assert told(run, data, "run") == {"jobs": 1, "runs": 1, "openGaps": 0}
    with app.opened(load(data), SystemClock()) as parts, parts.db.read(TENANT) as tx:
        kept = {row.match_key for row in tx.all(tx.select(rollups.c.match_key))}
    assert "config:StopConfigurationRecorder" in kept


@pytest.fixture
def assessed(data: Path) -> tuple[str, str]:
    """An assessment of one control, and the id of its framework, which is a custom one."""
    keyword = {"keywordInputType": "SELECT_FROM_LIST", "keywordValue": "ec2_DescribeVpcs"}
    source = {"sourceName": "VPCs", "sourceType": "AWS_API_Call", "sourceKeyword": keyword}
    with app.opened(load(data), SystemClock()) as parts:
        api = Api(parts.db, parts.deps, parts.clock)
        client = api.client()
        control = api.call(client.create_control, name="Networks", controlMappingSources=[source])[
            "control"
        ]["id"]
        framework = api.call(
            client.create_assessment_framework, name="Ours",
            controlSets=[{"name": "Access", "controls": [{"id": control}]}],
        )["framework"]["id"]  # fmt: skip
        answer = api.call(
            client.create_assessment, name="First", roles=[], frameworkId=framework,
            assessmentReportsDestination={"destinationType": "S3", "destination": "s3://reports/x"},
            scope={"awsAccounts": [{"id": ACCOUNT}]},
        )  # fmt: skip
    return str(answer["assessment"]["metadata"]["id"]), str(framework)


def test_the_plan_calls_those_who_look_by_their_names(
    run: Run, data: Path, assessed: tuple[str, str]
) -> None:
    told(run, data, "baseline", assessed[1])
    (row,) = told(run, data, "plan")["plan"]
    assert row["why"] == [
        "assessment 'First', control Networks",
        "baseline 'Ours', control Networks",
    ]


def test_the_status_tells_of_the_baseline_s_controls_too(
    run: Run, data: Path, assessed: tuple[str, str]
) -> None:
    assessment, framework = assessed
    told(run, data, "baseline", framework, "--of", "444455556666")
    rows = told(run, data, "status")["controls"]
    assert [(r.get("assessment"), r.get("baseline"), r["control"]) for r in rows] == [
        ("First", None, "Networks"), (None, "Ours", "Networks"),
    ]  # fmt: skip
    assert rows[1]["frameworkId"] == framework
    assert rows[1]["lacks"][0]["for"] == ["444455556666 us-east-1"]
    _, out, _ = run("collect", "status", *words(data))
    assert "baseline Ours: Networks" in out
    one = told(run, data, "status", "--assessment", assessment)["controls"]
    assert [r["assessmentId"] for r in one] == [assessment]


def test_a_backfill_says_what_it_began_and_how_far_it_is(
    run: Run, data: Path, assessed: tuple[str, str]
) -> None:
    assessment, _ = assessed
    command = ("backfill", assessment, *words(data))
    code, out, error = run(*command, "--from", "2026-01-01", "--json")
    assert code == 0, error
    assert json.loads(out) == {
        "assessment": assessment, "from": "2026-01-01T00:00:00.000000Z", "controls": 1, "fetches": 0,
    }  # fmt: skip
    assert json.loads(run(*command, "--json")[1]) == {"fetches": [], "notKept": []}

    place, times = Place(ACCOUNT, "us-east-1", "AWS_Cloudtrail"), (Instant(0), Instant(MINUTE))
    with app.opened(load(data), SystemClock()) as parts, parts.db.write(TENANT) as tx:
        failed = backfills.Fetch(
            "f", assessment, place, *times, "FAILED", None, 3, "Denied.", Instant(0)
        )
        backfills.save(tx, [failed])
    code, out, _ = run(*command)
    assert code == 1
    assert "FAILED 111122223333 us-east-1 cloudtrail" in out
    assert "3 Denied." in out
    code, _, error = run("backfill", A, *words(data))
    assert code == 1
    assert A in error
