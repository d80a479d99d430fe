"""One deployment for all attacks; each is played on a copy of its own."""

from pathlib import Path

import pytest
from tests.attacks.deployment import Deployment, build, copy_of
from tests.cli.conftest import run

__all__ = ["run"]


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return build(tmp_path_factory.mktemp("attacks"))


@pytest.fixture
def house(lived: Deployment, tmp_path: Path) -> Deployment:
    return copy_of(lived, tmp_path)
