"""Named places where a test may end the process at once, as `kill -9` or a power cut would.

A testing seam: without AUDITKEEP_CRASH_AT in the environment, read once at import, `reach` does
nothing. `AUDITKEEP_CRASH_AT=append.before-commit:3` ends the process the third time it comes by.
Every place where something becomes durable has a name on both of its sides; `NAMES` lists them,
and the tests drive a process into each.
"""

import itertools
import os
from typing import Literal, get_args

Name = Literal[
    "bucket.key-kept",
    "append.before-segment",
    "append.segment-kept",
    "append.leaves-kept",
    "append.before-commit",
    "append.committed",
    "seal.before-segment",
    "seal.segment-kept",
    "seal.before-commit",
    "seal.committed",
    "compact.chosen",
    "compact.segment-kept",
    "compact.before-commit",
    "compact.committed",
    "cut.begun",
    "cut.segment-kept",
    "cut.file-kept",
    "cut.copied",
    "cut.before-commit",
    "log.indexed",
    "log.tile-kept",
    "log.before-checkpoint",
    "log.checkpoint-decided",
    "log.checkpoint-signed",
    "log.published",
    "blob.kept",
    "destroy.before-commit",
    "destroy.committed",
    "destroy.key-destroyed",
    "destroy.object-deleted",
    "expire.chosen",
    "expire.done",
    "erase.asked",
    "erase.some-keys-gone",
    "erase.keys-gone",
    "erase.some-rows-gone",
    "erase.rows-gone",
    "erase.objects-gone",
    "erase.before-certificate",
    "erase.certified",
    "activity.kept",
    "activity.before-gathered",
    "activity.gathered",
    "recover.before-commit",
    "recover.committed",
    "recover.before-declared",
    "rotate.begun",
    "rotate.secrets-wrapped",
    "rotate.keys-wrapped",
    "rotate.before-commit",
    "rotate.before-retired",
    "log-key.epoch-begun",
    "backup.object-copied",
    "backup.snapshot",
    "backup.before-manifest",
    "backup.keys-kept",
    "restore.some-objects",
    "restore.before-commit",
    "restore.committed",
]
NAMES: tuple[str, ...] = get_args(Name)

EXIT_CODE = 137
"""What a shell reports of a process that SIGKILL ended."""

_NAME, _, _TIME = os.environ.get("AUDITKEEP_CRASH_AT", "").partition(":")
_AT = int(_TIME or 1)
_COUNT = itertools.count(1)


def reach(name: Name) -> None:
    """End the process here, without any clean-up, if that is what the environment asks for."""
    if name == _NAME and next(_COUNT) == _AT:
        os._exit(EXIT_CODE)
