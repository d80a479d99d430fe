"""Asking others over the network while somebody waits to sign in: bounded in time and size.

Invariants: no redirect is followed, no proxy of the environment is used, no answer is read beyond
its limit, certificates are verified against the machine's own trust. Which URL may be asked is for
the caller to decide, before.
"""

import time
from collections.abc import Mapping
from typing import Protocol

import urllib3

from auditkeep.crypto.tls import client_context
from auditkeep.errors import IssuerSilent

PATIENCE_SECONDS = 8.0
LARGEST = 256 * 1024
"""Bytes of an answer; the largest key sets of public issuers have a few dozen KiB."""


class Fetch(Protocol):
    """How the network is asked: status and body of a GET, IssuerSilent when there is none."""

    def __call__(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]: ...


class Fetcher:
    """Fetches over the real network; connections are kept for the next time."""

    def __init__(self, *, patience: float = PATIENCE_SECONDS, approved: bool = False) -> None:
        self._patience = patience
        self._pool = urllib3.PoolManager(
            num_pools=10,
            maxsize=4,
            timeout=urllib3.Timeout(connect=patience / 2, read=patience / 2),
            retries=False,
            ssl_context=client_context(None, approved=approved),
        )

    def __call__(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        deadline = time.monotonic() + self._patience
        try:
            response = self._pool.request(
                "GET",
                url,
                headers={"accept-encoding": "identity", "user-agent": "auditkeep", **headers},
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _silent(url) from error
        body = b""
        try:
            while part := response.read1(16 * 1024):
                body += part
                if len(body) > LARGEST or time.monotonic() > deadline:
                    raise IssuerSilent(f"{_host(url)} answers with too much, or too slowly.")
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _silent(url) from error
        finally:
            response.close()
        return response.status, body


def _silent(url: str) -> IssuerSilent:
    return IssuerSilent(f"{_host(url)} cannot be asked from this server now.")


def _host(url: str) -> str:
    return urllib3.util.parse_url(url).netloc or "the address named"
