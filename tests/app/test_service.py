"""Starting and stopping: what is held is let go of, also when a start fails."""

import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from auditkeep import app
from auditkeep.app import backups
from auditkeep.clock import DAY, Instant, SystemClock
from auditkeep.errors import Busy, SetupError
from auditkeep.ids import Tenant
from auditkeep.lake.sequencer import Sequencer
from auditkeep.settings import Settings

pytestmark = pytest.mark.server
TENANT = Tenant("111122223333", "us-east-1")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(data=tmp_path / "audit")
    app.initialise(made, TENANT, SystemClock())
    return made


@pytest.fixture
def parts(settings: Settings) -> Iterator[app.Parts]:
    with app.opened(settings, SystemClock()) as opened:
        yield opened


def _serves(settings: Settings) -> None:
    service = app.Service(app.open_parts(settings, SystemClock()))
    try:
        url = service.start("127.0.0.1", 0)
        with urllib.request.urlopen(f"{url}/health") as answer:
            assert answer.status == 200
    finally:
        service.stop()
        service.stop()


def test_one_server_holds_a_data_directory_and_lets_go_of_it(
    settings: Settings, parts: app.Parts
) -> None:
    service = app.Service(app.open_parts(settings, SystemClock()))
    with pytest.raises(Busy):
        app.Service(parts)
    service.stop()
    _serves(settings)


def test_backups_of_keys_that_are_too_old_go_by_themselves(
    settings: Settings, parts: app.Parts, tmp_path: Path
) -> None:
    place = tmp_path / "key-backups"
    made = settings.model_copy(update={"key_backups": place})
    backups.create(replace(parts, settings=made), tmp_path / "backups", None, None, lambda *_: None)
    service = app.Service(app.open_parts(made, SystemClock()))
    try:
        now = SystemClock().now()
        service._prune_key_backups(now)
        assert len(list((place / "keys").iterdir())) == 1
        service._prune_key_backups(Instant(now + 7 * DAY))
        assert not (place / "keys").exists()
        assert len(list((tmp_path / "backups" / "points").iterdir())) == 1
    finally:
        service.stop()


def test_a_start_waits_for_a_command_that_holds_the_log(
    settings: Settings, parts: app.Parts
) -> None:
    sequencer = Sequencer(parts.lake)
    threading.Timer(0.5, sequencer.close).start()
    started = time.monotonic()
    _serves(settings)
    assert time.monotonic() - started >= 0.4


def test_a_port_in_use_is_told_and_everything_is_let_go_of(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        service = app.Service(app.open_parts(settings, SystemClock()))
        with pytest.raises(SetupError, match="--port"):
            service.start("127.0.0.1", taken.getsockname()[1])
    _serves(settings)


def test_a_server_that_is_told_to_end_says_so_and_lets_go_in_order(settings: Settings) -> None:
    """SIGTERM, as systemd and containers send it: what was begun is finished, and the code is 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["serve", "--data", str(settings.data), "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "auditkeep.cli.main", *words], stderr=subprocess.PIPE, text=True
    )
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
            break
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None
            time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "ending, as SIGTERM asks" in said
    assert said.rstrip().endswith("auditkeep: ended.")
