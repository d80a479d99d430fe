"""Processes of the tests' own that do a piece of work, and end at a named crash point if told so."""

import os
import subprocess
import sys
from pathlib import Path

from auditkeep.lake.crashpoints import EXIT_CODE

_ROOT = Path(__file__).parent.parent


def started(module: str, *words: object, crash: str = "") -> subprocess.Popen[str]:
    """A module, run beside the test; what it says is read as it comes."""
    return subprocess.Popen(
        _command(module, words),
        cwd=_ROOT,
        env=_environment(crash),
        stdout=subprocess.PIPE,
        text=True,
    )


def crashed(module: str, *words: object, at: str) -> str:
    """What a module said that was run until it came to a crash point, where it ended."""
    done = subprocess.run(
        _command(module, words),
        cwd=_ROOT,
        env=_environment(at),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == EXIT_CODE, f"{at} was not reached: {done.stderr}"
    return done.stdout


def _command(module: str, words: tuple[object, ...]) -> list[str]:
    return [sys.executable, "-m", module, *map(str, words)]


def _environment(crash: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": "src", "AUDITKEEP_CRASH_AT": crash}
