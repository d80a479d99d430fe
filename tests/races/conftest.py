"""A deployment on either database, asked by two clients and by eight."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.databases import BOTH, url_of
from tests.fuzz.inside import in_process
from tests.races.crowd import Crowd


@pytest.fixture(params=BOTH)
def crowd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Crowd]:
    with in_process(tmp_path / "data", database=url_of(request)) as target:
        yield Crowd(target)


@pytest.fixture(params=[2, 8])
def clients(request: pytest.FixtureRequest) -> int:
    """How many ask at once."""
    count: int = request.param
    return count
