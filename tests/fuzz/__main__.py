"""Ask the API many thousands of valid, invalid and bent requests, and name what went wrong.

    python -m tests.fuzz [--count 100000] [--seed N] [--on sqlite|postgres|http] [--first]

Exit status 1 when anything was found. The seed is printed: the same one asks the same again.
"""

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.fuzz.inside import in_process
from tests.fuzz.running import OPERATIONS, Fuzz

STEP = 1_000


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--on", choices=["sqlite", "postgres", "http"], default="sqlite")
    parser.add_argument("--first", action="store_true", help="stop at the first finding")
    asked = parser.parse_args()
    seed = secrets.randbelow(2**31) if asked.seed is None else asked.seed
    print(f"seed {seed}, {asked.count} requests, {asked.on}", flush=True)
    with _deployed(asked.on, seed) as fuzz:
        return _run(fuzz, asked.count, first=asked.first)


@contextmanager
def _deployed(kind: str, seed: int) -> Iterator[Fuzz]:
    # nothing here outlives the run: where there is a file system in memory, it is quicker
    memory = Path("/dev/shm")
    parent = memory if memory.is_dir() else None
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=parent)))
        if kind == "http":
            from tests.fuzz.served import served

            yield Fuzz(stack.enter_context(served(folder)), seed)
            return
        url = ""
        if kind == "postgres":
            from tests.postgres import fresh_database, running_postgres

            url = fresh_database(stack.enter_context(running_postgres()))
        yield Fuzz(stack.enter_context(in_process(folder / "data", database=url)), seed)


def _run(fuzz: Fuzz, count: int, *, first: bool) -> int:
    fuzz.prepare()
    started, shown = time.monotonic(), 0
    for tally in fuzz.run(count):
        for finding in tally.findings[shown:]:
            print(f"FOUND {finding}", flush=True)
        shown = len(tally.findings)
        if first and shown:
            break
        if tally.requests % STEP == 0 or tally.requests == count:
            rate = tally.requests / (time.monotonic() - started)
            statuses = " ".join(f"{s}:{n}" for s, n in sorted(tally.statuses.items()))
            print(f"{tally.requests}/{count}, {rate:.0f}/s, {statuses}, found {shown}", flush=True)
    never = sorted(set(OPERATIONS) - set(fuzz.tally.answered))
    if never:
        print(f"never answered with 200: {', '.join(never)}")
    print(f"findings: {shown}")
    return 1 if shown else 0


if __name__ == "__main__":
    sys.exit(main())
