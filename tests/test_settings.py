"""Settings that only make sense together, and what is said of those that do not."""

from pathlib import Path

import pytest

from auditkeep.errors import SetupError
from auditkeep.settings import load

MAIL = {"AUDITKEEP_SMTP_HOST": "mail.example.com", "AUDITKEEP_SMTP_FROM": "a@example.com"}
LOGIN = {**MAIL, "AUDITKEEP_SMTP_USER": "u", "AUDITKEEP_SMTP_PASSWORD": "correct horse"}


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"AUDITKEEP_SMTP_HOST": "mail.example.com"}, "needs AUDITKEEP_SMTP_FROM"),
        ({**MAIL, "AUDITKEEP_SMTP_USER": "u"}, "go together"),
        ({**MAIL, "AUDITKEEP_SMTP_PASSWORD": "correct horse"}, "go together"),
        ({**LOGIN, "AUDITKEEP_SMTP_TLS": "none"}, "never sent in clear"),
        ({**MAIL, "AUDITKEEP_SMTP_TLS": "ssl"}, "AUDITKEEP_SMTP_TLS: "),
        ({"AUDITKEEP_EVENT_BUS": "audit"}, "AUDITKEEP_EVENT_BUS: write the bus's ARN"),
        ({"AUDITKEEP_WEBHOOK_NETWORKS": "10.0.0.1/8"}, "AUDITKEEP_WEBHOOK_NETWORKS: "),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], why: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SetupError, match=why) as caught:
        load(tmp_path)
    assert "correct horse" not in str(caught.value)
    assert "Value error" not in str(caught.value)


def test_a_password_is_never_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    settings = load(tmp_path)
    assert settings.smtp_password.get_secret_value() == "correct horse"
    assert "correct horse" not in repr(settings)
    assert "correct horse" not in str(settings.model_dump())


def test_networks_are_read_with_and_without_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITKEEP_WEBHOOK_NETWORKS", "10.1.0.0/16, fd00::/8,")
    assert [str(n) for n in load(tmp_path).webhook_reach] == ["10.1.0.0/16", "fd00::/8"]
