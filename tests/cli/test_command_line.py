"""The command line: what it prints, what it exits with, and that its pages describe it."""

import json
import stat
from pathlib import Path
from typing import Any

from tests.cli.conftest import ACCOUNT, Run
from tests.conftest import ROOT

from auditkeep.app import opened
from auditkeep.clock import Instant, SystemClock
from auditkeep.frameworks import store as frameworks
from auditkeep.frameworks.model import Control, Keyword, MappingSource
from auditkeep.ids import Tenant, new_id
from auditkeep.settings import load


def _json(answer: tuple[int, str, str]) -> Any:
    assert answer[0] == 0, answer
    return json.loads(answer[1])


def test_the_first_start_makes_owner_only_keys_and_shows_the_secret_once(
    run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    made = _json(run("init", "--data", str(folder), "--account", ACCOUNT, "--json"))
    assert made["arn"] == f"arn:aws:iam::{ACCOUNT}:user/admin"
    assert len(made["secretAccessKey"]) == 40
    for name in ("master.key", "log.key", "report.key"):
        assert stat.S_IMODE((folder / "keys" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    secret = made["secretAccessKey"].encode()
    assert not any(secret in p.read_bytes() for p in folder.rglob("*") if p.is_file())
    code, _, errors = run("init", "--data", str(folder), "--account", ACCOUNT)
    assert code == 1
    assert "set up already" in errors


def test_an_interrupted_first_start_is_simply_run_again(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "half"
    assert run("init", "--data", str(folder), "--account", "12")[0] == 1
    assert not folder.exists()
    (folder / "keys").mkdir(parents=True, mode=0o700)
    from auditkeep.crypto.providers.local import LocalKeyProvider

    LocalKeyProvider.create(folder / "keys" / "master.key")
    assert run("init", "--data", str(folder), "--account", ACCOUNT)[0] == 0


def test_keys_are_made_listed_and_disabled(run: Run, data: Path) -> None:
    made = _json(
        run("keys", "create", "--data", str(data), "--account", ACCOUNT, "--user", "expert",
            "--policy", "AuditkeepReadOnly", "--json")
    )  # fmt: skip
    assert made["arn"].endswith(":user/expert")
    run("keys", "disable", made["accessKeyId"], "--data", str(data))
    listed = _json(run("keys", "list", "--data", str(data), "--json"))["keys"]
    states = {k["user"]: k["state"].split()[0] for k in listed}
    assert states == {"admin": "active", "expert": "disabled"}
    assert made["secretAccessKey"] not in json.dumps(listed)
    code, _, errors = run("keys", "create", "--data", str(data), "--account", ACCOUNT, "--user",
                          "x", "--policy", "Nothing")  # fmt: skip
    assert code == 1
    assert "Nothing" in errors


def test_a_file_is_read_once_and_a_bad_record_is_named(
    run: Run, data: Path, tmp_path: Path
) -> None:
    event = {
        "eventID": "5f3c9d3e-2f62-4c0d-8f5f-0d5f6f1f0009",
        "eventTime": "2026-05-01T09:30:00Z",
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateUser",
        "awsRegion": "us-east-1",
        "recipientAccountId": ACCOUNT,
    }
    path = tmp_path / "trail.json"
    path.write_text(json.dumps({"Records": [event, {"eventName": 3}, event]}))
    words = ("ingest", "cloudtrail", str(path), "--data", str(data), "--account", ACCOUNT, "--json")
    first = _json(run(*words))
    assert (first["files"], first["records"], first["observations"]) == (1, 3, 1)
    assert first["duplicates"] == 1
    assert [(r["file"], r["position"]) for r in first["rejections"]] == [(str(path), "Records[1]")]
    again = _json(run(*words))
    assert (again["observations"], again["repeatedFiles"]) == (0, 1)
    assert "auditkeep.local/" in run("log", "checkpoint", "--data", str(data))[1]


def test_what_cannot_be_done_is_told_in_a_sentence(run: Run, data: Path, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    for words in (
        ("serve", "--data", nowhere),
        ("log", "key", "--data", nowhere),
        ("log", "checkpoint", "--data", str(data)),
        ("ingest", "cloudtrail", "--data", str(data), "--account", ACCOUNT),
        ("ingest", "cloudtrail", nowhere, "--data", str(data), "--account", ACCOUNT),
        ("ingest", "cloudtrail", nowhere, "--data", str(data), "--account", "999988887777"),
        ("backfill", "no", "--from", "yesterday", "--data", str(data), "--account", ACCOUNT),
        ("backfill", "no", "--from", "2026-01-01", "--data", str(data), "--account", ACCOUNT),
        ("keys", "disable", "AKIANOTTHERE", "--data", str(data)),
    ):
        code, output, errors = run(*words)
        assert code == 1, words
        assert errors.startswith("auditkeep: ") or "There is no such file" in output, words
        assert "Traceback" not in errors, words
    assert run("verify", nowhere)[0] == 2
    assert run("pin", "nonsense")[0] == 1


def test_a_checkpoint_that_is_no_text_is_refused_by_its_name(run: Run, data: Path) -> None:
    picture = data / "checkpoint.png"
    picture.write_bytes(b"\x89PNG")
    for words, expected in ((("verify", str(data)), 2), (("log", "audit", "--data", str(data)), 1)):
        code, _, errors = run(*words, "--checkpoint", str(picture))
        assert code == expected
        assert errors.startswith(f"auditkeep: {picture} cannot be read: ")


def test_a_newer_schema_is_refused_and_left_alone(run: Run, data: Path) -> None:
    import sqlite3

    with sqlite3.connect(data / "audit.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    before = (data / "audit.db").read_bytes()
    code, _, errors = run("keys", "list", "--data", str(data))
    assert code == 1
    assert "9999" in errors
    assert "newer" in errors
    assert (data / "audit.db").read_bytes() == before


def test_another_deployments_master_key_is_refused(run: Run, data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    run("init", "--data", str(other), "--account", ACCOUNT)
    (data / "keys" / "master.key").unlink()
    (other / "keys" / "master.key").rename(data / "keys" / "master.key")
    code, _, errors = run("keys", "list", "--data", str(data))
    assert code == 1
    assert "master key" in errors


def test_keys_that_others_may_read_are_refused(run: Run, data: Path) -> None:
    (data / "keys" / "master.key").chmod(0o644)
    code, _, errors = run("keys", "list", "--data", str(data))
    assert code == 1
    assert "chmod" in errors


def test_every_command_and_setting_has_its_page() -> None:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "check_docs.py")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_keywords_that_will_find_nothing_are_listed_with_what_was_meant(
    run: Run, data: Path
) -> None:
    where = ("--data", str(data), "--account", ACCOUNT, "--json")
    assert _json(run("warnings", *where)) == {"warnings": []}
    tenant = Tenant(ACCOUNT, "us-east-1")
    source = MappingSource(
        id=new_id(),
        type="AWS_Cloudtrail",
        set_up_option="System_Controls_Mapping",
        keyword=Keyword("iam_CreateUsr"),
    )
    control = Control(
        id=new_id(), name="c", type="Custom", sources=(source,),
        created_at=Instant(0), updated_at=Instant(0),
    )  # fmt: skip
    with opened(load(data), SystemClock()) as parts, parts.db.write(tenant) as tx:
        frameworks.save_control(tx, control)
    (told,) = _json(run("warnings", *where))["warnings"]
    assert (told["control"], told["sourceType"]) == ("c", "AWS_Cloudtrail")
    assert "iam_CreateUser" in told["didYouMean"]


def test_operations_are_listed(run: Run) -> None:
    listed = _json(run("operations", "--json"))
    known = listed["written"] + listed["notWritten"]
    assert len([name for name in known if name.startswith("auditmanager:")]) == 62
    assert "controlcatalog:ListDomains" in known


def test_a_file_is_put_in_a_bucket_once(run: Run, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "policy.txt"
    file.write_bytes(b"the policy")
    ask = ("stock", str(file), "s3://our-files/2026/policy.txt", "--data", str(data),
           "--account", ACCOUNT, "--json")  # fmt: skip
    assert _json(run(*ask))["bytes"] == 10
    code, _, errors = run(*ask)
    assert code == 1
    assert "policy.txt" in errors or "taken" in errors or "exists" in errors, errors
    code, _, errors = run("stock", str(tmp_path / "none"), "s3://a-b-c/d", "--data", str(data),
                          "--account", ACCOUNT)  # fmt: skip
    assert (code, "cannot be read" in errors) == (1, True)
