"""Once a month the newest checkpoint goes to those who asked for it, by mail.

What was sent is noted for each address and month, so that a restart sends nothing twice; an address
whose mail was not taken is tried again the next hour.
"""

import logging
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime

from auditkeep.anchoring.invitation import HandedOut, take
from auditkeep.app.parts import Parts
from auditkeep.clock import Instant, to_datetime
from auditkeep.db.schema import meta
from auditkeep.errors import DeliveryError
from auditkeep.notifications.senders import mail
from auditkeep.workflows.notify import relay_of

_PREFIX = "checkpoint-mail/"
_LOG = logging.getLogger("auditkeep.anchoring")


def mail_checkpoints(parts: Parts) -> int:
    """Send to every address of the settings that has not had this month's; how many were sent."""
    now = parts.clock.now()
    month = f"{to_datetime(now):%Y-%m}"
    addresses = [a for a in parts.settings.checkpoint_mail if not _had(parts, a, month)]
    if not addresses:
        return 0
    with parts.db.system_write() as tx:
        handed = take(tx, parts.lake)
    if handed is None:
        return 0
    sent = 0
    for address in addresses:
        letter = _letter(parts, handed, address, month, now)
        try:
            mail.send(relay_of(parts.settings), letter, address)
        except DeliveryError as error:
            _LOG.error("The checkpoint of %s did not reach its reader: %s", month, error)
            continue
        with parts.db.system_write() as tx:
            row = {"key": f"{_PREFIX}{address}", "value": month}
            tx.upsert(meta, [row], replace=["value"])
        sent += 1
    return sent


def _had(parts: Parts, address: str, month: str) -> bool:
    with parts.db.system_read() as tx:
        query = tx.select(meta.c.value).where(meta.c.key == f"{_PREFIX}{address}")
        return bool(tx.scalar(query) == month)


def _letter(
    parts: Parts, handed: HandedOut, address: str, month: str, now: Instant
) -> EmailMessage:
    origin, sender = parts.lake.origin, parts.settings.smtp_from
    letter = EmailMessage(policy=WIRE)
    letter["Subject"] = f"Checkpoint of {month}: {origin}, {handed.size} entries"
    letter["From"] = sender
    letter["To"] = address
    letter["Date"] = format_datetime(to_datetime(now))
    letter["Message-ID"] = f"<checkpoint-{month}-{handed.size}@{sender.rsplit('@', 1)[-1]}>"
    letter["Auto-Submitted"] = "auto-generated"
    lines = [
        f"The log {origin} has {handed.size:,} entries. Keep the attached checkpoint beside those",
        "of the months before: whoever holds it sees whether anything logged before it was",
        "changed, removed or reordered later.",
        "",
        f"Key fingerprint  {parts.lake.signer.verifier.fingerprint}",
        "",
        "    auditkeep verify REPORT.zip --checkpoint checkpoint.txt --key LOG_KEY",
        "",
        "The key is the one you were handed with the invitation; it is not sent by mail.",
    ]
    letter.set_content("\n".join(lines) + "\n", cte="quoted-printable")
    letter.add_attachment(  # as bytes: text would get other line ends on its way
        handed.note.encode(),
        maintype="application",
        subtype="octet-stream",
        filename="checkpoint.txt",
    )
    return letter
