"""The command line as the console script runs it, and a deployment to run it on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from auditkeep.cli import main as command_line

ACCOUNT = "111122223333"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command as the console script does: exit code, output, errors."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def go(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["auditkeep", *words])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        seen = capsys.readouterr()
        return int(ended.value.code or 0), seen.out, seen.err

    return go


@pytest.fixture
def data(run: Run, tmp_path: Path) -> Path:
    folder = tmp_path / "audit"
    assert run("init", "--data", str(folder), "--account", ACCOUNT)[0] == 0
    return folder
