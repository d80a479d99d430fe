"""A process that seals a tail of huge records and says how much memory that took.

    python -m tests.lake.sealer DATA TAIL_MB SEGMENT_MB

Prints the number of segments, and by how many megabytes its peak grew beyond that of sealing one
small segment.
"""

import resource
import sys
from pathlib import Path

from tests.lake.making import NOW, TENANT, add, observation, some
from tests.lake.worker import open_lake

from auditkeep.lake.seal import seal

RECORD = 100_000
UNIT = 40
"""Records of a unit: 4 MB."""


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def main(arguments: list[str]) -> None:
    data, tail, segment = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    data.mkdir()
    lake = open_lake(data, f"sqlite:///{data / 'audit.db'}")
    add(lake, "warm-up", some(0, 100))
    assert seal(lake, TENANT, now=NOW, min_rows=1) is not None
    for unit in range((tail << 20) // (RECORD * UNIT)):
        raws = [b'{"n":%d,"x":"%s"}' % (unit * UNIT + n, b"x" * RECORD) for n in range(UNIT)]
        made = [observation(1_000 + unit * UNIT + n, raw=raw) for n, raw in enumerate(raws)]
        add(lake, f"unit-{unit}", made)
    before, count = peak(), 0
    while seal(lake, TENANT, now=NOW, max_size=segment << 20) is not None:
        count += 1
    print(count, peak() - before)


if __name__ == "__main__":
    main(sys.argv[1:])
