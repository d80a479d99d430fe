"""Mail, to a relay that demands TLS and a login, refuses, or lies about its name."""

from pathlib import Path

import pytest
from tests.receivers import certificate, mail_relay

from auditkeep.clock import parse
from auditkeep.errors import ChannelDown, DeliveryError, DeliveryRefused
from auditkeep.notifications.model import About, Notice
from auditkeep.notifications.senders.mail import Relay, compose, send

EXPERT = "expert@example.com"
NOTICE = Notice(
    id="1777636800000_5b3c",
    recipient="arn:aws:iam::111122223333:role/Expert",
    kind="CONTROL_SET_DELEGATED",
    about=About("a-1", "Überprüfung\r\nBcc: x@example.com", "Identity\n& access"),
    description="Bitte prüfen.\r\n.\r\nSubject: nothing",
    source="arn:aws:sts::111122223333:assumed-role/Owner/jane",
    created_at=parse("2026-05-01T12:00:00Z"),
)


def test_a_mail_says_who_did_what_and_names_cannot_become_headers() -> None:
    mail = compose(NOTICE, "audit@example.com", EXPERT)
    assert mail["Subject"] == "Audit Manager notification: Überprüfung Bcc: x@example.com"
    assert (mail["From"], mail["To"], mail["Bcc"]) == ("audit@example.com", EXPERT, None)
    assert mail["Message-ID"] == "<1777636800000_5b3c@example.com>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    assert mail["Content-Transfer-Encoding"] == "quoted-printable"  # legible as it travels
    assert mail.get_content().splitlines() == [
        "A control set was delegated to you.",
        "",
        "Assessment:   Überprüfung Bcc: x@example.com",
        "              a-1",
        "Control set:  Identity & access",
        "By:           arn:aws:sts::111122223333:assumed-role/Owner/jane",
        "For:          arn:aws:iam::111122223333:role/Expert",
        "At:           2026-05-01 12:00:00 UTC",
        "",
        "> Bitte prüfen.",
        "> .",
        "> Subject: nothing",
        "",
        "-- ",
        "Auditkeep sends this to the address that its operator keeps for you.",
    ]


@pytest.mark.server
def test_mail_travels_in_tls_after_a_login(tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    with mail_relay(tls, password="correct horse") as server:
        relay = Relay(
            "localhost",
            server.port,
            "starttls",
            "audit@example.com",
            user="auditkeep",
            password="correct horse",
            ca_file=tls.file,
        )
        send(relay, compose(NOTICE, relay.sender, EXPERT), EXPERT)
        ((mail, recipient, in_tls),) = server.wait(1)
    assert (recipient, in_tls) == (EXPERT, True)
    assert "> Bitte prüfen." in mail.get_content()
    assert "correct" not in repr(relay)


@pytest.mark.server
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"password": "wrong"}, "refused the user or the password"),
        ({"ca_file": None}, "certificate does not hold"),
        ({"host": "127.0.0.1"}, "certificate does not hold"),
        ({"tls": "none", "user": ""}, "answered 530"),
        ({"tls": "tls"}, "broke off"),
        ({"port": 1}, "cannot be reached"),
    ],
)
def test_a_relay_that_is_not_as_set_takes_nothing(
    tmp_path: Path, changes: dict[str, object], why: str
) -> None:
    tls = certificate(tmp_path)
    with mail_relay(tls, password="correct horse") as server:
        how: dict[str, object] = {
            "host": "localhost",
            "port": server.port,
            "tls": "starttls",
            "sender": "audit@example.com",
            "user": "auditkeep",
            "password": "correct horse",
            "ca_file": tls.file,
        }
        relay = Relay(**{**how, **changes})  # type: ignore[arg-type]
        with pytest.raises(ChannelDown, match=why) as caught:
            send(relay, compose(NOTICE, relay.sender, EXPERT), EXPERT)
        assert server.mails == []
    assert "horse" not in str(caught.value)


@pytest.mark.server
def test_a_relay_without_starttls_gets_no_password() -> None:
    with mail_relay() as server:
        relay = Relay("localhost", server.port, "starttls", "a@example.com", "auditkeep", "secret")
        with pytest.raises(ChannelDown, match="offers no STARTTLS"):
            send(relay, compose(NOTICE, relay.sender, EXPERT), EXPERT)
        assert (server.mails, server.logins) == ([], [])


@pytest.mark.server
@pytest.mark.parametrize(
    ("answer", "kind"),
    [("550 no such user", DeliveryRefused), ("450 come back later", DeliveryError)],
)
def test_a_refused_recipient_is_refused_for_good_or_for_now(
    answer: str, kind: type[DeliveryError]
) -> None:
    with mail_relay() as server:
        server.refuses[EXPERT] = answer
        relay = Relay("localhost", server.port, "none", "audit@example.com")
        with pytest.raises(DeliveryError, match=r"refused the recipient .*\(") as caught:
            send(relay, compose(NOTICE, relay.sender, EXPERT), EXPERT)
    assert type(caught.value) is kind
    assert answer[4:] not in str(caught.value)
