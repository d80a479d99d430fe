"""Posting to servers that answer, lie, dawdle and lead astray."""

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.receivers import certificate, web_server

from auditkeep.errors import ChannelDown, DeliveryError
from auditkeep.notifications.senders import guard
from auditkeep.notifications.senders.webhook import MAX_BODY, Reach, post

pytestmark = pytest.mark.server

HERE = tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "::1/128")))
REACH = Reach(HERE)


def test_a_success_is_any_2xx() -> None:
    with web_server() as web:
        web.answers = [200, 202, 204]
        assert [post(web.url + "?a=1", b"{}", {"x-one": "1"}, REACH) for _ in range(3)] == [
            200,
            202,
            204,
        ]
        posted = web.posted[0]
    assert (posted.path, posted.body) == ("/hook?a=1", b"{}")
    assert posted.headers["host"] == f"127.0.0.1:{web.port}"
    assert posted.headers["x-one"] == "1"
    assert posted.headers["content-type"] == "application/json"
    assert posted.headers["user-agent"].startswith("auditkeep/")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    with web_server() as web:
        web.answers = [status]
        with pytest.raises(ChannelDown, match="redirects are not followed"):
            post(web.url, b"{}", {}, REACH)
        assert len(web.posted) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, DeliveryError),
        (413, DeliveryError),
        (422, DeliveryError),
        (401, ChannelDown),
        (404, ChannelDown),
        (429, ChannelDown),
        (500, ChannelDown),
        (503, ChannelDown),
    ],
)
def test_an_answer_says_whether_the_next_message_would_fare_better(
    status: int, kind: type[DeliveryError]
) -> None:
    with web_server() as web:
        web.answers = [status]
        with pytest.raises(DeliveryError, match=str(status)) as caught:
            post(web.url, b"{}", {}, REACH)
    assert type(caught.value) is kind


def test_without_being_allowed_this_machine_is_not_reached() -> None:
    with web_server() as web:
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises(ChannelDown, match="not a public address"):
                post(f"http://{host}:{web.port}/", b"{}", {}, Reach())
        assert web.posted == []


def test_a_name_is_resolved_once_and_the_connection_made_to_what_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def rebinding(host: Any, *words: Any, **named: Any) -> Any:
        """Answers a good address the first time, and one that must not be reached after it."""
        asked.append(str(host))
        names = [h for h in asked if h == "hooks.example.com"]
        if host == "hooks.example.com":
            host = "127.0.0.1" if len(names) == 1 else "127.66.66.66"
        return resolve(host, *words, **named)

    with web_server() as web:
        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        only = Reach((ipaddress.ip_network("127.0.0.1/32"),))
        assert post(f"http://hooks.example.com:{web.port}/", b"{}", {}, only) == 200
        assert web.posted[0].headers["host"] == f"hooks.example.com:{web.port}"
    assert asked.count("hooks.example.com") == 1


def test_in_clear_only_into_networks_that_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    with web_server() as web:
        monkeypatch.setattr(guard, "is_public", lambda _: True)
        with pytest.raises(ChannelDown, match="in clear"):
            post(web.url, b"{}", {}, Reach())
        assert web.posted == []


def test_certificates_are_verified_for_the_name_that_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = certificate(tmp_path)
    with web_server(tls) as web:
        trusted = Reach(HERE, tls.file)
        assert post(web.url, b"{}", {}, trusted) == 200
        with pytest.raises(ChannelDown, match="certificate does not hold"):
            post(web.url, b"{}", {}, REACH)
        with pytest.raises(ChannelDown, match="certificate does not hold"):
            post(web.url.replace("localhost", "127.0.0.1"), b"{}", {}, trusted)
        assert len(web.posted) == 1


@pytest.mark.parametrize("tls", [False, True])
def test_whoever_dawdles_is_cut_off(tmp_path: Path, tls: bool) -> None:
    made = certificate(tmp_path) if tls else None
    with web_server(made) as web:
        web.answers = [60.0]
        began = time.monotonic()
        reach = Reach(HERE, made.file if made else None)
        with pytest.raises(ChannelDown, match="did not answer in time"):
            post(web.url, b"{}", {}, reach, seconds=0.7)
        assert 0.5 < time.monotonic() - began < 3


def test_whoever_never_answers_the_handshake_is_cut_off(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(ChannelDown, match="did not answer in time"):
            post(f"https://127.0.0.1:{silent.getsockname()[1]}/", b"", {}, REACH, seconds=0.5)
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000,
    ],
)
def test_what_is_no_answer_is_none(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def respond() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                with contextlib.suppress(OSError):  # the sender may have hung up by then
                    peer.sendall(answer)
                    peer.shutdown(socket.SHUT_WR)
                    peer.recv(65536)

        thread = threading.Thread(target=respond, daemon=True)
        thread.start()
        with pytest.raises(ChannelDown, match=r"cannot be reached|in time"):
            post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"{}", {}, REACH, seconds=3)
        thread.join(5)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ChannelDown, match="cannot be reached"):
        post(f"http://127.0.0.1:{port}/", b"{}", {}, REACH)


def test_a_message_that_is_too_large_is_not_sent() -> None:
    with pytest.raises(DeliveryError, match="more than webhooks are sent"):
        post("https://example.com/", b"x" * (MAX_BODY + 1), {}, REACH)


def test_the_default_trust_is_the_systems() -> None:
    assert ssl.create_default_context(cafile=Reach().ca_file).verify_mode is ssl.CERT_REQUIRED
