"""The AWS CLI beyond the main job: ways to ask, ways to print, pages, and errors in a script."""

import json
from pathlib import Path

import pytest
from tests.clients.commands import Cli
from tests.e2e.conftest import Running

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture
def aws(server: Running, tmp_path: Path) -> Cli:
    return Cli(server, tmp_path, {"AWS_ENDPOINT_URL_AUDITMANAGER": server.url})


def test_a_control_is_made_from_a_file_and_found_by_a_query(aws: Cli, tmp_path: Path) -> None:
    skeleton = json.loads(aws("create-control", "--generate-cli-skeleton", "input").stdout)
    asked = skeleton | {
        "name": "Überprüfung & <Co> 監査",
        "tags": {"team": "grc"},
        "controlMappingSources": [
            {
                "sourceName": "people",
                "sourceSetUpOption": "Procedural_Controls_Mapping",
                "sourceType": "MANUAL",
            }
        ],
    }
    path = tmp_path / "control.json"
    path.write_text(json.dumps(asked), encoding="utf-8")
    made = aws(
        *("create-control", "--cli-input-json", f"file://{path}"),
        *("--query", "control.[id,name]", "--output", "text"),
    )
    control, name = made.stdout.strip().split("\t")
    assert name == asked["name"]
    found = aws(
        *("list-controls", "--control-type", "Custom", "--output", "text"),
        *("--query", f"controlMetadataList[?id=='{control}'].name | [0]"),
    )
    assert found.stdout.strip() == asked["name"]
    kept = json.loads(aws("get-control", "--control-id", control).stdout)["control"]
    assert kept["tags"] == {"team": "grc"}


def test_answers_print_as_text_and_as_a_table(aws: Cli) -> None:
    words = ("list-controls", "--control-type", "Standard", "--max-results", "2")
    text = aws(*words, "--output", "text").stdout.splitlines()
    assert [line.split("\t")[0] for line in text[1:]] == ["CONTROLMETADATALIST"] * 2
    table = aws(*words, "--output", "table").stdout
    assert "ListControls" in table
    assert table.count("arn:aws:auditmanager:us-east-1::control/") == 2
    assert aws("get-services-in-scope", "--query", "length(serviceMetadata)").stdout.strip() > "100"


def test_pages_are_turned_by_hand_for_there_is_no_paginator(aws: Cli) -> None:
    refused = aws("list-controls", "--control-type", "Standard", "--max-items", "2", check=False)
    assert "--max-items" in refused.stderr
    assert refused.returncode != 0
    seen: list[str] = []
    token: tuple[str, ...] = ()
    while True:
        page = json.loads(
            aws(
                *("list-keywords-for-data-source", "--source", "AWS_API_Call"),
                *("--max-results", "60", *token),
            ).stdout
        )
        seen += page["keywords"]
        if "nextToken" not in page:
            break
        token = ("--next-token", page["nextToken"])
    assert seen == sorted(set(seen))
    assert len(seen) > 100


def test_tags_travel_on_their_arn_and_in_short_form(aws: Cli) -> None:
    arn = aws(
        *("create-control", "--name", "tagged", "--tags", "a=1,b=2"),
        "--control-mapping-sources",
        "sourceName=s,sourceSetUpOption=Procedural_Controls_Mapping,sourceType=MANUAL",
        *("--query", "control.arn", "--output", "text"),
    ).stdout.strip()
    aws("untag-resource", "--resource-arn", arn, "--tag-keys", "a", "nobody")
    aws("tag-resource", "--resource-arn", arn, "--tags", "c=ü")
    shown = json.loads(aws("list-tags-for-resource", "--resource-arn", arn).stdout)
    assert shown["tags"] == {"b": "2", "c": "ü"}


def test_a_script_tells_errors_apart(aws: Cli) -> None:
    gone = "00000000-0000-4000-8000-000000000000"
    done = aws("get-assessment", "--assessment-id", gone, check=False)
    assert done.returncode == 255  # 254 with version 2
    assert "(ResourceNotFoundException) when calling the GetAssessment operation" in done.stderr
    done = aws("get-assessment", "--assessment-id", gone, check=False, AWS_DEFAULT_REGION="moon")
    assert "The credential must be scoped to a valid region." in done.stderr
    done = aws("list-assessments", check=False, AWS_SECRET_ACCESS_KEY="x" * 40)
    assert "(InvalidSignatureException)" in done.stderr
