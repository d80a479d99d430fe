"""Words planted through every input, and looked for in every byte that a deployment leaves behind.

The requests are made from the service model: each string member of each operation that stores
something gets a word of its own, unless `GIVEN` says what it must be (ids, enumerations, accounts)
or `LISTED` that docs/threat-model.md has it among what lies in clear. An operation or member that
is added to the model is planted too, or fails here until somebody decides.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from sqlalchemy import create_engine, text
from tests.databases import BOTH
from tests.e2e.conftest import ACCOUNT, answering, auditkeep, free_port
from tests.sources.test_config import CHANGE
from tests.sources.test_ocsf import COMPLIANCE
from tests.sources.test_prowler import row
from tests.sources.test_sarif import RESULT, log
from tests.sources.test_securityhub import FINDING

from auditkeep import client as beyond_aws

pytestmark = [pytest.mark.server, pytest.mark.slow]

OTHER = "444455556666"
READS = ("Get", "List", "Validate")
IDS = ("^[a-f0-9]{8}-", "^[0-9]{12}$", "^arn:.*:auditmanager", "^arn:.*:kms", "^[a-z]{2}-[a-z]+")
"""Patterns of members that hold ids, accounts, regions and keys: listed in the threat model."""

LISTED = {
    "sourceKeyword.keywordValue": "it is a match key: counts and lenses are queries over it",
}
NOT_KEPT = {
    "queryStatement": "reports of finder queries are refused",
    "controlSets[].id": "must be one of the framework's own",
    "sourceId": "given by the server",
}
CHOSEN = {"destinationType": "S3", "roleType": "PROCESS_OWNER"}
"""Enumerations, unless a request gives another value; those that are not here are left out."""
NOT_ASKED = {
    "AssociateAssessmentReportEvidenceFolder", "DisassociateAssessmentReportEvidenceFolder",
    "BatchAssociateAssessmentReportEvidence", "BatchDisassociateAssessmentReportEvidence",
    "BatchDeleteDelegationByAssessment", "DeleteAssessment", "DeleteAssessmentFramework",
    "DeleteAssessmentFrameworkShare", "DeleteAssessmentReport", "DeleteControl",
    "DeregisterAccount", "DeregisterOrganizationAdminAccount", "RegisterOrganizationAdminAccount",
    "UpdateAssessmentFrameworkShare", "UpdateAssessmentStatus",
    "PutBaseline", "PutKeepPolicy", "PutRetention", "StartBackfill",
}  # fmt: skip
"""Operations whose input holds ids and enumerations only; the test holds them to that."""


class Planter:
    """Requests full of words, and the words."""

    def __init__(self, client: Any, words: dict[str, str] | None = None) -> None:
        self.client = client
        self.words: dict[str, str] = {} if words is None else words
        self.asked: set[str] = set()

    def word(self, place: str) -> str:
        """Letters only: every pattern of the model admits them."""
        digest = hashlib.sha256(place.encode()).hexdigest()[:20]
        made = "canary" + "".join(chr(ord("a") + int(digit, 16)) for digit in digest)
        self.words[made] = place
        return made

    def ask(self, operation: str, **given: Any) -> Any:
        """Call an operation with `given`, by the paths of members, and a word everywhere else."""
        self.asked.add(operation)
        shape = self.client.meta.service_model.operation_model(operation).input_shape
        members = (self._fill(shape, operation, given) or {}) if shape is not None else {}
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
        return getattr(self.client, snake)(**members)

    def _fill(self, shape: Any, path: str, given: dict[str, Any]) -> Any:
        inside = path.partition(".")[2]
        if inside in given:
            return given[inside]
        if shape.type_name == "structure":
            filled = {n: self._fill(s, f"{path}.{n}", given) for n, s in shape.members.items()}
            return {n: v for n, v in filled.items() if v is not None} or None
        if shape.type_name == "list":
            one = self._fill(shape.member, f"{path}[]", given)
            return None if one is None else [one]
        if shape.type_name == "map":
            key = self._fill(shape.key, f"{path}{{key}}", given)
            return {key: self._fill(shape.value, f"{path}{{value}}", given)}
        if not free(shape, inside):
            return CHOSEN.get(inside.rpartition(".")[2])
        return self._text(shape.metadata.get("pattern", ""), self.word(path))

    def _text(self, pattern: str, word: str) -> str:
        if ":iam:" in pattern:
            return f"arn:aws:iam::{ACCOUNT}:role/{word}"
        if ":sns:" in pattern:
            return f"arn:aws:sns:us-east-1:{ACCOUNT}:{word}"
        if "3:\\/\\/" in pattern:
            return f"s3://{word}/{word}"
        return f"{word}@example.com" if "@" in pattern and "." in pattern else word


def free(shape: Any, path: str) -> bool:
    """Whether a member holds words of people's own."""
    if shape.type_name != "string" or shape.metadata.get("enum"):
        return False
    if any(path.endswith(end) for end in (*LISTED, *NOT_KEPT)):
        return False
    return not shape.metadata.get("pattern", "").startswith(IDS)


