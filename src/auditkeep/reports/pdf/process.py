"""Running the drawing program: one subprocess per PDF, bounded in memory and time."""

import os
import subprocess
import sys

import msgspec

from auditkeep.errors import ReportError
from auditkeep.reports.model import Listing, Summary
from auditkeep.reports.pdf import render as program

SECONDS = 180.0
_KILLED = {-6, -9, -11}
"""How a process ends that asked for more memory than it may have: aborted, killed, or faulted."""


def render(model: Summary | Listing, *, memory_mb: int, seconds: float = SECONDS) -> bytes:
    """The PDF of a model; ReportError when it needs more than it may have, or cannot be drawn."""
    kind = "summary" if isinstance(model, Summary) else "listing"
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module, no shell
            [sys.executable, "-m", program.__name__, kind, str(memory_mb)],
            input=msgspec.json.encode(model),
            capture_output=True,
            timeout=seconds,
            check=False,
            env={"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired as error:
        raise ReportError(f"Drawing the report's {kind} took longer than {seconds:g} s.") from error
    if done.returncode == 0:
        return done.stdout
    words = done.stderr.decode(errors="replace").strip()
    if (
        done.returncode == program.OUT_OF_MEMORY
        or done.returncode in _KILLED
        or "memory allocation" in words
        or "ThreadPoolBuildError" in words  # no room for the stacks of its threads
    ):
        raise ReportError(
            f"Drawing the report's {kind} needs more than {memory_mb} MB. Allow more with "
            "AUDITKEEP_REPORT_MEMORY_MB, or fewer rows with AUDITKEEP_REPORT_VOLUME_ROWS."
        )
    raise ReportError(
        f"The report's {kind} could not be drawn: {words[-500:] or 'no reason given'}"
    )
