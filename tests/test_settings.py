"""Settings that only make sense together, and what is said of those that do not."""

from pathlib import Path

import pytest

from auditkeep.errors import SetupError
from auditkeep.settings import Settings, load

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


URLS = [name for name in Settings.model_fields if name.endswith(("_url", "_endpoint"))]


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize("url", ["https://ann:hunter2@a.org/p", "https://a.org/p?token=hunter2"])
def test_no_setting_takes_a_url_that_holds_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    """Of the database's URL, libpq's own parameters are: a password among them is refused."""
    if name == "database_url":
        url = url.replace("https", "postgresql").replace("token", "password")
    monkeypatch.setenv(f"AUDITKEEP_{name.upper()}", url)
    if name == "tsa_url":
        monkeypatch.setenv("AUDITKEEP_TSA_CA_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(
        SetupError, match=f"AUDITKEEP_{name.upper()}: |AUDITKEEP_OBJECTS|write a"
    ) as caught:
        load(tmp_path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(URLS) - {"database_url", "external_url", "tsa_url"}))
def test_nothing_is_asked_in_clear_but_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"AUDITKEEP_{name.upper()}", "http://a.org")
    with pytest.raises(SetupError, match="https://"):
        load(tmp_path)
    monkeypatch.setenv(f"AUDITKEEP_{name.upper()}", "http://127.0.0.1:9")
    assert getattr(load(tmp_path), name) == "http://127.0.0.1:9"
