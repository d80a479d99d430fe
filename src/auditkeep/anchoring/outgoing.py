"""One request to an authority: posted, answered, judged by nobody here.

Certificates are verified, redirects not followed, proxies of the environment not used; an answer
longer than what such answers are is not read to its end.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import urllib3
from urllib3.exceptions import HTTPError

from auditkeep import __version__
from auditkeep.crypto.tls import client_context
from auditkeep.errors import DeliveryError

SECONDS = 10.0
MOST = 1 << 16


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    kind: str
    body: bytes


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    ca_file: Path | None,
    *,
    approved: bool = False,
) -> Reply:
    """The answer, whatever its status; DeliveryError where there is none."""
    context = client_context(ca_file, approved=approved)
    timeout = urllib3.Timeout(connect=SECONDS / 2, read=SECONDS)
    try:
        with urllib3.PoolManager(ssl_context=context, timeout=timeout, retries=False) as pool:
            answer = pool.request(
                "POST",
                url,
                body=body,
                headers={"User-Agent": f"auditkeep/{__version__}", **headers},
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            read = answer.read(MOST + 1)
            answer.close()
    except (HTTPError, OSError) as error:
        raise DeliveryError(_why(error)) from error
    if len(read) > MOST:
        raise DeliveryError(f"its answer is longer than {MOST} bytes")
    return Reply(answer.status, answer.headers.get("content-type", ""), read)


def _why(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate does not hold: {cause.verify_message.rstrip('.')}"
        cause = cause.__cause__ or cause.__context__ or getattr(cause, "reason", None)
        if not isinstance(cause, BaseException):
            break
    return f"it cannot be reached, or broke off ({type(error).__name__})"
