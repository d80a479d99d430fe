"""A cloud with one account, and pages short enough to be followed."""

from collections.abc import Iterator

import pytest
from tests.simulator.cloud import Simulator

ACCOUNT = "111122223333"
REGION = "eu-west-1"


@pytest.fixture
def cloud() -> Iterator[Simulator]:
    with Simulator(page_size=2) as running:
        running.estate.account(ACCOUNT)
        yield running
