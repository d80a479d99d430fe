"""Starting and stopping: what is held is let go of, also when a start fails."""

import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditkeep import app
from auditkeep.clock import SystemClock
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