def strings(shape: Any, path: str) -> Iterator[tuple[str, Any]]:
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield from strings(member, f"{path}.{name}")
    elif shape.type_name == "list":
        yield from strings(shape.member, f"{path}[]")
    elif shape.type_name == "map":
        yield from strings(shape.key, f"{path}{{key}}")
        yield from strings(shape.value, f"{path}{{value}}")
    else:
        yield path, shape


def plant(p: Planter, folder: Path, cli: Callable[..., Any]) -> str:
    """A deployment's life with words in every input; the id of its assessment."""
    p.ask("RegisterAccount")
    p.ask("UpdateSettings")
    manual = {"controlMappingSources[].sourceSetUpOption": "Procedural_Controls_Mapping",
              "controlMappingSources[].sourceType": "MANUAL"}  # fmt: skip
    control = p.ask("CreateControl", **manual)["control"]
    source = control["controlMappingSources"][0]["sourceId"]
    p.ask(
        "UpdateControl", controlId=control["id"], **manual,
        **{"controlMappingSources[].sourceId": source},
    )  # fmt: skip
    ids = {"controlSets[].controls[].id": control["id"]}
    framework = p.ask("CreateAssessmentFramework", **ids)["framework"]
    scope = {"scope.awsAccounts[].id": ACCOUNT}
    p.ask(
        "StartAssessmentFrameworkShare", frameworkId=framework["id"], destinationAccount=OTHER,
        destinationRegion="us-east-1",
    )  # fmt: skip
    made = p.ask("CreateAssessment", frameworkId=framework["id"], **scope)
    assessment = made["assessment"]["metadata"]["id"]
    name = made["assessment"]["framework"]["controlSets"][0]["id"]
    p.ask("UpdateAssessmentFramework", frameworkId=framework["id"], **ids)
    p.ask("UpdateAssessment", assessmentId=assessment, **scope)
    at = {"assessmentId": assessment, "controlSetId": name}
    p.ask(
        "BatchCreateDelegationByAssessment", assessmentId=assessment,
        **{"createDelegationRequests[].controlSetId": name,
           "createDelegationRequests[].roleType": "RESOURCE_OWNER"},
    )  # fmt: skip
    p.ask("UpdateAssessmentControl", controlId=control["id"], controlStatus="UNDER_REVIEW", **at)
    upload = p.ask("GetEvidenceFileUploadUrl", fileName=p.word("fileName") + ".txt")
    put = urllib.request.Request(
        upload["uploadUrl"], data=p.word("file's content").encode(), method="PUT"
    )
    urllib.request.urlopen(put).close()
    stocked = folder / "stocked.txt"
    stocked.write_text(p.word("stocked content"))
    url = f"s3://{p.word('stocked bucket')}/{p.word('stocked key')}.txt"
    cli("stock", str(stocked), url, "--account", ACCOUNT)
    evidence = [
        {"evidenceFileName": upload["evidenceFileName"]},
        {"s3ResourcePath": url},
        {"textResponse": p.word("textResponse")},
    ]
    refused = p.ask(
        "BatchImportEvidenceToAssessmentControl", controlId=control["id"], manualEvidence=evidence,
        **at,
    )  # fmt: skip
    assert refused["errors"] == []
    arn = made["assessment"]["arn"]
    p.ask("TagResource", resourceArn=arn)
    p.ask("UntagResource", resourceArn=arn)
    p.ask("UpdateAssessmentControlSetStatus", status="UNDER_REVIEW", **at)
    (day,) = p.client.get_evidence_folders_by_assessment(assessmentId=assessment)["evidenceFolders"]
    p.client.associate_assessment_report_evidence_folder(
        assessmentId=assessment, evidenceFolderId=day["id"]
    )
    report = p.ask("CreateAssessmentReport", assessmentId=assessment)["assessmentReport"]["id"]
    _wait_for(p.client, report)
    return str(assessment)


SCANNED = {
    "OCSF_Checker_CKV/1": "AWS_Security_Hub",
    "Prowler_iam_root_mfa": "AWS_Security_Hub",
    "SARIF_Semgrep OSS_python.lang.eval": "AWS_Security_Hub",
}
"""What only a custom control looks at: without one, nothing of it is kept."""


