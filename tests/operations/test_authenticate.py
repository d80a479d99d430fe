"""Requests that lead nowhere: told apart from those that a proxy changed on their way."""

import dataclasses

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.operations.in_process import BASE, Api

from auditkeep.clock import FixedClock
from auditkeep.db.database import Database
from auditkeep.operations.call import Deps
from auditkeep.wire.messages import Request

ARN = "arn%3Aaws%3Aauditmanager%3Aus-east-1%3A111122223333%3Acontrol%2Fx"


@pytest.fixture
def api(db: Database, deps: Deps, clock: FixedClock) -> Api:
    return Api(db, deps, clock)


def signed(api: Api, path: str, secret: str | None = None) -> Request:
    request = AWSRequest("GET", BASE + path)
    who = Credentials(api.admin.access_key_id, secret or api.admin.secret_access_key)
    with api.signing_clock():
        SigV4Auth(who, "auditmanager", "us-east-1").add_auth(request)
    headers = [(k.lower().encode(), v.encode()) for k, v in request.headers.items()]
    return Request("GET", path.encode(), b"", ((b"host", b"127.0.0.1:8080"), *headers))


def answered(api: Api, request: Request) -> tuple[int, bytes]:
    answer = api.dispatcher.answer(request)
    return answer.status, answer.body


def test_a_decoded_path_that_leads_nowhere_is_blamed_on_the_proxy(api: Api) -> None:
    decoded = f"/tags/{ARN}".replace("%3A", ":").replace("%2F", "/").encode()
    status, body = answered(api, dataclasses.replace(signed(api, f"/tags/{ARN}"), path=decoded))
    assert status == 403
    assert b"Your proxy altered the path: it was signed as /tags/arn%3Aaws" in body


def test_a_path_that_nobody_answers_stays_unknown(api: Api) -> None:
    assert answered(api, signed(api, "/nothing/here"))[0] == 404
    assert answered(api, Request("GET", b"/nothing/here", b"", ()))[0] == 404
    decoded = signed(api, f"/tags/{ARN}", "t" * 40)
    assert answered(api, dataclasses.replace(decoded, path=b"/tags/a/b"))[0] == 404
    stranger = signed(api, f"/tags/{ARN}")
    headers = tuple(
        (k, v.replace(api.admin.access_key_id.encode(), b"AKIA" + b"B" * 16))
        for k, v in stranger.headers
    )
    assert answered(api, dataclasses.replace(stranger, path=b"/x/y/z", headers=headers))[0] == 404
