"""Bodies that come in chunks, as HTTP has them and as S3's clients sign them."""

import json
from pathlib import Path

import pytest
from tests.fuzz.requests import Wire
from tests.fuzz.running import ADMINISTRATOR, HOME
from tests.fuzz.served import CHUNKED_EVERY, served

pytestmark = [pytest.mark.server, pytest.mark.slow]

TYPE = ((b"content-type", b"application/json"),)


def control(name: str) -> bytes:
    source = {"sourceName": "s", "sourceType": "MANUAL"}
    return json.dumps({"name": name, "controlMappingSources": [source]}).encode()


def test_a_chunked_body_is_the_body_that_was_signed(tmp_path: Path) -> None:
    with served(tmp_path) as target:
        key = target.key(HOME, "chunks", ADMINISTRATOR)
        for number in range(CHUNKED_EVERY):  # one of them goes in chunks
            wire = Wire("POST", b"/controls", b"", control(f"control {number}"), TYPE)
            answer = target.send(key, "us-east-1", wire)
            assert answer.status == 200, answer
        body = b"8;chunk-signature=" + b"0" * 64 + b"\r\n{}      \r\n0;chunk-signature=\r\n\r\n"
        claimed = (b"x-amz-content-sha256", b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        encoded = (b"content-encoding", b"aws-chunked")
        wire = Wire("POST", b"/controls", b"", body, (*TYPE, claimed, encoded))
        answer = target.send(key, "us-east-1", wire)
        assert answer.status == 403
        assert json.loads(answer.body)["__type"] == "InvalidSignatureException"
        listed = target.send(
            key, "us-east-1", Wire("GET", b"/controls", b"controlType=Custom", b"")
        )
        assert len(json.loads(listed.body)["controlMetadataList"]) == CHUNKED_EVERY
        assert target.complaints() == []
