"""A deployment on either database, asked by two clients and by eight."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fuzz.inside import in_process
from tests.races.crowd import Crowd


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def crowd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Crowd]:
    url = ""
    if request.param == "postgres":
        from tests.databases import on_postgres

        url = on_postgres(request.getfixturevalue("postgres_url"))
    with in_process(tmp_path / "data", database=url) as target:
        yield Crowd(target)


@pytest.fixture(params=[2, 8])
def clients(request: pytest.FixtureRequest) -> int:
    """How many ask at once."""
    count: int = request.param
    return count
