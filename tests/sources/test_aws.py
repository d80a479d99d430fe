"""botocore as sources use it: what it hooks and reads in our own way is what it would do itself."""

import io
from datetime import timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.utils import parse_timestamp
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPResponse

from auditkeep.sources import aws
from auditkeep.sources.refusals import asking

KEYS = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "nothing"}
TIMES = st.datetimes(timezones=st.timezones())


@given(
    TIMES.map(lambda at: at.isoformat())
    | TIMES.map(lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    | TIMES.map(lambda at: at.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    | st.integers(-(2**33), 2**33)
    | st.floats(0, 2**33)
    | st.text("0123456789-:TZ+. GMT", max_size=30)
)
def test_times_are_read_as_botocore_reads_them(value: str | float) -> None:
    try:
        expected = parse_timestamp(value)
    except (ValueError, RuntimeError, OverflowError):
        with pytest.raises((ValueError, RuntimeError, OverflowError)):
            aws.read_time(value)
        return
    read = aws.read_time(value)
    # what names no zone is in that of this machine for botocore, and stays so
    assert (read.tzinfo is None) == (expected.tzinfo is None)
    assert abs(read - expected) < timedelta(microseconds=2)


def answering(headers: dict[str, str]) -> tuple[Any, list[AWSPreparedRequest]]:
    """A client for S3 that hears the same each time, and what it asked."""
    client = aws.session().create_client(
        "s3", region_name="us-east-1", config=aws.config(attempts=1), **KEYS
    )
    asked = []

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        asked.append(request)
        body = HTTPResponse(io.BytesIO(), preload_content=False)
        return AWSResponse(request.url, 200, headers, body)

    client.meta.events.register("before-send.s3.HeadObject", answer)
    return client, asked


def test_the_account_is_told_which_software_asks() -> None:
    client, asked = answering({"last-modified": "Sat, 21 Nov 2026 12:00:00 GMT"})
    found = client.head_object(Bucket="b", Key="k")
    assert found["LastModified"].isoformat() == "2026-11-21T12:00:00+00:00"
    assert asked[0].headers["User-Agent"].decode().startswith("auditkeep/")
    assert " Botocore/" in asked[0].headers["User-Agent"].decode()


def test_a_client_is_hooked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    client, _ = answering({})
    events = client.meta.events
    hooked: list[str] = []
    original = events.register

    def register(event: str, *args: Any, **kwargs: Any) -> None:
        hooked.append(event)
        original(event, *args, **kwargs)

    monkeypatch.setattr(events, "register", register)
    for _ in range(3):
        with asking(client, "HeadObject"):
            client.head_object(Bucket="b", Key="k")
    assert hooked.count("before-parse") == 2  # to be heard, and to be held to its length
