"""A process that has the command line at hand and ends copies of itself at named places.

Started once, it forks for each command, so that a test of many kills pays for one start only. It
reads a line of JSON, [place, word, ...], and answers with the exit code.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from auditkeep.lake.crashpoints import EXIT_CODE

ROOT = Path(__file__).parent.parent.parent


class Kill(Protocol):
    """Run a command that is to end, as `kill -9` ends it, when it comes by a place."""

    def __call__(self, at: str, *words: str) -> None: ...


@contextmanager
def killing() -> Iterator[Kill]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.cli.killing"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "src"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        asked, told = process.stdin, process.stdout
        assert asked is not None
        assert told is not None

        def kill(at: str, *words: str) -> None:
            asked.write(json.dumps([at, *words]) + "\n")
            asked.flush()
            assert told.readline() == f"{EXIT_CODE}\n", (at, words)

        yield kill
        asked.close()


def main() -> None:
    from auditkeep.app import backups  # noqa: F401 - what a command would have to load first
    from auditkeep.cli import main as command_line
    from auditkeep.lake import crashpoints

    for line in sys.stdin:
        at, *words = json.loads(line)
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)
            crashpoints._NAME = at
            sys.argv = ["auditkeep", *words]
            command_line.main()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
