"""A request and a response as the wire room sees them: bytes, before and after all meaning."""

from collections.abc import Iterator
from dataclasses import dataclass, field

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; `path` and `query` are the raw bytes as sent, still percent-encoded."""

    method: str
    path: bytes
    query: bytes
    headers: Headers
    """Names in lower case, in the order they came, repeated ones kept."""
    body: bytes = b""
    request_id: str = ""
    scheme: str = "http"
    peer: str = ""
    """The address at the other end of the connection; empty where there is none."""

    def values(self, name: bytes) -> Iterator[bytes]:
        """Every value of one header; `name` in lower case."""
        return (value for key, value in self.headers if key == name)

    def header(self, name: bytes) -> bytes | None:
        return next(self.values(name), None)


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer; `headers` hold names in lower case, without content-length."""

    status: int
    body: bytes
    headers: Headers = field(default=())
