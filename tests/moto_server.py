"""moto's AWS on a port of this machine. What it holds is held by the process, for every server."""

from collections.abc import Iterator
from contextlib import contextmanager

from moto.server import ThreadedMotoServer
from tests.e2e.conftest import free_port


@contextmanager
def running_moto() -> Iterator[str]:
    """Its URL."""
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
