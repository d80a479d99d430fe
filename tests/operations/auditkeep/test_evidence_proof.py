"""The proof of one evidence item over the API, to whoever may read it, and to nobody else."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import ROOT
from tests.operations.auditkeep.keeping import Keep
from tests.operations.auditkeep.test_collection import source
from tests.operations.in_process import Api

from auditkeep.access.credentials import AccessKey
from auditkeep.clock import FixedClock
from auditkeep.errors import ProofError
from auditkeep.ids import Tenant
from auditkeep.lake.append import Unit, append
from auditkeep.lake.lake import Lake
from auditkeep.lake.sequencer import Sequencer
from auditkeep.observations import Observation, Provenance
from auditkeep.tlog.checkpoint import open_checkpoint
from auditkeep.tlog.note import Verifier
from auditkeep.tlog.shared import SharedPaths
from auditkeep.verify.format import BatchLine, Envelope, RecordLine
from auditkeep.verify.record import check_batch, check_record

pytestmark = pytest.mark.both_databases

HOME = Tenant("111122223333", "us-east-1")
EVENT = {"keywordInputType": "SELECT_FROM_LIST", "keywordValue": "iam_CreateUser"}
RAW = b'{"eventID": "1", "said": "exactly so"}'


def keep(lake: Lake, clock: FixedClock) -> None:
    """A batch of three events."""
    made = [
        Observation(
            source="AWS_Cloudtrail",
            natural_key=(f"event-{n}",),
            event_time=clock.now(),
            match_key="iam:CreateUser",
            account=HOME.account,
            region=HOME.region,
            raw=RAW if n == 1 else b"{}",
            reader="test/1",
            position=str(n),
            event_name="CreateUser",
            event_source="iam.amazonaws.com",
        )
        for n in range(3)
    ]
    how = Provenance(how="file", collector="test", run="r", software="test")
    with lake.db.write(HOME) as tx:
        append(
            tx,
            lake,
            unit=Unit("u", "test"),
            klass="facts",
            observations=made,
            provenance=how,
            now=clock.now(),
        )


@pytest.fixture
def found(api: Keep, lake: Lake, clock: FixedClock) -> dict[str, str]:
    """Where one evidence item is, as GetEvidence is asked for it."""
    client = Api.client(api)
    control = api.call(
        client.create_control, name="C", controlMappingSources=[source(EVENT, "AWS_Cloudtrail")]
    )["control"]["id"]
    framework = api.call(
        client.create_assessment_framework,
        name="F",
        controlSets=[{"name": "Access / all", "controls": [{"id": control}]}],
    )["framework"]["id"]
    made = api.call(
        client.create_assessment,
        name="A",
        assessmentReportsDestination={"destinationType": "S3", "destination": "s3://reports/x"},
        scope={"awsAccounts": [{"id": HOME.account}]},
        roles=[{"roleType": "PROCESS_OWNER", "roleArn": "arn:aws:iam::111122223333:role/Owner"}],
        frameworkId=framework,
    )["assessment"]["metadata"]["id"]
    keep(lake, clock)
    (folder,) = api.call(client.get_evidence_folders_by_assessment, assessmentId=made)[
        "evidenceFolders"
    ]
    place = {
        "assessmentId": made,
        "controlSetId": "Access / all",
        "evidenceFolderId": folder["id"],
    }
    listed = api.call(client.get_evidence_by_evidence_folder, **place)["evidence"]
    return {**place, "evidenceId": listed[0]["id"]}


def checked(got: dict[str, Any], log_key: str, raw: bytes | None = None) -> Envelope:
    """What the auditor's code makes of a proof; ProofError if it does not hold."""
    checkpoint = open_checkpoint(got["checkpoint"], [Verifier.parse(log_key)])
    batch = check_batch(
        BatchLine(
            got["batchNo"], got["record"], got["salt"], got["logIndex"], tuple(got["inclusion"])
        ),
        checkpoint,
    )
    line = RecordLine(
        evidence_id=got["evidenceId"],
        file="",
        batch_no=got["batchNo"],
        index=got["index"],
        nonce=got["nonce"],
        envelope=got["envelope"],
        path=tuple(got["path"]),
    )
    kept = base64.b64decode(got["raw"]) if raw is None else raw
    digest = hashlib.sha256(kept).digest()
    return check_record(line, batch, digest, SharedPaths(batch.root, batch.rows))


