"""Posting to a webhook: one request, one answer, a few seconds, and no way round the guard.

The host is resolved once and the connection made to an address that was checked, while TLS and
`Host` keep the name. Certificates are verified, redirects not followed, proxies of the environment
not used; of the answer only status line and headers are read. A timer cuts the connection when the
time is up, for a peer that sends a byte now and then would outlast any time-out of a socket.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv6Address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from auditkeep import __version__
from auditkeep.crypto.tls import client_context
from auditkeep.errors import ChannelDown, DeliveryError
from auditkeep.notifications.senders.guard import Address, Network, addresses_of, is_within

MAX_BODY = 512 * 1024
MAX_ADDRESSES = 3
"""Of one host that are tried, one after the other."""
CONNECT_SECONDS = 4.0
TOTAL_SECONDS = 10.0

_ABOUT_THE_BODY = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
"""Answers that say nothing about the next message."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What the operator allows, and whom they trust, beyond what is public."""

    networks: tuple[Network, ...] = ()
    ca_file: Path | None = None
    approved: bool = False


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    reach: Reach,
    *,
    seconds: float = TOTAL_SECONDS,
) -> int:
    """The status of a success; DeliveryError, most often ChannelDown, for anything else."""
    if len(body) > MAX_BODY:
        raise DeliveryError(f"The message has {len(body)} bytes, more than webhooks are sent.")
    parts = urlsplit(url)
    deadline = time.monotonic() + seconds
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.hostname or ""
    addresses = addresses_of(host, port, reach.networks)[:MAX_ADDRESSES]
    connection = _connected(parts, host, port, addresses, reach, deadline)
    try:
        with _cut_at(connection, deadline):
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(
                "POST",
                target,
                body=body,
                headers={
                    **headers,
                    "Host": parts.netloc,
                    "User-Agent": f"auditkeep/{__version__}",
                    "Content-Type": "application/json",
                    "Connection": "close",
                },
                preload_content=False,
                decode_content=False,
            )
            status = connection.getresponse().status
    except (OSError, HTTPError, http.client.HTTPException) as error:
        raise ChannelDown(_silence(error, deadline)) from error
    finally:
        connection.close()
    if time.monotonic() >= deadline:  # cut off amid the headers, a status may have come before
        raise ChannelDown(_silence(None, deadline))
    _judge(status)
    return status


def _judge(status: int) -> None:
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise ChannelDown(f"The webhook answered {status}; redirects are not followed.")
    if status in _ABOUT_THE_BODY:
        raise DeliveryError(f"The webhook answered {status}.")
    raise ChannelDown(f"The webhook answered {status}.")


def _connected(
    parts: SplitResult,
    host: str,
    port: int,
    addresses: list[Address],
    reach: Reach,
    deadline: float,
) -> HTTPConnection:
    """A connection to the first address that takes one, TLS verified for the host's name."""
    failed: Exception | None = None
    for address in addresses:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        connection = _connection(parts, host, port, address, reach, min(left, CONNECT_SECONDS))
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise ChannelDown(
                f"The webhook's certificate does not hold: {error.verify_message.rstrip('.')}."
            ) from error
        except (OSError, HTTPError) as error:
            connection.close()
            failed = error
            continue
        return connection
    raise ChannelDown(_silence(failed, deadline)) from failed


def _connection(
    parts: SplitResult, host: str, port: int, address: Address, reach: Reach, seconds: float
) -> HTTPConnection:
    where = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    if parts.scheme == "https":
        context = client_context(reach.ca_file, approved=reach.approved)
        return HTTPSConnection(
            where, port, timeout=seconds, ssl_context=context, server_hostname=host
        )
    if not is_within(address, reach.networks):
        raise ChannelDown(
            "A webhook in clear (http://) is posted to inside AUDITKEEP_WEBHOOK_NETWORKS only."
        )
    return HTTPConnection(where, port, timeout=seconds)


@contextlib.contextmanager
def _cut_at(connection: HTTPConnection, deadline: float) -> Iterator[None]:
    """Break the connection off once the deadline has passed."""
    held = connection.sock

    def cut() -> None:
        with contextlib.suppress(OSError):  # it is closed already
            # of the plain socket, whatever lies over it: TLS must not say goodbye first
            socket.socket.shutdown(held, socket.SHUT_RDWR)

    left = max(deadline - time.monotonic(), 0.0)
    held.settimeout(max(left, 0.001))
    timer = threading.Timer(left, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _silence(error: Exception | None, deadline: float) -> str:
    if time.monotonic() >= deadline or isinstance(error, TimeoutError):
        return "The webhook did not answer in time."
    kind = "" if error is None else f" ({type(error).__name__})"
    return f"The webhook's server cannot be reached, or broke off{kind}."