def plant_scanned(p: Planter, folder: Path, cli: Callable[..., Any]) -> None:
    """Files of scanners, and of Config, with words wherever they have room for some."""
    p.client.create_control(
        name="scanned",
        controlMappingSources=[
            {"sourceName": f"s{n}", "sourceSetUpOption": "System_Controls_Mapping",
             "sourceType": source,
             "sourceKeyword": {"keywordInputType": "SELECT_FROM_LIST", "keywordValue": keyword}}
            for n, (keyword, source) in enumerate(SCANNED.items())
        ],
    )  # fmt: skip
    said = COMPLIANCE | {
        "message": p.word("OCSF's message"),
        "resources": [{"uid": f"arn:aws:s3:::{p.word('OCSF resource')}", "type": "bucket"}],
    }
    result = RESULT | {
        "message": {"text": p.word("SARIF's message")},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": p.word("SARIF's file")}}}],
    }
    for source, ending, content in (
        ("config", "json", json.dumps(_change(p.word("Config's resource"), p.word("annotation")))),
        ("ocsf", "json", json.dumps(said)),
        ("prowler", "csv", row(RESOURCE_UID=p.word("Prowler's resource"))),
        ("sarif", "sarif", json.dumps(log(result, automationDetails={"id": p.word("SARIF run")}))),
    ):
        file = folder / f"{p.word(source + ' file')}.{ending}"
        file.write_text(content)
        done = json.loads(cli("ingest", source, str(file), "--account", ACCOUNT, "--json").stdout)
        assert done["observations"] == 1, done


def _change(resource: str, annotation: str) -> dict[str, Any]:
    """A change of compliance, as Config tells it to an event bus."""
    told = CHANGE | {"resourceId": resource}
    new = told["newEvaluationResult"] | {"annotation": annotation}
    qualifier = {
        "configRuleName": CHANGE["configRuleName"],
        "resourceType": "AWS::EC2::Instance",
        "resourceId": resource,
    }
    new["evaluationResultIdentifier"] = {"evaluationResultQualifier": qualifier}
    return told | {"newEvaluationResult": new}


def plant_pushed(p: Planter, url: str, assessment: str, cli: Callable[..., Any]) -> None:
    """What programs send: signed calls beyond AWS's API, and an event bus's events."""
    said = COMPLIANCE | {"message": p.word("pushed"), "finding_info": {"uid": p.word("uid")}}
    told = p.ask(
        "PutObservations", **{"source": "ocsf", "records[]": json.dumps(said)}
    )  # fmt: skip
    assert told["observations"] == 1, told
    held = p.ask("PlaceLegalHold", assessmentId=assessment)["legalHold"]["id"]
    p.ask("ReleaseLegalHold", holdId=held)
    made = cli(
        "events", "token", "create", "bus", "--account", ACCOUNT, "--json"
    )  # fmt: skip
    event = {
        "version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "source": "aws.config",
        "detail-type": "Config Rules Compliance Change", "account": ACCOUNT, "region": "us-east-1",
        "time": "2026-04-30T10:11:13Z", "resources": [p.word("event's resource")],
        "detail": _change(p.word("event's detail"), p.word("event's annotation")),
    }  # fmt: skip
    request = urllib.request.Request(
        f"{url}/events", data=json.dumps(event).encode(),
        headers={"x-api-key": json.loads(made.stdout)["token"], "content-type": "application/json"},
    )  # fmt: skip
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["observations"] == 1


def _wait_for(client: Any, report: str) -> None:
    for _ in range(300):
        (found,) = [
            r for r in client.list_assessment_reports()["assessmentReports"] if r["id"] == report
        ]
        if found["status"] != "IN_PROGRESS":
            assert found["status"] == "COMPLETE"
            return
        time.sleep(0.2)
    raise AssertionError("the report was not made within a minute")


def plant_by_command(p: Planter, folder: Path, cli: Callable[..., Any]) -> None:
    """What operators type, and the files that they have read."""
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Sid": p.word("Sid"), "Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
    policy = folder / "policy.json"
    policy.write_text(json.dumps(document))
    here = ("--account", ACCOUNT)
    cli("access", "policies", "put", "mine", str(policy), *here)
    trusted = f"arn:aws:iam::{ACCOUNT}:user/{p.word('trust')}"
    cli("roles", "put", "auditor", *here, "--policy", "mine", "--principal", trusted)
    address = f"{p.word('address')}@example.com"
    cli(
        "notify",
        "address",
        "put",
        f"arn:aws:iam::{ACCOUNT}:user/{p.word('addressee')}",
        address,
        *here,
    )
    cli(
        "notify",
        "webhook",
        "put",
        "siem",
        f"https://{p.word('host')}.example.com/{p.word('path')}",
        *here,
    )
    for source, content in (
        ("cloudtrail", {"Records": [{
            "eventVersion": "1.08", "eventSource": "iam.amazonaws.com", "eventName": "CreateUser",
            "eventTime": "2026-04-30T10:11:12Z", "awsRegion": "us-east-1",
            "recipientAccountId": ACCOUNT, "eventID": "0184c4d5-4d0c-4a9c-8d3f-3d1d3a8f5b11",
            "userIdentity": {"type": "IAMUser", "userName": p.word("trail's user")},
            "requestParameters": {"userName": p.word("trail's parameter")},
        }]}),
        ("securityhub", {"Findings": [FINDING | {
            "Title": p.word("finding's title"),
            "Resources": [{"Type": "AwsIamUser", "Id": f"arn:aws:iam::{OTHER}:user/{p.word('hub')}"}],
        }]}),
    ):  # fmt: skip
        file = folder / f"{p.word(source + ' file')}.json"
        file.write_text(json.dumps(content))
        done = json.loads(cli("ingest", source, str(file), *here, "--json").stdout)
        assert done["observations"] == 1, done


