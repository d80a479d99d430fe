"""Mail: a notice as plain text, handed to one relay (RFC 5321, 5322; STARTTLS of RFC 3207).

The certificate of the relay is verified; a password is sent inside TLS only. What the relay says
in words is not kept, for it may quote the recipient or the text: its code is.
"""

import contextlib
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime
from pathlib import Path
from typing import Literal

from auditkeep.clock import to_datetime
from auditkeep.crypto.tls import client_context
from auditkeep.errors import ChannelDown, DeliveryError, DeliveryRefused
from auditkeep.notifications.model import SUBJECT, Notice, NoticeKind

SECONDS = 10.0
"""How long one answer of the relay may take."""

_OPENINGS: dict[NoticeKind, str] = {
    "CONTROL_SET_DELEGATED": "A control set was delegated to you.",
    "CONTROL_SET_HANDED_BACK": "A control set was handed back to you for review.",
    "CONTROL_SET_REVIEWED": "The review of a control set was completed.",
    "COLLECTION_GAPS": "The collection of evidence for an assessment has gaps, or has closed some.",
}


@dataclass(frozen=True, slots=True)
class Relay:
    """The server that takes our mail, and how it wants to be spoken to."""

    host: str
    port: int
    tls: Literal["starttls", "tls", "none"]
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    approved: bool = False


def compose(notice: Notice, sender: str, recipient: str) -> EmailMessage:
    """The mail for one recipient; its Message-ID follows from the notice, whatever the try."""
    mail = EmailMessage(policy=WIRE)
    mail["Subject"] = f"{SUBJECT}: {_one_line(notice.about.assessment_name)}"
    mail["From"] = sender
    mail["To"] = recipient
    mail["Date"] = format_datetime(to_datetime(notice.created_at))
    mail["Message-ID"] = f"<{notice.id}@{sender.rsplit('@', 1)[-1].rstrip('>')}>"
    mail["Auto-Submitted"] = "auto-generated"
    lines = [
        _OPENINGS[notice.kind],
        "",
        f"Assessment:   {_one_line(notice.about.assessment_name)}",
        f"              {notice.about.assessment_id}",
        *([f"Control set:  {_one_line(notice.about.set_id)}"] if notice.about.set_id else []),
        f"By:           {notice.source}",
        f"For:          {notice.recipient}",
        f"At:           {to_datetime(notice.created_at):%Y-%m-%d %H:%M:%S} UTC",
        "",
        *(f"> {line}" for line in notice.description.splitlines()),
        "",
        "-- ",
        "Auditkeep sends this to the address that its operator keeps for you.",
    ]
    mail.set_content("\n".join(lines) + "\n", cte="quoted-printable")
    return mail


def send(relay: Relay, mail: EmailMessage, recipient: str) -> None:
    """Hand one mail to the relay. DeliveryRefused when it will never take it."""
    with _answers(), _session(relay) as session:
        session.send_message(mail, relay.sender, [recipient])


@contextlib.contextmanager
def _session(relay: Relay) -> Iterator[smtplib.SMTP]:
    context = client_context(relay.ca_file, approved=relay.approved)
    session = (
        smtplib.SMTP_SSL(relay.host, relay.port, timeout=SECONDS, context=context)
        if relay.tls == "tls"
        else smtplib.SMTP(relay.host, relay.port, timeout=SECONDS)
    )
    with session:
        if relay.tls == "starttls":
            session.starttls(context=context)
        if relay.user:
            session.login(relay.user, relay.password)
        yield session


@contextlib.contextmanager
def _answers() -> Iterator[None]:
    """What the relay refuses, as our errors."""
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        (code, _), *_rest = error.recipients.values()
        raise _of_message("recipient", code) from error
    except smtplib.SMTPDataError as error:
        raise _of_message("mail", error.smtp_code) from error
    except smtplib.SMTPAuthenticationError as error:
        raise ChannelDown(
            f"The mail relay refused the user or the password ({error.smtp_code})."
        ) from error
    except smtplib.SMTPNotSupportedError as error:
        raise ChannelDown(
            "The mail relay offers no STARTTLS, or no login, as the settings ask for."
        ) from error
    except smtplib.SMTPResponseException as error:
        raise ChannelDown(f"The mail relay answered {error.smtp_code}.") from error
    except ssl.SSLCertVerificationError as error:
        raise ChannelDown(
            f"The mail relay's certificate does not hold: {error.verify_message.rstrip('.')}."
        ) from error
    except (OSError, smtplib.SMTPException) as error:
        raise ChannelDown(
            f"The mail relay cannot be reached, or broke off ({type(error).__name__})."
        ) from error


def _of_message(what: str, code: int) -> DeliveryError:
    if 500 <= code < 600:
        return DeliveryRefused(f"The mail relay refused the {what} for good ({code}).")
    return DeliveryError(f"The mail relay refused the {what} for now ({code}).")


def _one_line(text: str) -> str:
    """Names may hold line breaks, which a header must not."""
    return " ".join(text.split())
