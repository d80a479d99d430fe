"""The wire as it really is: a socket, an unmodified client, and clients that are not so kind."""

import json
import socket
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.e2e.conftest import ACCOUNT, Running

pytestmark = [pytest.mark.server, pytest.mark.slow]

AWKWARD = [
    "Identity & access / people",
    "a/b/../c",
    "line\nbreak",
    "100% %2F +plus",
    "q?x=1#y;z",
    "Überprüfung 監査 🔑",
    " surrounded ",
    "tab\tand \"quotes\" 'both'",
]


@pytest.fixture(scope="module")
def client(server: Running) -> Any:
    made = server.client()
    made.register_account()
    return made


def test_every_name_of_a_control_set_survives_its_way(client: Any) -> None:
    source = {
        "sourceName": "s",
        "sourceSetUpOption": "Procedural_Controls_Mapping",
        "sourceType": "MANUAL",
    }
    control = client.create_control(name="c", controlMappingSources=[source])["control"]["id"]
    framework = client.create_assessment_framework(
        name="f", controlSets=[{"name": name, "controls": [{"id": control}]} for name in AWKWARD]
    )["framework"]["id"]
    destination = {"destinationType": "S3", "destination": "s3://audit-reports"}
    owner = {"roleType": "PROCESS_OWNER", "roleArn": f"arn:aws:iam::{ACCOUNT}:role/Owner"}
    assessment = client.create_assessment(
        name="a",
        frameworkId=framework,
        assessmentReportsDestination=destination,
        scope={"awsAccounts": [{"id": ACCOUNT}]},
        roles=[owner],
    )["assessment"]["metadata"]["id"]
    for name in AWKWARD:
        where = {"assessmentId": assessment, "controlSetId": name}
        changed = client.update_assessment_control(**where, controlId=control, commentBody=name)
        assert changed["control"]["comments"][0]["commentBody"] == name
        if "\n" not in name:  # the model's pattern for this operation's set is `.*`
            done = client.update_assessment_control_set_status(
                **where, status="UNDER_REVIEW", comment=""
            )["controlSet"]
            assert (done["id"], done["status"]) == (name, "UNDER_REVIEW")


def test_a_presigned_request_needs_no_header(server: Running, client: Any) -> None:
    request = AWSRequest("GET", f"{server.url}/controls?controlType=Standard&maxResults=1")
    who = Credentials(server.access_key, server.secret_key)
    SigV4QueryAuth(who, "auditmanager", "us-east-1", expires=60).add_auth(request)
    with urllib.request.urlopen(request.url) as answer:
        assert len(json.load(answer)["controlMetadataList"]) == 1
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request.url.replace("Standard", "Custom"))
    with caught.value as refused:
        assert (refused.code, refused.headers["x-amzn-ErrorType"]) == (
            403,
            "InvalidSignatureException",
        )
        assert refused.headers["x-amzn-RequestId"]


def raw(server: Running, data: bytes) -> bytes:
    """What the server says to these bytes, at least its head."""
    parts = urlsplit(server.url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=20) as link:
        link.sendall(data)
        found = b""
        while b"\r\n\r\n" not in found and (more := link.recv(65536)):
            found += more
        return found


HEAD = b"Host: h\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /controls HTTP/1.1\r\n" + HEAD + b"\r\n", b"403"),
        (b"GET /tags/%FF HTTP/1.1\r\n" + HEAD + b"\r\n", b"400"),
        (b"PUT /settings HTTP/1.1\r\n" + HEAD + b"Content-Length: 99999999\r\n\r\n", b"400"),
        (b"PUT /settings HTTP/1.1\r\n" + HEAD + b"Content-Length: x\r\n\r\n", b"400"),
        (b"GET /x\x01 HTTP/1.1\r\n" + HEAD + b"\r\n", b"400"),
        (b"GET http://other/controls HTTP/1.1\r\n" + HEAD + b"\r\n", b"403"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n", b"4"),
        (
            b"GET /controls HTTP/1.1\r\n"
            + HEAD
            + b"Authorization: AWS4-HMAC-SHA256 \xff\xfe\r\n"
            + b"Authorization: Basic eDp5\r\n\r\n",
            b"403",
        ),
    ],
)
def test_malformed_bytes_are_refused_and_the_server_goes_on(
    server: Running, data: bytes, status: bytes
) -> None:
    answer = raw(server, data)
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
    assert b"HTTP/1.1 403" in raw(server, b"GET /controls HTTP/1.1\r\n" + HEAD + b"\r\n")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"nonsense\r\n\r\n", b"ValidationException"),
        (
            b"GET /controls?x=" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n",
            b"ValidationException",
        ),
        (b"GET /caf\xc3\xa9 HTTP/1.1\r\n" + HEAD + b"\r\n", b"ValidationException"),
        (b"OPTIONS * HTTP/1.1\r\n" + HEAD + b"\r\n", b"UnknownOperationException"),
    ],
)
def test_even_what_is_no_request_is_told_so_in_the_form_of_the_api(
    server: Running, data: bytes, code: bytes
) -> None:
    head = raw(server, data).lower()
    assert b"x-amzn-errortype: " + code.lower() in head
    assert b"content-type: application/json" in head
    assert b"x-amzn-requestid: " in head


def test_a_body_that_never_ends_is_cut_off(server: Running) -> None:
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    head = b"PUT /settings HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    answer = raw(server, head + chunk * 11 + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"ValidationException" in answer
