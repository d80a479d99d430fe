"""The store over a bucket of tests, and a clock that its locks are reckoned by."""

from pathlib import Path

import pytest
from tests.s3 import S3Server

from auditkeep.clock import SystemClock
from auditkeep.lake.s3.copies import Copies
from auditkeep.lake.s3.store import S3Objects


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    return Copies(tmp_path / "near", 1 << 30)


@pytest.fixture
def store(s3: S3Server, copies: Copies) -> S3Objects:
    return S3Objects(s3.place(), copies, SystemClock())
