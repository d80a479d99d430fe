"""Pinned log keys: kept in the person's own config folder, one to a line."""

from pathlib import Path

import pytest
from tests.verify.conftest import log_signer

from auditkeep.errors import KeyUnusable
from auditkeep.verify.pins import add, pinned, pins_file

ONE, TWO = log_signer("one.example.org", "1").vkey, log_signer("two.example.org", "2").vkey


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def test_nothing_is_pinned_at_first(home: Path) -> None:
    assert pinned() == ()


def test_pins_are_kept_once_each(home: Path) -> None:
    assert add(ONE) == home / "config" / "auditkeep" / "log-keys"
    add(f"  {TWO}\n")
    add(ONE)
    assert pinned() == (ONE, TWO)
    assert pins_file().stat().st_mode & 0o777 == 0o600


def test_notes_and_a_missing_newline_are_respected(home: Path) -> None:
    file = home / "keys"
    file.write_text(f"# told by telephone on 3 May\n\n{ONE}")
    add(TWO, file)
    assert pinned(file) == (ONE, TWO)
    assert file.read_text() == f"# told by telephone on 3 May\n\n{ONE}\n{TWO}\n"


@pytest.mark.parametrize("base", [None, "", "relative/folder"])
def test_without_a_usable_variable_the_home_folder_is_meant(
    home: Path, monkeypatch: pytest.MonkeyPatch, base: str | None
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    if base is not None:
        monkeypatch.setenv("XDG_CONFIG_HOME", base)
    assert pins_file() == home / "home" / ".config" / "auditkeep" / "log-keys"


def test_what_is_no_key_is_not_pinned(home: Path) -> None:
    with pytest.raises(KeyUnusable, match="not a log key"):
        add("noise")
    assert not pins_file().exists()


def test_a_damaged_line_is_named(home: Path) -> None:
    file = home / "keys"
    file.write_text(f"{ONE}\nnoise\n")
    with pytest.raises(KeyUnusable, match=f"Line 2 of {file}"):
        pinned(file)
    file.write_bytes(b"\xff")
    with pytest.raises(KeyUnusable, match="cannot be read"):
        pinned(file)
