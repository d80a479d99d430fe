"""One process of several that work on the same lake at once.

    python -m tests.lake.crowd DATA DATABASE_URL append FIRST LAST
    python -m tests.lake.crowd DATA DATABASE_URL tend

The first appends units, and prints `begin N` before each and `unit N` when it is acknowledged. The
second seals and compacts whatever is there until the file `DATA/stop` is, and prints what it wrote.
"""

import sys
import time
from pathlib import Path

from tests.lake.making import NOW, TENANT, add
from tests.lake.worker import SEAL_ROWS, load, make_small, open_lake

from auditkeep.lake.compact import Bounds, compact
from auditkeep.lake.lake import Lake
from auditkeep.lake.seal import seal

BOUNDS = Bounds(rows=400)


def append(lake: Lake, first: int, last: int) -> None:
    for unit in range(first, last):
        print("begin", unit, flush=True)
        add(lake, f"unit-{unit}", load(unit))
        print("unit", unit, flush=True)


def tend(lake: Lake, stop: Path) -> None:
    last = False
    while not last:
        last = stop.exists()
        while (sealed := seal(lake, TENANT, now=NOW, min_rows=SEAL_ROWS)) is not None:
            print("sealed", sealed.rows, flush=True)
        while (merged := compact(lake, TENANT, now=NOW, bounds=BOUNDS)) is not None:
            print("merged", merged.rows, flush=True)
        time.sleep(0.1)


def main(arguments: list[str]) -> None:
    data, url, role, *units = arguments
    make_small()
    lake = open_lake(Path(data), url)
    print("ready", flush=True)
    if role == "append":
        append(lake, int(units[0]), int(units[1]))
    else:
        tend(lake, Path(data, "stop"))
    lake.db.close()


if __name__ == "__main__":
    main(sys.argv[1:])