def found_in(places: list[Path], words: dict[str, str]) -> dict[str, list[str]]:
    """Where words stand in clear: in names of files and in their bytes."""
    seen: dict[str, list[str]] = {}
    needles = [(word.encode(), place) for word, place in words.items()]
    for root in places:
        for path in [root, *root.rglob("*")]:
            data = str(path.relative_to(root)).encode()
            if path.is_file():
                data += b"\0" + path.read_bytes()
            if b"canary" not in data:
                continue
            for needle, place in needles:
                if needle in data:
                    seen.setdefault(place, []).append(str(path))
    return seen


@pytest.mark.parametrize("kind", BOTH)
def test_no_word_of_a_customer_is_found_in_clear(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data, temporary, inputs = (tmp_path / name for name in ("audit", "temporary", "inputs"))
    log = tmp_path / "log" / "serve.log"
    for folder in (temporary, inputs, log.parent):
        folder.mkdir()
    environment = {"TMPDIR": str(temporary)}
    places = [data, temporary, log.parent]
    if kind == "postgres":
        from tests.postgres import fresh_database

        database = fresh_database(request.getfixturevalue("postgres_url"))
        environment["AUDITKEEP_DATABASE_URL"] = database
        places.append(_folder_of(database))

    def cli(*words: str) -> subprocess.CompletedProcess[str]:
        done = auditkeep(*words, "--data", str(data), environment=environment)
        with (log.parent / "commands.log").open("a") as kept:
            kept.write(done.stderr)
        return done

    made = json.loads(cli("init", "--account", ACCOUNT, "--json").stdout)
    port = free_port()
    command = [sys.executable, "-m", "auditkeep.cli.main", "serve", "--data", str(data)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port)], env={**os.environ, **environment},
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        answering(url, process)
        planter = Planter(_client(boto3.client, "auditmanager", url=url, made=made))
        beyond = Planter(_client(beyond_aws, url=url, made=made), planter.words)
        plant_by_command(planter, inputs, cli)
        assessment = plant(planter, inputs, cli)
        plant_scanned(planter, inputs, cli)
        plant_pushed(beyond, url, assessment, cli)
        shown = planter.client.get_assessment(assessmentId=assessment)["assessment"]
        assert shown["metadata"]["name"] in planter.words, "what was planted is there"
        assert found_in([inputs], planter.words), "and the search finds words"
        _require_all_asked(planter)
        _require_all_asked(beyond)
        assert found_in(places, planter.words) == {}, "while it runs, with its write-ahead log"
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
        assert found_in(places, planter.words) == {}, "and after it was killed"
    finally:
        process.kill()
        process.wait(timeout=30)


def _require_all_asked(planter: Planter) -> None:
    model = planter.client.meta.service_model
    writes = {o for o in model.operation_names if not o.startswith(READS)}
    assert planter.asked - {"GetEvidenceFileUploadUrl"} == writes - NOT_ASKED
    for operation in writes & NOT_ASKED:
        shape = model.operation_model(operation).input_shape
        assert [p for p, s in strings(shape, "") if free(s, p)] == [] or shape is None


def _client(make: Callable[..., Any], *words: str, url: str, made: dict[str, str]) -> Any:
    return make(
        *words, endpoint_url=url, region_name="us-east-1",
        aws_access_key_id=made["accessKeyId"], aws_secret_access_key=made["secretAccessKey"],
        config=Config(retries={"max_attempts": 0}),
    )  # fmt: skip


def _folder_of(url: str) -> Path:
    """The files of a PostgreSQL's one database, and its write-ahead log beside them."""
    engine = create_engine(url)
    with engine.connect() as connection:
        folder = connection.execute(text("SHOW data_directory")).scalar()
    engine.dispose()
    return Path(str(folder))
