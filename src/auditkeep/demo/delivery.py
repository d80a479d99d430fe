"""The demo's weeks as files, laid out as AWS delivers them to a bucket."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditkeep.clock import Day, day_name
from auditkeep.demo.organisation import ACCOUNTS
from auditkeep.demo.weeks import Weeks, regions_of


@dataclass(frozen=True)
class Delivered:
    """Where the files of each source lie, and how many records were written."""

    cloudtrail: Path
    config: Path
    securityhub: Path
    records: int


def deliver(weeks: Weeks, folder: Path) -> Iterator[Delivered]:
    """Write every day's files below `folder`; after each day says how far it is."""
    trail, config, hub = (folder / name for name in ("cloudtrail", "config", "securityhub"))
    records = 0
    for offset in range(weeks.days):
        day = day_name(Day(weeks.first + offset))
        for account in ACCOUNTS:
            for region in regions_of(account.id):
                events = weeks.trail(offset, account.id, region)
                path = (
                    trail / "AWSLogs" / account.id / "CloudTrail" / region / day.replace("-", "/")
                )
                name = f"{account.id}_CloudTrail_{region}_{day.replace('-', '')}T2355Z_demo.json.gz"
                records += _write(path / name, {"Records": events}, len(events))
        evaluations = list(weeks.evaluations(offset))
        config.mkdir(parents=True, exist_ok=True)
        if evaluations:
            text = "".join(json.dumps(e) + "\n" for e in evaluations)
            (config / f"{day}.jsonl").write_text(text)
        findings = list(weeks.findings(offset))
        records += len(evaluations) + _write(
            hub / f"{day}.json.gz", {"Findings": findings}, len(findings)
        )
        yield Delivered(trail, config, hub, records)


def _write(path: Path, document: Any, count: int) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(document).encode(), 1, mtime=0))
    return count
