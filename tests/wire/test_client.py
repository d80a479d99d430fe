"""The boto3 client for the service that AWS does not have."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import UnknownServiceError

import auditkeep
from auditkeep.wire.client import model_text
from auditkeep.wire.models import auditkeep as ak

KEY = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "s", "region_name": "us-east-1"}


def made(**changes: Any) -> Any:
    return auditkeep.client("http://127.0.0.1:1", **{**KEY, **changes})


def test_it_knows_every_operation_and_signs_for_its_own_service() -> None:
    client = made()
    assert set(client.meta.method_to_api_mapping.values()) == {o.name for o in ak.OPERATIONS}
    assert client._request_signer.signing_name == "auditkeep"
    assert client.meta.endpoint_url == "http://127.0.0.1:1"


def test_it_takes_the_credentials_and_the_region_of_a_session() -> None:
    session = boto3.Session("AKIAOTHER", "secret", region_name="eu-west-1")
    client = auditkeep.client("http://127.0.0.1:1", session=session)
    assert client.meta.region_name == "eu-west-1"
    assert client._request_signer._credentials.access_key == "AKIAOTHER"


def test_the_endpoint_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_AUDITKEEP", "https://audit.example.com")
    assert auditkeep.client(**KEY).meta.endpoint_url == "https://audit.example.com"


def test_other_sessions_do_not_learn_of_the_service() -> None:
    made()
    with pytest.raises(UnknownServiceError):
        boto3.client("auditkeep", **KEY)


def test_the_model_stands_on_its_own() -> None:
    model = json.loads(model_text())
    assert all(
        o["http"]["requestUri"].startswith("/auditkeep/") for o in model["operations"].values()
    )
    assert all(o["documentation"] for o in model["operations"].values())
    named = set(model["shapes"])
    used = {shape for shape in named if f'"shape": "{shape}"' in model_text()}
    assert used == named
