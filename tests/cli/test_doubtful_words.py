"""Commands that keep names and reasons warn of doubtful words, and do what they were told."""

from pathlib import Path

import pytest

from auditkeep.cli import doubtful
from auditkeep.cli.main import COMMANDS, build


def run(*words: str) -> int:
    code = build()(list(words), result_action="return_value", exit_on_error=True)
    return int(code or 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("deployment") / "data"
    assert run("init", "--data", str(folder), "--account", "111122223333", "--json") == 0
    return str(folder)


def test_a_reason_with_a_card_number_is_kept_with_a_warning(
    data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--data", data, "--account", "111122223333")
    why = "case of 4111 1111 1111 1111"
    assert run("hold", "place", *where, "--from", "2026-01-01", "--why", why, "--json") == 0
    told = capsys.readouterr().err
    assert "why looks like it holds a card number" in told
    assert "4111" not in told
    assert run("hold", "list", *where) == 0
    assert why in capsys.readouterr().out


def test_a_name_like_an_address_is_warned_of_and_a_plain_one_is_not(
    data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("log", "token", "create", "eve@example.com", "--data", data) == 0
    assert "name looks like it holds an e-mail address" in capsys.readouterr().err
    assert run("log", "token", "create", "Auditors", "--data", data) == 0
    assert "warning" not in capsys.readouterr().err


def test_what_asks_for_an_address_is_not_warned_of() -> None:
    put_address = COMMANDS["notify address put"]
    assert doubtful.warning("notify address put", put_address) is put_address


def test_every_command_that_keeps_words_is_watched() -> None:
    watched = {words for words, f in COMMANDS.items() if doubtful.warning(words, f) is not f}
    assert watched >= {
        "hold place", "hold release", "keys create", "log token create", "events token create",
        "notify webhook put", "roles put", "trail add", "access policies put",
    }  # fmt: skip


def test_docs_say_so() -> None:
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    assert "looks like it holds" in text
