"""The AWS CLI as it comes from PyPI, run as a person runs it."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.conftest import Running


@dataclass(frozen=True)
class Cli:
    """A shell with an access key in its environment."""

    server: Running
    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    service: str = "auditmanager"

    def __call__(
        self, *words: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """`aws SERVICE …`, with more in its environment."""
        done = subprocess.run(
            [str(Path(sys.executable).parent / "aws"), self.service, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("AWS_")},
                "AWS_ACCESS_KEY_ID": self.server.access_key,
                "AWS_SECRET_ACCESS_KEY": self.server.secret_key,
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_CONFIG_FILE": str(self.home / "config"),
                "AWS_MAX_ATTEMPTS": "1",
                "AWS_PAGER": "",
                **self.environment,
                **environment,
            },
        )
        assert done.returncode == 0 or not check, done.stderr
        return done
