"""HTTP/1.1 on a free port of this machine: a thread a connection, kept alive.

Read by hand, because a collector's cost is measured against this server's: it must be small.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO

from auditkeep.wire.messages import Request, Response

HALF = b"x-simulated-half"
"""A header of our own: the answer's body is cut in the middle, and the connection ends."""
NOTHING = b"x-simulated-nothing"
"""The connection ends without an answer."""

Answer = Callable[[Request], Response]


@dataclass
class Server:
    """Listens from when it is made until it is closed."""

    answer: Answer

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            left = list(self._open)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _start(self, run: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=run, args=args, daemon=True, name="simulator")
        self._threads = [t for t in self._threads if t.is_alive() or t.ident is None]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
            self._start(self._talk, connection)

    def _talk(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                for request in _requests(stream, connection):
                    if not self._send(connection, request, self.answer(request)):
                        return
        except OSError:  # the client hung up, or we did
            return
        finally:
            with self._lock:
                self._open.discard(connection)

    def _send(self, connection: socket.socket, request: Request, response: Response) -> bool:
        """Whether the connection goes on."""
        names = {name for name, _ in response.headers}
        if NOTHING in names:
            return False
        body = b"" if request.method == "HEAD" else response.body
        length = len(response.body)
        if request.method == "HEAD":  # the length of what is not sent
            length = next((int(v) for n, v in response.headers if n == b"content-length"), length)
        lines = b"".join(
            name + b": " + value + b"\r\n"
            for name, value in response.headers
            if name not in {HALF, b"content-length"}
        )
        head = b"HTTP/1.1 %d %s\r\ncontent-length: %d\r\n%s\r\n" % (
            response.status,
            HTTPStatus(response.status).phrase.encode(),
            length,
            lines,
        )
        if HALF in names:
            connection.sendall(head + body[: len(body) // 2])
            return False
        connection.sendall(head + body)
        return True


def _requests(stream: BinaryIO, connection: socket.socket) -> Iterator[Request]:
    """The requests of one connection, until it ends."""
    while line := stream.readline(65_536):
        method, target, _ = line.split(b" ", 2)
        headers, length = [], 0
        chunked = False
        while (header := stream.readline(65_536)) not in (b"\r\n", b"\n", b""):
            name, _, value = header.partition(b":")
            name, value = name.strip().lower(), value.strip()
            headers.append((name, value))
            if name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding":
                chunked = value.lower() == b"chunked"
            elif name == b"expect":
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b"".join(_chunks(stream)) if chunked else stream.read(length) if length else b""
        path, _, query = target.partition(b"?")
        yield Request(method.decode(), path, query, tuple(headers), body)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while size := int(stream.readline().split(b";")[0], 16):
        yield stream.read(size)
        stream.readline()
    stream.readline()
