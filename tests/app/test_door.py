"""What a server speaks on which address, and what an operator is told of it."""

import asyncio
import contextlib
import socket
import threading
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auditkeep.app.door import HSTS, Door
from auditkeep.clock import parse
from auditkeep.crypto import tls
from auditkeep.db.database import Database
from auditkeep.errors import AuditkeepError, SetupError
from auditkeep.settings import Settings, load

NOW = parse("2026-11-21T12:00:00Z")


def settings(data: Path, monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    for name, value in values.items():
        monkeypatch.setenv(f"AUDITKEEP_{name.upper()}", value)
    return load(data)


@pytest.mark.parametrize(
    ("tls", "host", "scheme", "words"),
    [
        ("auto", "127.0.0.1", "http", ""),
        ("auto", "::1", "http", ""),
        ("auto", "0.0.0.0", "https", "nobody vouches"),
        ("on", "localhost", "https", "nobody vouches"),
        ("off", "0.0.0.0", "http", "WARNING"),
        ("off", "127.0.0.1", "http", ""),
    ],
)
def test_plain_http_is_for_loopback_unless_asked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tls: str,
    host: str,
    scheme: str,
    words: str,
) -> None:
    door = Door.of(settings(tmp_path, monkeypatch, tls=tls), host, NOW)
    assert door.scheme == scheme
    assert words in " ".join(door.told)
    assert bool(door.told) == bool(words)


def test_an_operators_own_certificate_needs_no_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Door.of(settings(tmp_path, monkeypatch, tls="on"), "127.0.0.1", NOW)
    made = tmp_path / "keys"
    own = settings(
        tmp_path,
        monkeypatch,
        tls_certificate=str(made / "tls.pem"),
        tls_private_key=str(made / "tls.key"),
    )
    assert Door.of(own, "0.0.0.0", NOW).told == ()


def test_half_a_pair_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SetupError, match="go together"):
        settings(tmp_path, monkeypatch, tls_certificate="a.pem")


async def _called(app: ASGIApp, send: Send) -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b""}

    await app({"type": "http"}, receive, send)


def test_answers_over_tls_ask_to_come_back_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def take(message: Message) -> None:
        sent.append(message)

    door = Door.of(settings(tmp_path, monkeypatch, tls="on"), "127.0.0.1", NOW)
    asyncio.run(_called(door.guarded(app), take))
    assert sent[0]["headers"] == [HSTS]
    assert Door().guarded(app) is app


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("postgresql://audit@db.example.com/audit", "sslmode=verify-full&sslrootcert=system"),
        (
            "postgresql://audit@db.example.com/audit?sslrootcert=ca.pem",
            "sslmode=verify-full&sslrootcert=ca.pem",
        ),
        ("postgresql://audit@127.0.0.1/audit", ""),
        ("postgresql://audit@/audit?host=%2Frun%2Fpg", "host=%2Frun%2Fpg"),
    ],
)
def test_a_database_elsewhere_proves_who_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, seen: str
) -> None:
    found = settings(tmp_path, monkeypatch, database_url=url).database
    assert found.partition("?")[2] == seen


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://audit@db.example.com/audit?sslmode=require", "verify-full"),
        ("postgresql://audit:hunter2@db.example.com/audit", "password"),
        ("postgresql://audit@db.example.com/audit?password=hunter2", "password"),
    ],
)
def test_less_than_that_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, words: str
) -> None:
    with pytest.raises(SetupError, match=words) as caught:
        settings(tmp_path, monkeypatch, database_url=url)
    assert "hunter2" not in str(caught.value)


def test_an_operator_may_take_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://audit@db.example.com/audit?sslmode=require"
    found = settings(tmp_path, monkeypatch, database_url=url, database_tls="off")
    assert found.database == url


@pytest.mark.server
@pytest.mark.parametrize("trusted", [False, True])
def test_a_database_that_cannot_prove_its_name_is_told_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, trusted: bool
) -> None:
    """One that speaks TLS as PostgreSQL does, with a certificate of nobody known, or for another."""
    chain, key = tls.generated(tmp_path, ["other.example.com"], NOW)
    context, heard = tls.Certificate(chain, key).context, []

    def serve(bound: socket.socket) -> None:
        connection, _ = bound.accept()
        with connection:
            assert connection.recv(8)[4:] == (80877103).to_bytes(4)  # SSLRequest
            connection.sendall(b"S")
            with (
                contextlib.suppress(OSError),
                context.wrap_socket(connection, server_side=True) as spoken,
            ):
                heard.append(spoken.recv(100))

    with socket.create_server(("127.0.0.1", 0)) as bound:
        thread = threading.Thread(target=serve, args=(bound,))
        thread.start()
        url = f"postgresql://audit@db.example.com:{bound.getsockname()[1]}/audit?hostaddr=127.0.0.1"
        if trusted:
            url += f"&sslrootcert={chain}"
        database = Database(settings(tmp_path, monkeypatch, database_url=url).database)
        why = "does not match host name" if trusted else "certificate verify failed"
        with pytest.raises(AuditkeepError, match=why), database.system_read():
            pass
        thread.join(10)
    assert heard in ([], [b""]), "not even who asks"
