"""`make bench`: every figure beside its limit or baseline, measured in one run.

    python -m bench [PART…] [--scale X]

Parts are the modules of this folder that have a `run(scale)`. Results are printed and kept in
`bench/results/` with the machine's description. Trust the ratios, not the figures: machines differ.
"""

import argparse
import importlib
import json
import os
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path

from bench.result import Result

PARTS = ("ingest", "lake", "growth", "audit", "verify", "api", "collect", "objects")


def machine() -> dict[str, object]:
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def show(result: Result) -> str:
    beside = ""
    if result.baseline is not None and result.ratio is not None:
        beside = f" beside {result.baseline:>12,.1f} = {result.ratio:.2f} ×"
    mark = {True: "reached", False: "MISSED", None: ""}[result.met]
    text = f"{result.name:<52} {result.value:>12,.1f} {result.unit}{beside}"
    return f"{text}  (goal {result.target}) {mark} {result.note}".rstrip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    parser.add_argument("--scale", type=float, default=1.0)
    arguments = parser.parse_args()
    results: list[Result] = []
    for part in arguments.parts or PARTS:
        started = time.perf_counter()
        print(f"— {part}", flush=True)
        for result in importlib.import_module(f"bench.{part}").run(arguments.scale):
            results.append(result)
            print(show(result), flush=True)
        print(f"  ({time.perf_counter() - started:.0f} s)", flush=True)
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    body = {
        "machine": machine(),
        "scale": arguments.scale,
        "results": [asdict(r) for r in results],
    }
    (folder / f"{stamp}.json").write_text(json.dumps(body, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
