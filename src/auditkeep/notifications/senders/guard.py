"""Where a webhook may lead: public addresses, and the private networks an operator names.

A URL is whatever somebody typed, and a name resolves to whatever its owner likes, and later to
something else. So the addresses a name has now are checked, all of them, and the connection is
made to one of exactly those (server-side request forgery, DNS rebinding). IPv6 addresses that
carry an IPv4 one are judged by what they carry.
"""

import ipaddress
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from auditkeep.errors import ChannelDown

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_METADATA = ipaddress.ip_network("168.63.129.16/32")
"""Azure's platform address, which looks public; other clouds' are link-local or private."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")


def addresses_of(host: str, port: int, allowed: Sequence[Network]) -> list[Address]:
    """The addresses of a host; ChannelDown if it has none, or any that is not to be reached."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ChannelDown("The webhook's host name has no address.") from error
    addresses = list(dict.fromkeys(ipaddress.ip_address(f[4][0]) for f in found))
    for address in addresses:
        if not (is_public(address) or is_within(address, allowed)):
            raise ChannelDown(
                f"The webhook's host is at {address}, which is not a public address. Name its "
                "network in AUDITKEEP_WEBHOOK_NETWORKS if it is meant."
            )
    return addresses


def is_public(address: Address) -> bool:
    """Whether an address belongs to the internet at large, and to no machinery of a cloud."""
    carried = _carried(address)
    if carried is not None:
        return is_public(carried)
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and address not in _METADATA
    )


def is_within(address: Address, networks: Sequence[Network]) -> bool:
    carried = _carried(address)
    return any(address in n or (carried is not None and carried in n) for n in networks)


def _carried(address: Address) -> IPv4Address | None:
    """The IPv4 address that packets to an IPv6 one would end at."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return address.sixtofour
    return None
