"""Who sent a request is asked of the connection, and of proxies only where they are trusted."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.wire.messages import Request
from auditkeep.wire.peers import Proxies

TRUSTED = Proxies([ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")])


def request(peer: str, forwarded: list[str], proto: list[str] | None = None, scheme: str = "http") -> Request:  # fmt: skip
    headers = [(b"x-forwarded-for", f.encode("latin-1")) for f in forwarded]
    headers += [(b"x-forwarded-proto", p.encode()) for p in proto or []]
    return Request("GET", b"/", b"", tuple(headers), scheme=scheme, peer=peer)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),  # not trusted: its words are words
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.9"], "203.0.113.9"),  # what a client wrote itself
        ("10.0.0.1", ["6.6.6.6, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["6.6.6.6", "203.0.113.9", "10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.1", ["[2a00::7]:4711"], "2a00::7"),
        ("10.0.0.1", ["2a00::7"], "2a00::7"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("2001:db8::1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, unknown"], "None"),
        ("10.0.0.1", [""], "None"),
        ("", ["203.0.113.9"], "None"),
    ],
)
def test_the_address_is_the_first_hop_that_is_not_trusted(
    peer: str, forwarded: list[str], address: str
) -> None:
    assert str(TRUSTED.sender(request(peer, forwarded)).address) == address


@pytest.mark.parametrize(
    ("peer", "proto", "scheme", "secure"),
    [
        ("192.0.2.1", [], "https", True),
        ("192.0.2.1", ["https"], "http", False),
        ("10.0.0.1", [], "http", False),
        ("10.0.0.1", ["https"], "http", True),
        ("10.0.0.1", ["HTTPS"], "http", True),
        ("10.0.0.1", ["http"], "https", False),
        ("10.0.0.1", ["https, http"], "http", False),
        ("10.0.0.1", ["https", "https"], "http", True),
    ],
)
def test_the_transport_is_what_trusted_proxies_say(
    peer: str, proto: list[str], scheme: str, secure: bool
) -> None:
    assert TRUSTED.sender(request(peer, [], proto, scheme)).secure is secure


@given(st.lists(st.text(alphabet=st.characters(max_codepoint=255))))
def test_a_client_cannot_speak_for_a_proxy(claimed: list[str]) -> None:
    honest = request("10.0.0.1", [*claimed, "203.0.113.9"])
    assert str(TRUSTED.sender(honest).address) == "203.0.113.9"
    assert str(Proxies([]).sender(request("192.0.2.1", claimed)).address) == "192.0.2.1"
