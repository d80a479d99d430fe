"""Two houses that make reports: ours, and a forger's who takes our name."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.vectors.make import number
from tests.verify.archives import House

from auditkeep.crypto.signing import ReportKey, SigningKey
from auditkeep.tlog.note import Signer

ORIGIN = "log.example.org/auditkeep/1"


def log_signer(name: str, seed: str) -> Signer:
    return Signer(name, SigningKey(Ed25519PrivateKey.from_private_bytes(number(seed))))


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    key = ReportKey.create(tmp_path_factory.mktemp("house") / "report.pem")
    return House(log_signer(ORIGIN, "house"), key)


@pytest.fixture(scope="session")
def forger(tmp_path_factory: pytest.TempPathFactory) -> House:
    key = ReportKey.create(tmp_path_factory.mktemp("forger") / "report.pem")
    return House(log_signer(ORIGIN, "forger"), key)


@pytest.fixture
def zip_path(tmp_path: Path) -> Path:
    return tmp_path / "report.zip"
