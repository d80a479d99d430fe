"""Every file of the corpus parses or is reported, and totals are those its SOURCES.md tells.

Where a total differs from what the folder's SOURCES.md says, the difference stands here with its
reason.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.sources.reading import Parse, read_blocks

from auditkeep.clock import parse as parse_time
from auditkeep.sources import cloudtrail, config, files, ocsf, prowler, securityhub
from auditkeep.sources.records import Context, Rejected


@dataclass
class Total:
    """What came of all files of one repository."""

    files: int = 0
    records: int = 0
    observations: int = 0
    rejected: list[tuple[str, Rejected]] = field(default_factory=list)
    unmatched: Counter[str] = field(default_factory=Counter)
    silent: list[str] = field(default_factory=list)


def total(parse: Parse, folder: Path, context: Context) -> Total:
    result = Total()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        found = read_blocks(parse, files.get(path), context)
        result.files += 1
        result.records += found.tally.records
        result.observations += len(found.observations)
        result.rejected += [(path.name, r) for r in found.rejected]
        result.unmatched += found.tally.unmatched
        if not found.tally.records and not found.rejected:
            result.silent.append(path.name)
    return result


@dataclass(frozen=True)
class Expected:
    """`told` is the number of records SOURCES.md gives; `seen` the one found here."""

    files: int
    told: int
    observations: int
    rejected: int = 0
    seen: int | None = None
    why: str = ""
    silent: tuple[str, ...] = ()


CLOUDTRAIL = {
    "DataDog__datadog-serverless-functions": Expected(1, 4, 0),
    "DataDog__stratus-red-team": Expected(22, 210, 36),
    "Permiso-io-tools__CloudConsoleCartographer": Expected(1, 1000, 14),
    "Yamato-Security__suzaku-sample-data": Expected(2375, 19597, 38),
    "airbnb__streamalert": Expected(
        2, 2, 0, rejected=2, why="wrappers of a test: each is one record without an event's name"
    ),
    "cloud-custodian__cloud-custodian": Expected(
        10, 10, 9, rejected=1, why="one event has no eventTime"
    ),
    "elastic__beats": Expected(1, 1, 0),
    "elastic__integrations": Expected(
        1, 0, 0, rejected=1, seen=1, why="a digest is one record that is no event"
    ),
    "flosell__trailscraper": Expected(2, 4, 0),
    "invictus-ir__aws_dataset": Expected(34, 2261, 531),
    "log2timeline__plaso": Expected(1, 6, 5),
    "opensearch-project__opensearch-catalog": Expected(1, 1, 0),
    "panther-labs__panther-analysis": Expected(
        72, 226, 0, rejected=72, seen=0, why="the events stand inside of YAML rule files"
    ),
    "umccr__cloudtrail-parquet-lambda": Expected(
        5,
        185,
        0,
        silent=("811596193553_CloudTrail_ap-southeast-1-20200930T2358.json",),
        why="one file is an empty list of records",
    ),
}

SECURITYHUB = {
    "DefectDojo__django-DefectDojo": Expected(8, 748, 9),
    "aws-solutions__automated-security-response-on-aws": Expected(
        16, 18, 16, rejected=1, why="a finding in a wrapper of the repository's own making"
    ),
    "mitre__heimdall2": Expected(3, 72, 18),
}

CONFIG = {
    "aws__aws-cli": Expected(
        26, 13, 0, rejected=26, seen=0, why="JSON inside of reST: nine results, four definitions"
    ),
    "awslabs__aws-config-rdk": Expected(39, 39, 0),
    "awslabs__aws-config-rules": Expected(
        3, 352, 0, rejected=3, seen=0, why="conformance packs in YAML define rules, no results"
    ),
    "cloud-custodian__cloud-custodian": Expected(
        64,
        31,
        1,
        rejected=42,
        seen=69,
        why="recordings of 42 other API answers, which say nothing about rules or resources; "
        "definitions are counted once each and invocations of rules as records of their own; one "
        "history is empty",
        silent=("config.GetResourceConfigHistory_2.json",),
    ),
    "elastic__integrations": Expected(
        1, 2, 1, seen=1, why="a result and the definition of its rule in one object"
    ),
}

OCSF = {
    "ocsf__examples": Expected(
        38,
        31,
        12,
        rejected=19,
        seen=37,
        why="18 records are the raw ones that were mapped, six of them of other services; one file "
        "is empty",
    ),
    "prowler-cloud__prowler": Expected(4, 21, 21),
}

PROWLER = {
    "DefectDojo__django-DefectDojo": Expected(
        7,
        219,
        137,
        rejected=1,
        seen=226,
        silent=("no_vuln.csv",),
        why="seven results are lines of JSON; one file is empty, one holds but a header",
    ),
    "prowler-cloud__prowler": Expected(
        8,
        117,
        16,
        rejected=140,
        seen=156,
        why="140 rows of a database are no output of the scanner; they are counted one by one here",
    ),
}


def check(parse: Parse, folder: Path, expected: Expected, context: Context) -> Total:
    found = total(parse, folder, context)
    assert found.files == expected.files
    assert found.records == (expected.told if expected.seen is None else expected.seen)
    assert found.observations == expected.observations
    assert len(found.rejected) == expected.rejected
    assert tuple(found.silent) == expected.silent
    assert all(r.reason for _, r in found.rejected)
    assert bool(expected.why) == bool(expected.rejected or expected.seen or expected.silent)
    positions = sum(bool(r.position) for _, r in found.rejected)
    assert found.records == found.observations + found.unmatched.total() + positions
    return found


@pytest.mark.parametrize("name", CLOUDTRAIL)
def test_cloudtrail(corpus: Path, everything: Context, name: str) -> None:
    check(cloudtrail.parse, corpus / "cloudtrail" / name, CLOUDTRAIL[name], everything)


@pytest.mark.parametrize("name", SECURITYHUB)
def test_securityhub(corpus: Path, everything: Context, name: str) -> None:
    check(securityhub.parse, corpus / "securityhub" / name, SECURITYHUB[name], everything)


@pytest.mark.parametrize("name", CONFIG)
def test_config(corpus: Path, everything: Context, name: str) -> None:
    check(config.parse, corpus / "config" / name, CONFIG[name], everything)


@pytest.mark.parametrize("name", OCSF)
def test_ocsf(corpus: Path, everything: Context, name: str) -> None:
    check(ocsf.parse, corpus / "ocsf" / name, OCSF[name], everything)


@pytest.mark.parametrize("name", PROWLER)
def test_prowler(corpus: Path, everything: Context, name: str) -> None:
    told = replace(everything, observed_at=parse_time("2021-08-23"))
    check(prowler.parse, corpus / "prowler" / name, PROWLER[name], told)


@pytest.mark.parametrize(
    ("source", "table"),
    [("cloudtrail", CLOUDTRAIL), ("securityhub", SECURITYHUB), ("config", CONFIG)],
)
def test_no_folder_is_forgotten(corpus: Path, source: str, table: dict[str, Expected]) -> None:
    assert {p.name for p in (corpus / source).iterdir() if p.is_dir()} == set(table)
    # CloudTrail's total counts seven events of a repository that is not in the folder
    told = {"cloudtrail": 23_514 - 7, "securityhub": 838, "config": 11 + 368 + 57 + 1}
    assert sum(e.told for e in table.values()) == told[source]


@pytest.mark.parametrize("source", ["cloudtrail", "securityhub", "config"])
def test_what_is_kept_is_a_slice_of_its_file(
    corpus: Path, everything: Context, source: str
) -> None:
    parse = {
        "cloudtrail": cloudtrail.parse,
        "securityhub": securityhub.parse,
        "config": config.parse,
    }[source]
    checked = 0
    for path in sorted(p for p in (corpus / source).rglob("*") if p.is_file()):
        text = b"".join(files.get(path))
        for observation in read_blocks(parse, iter([text]), everything).observations:
            if not observation.cuts and "CloudTrailEvent" not in observation.position:
                assert observation.raw in text
                checked += 1
    assert checked