def test_every_item_of_a_folder_is_led_to_a_checkpoint(
    api: Keep, lake: Lake, clock: FixedClock, found: dict[str, str]
) -> None:
    with Sequencer(lake) as sequencer:
        sequencer.step(clock.now())
    place = {name: value for name, value in found.items() if name != "evidenceId"}
    listed = api.call(Api.client(api).get_evidence_by_evidence_folder, **place)["evidence"]
    raws = []
    for item in listed:
        got = api.call(api.client().get_evidence_proof, **place, evidenceId=item["id"])
        envelope = checked(got, lake.signer.vkey)
        assert envelope.provenance.run == "r"
        assert got["logKey"] == lake.signer.vkey
        raws.append(base64.b64decode(got["raw"]))
    assert sorted(raws) == sorted([RAW, b"{}", b"{}"])


def test_a_proof_holds_for_nothing_else(
    api: Keep, lake: Lake, clock: FixedClock, found: dict[str, str]
) -> None:
    with Sequencer(lake) as sequencer:
        sequencer.step(clock.now())
    got = api.call(api.client().get_evidence_proof, **found)
    with pytest.raises(ProofError, match="not those that were logged"):
        checked(got, lake.signer.vkey, b"something else")


def test_the_guide_s_commands_check_what_the_api_answers(
    api: Keep, lake: Lake, clock: FixedClock, found: dict[str, str], tmp_path: Path
) -> None:
    """docs/verification.md, "By hand": the blocks as they stand, in a folder with the answer."""
    with Sequencer(lake) as sequencer:
        sequencer.step(clock.now())
    got = api.call(api.client().get_evidence_proof, **found)
    del got["ResponseMetadata"]
    done = by_hand(tmp_path, got, lake.signer.vkey)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Signature Verified Successfully")
    assert "is in the log" in done.stdout
    got["envelope"] = got["envelope"].replace("1", "2")
    done = by_hand(tmp_path, got, lake.signer.vkey)
    assert done.returncode != 0
    assert "is in" not in done.stdout


def by_hand(folder: Path, proof: dict[str, Any], key: str) -> subprocess.CompletedProcess[str]:
    (folder / "proof.json").write_text(json.dumps(proof))
    _, _, guide = (ROOT / "docs" / "verification.md").read_text().partition("## By hand")
    blocks = re.findall(r"```(?:ba)?sh\n(.*?)```", guide, re.DOTALL)
    laid = next(block for block in blocks if "proof.json" in block)
    signed = next(block for block in blocks if "note.signature" in block)
    signed = signed.replace("for NOTE in checkpoint report-key;", "for NOTE in checkpoint;")
    climbed = next(block for block in blocks if "climb()" in block)
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{laid}\n{signed}\n{climbed}"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "KEY": key, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_before_the_log_has_it_nobody_is_told_that_it_does(
    api: Keep, lake: Lake, clock: FixedClock, found: dict[str, str]
) -> None:
    with Sequencer(lake) as sequencer:
        sequencer.step(clock.now())
    with lake.db.write(HOME) as tx:
        append(
            tx,
            lake,
            unit=Unit("later", "test"),
            klass="facts",
            observations=[
                Observation(
                    source="AWS_Cloudtrail",
                    natural_key=("late",),
                    event_time=clock.now(),
                    match_key="iam:CreateUser",
                    account=HOME.account,
                    region=HOME.region,
                    raw=b"{}",
                    reader="test/1",
                    position="0",
                )
            ],
            provenance=Provenance(how="file", collector="t", run="r", software="t"),
            now=clock.now(),
        )
    place = {name: value for name, value in found.items() if name != "evidenceId"}
    listed = api.call(Api.client(api).get_evidence_by_evidence_folder, **place)["evidence"]
    refused = []
    for item in listed:
        try:
            api.call(api.client().get_evidence_proof, **place, evidenceId=item["id"])
        except ClientError as error:
            refused.append(error.response["Error"]["Code"])
    assert refused == ["ThrottlingException"]


def test_who_may_not_read_the_evidence_gets_no_proof_of_it(
    api: Keep, lake: Lake, clock: FixedClock, found: dict[str, str]
) -> None:
    with Sequencer(lake) as sequencer:
        sequencer.step(clock.now())
    stranger: AccessKey = api.key("stranger", "AuditkeepAuditOwner")
    for client, method in ((api.client(stranger), "get_evidence_proof"),
                           (Api.client(api, stranger), "get_evidence")):  # fmt: skip
        with pytest.raises(ClientError) as caught:
            api.call(getattr(client, method), **found)
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    unknown = {**found, "evidenceId": "00000000-0000-4000-8000-000000000000"}
    with pytest.raises(ClientError) as caught:
        api.call(api.client().get_evidence_proof, **unknown)
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
