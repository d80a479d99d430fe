"""Signed requests that come again, come late, or come in another wrapping."""

import json
from unittest import mock
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.operations.in_process import BASE, REQUEST_ID, Api

from auditkeep.clock import MINUTE, SECOND, FixedClock, Instant, to_datetime
from auditkeep.db.database import Database
from auditkeep.operations.call import Deps
from auditkeep.wire.messages import Request, Response

CONTROL = b'{"name":"c","controlMappingSources":[{"sourceName":"s","sourceType":"MANUAL"}]}'


@pytest.fixture
def api(db: Database, deps: Deps, clock: FixedClock) -> Api:
    made = Api(db, deps, clock)
    made.call(made.client().register_account)
    return made


def request(
    api: Api,
    method: str = "GET",
    target: str = "/controls?controlType=Custom",
    body: bytes = b"",
    *,
    expires: int | None = None,
    at: Instant | None = None,
    **headers: str,
) -> Request:
    """A request as botocore signs it at a moment."""
    asked = AWSRequest(method, BASE + target, data=body)
    for name, value in headers.items():
        asked.headers[name.replace("_", "-")] = value
    who = Credentials(api.admin.access_key_id, api.admin.secret_access_key)
    when = to_datetime(api.clock.now() if at is None else at)
    with mock.patch("botocore.auth.get_current_datetime", return_value=when):
        if expires is None:
            SigV4Auth(who, "auditmanager", "us-east-1").add_auth(asked)
        else:
            SigV4QueryAuth(who, "auditmanager", "us-east-1", expires=expires).add_auth(asked)
    parts = urlsplit(asked.url)
    sent = [(k.lower().encode(), v.encode()) for k, v in asked.headers.items()]
    sent.append((b"host", parts.netloc.encode()))
    return Request(method, parts.path.encode(), parts.query.encode(), tuple(sent), body, REQUEST_ID)


def told(response: Response) -> tuple[int, str]:
    body = json.loads(response.body)
    return response.status, body.get("__type", "")


def test_a_presigned_request_is_good_until_it_ends_and_never_after(
    api: Api, clock: FixedClock
) -> None:
    link = request(api, expires=600)
    for _ in range(3):
        assert told(api.dispatcher.answer(link)) == (200, "")
    clock.advance(600 * SECOND)
    assert told(api.dispatcher.answer(link)) == (200, "")
    clock.advance(1)
    assert told(api.dispatcher.answer(link)) == (403, "InvalidSignatureException")
    clock.advance(7 * 86_400 * SECOND)
    assert told(api.dispatcher.answer(link)) == (403, "InvalidSignatureException")


def test_a_presigned_request_answers_nothing_but_itself(api: Api) -> None:
    link = request(api, expires=600)
    for other in (
        Request("POST", link.path, link.query, link.headers),
        Request("GET", b"/assessments", link.query, link.headers),
        Request("GET", link.path, link.query.replace(b"Custom", b"Core"), link.headers),
        Request("GET", link.path, link.query, link.headers, b"{}"),
        Request("GET", link.path, link.query, ((b"host", b"elsewhere"),)),
    ):
        assert told(api.dispatcher.answer(other)) == (403, "InvalidSignatureException")


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_clock_may_be_five_minutes_off_either_way(
    api: Api, clock: FixedClock, minutes: int
) -> None:
    edge = Instant(clock.now() + minutes * MINUTE)
    beyond = Instant(edge + (SECOND if minutes > 0 else -SECOND))
    assert told(api.dispatcher.answer(request(api, at=edge))) == (200, "")
    assert told(api.dispatcher.answer(request(api, at=beyond))) == (
        403,
        "InvalidSignatureException",
    )


def test_a_write_that_is_replayed_is_a_write_of_its_own_and_only_for_five_minutes(
    api: Api, clock: FixedClock
) -> None:
    made = request(api, "POST", "/controls", CONTROL)
    first, second = (json.loads(api.dispatcher.answer(made).body) for _ in range(2))
    assert first["control"]["id"] != second["control"]["id"]
    clock.advance(5 * MINUTE + 1)
    assert told(api.dispatcher.answer(made)) == (403, "InvalidSignatureException")


@pytest.mark.parametrize(
    "digest",
    [
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "0" * 64,
    ],
)
def test_a_body_that_is_not_signed_as_a_whole_changes_nothing(api: Api, digest: str) -> None:
    wrapped = request(api, "POST", "/controls", CONTROL, x_amz_content_sha256=digest)
    assert told(api.dispatcher.answer(wrapped)) == (403, "InvalidSignatureException")
    listed = api.call(api.client().list_controls, controlType="Custom")
    assert listed["controlMetadataList"] == []
