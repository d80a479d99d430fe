"""A served deployment for each module of clients' tests."""

from collections.abc import Iterator

import pytest
from tests.e2e.conftest import Running, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("served") / "audit") as made:
        yield made
