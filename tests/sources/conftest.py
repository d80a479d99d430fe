"""A context that keeps everything."""

import pytest
from tests.sources.reading import EVERYTHING

from auditkeep.sources.records import Context


@pytest.fixture
def everything() -> Context:
    return EVERYTHING
