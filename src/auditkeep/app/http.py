"""HTTP/1.1 as uvicorn speaks it, except that what is no HTTP gets an answer like every other one.

Invariant: whatever arrives on the port, a client of the API can parse what it is told.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from auditkeep.errors import InvalidRequest
from auditkeep.ids import new_id
from auditkeep.wire.errors import to_response

UNREADABLE = (
    "This is no HTTP request that can be read: its first line or one of its headers is malformed, "
    "or its address is longer than 64 KiB."
)


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol with answers in the API's own form."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's own words
        """Refuse bytes that are no request, and end the connection, whose rest means nothing."""
        request_id = new_id()
        refused = to_response(InvalidRequest(UNREADABLE, reason="cannotParse"), request_id)
        headers = (
            *refused.headers,
            (b"content-length", str(len(refused.body)).encode()),
            (b"connection", b"close"),
            (b"x-amzn-requestid", request_id.encode()),
        )
        lines = [b"HTTP/1.1 400 Bad Request", *(b": ".join(header) for header in headers)]
        self.transport.write(b"\r\n".join((*lines, b"", refused.body)))
        self.transport.close()
