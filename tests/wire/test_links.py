"""Links of our own: good for one method, path, tenant and time."""

from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.clock import MINUTE, FixedClock, Instant
from auditkeep.errors import AccessDenied
from auditkeep.ids import Tenant
from auditkeep.wire.links import Links

LINKS = Links(b"s" * 32, 15 * MINUTE)
TENANT = Tenant("111122223333", "us-east-1")
NOW = Instant(1_777_636_800_000_000)


def made(path: str = "/files/x.zip", method: str = "GET") -> tuple[bytes, bytes]:
    parts = urlsplit(LINKS.make("http://h:1", path, NOW, tenant=TENANT, method=method))
    return parts.path.encode(), parts.query.encode()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_link_gives_back_its_path_and_tenant(name: str) -> None:
    path, query = made(f"/files/{name}")
    assert LINKS.check("GET", path, query, NOW) == (f"/files/{name}", TENANT)


def test_a_proxy_may_encode_the_path_otherwise() -> None:
    _, query = made("/files/a b~é.zip")
    for path in (b"/files/a%20b~%C3%A9.zip", b"/files/%61%20b%7e%c3%a9.zip"):
        assert LINKS.check("GET", path, query, NOW)[0] == "/files/a b~é.zip"


def test_a_link_ends() -> None:
    path, query = made()
    LINKS.check("GET", path, query, Instant(NOW + 15 * MINUTE - 1))
    with pytest.raises(AccessDenied, match="has ended"):
        LINKS.check("GET", path, query, Instant(NOW + 15 * MINUTE))


@pytest.mark.parametrize(
    "name", ["X-Auditkeep-Tenant", "X-Auditkeep-Expires", "X-Auditkeep-Signature"]
)
@pytest.mark.parametrize("change", ["drop", "alter", "repeat", "empty"])
def test_every_member_counts(name: str, change: str) -> None:
    path, query = made()
    members = parse_qsl(query.decode())
    if change == "repeat":
        members += [m for m in members if m[0] == name]
    else:
        members = [
            (
                k,
                {"alter": v[:-1] + ("0" if v[-1] != "0" else "1"), "empty": ""}.get(change, v)
                if k == name
                else v,
            )
            for k, v in members
            if not (change == "drop" and k == name)
        ]
    with pytest.raises(AccessDenied, match="not valid"):
        LINKS.check("GET", path, urlencode(members).encode(), NOW)


def test_a_link_is_for_one_method_one_path_and_one_secret() -> None:
    path, query = made(method="PUT")
    LINKS.check("PUT", path, query, NOW)
    for method, where, links in (
        ("GET", path, LINKS),
        ("PUT", path + b"x", LINKS),
        ("PUT", path, Links(b"t" * 32, 15 * MINUTE)),
    ):
        with pytest.raises(AccessDenied):
            links.check(method, where, query, NOW)


def test_parts_cannot_be_shifted_into_each_other() -> None:
    query = made("/files/a")[1].replace(b"111122223333", b"11112222333")
    with pytest.raises(AccessDenied):
        LINKS.check("GET", b"/files/a1", query, NOW)


@given(st.binary(max_size=60), st.binary(max_size=120))
def test_no_bytes_are_answered_with_anything_but_a_refusal(path: bytes, query: bytes) -> None:
    with pytest.raises(AccessDenied):
        LINKS.check("GET", path, query, NOW)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes"):
        Links(b"short", MINUTE)


def test_the_base_url_stands_in_front(clock: FixedClock) -> None:
    link = LINKS.make("https://audit.example.com", "/files/a b", clock.now(), tenant=TENANT)
    assert link.startswith(
        "https://audit.example.com/files/a%20b?X-Auditkeep-Tenant=111122223333/us-east-1&"
    )
