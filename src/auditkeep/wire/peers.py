"""Where a request really came from: the client's address and transport, through trusted proxies.

Source: MDN on `X-Forwarded-For` and `X-Forwarded-Proto`; RFC 7239 section 8.1 on whom to believe.
Rules kept here:

- these headers count only from a peer that the settings trust; from any other they are words;
- addresses are read from the nearest hop outwards and the first that is not a trusted proxy is the
  client, so what a client writes itself stands beyond it and is never reached;
- what cannot be read is no address: a condition on it then finds the key absent;
- the transport was secure only if every hop that was named was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from auditkeep.wire.messages import Request

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Sender:
    """The client at the far end: its address, None where it is not known, and its transport."""

    address: Address | None
    secure: bool


class Proxies:
    """The proxies whose word counts."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)

    def sender(self, request: Request) -> Sender:
        """Who sent a request."""
        peer = plain_address(request.peer)
        if not self._trusts(peer):
            return Sender(peer, request.scheme == "https")
        hops = [hop for value in request.values(b"x-forwarded-for") for hop in value.split(b",")]
        client = peer
        for hop in reversed(hops):
            client = _hop(hop.decode("latin-1").strip())
            if not self._trusts(client):
                break
        protocols = [
            word.strip().lower()
            for value in request.values(b"x-forwarded-proto")
            for word in value.split(b",")
        ]
        secure = all(p == b"https" for p in protocols) if protocols else request.scheme == "https"
        return Sender(client, secure)

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def plain_address(text: str) -> Address | None:
    """The address of a text; an IPv4 address inside an IPv6 one is that IPv4 address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _hop(text: str) -> Address | None:
    """An address as proxies write it: alone, `1.2.3.4:5678`, or `[2001:db8::1]:5678`."""
    if text.startswith("["):
        return plain_address(text[1:].partition("]")[0])
    if text.count(":") == 1:
        text = text.partition(":")[0]
    return plain_address(text)
