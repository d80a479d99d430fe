"""Which requests may have to wait for another writer, told before anything is known of them."""

import pytest

from auditkeep.app.web import may_write
from auditkeep.operations.table import only_reads
from auditkeep.wire.messages import Request
from auditkeep.wire.model import AnyOperation
from auditkeep.wire.models import auditmanager as am


def request(method: str, path: str) -> Request:
    return Request(method, path.encode(), b"", (), b"", "id", "http")


@pytest.mark.parametrize("operation", am.OPERATIONS, ids=lambda o: o.name)
def test_whatever_writes_takes_no_reader_s_thread(operation: AnyOperation) -> None:
    asked = request(operation.method, operation.path)
    if not only_reads(operation):
        assert may_write(asked)
    elif operation.method == "GET":
        assert not may_write(asked)


def test_room_for_an_upload_is_asked_for_with_a_get_that_writes() -> None:
    assert may_write(request("GET", "/evidenceFileUploadUrl"))
    assert may_write(request("GET", "/evidenceFileUploadUrl/"))
    assert not may_write(request("GET", "/evidenceFileUploadUrl/x"))
