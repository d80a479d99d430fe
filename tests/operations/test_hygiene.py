"""Warnings about words that should not be in free text: told, recorded, and never in the way."""

from __future__ import annotations

import logging
import re
from typing import Any

import boto3
import pytest
from tests.operations.world import World

import auditkeep
from auditkeep.activity.batcher import Batcher
from auditkeep.activity.reading import Wanted, records
from auditkeep.operations import hygiene

KEY_ID = "AKIA" + "IOSFODNN7EXAMPLE"[:16]
CARD = "4111 1111 1111 1111"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("ask jane.doe+audit@mail.example.com, please", ["an e-mail address"]),
        (f"use {KEY_ID}", ["an access key id"]),
        (f"use ASIA{KEY_ID[4:]}.", ["an access key id"]),
        (f"pay with {CARD}", ["a card number"]),
        ("5500-0055-5555-5559", ["a card number"]),
        (f"a@b.example {KEY_ID} 378282246310005",
         ["an e-mail address", "an access key id", "a card number"]),
        ("4111 1111 1111 1112", []),  # its check digit is wrong
        ("0000000000000000", []),
        ("account 111122223333", []),
        ("1234567890123452", []),  # right by Luhn, and no scheme's number
        ("build 20260501120000123", []),
        ("AKIAIOSFODNN7EXAMPLEX", []),  # too long for one
        ("@team, see a @ b", []),
        ("user@localhost", []),
        ("arn:aws:iam::111122223333:role/Auditor", []),
        ("", []),
    ],
)  # fmt: skip
def test_what_a_text_looks_like(text: str, kinds: list[str]) -> None:
    assert list(hygiene.kinds(text)) == kinds


NOT_WRITTEN = {
    "controlSetId": "names what has a name already",
    "id": "the same, of a framework's control set",
    "emailAddress": "is asked for by the model",
    "nextToken": "is ours",
    "queryStatement": "is a query of a machine, run and not shown",
    "records": "are what a source said, whose secrets are cut",
}
"""Members that admit an e-mail address and are not looked at, and why."""


def test_every_member_that_people_write_is_looked_at() -> None:
    found: set[str] = set()

    def walk(shape: Any, member: str) -> None:
        if shape.type_name == "structure":
            for name, one in shape.members.items():
                if name not in hygiene.FREE:
                    walk(one, name)
        elif shape.type_name == "list":
            walk(shape.member, member)
        elif shape.type_name == "string" and not shape.enum:
            pattern = shape.metadata.get("pattern", "")
            found.update([member] if re.search(pattern, "jane@mail.example.com") else [])

    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    own = auditkeep.client(endpoint_url="http://127.0.0.1:1", **keys)
    for client in (boto3.client("auditmanager", **keys), own):
        model = client.meta.service_model
        for operation in model.operation_names:
            shape = model.operation_model(operation).input_shape
            if shape is not None:
                walk(shape, "")
    assert found == NOT_WRITTEN.keys()


@pytest.fixture
def world(tmp_path: Any) -> Any:
    made = World(tmp_path / "data")
    yield made
    made.close()


def told(world: World, operation: str, **members: Any) -> str:
    """The warning that a request is answered with."""
    seen: list[str] = []

    def hear(http_response: Any, **_: Any) -> None:
        seen.append(http_response.headers.get("x-auditkeep-warning", ""))

    events = world.client.meta.events
    name = "after-call.auditmanager"
    events.register(name, hear)
    try:
        world.ask(operation, **members)
    finally:
        events.unregister(name, hear)
    (warning,) = seen
    return warning


def control(**members: Any) -> dict[str, Any]:
    source = {"sourceName": "s", "sourceType": "MANUAL",
              "sourceSetUpOption": "Procedural_Controls_Mapping"}  # fmt: skip
    return {"name": "c", "controlMappingSources": [source], **members}


def test_a_doubtful_request_is_carried_out_with_a_warning(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "auditkeep")
    asked = control(name="of jane@example.com", tags={"owner": CARD}, description="fine")
    warning = told(world, "create_control", **asked)
    assert warning == (
        "name looks like it holds an e-mail address; tags looks like it holds a card number"
    )
    shown = world.ask("list_controls", controlType="Custom")["controlMetadataList"]
    assert "of jane@example.com" in [c["name"] for c in shown]
    logged = "".join(r.getMessage() for r in caplog.records if r.name.startswith("auditkeep"))
    assert "CreateControl" in logged
    assert "jane@example" not in logged
    assert "4111" not in logged


def test_the_calls_record_says_the_same_and_can_be_listed(world: World) -> None:
    told(world, "create_control", **control(description=f"uses {KEY_ID}"))
    told(world, "create_control", **control(name="harmless"))
    Batcher(world.deps.lake, world.deps.heard, world.clock).flush()
    found = list(records(world.deps.lake, Wanted(event="CreateControl", warned=True)))
    assert [r["additionalEventData"]["warnings"] for r in found] == [
        ["description looks like it holds an access key id"]
    ]
    assert KEY_ID not in str(found)


def test_what_the_model_asks_for_and_what_is_harmless_warns_nobody(world: World) -> None:
    assert told(world, "create_control", **control(name="PCI 3.4: 16 digits")) == ""
    account = {"id": "111122223333", "emailAddress": "root@example.com", "name": "Main"}
    made = told(
        world, "create_assessment", name="a", frameworkId=world.theirs,
        assessmentReportsDestination={"destinationType": "S3", "destination": "s3://reports"},
        scope={"awsAccounts": [account]},
        roles=[{"roleType": "PROCESS_OWNER", "roleArn": "arn:aws:iam::111122223333:role/A"}],
    )  # fmt: skip
    assert made == ""


def test_an_escaped_character_hides_nothing(world: World) -> None:
    body = b'{"name":"a\\u0040b.example"}'
    from auditkeep.wire.models import auditmanager as am

    ask = am.TagResourceRequest(resource_arn="arn", tags={"k": "a@b.example"})
    assert hygiene.warnings(ask, body) == ("tags looks like it holds an e-mail address",)
