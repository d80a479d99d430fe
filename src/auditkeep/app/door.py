"""How others come in: TLS everywhere but on loopback, unless an operator says otherwise, loudly.

A server that speaks TLS tells browsers to come back by TLS only (HSTS, RFC 6797).
"""

import ssl
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auditkeep.clock import Instant
from auditkeep.crypto import tls
from auditkeep.settings import Settings

HSTS = (b"strict-transport-security", b"max-age=31536000")


@dataclass(frozen=True, slots=True)
class Door:
    """What a socket speaks. `told` is what an operator must read at the start."""

    context: ssl.SSLContext | None = None
    told: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings, host: str, now: Instant) -> "Door":
        """For an address; SetupError where there is something wrong with its certificate."""
        local = host in tls.LOOPBACK
        if settings.tls == "off" or (settings.tls == "auto" and local):
            return cls(told=() if local else (_clear(host),))
        approved = settings.crypto == "approved"
        chain, key = settings.tls_certificate, settings.tls_private_key
        if chain is not None and key is not None:
            return cls(tls.Certificate(chain, key, approved=approved).context)
        names = [n.strip() for n in (*settings.tls_names.split(","), host) if n.strip()]
        made = tls.Certificate(*tls.generated(settings.keys_dir, names, now), approved=approved)
        return cls(made.context, (_own(made.fingerprint),))

    @property
    def scheme(self) -> str:
        return "http" if self.context is None else "https"

    def guarded(self, app: ASGIApp) -> ASGIApp:
        """The application as it is answered through this door."""
        return app if self.context is None else _Strict(app)


@dataclass(frozen=True, slots=True)
class _Strict:
    """Adds HSTS to every answer."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), HSTS]}
            await send(message)

        await self.app(scope, receive, strictly)


def _clear(host: str) -> str:
    return (
        f"WARNING: {host} is reached by others and this is plain HTTP: whoever is on the way reads "
        "evidence and may replay requests for minutes. AUDITKEEP_TLS=off asks for it; put a TLS "
        "proxy in front, or leave the setting out."
    )


def _own(fingerprint: str) -> str:
    return (
        "the certificate was made here and nobody vouches for it. Clients must be given it "
        f"(tls.pem in the directory of keys), SHA-256 {fingerprint}. Set AUDITKEEP_TLS_CERTIFICATE "
        "and AUDITKEEP_TLS_PRIVATE_KEY to your own."
    )
