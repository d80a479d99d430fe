"""A real `auditkeep serve` as its user starts it: a process of its own on a free port."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ACCOUNT = "111122223333"


def auditkeep(
    *words: str, check: bool = True, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line; output is captured."""
    done = subprocess.run(
        [sys.executable, "-m", "auditkeep.cli.main", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
        timeout=300,
    )
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Running:
    """A server that answers, and the administrator's keys for it."""

    data: Path
    url: str
    access_key: str
    secret_key: str
    log_key: str
    process: subprocess.Popen[bytes]
    environment: dict[str, str]

    def client(self, **changes: Any) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.Session(
            changes.get("access_key", self.access_key),
            changes.get("secret_key", self.secret_key),
            region_name=changes.get("region", "us-east-1"),
        ).client(
            "auditmanager",
            endpoint_url=self.url,
            config=Config(retries={"max_attempts": 0}, parameter_validation=False),
        )


def running(data: Path, **environment: str) -> AbstractContextManager[Running]:
    """Initialise `data` and serve it; the server is stopped at the end."""
    return running_at(free_port(), data, environment)


@contextmanager
def running_at(port: int, data: Path, environment: dict[str, str]) -> Iterator[Running]:
    """The same on a port that was chosen before."""
    made = json.loads(
        auditkeep(
            "init", "--data", str(data), "--account", ACCOUNT, "--json", environment=environment
        ).stdout
    )
    with serving_at(port, data, environment) as (url, process):
        yield Running(
            data, url, made["accessKeyId"], made["secretAccessKey"], made["logKey"], process,
            environment,
        )  # fmt: skip


def serving(
    data: Path, **environment: str
) -> AbstractContextManager[tuple[str, subprocess.Popen[bytes]]]:
    return serving_at(free_port(), data, environment)


@contextmanager
def serving_at(
    port: int, data: Path, environment: Mapping[str, str]
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "auditkeep.cli.main",
            "serve",
            "--data",
            str(data),
            "--port",
            str(port),
        ],
        env={**os.environ, **environment},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        answering(url, process)
        yield url, process
    finally:
        process.terminate()
        process.wait(timeout=30)


def answering(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server that `process` starts answers at `url`."""
    for _ in range(300):
        if process.poll() is not None:
            raise AssertionError(f"the server ended with {process.returncode} before it answered")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError("the server did not answer within 30 seconds")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("served") / "audit") as made:
        yield made


MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory."""
ROOM = 2 * 1024**3


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is room: thousands of small commits wait for no disk."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="auditkeep-", dir=MEMORY) as folder:
        yield Path(folder)
