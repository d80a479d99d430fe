"""Where a webhook may lead, and where not, however it is written."""

import ipaddress
import socket
from typing import Any

import pytest

from auditkeep.errors import ChannelDown
from auditkeep.notifications.senders.guard import addresses_of, is_public, is_within

REFUSED = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",  # metadata of AWS, Azure and Google Cloud
    "169.254.170.2",  # credentials of ECS tasks
    "100.100.100.200",  # metadata of Alibaba Cloud
    "100.64.0.1",
    "168.63.129.16",  # Azure's platform, though it looks public
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",  # metadata of AWS over IPv6
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",  # NAT64 of 127.0.0.1
    "64:ff9b::a9fe:a9fe",  # NAT64 of 169.254.169.254
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "2002:a9fe:a9fe::",
]


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_that_are_nobodys_business(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:1.1.1.1"]
)
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_a_network_that_is_allowed_holds_its_mapped_addresses_too() -> None:
    allowed = [ipaddress.ip_network("10.1.0.0/16")]
    for inside in ("10.1.2.3", "::ffff:10.1.2.3"):
        assert is_within(ipaddress.ip_address(inside), allowed)
    for outside in ("10.2.0.1", "::ffff:10.2.0.1", "fd00::1"):
        assert not is_within(ipaddress.ip_address(outside), allowed)


@pytest.mark.server
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "2130706433", "0x7f.1", "127.1"])
def test_a_literal_is_judged_as_the_resolver_reads_it(host: str) -> None:
    with pytest.raises(ChannelDown, match="not a public address"):
        addresses_of(host, 443, [])


def test_one_bad_address_among_good_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: Any, **__: Any) -> Any:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 443)) for a in ("1.1.1.1", "10.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(ChannelDown, match=r"at 10\.0\.0\.1"):
        addresses_of("hooks.example.com", 443, [])
    found = addresses_of("hooks.example.com", 443, [ipaddress.ip_network("10.0.0.0/8")])
    assert [str(a) for a in found] == ["1.1.1.1", "10.0.0.1"]


def test_a_name_without_an_address_may_have_one_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(ChannelDown, match="has no address"):
        addresses_of("hooks.example.com", 443, [])
