"""The month's checkpoint by mail: once for each address, and what a restart does not repeat."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.receivers import mail_relay

from auditkeep import app
from auditkeep.app import Parts
from auditkeep.app.mailed import mail_checkpoints
from auditkeep.clock import DAY, FixedClock
from auditkeep.ids import Tenant
from auditkeep.lake import handed_out
from auditkeep.settings import Settings, load
from auditkeep.tlog.checkpoint import open_checkpoint

pytestmark = pytest.mark.server
HOME = Tenant("111122223333", "us-east-1")


def deployed(folder: Path, clock: FixedClock, **settings: Any) -> Parts:
    app.initialise(load(folder), HOME, clock)
    parts = app.open_parts(load(folder), clock)
    return replace(parts, settings=Settings(data=folder, **settings))


def test_each_address_gets_the_newest_checkpoint_once_a_month(
    tmp_path: Path, clock: FixedClock
) -> None:
    with mail_relay() as relay:
        to = ("one@example.org", "two@example.org")
        parts = deployed(
            tmp_path / "audit",
            clock,
            smtp_host="127.0.0.1",
            smtp_port=relay.port,
            smtp_tls="none",
            smtp_from="audit@example.com",
            checkpoint_mail=to,
        )
        assert mail_checkpoints(parts) == 0, "nothing is logged yet"
        with parts.db.system_write() as tx:
            parts.note(tx, "CreateAccessKey", {}, HOME.account)
        parts.log_now()
        relay.refuses["two@example.org"] = "450 later"
        assert mail_checkpoints(parts) == 1
        relay.refuses.clear()
        assert mail_checkpoints(parts) == 1
        assert mail_checkpoints(parts) == 0
        mails = relay.wait(2)
        assert [recipient for _, recipient, _ in mails] == list(to)
        letter = mails[0][0]
        (part,) = letter.iter_attachments()
        signed = open_checkpoint(part.get_content().decode(), [parts.lake.signer.verifier])
        assert f"{signed.size} entries" in str(letter["Subject"])
        with parts.db.system_read() as tx:
            assert signed.size in handed_out.sizes(tx, signed.size + 1)
        text = letter.get_body(("plain",))
        assert text is not None
        assert parts.lake.signer.verifier.fingerprint in text.get_content()
        assert parts.log_key not in letter.as_string()
        clock.advance(31 * DAY)
        assert mail_checkpoints(parts) == 2
        parts.db.close()


def test_addresses_need_a_relay_and_must_be_addresses(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="AUDITKEEP_SMTP_HOST"):
        Settings(data=tmp_path, checkpoint_mail=("a@example.org",))
    with pytest.raises(ValueError, match="list of mail addresses"):
        Settings(data=tmp_path, smtp_host="x", smtp_from="a@b", checkpoint_mail=("a@b\nBcc: c@d",))
