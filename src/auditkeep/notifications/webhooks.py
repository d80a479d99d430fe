"""Webhooks: where a tenant's notices and events are posted to, and the secret that signs them.

URL and secret are sealed, for a URL may itself carry a token. Lists show its origin only (scheme,
host, port).
"""

import base64
import binascii
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import urlsplit

import msgspec

from auditkeep.clock import Instant
from auditkeep.db.prepared import Prepared
from auditkeep.db.schema import webhooks
from auditkeep.db.tx import Tx
from auditkeep.errors import SetupError

Sent = Literal["notices", "events"]
ALL_SENT: tuple[Sent, ...] = get_args(Sent)

SECRET_PREFIX = "whsec_"  # noqa: S105 - how Standard Webhooks marks a secret, not one itself
_SECRET_BYTES = 32
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,253}")
_LONGEST_URL = 2048
_SENDS = Prepared(webhooks.c.name, webhooks.c.sends)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook with all that posting to it takes."""

    name: str
    url: str = field(repr=False)
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Listed:
    """A webhook as it is listed."""

    name: str
    origin: str
    sends: tuple[Sent, ...]
    created_at: Instant


class _Target(msgspec.Struct, frozen=True):
    url: str
    secret: bytes


def put(
    tx: Tx,
    name: str,
    url: str,
    *,
    sends: Iterable[Sent],
    secret: str | None,
    now: Instant,
) -> str:
    """Make a webhook, or replace the one of that name; its secret, a new one unless given.

    SetupError when name, URL or secret cannot be used.
    """
    if not _NAME.fullmatch(name):
        raise SetupError(
            f"'{name}' is no name for a webhook: up to 40 lower-case letters, digits and hyphens."
        )
    key = os.urandom(_SECRET_BYTES) if secret is None else _key_of(secret)
    what = [s for s in ALL_SENT if s in set(sends)]
    if not what:
        raise SetupError("A webhook sends notices, events, or both.")
    target = msgspec.json.encode(_Target(url, key)).decode()
    row = {
        "name": name,
        "origin": _origin_of(url),
        "sends": msgspec.json.encode(what).decode(),
        "target": target,
        "created_at": now,
    }
    tx.upsert(webhooks, [row], replace=["origin", "sends", "target", "created_at"])
    return SECRET_PREFIX + base64.b64encode(key).decode()


def find(tx: Tx, name: str) -> Webhook | None:
    found = tx.scalar(tx.select(webhooks.c.target).where(webhooks.c.name == name))
    if found is None:
        return None
    target = msgspec.json.decode(found, type=_Target)
    return Webhook(name, target.url, target.secret)


def names(tx: Tx, sent: Sent) -> list[str]:
    """The webhooks that notices, or events, go to."""
    rows = tx.fetch(_SENDS)
    return sorted(r.name for r in rows if sent in msgspec.json.decode(r.sends))


def listed(tx: Tx) -> list[Listed]:
    """Every webhook of the tenant; never its path or its secret."""
    columns = (webhooks.c.name, webhooks.c.origin, webhooks.c.sends, webhooks.c.created_at)
    return [
        Listed(
            r.name,
            r.origin,
            msgspec.json.decode(r.sends, type=tuple[Sent, ...]),
            Instant(r.created_at),
        )
        for r in tx.all(tx.select(*columns).order_by(webhooks.c.name))
    ]


def delete(tx: Tx, name: str) -> None:
    """Send nothing there any more, not even what waits; SetupError when there is none."""
    if tx.run(tx.delete(webhooks).where(webhooks.c.name == name)) == 0:
        raise SetupError(f"There is no webhook named '{name}'.")


def _origin_of(url: str) -> str:
    """Scheme, host and port of a URL that can be posted to; SetupError says what is wrong."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SetupError("The webhook's URL cannot be read as one.") from error
    if parts.scheme not in ("https", "http"):
        raise SetupError("A webhook's URL begins with https:// (http:// only where allowed).")
    if parts.username is not None or parts.password is not None:
        raise SetupError("A webhook's URL holds no user or password; requests are signed.")
    if not parts.hostname or not _HOST.fullmatch(parts.hostname):
        raise SetupError("A webhook's URL names its host in plain letters (xn--… for others).")
    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise SetupError(
            f"A webhook's URL is at most {_LONGEST_URL} printable ASCII characters without spaces."
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def _key_of(secret: str) -> bytes:
    problem = "A webhook's secret is whsec_ and 24 to 64 bytes in base64."
    if not secret.startswith(SECRET_PREFIX):
        raise SetupError(problem)
    try:
        key = base64.b64decode(secret[len(SECRET_PREFIX) :], validate=True)
    except binascii.Error as error:
        raise SetupError(problem) from error
    if not 24 <= len(key) <= 64:
        raise SetupError(problem)
    return key
