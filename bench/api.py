"""What the API costs: beside a bare signed handler, and beside the same work by the raw driver.

All handlers live in one server process (`bench.api_server`), are asked over 32 kept-open
connections by the same client, in turns, and answer bodies of the same size: a read
(GetAssessment), a list of 100 (ListAssessments) and a write (TagResource, of an assessment).
The last figures are the same again beside many assessments of other tenants. Requests are signed
before the clock starts; the notes tell the server's processor time, which neighbours on the
machine disturb less. The idle figures are of `auditkeep serve` itself.
"""

import json
import shutil
import sqlite3
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import botocore.session
from bench.load import Rate, ask, auditkeep, measure, process, resident_mb, signed
from bench.result import Result
from botocore.config import Config

ACCOUNT = "111122223333"
TURNS = 3
SECONDS = 4.0
BARE, RAW, GROWN = 0.50, 0.60, 0.90
"""Of a bare signed handler; of one that does the same with the raw driver; of ourselves alone."""
TAIL = 3.0
"""The 99th of 100 answers, in medians."""
LISTED = 100
OTHERS = 5_000
TAGS = b'{"tags":{"team":"platform","stage":"production"}}'
IDLE_MB = 250.0
FIRST_ANSWER_SECONDS = 3.0

Best = dict[str, Rate]


def run(scale: float) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "audit"
        keys = json.loads(auditkeep("init", "--data", str(data), "--account", ACCOUNT, "--json"))
        yield from _idle(data)
        with process("bench.api_server", str(data), after=["100"]) as (url, _):
            client = _client(url, keys)
            small, large = _assessment(client, keys, 0), _assessment(client, keys, -1)
            for _ in range(LISTED - 2):
                _assessment(client, keys, 0)
            arn = client.get_assessment(assessmentId=small)["assessment"]["arn"]
        cases = [
            ("GetAssessment, small", "read", f"/assessments/{small}", "GET", b""),
            ("GetAssessment, large", "read", f"/assessments/{large}", "GET", b""),
            ("ListAssessments of 100", "list", f"/assessments?maxResults={LISTED}", "GET", b""),
            ("TagResource", "write", f"/tags/{quote(arn, safe='')}", "POST", TAGS),
        ]  # fmt: skip
        for name, *case in cases:
            yield from _results(name, _best(data, keys, case, scale))
        grown = Path(folder) / "grown"
        shutil.copytree(data, grown)
        _others(grown)
        for name, _, path, method, body in cases[1:3]:
            yield _growth(name, (data, grown), keys, (path, method, body), scale)


def _growth(
    name: str,
    places: tuple[Path, Path],
    keys: dict[str, str],
    case: tuple[str, str, bytes],
    scale: float,
) -> Result:
    """The same request to a server alone, and to one beside others' assessments, in turns."""
    path, method, body = case
    best: dict[Path, float] = {}
    with ExitStack() as stack:
        servers = [
            (place, *stack.enter_context(process("bench.api_server", str(place), after=["100"])))
            for place in places
        ]
        for _ in range(TURNS):
            for place, url, running in servers:
                request = signed(url, path, keys, method, body)
                rate = measure(url, [request], running.pid, max(0.5, SECONDS * scale))
                best[place] = min(best.get(place, rate.processor), rate.processor)
    alone, beside = (best[place] for place in places)
    return Result(
        f"{name}, beside {OTHERS:,} of others", beside, alone, alone / beside,
        f"≥ {GROWN:.2f} ×", "µs of processor", alone / beside >= GROWN,
    )  # fmt: skip


def _best(data: Path, keys: dict[str, str], case: Sequence[Any], scale: float) -> Best:
    """The best of a few turns of each handler."""
    kind, path, method, body = case
    with process("bench.api_server", str(data), after=["100"]) as (url, _):
        size = len(ask(url, signed(url, path, keys, method, body)))
    best: Best = {}
    with process("bench.api_server", str(data), after=[str(size)]) as (url, running):
        handlers = {"ours": "", "raw": f"/{kind}"}
        if kind == "read":
            handlers["bare"] = "/bare"
        for _ in range(TURNS):
            for name, prefix in handlers.items():
                request = signed(url, prefix + path, keys, method, body)
                rate = measure(url, [request], running.pid, max(0.5, SECONDS * scale))
                if name not in best or rate.answers > best[name].answers:
                    best[name] = rate
    return best


def _results(name: str, best: Best) -> Iterator[Result]:
    ours = best["ours"]
    beside = {"bare": ("a bare signed handler", BARE), "raw": ("the raw driver", RAW)}
    for other, (words, target) in beside.items():
        if other not in best:
            continue
        rate = best[other]
        ratio = ours.answers / rate.answers
        yield Result(
            f"{name} beside {words}", ours.answers, rate.answers, ratio, f"≥ {target:.2f} ×",
            "requests/s", ratio >= target,
            f"processor: {ours.processor:.0f} against {rate.processor:.0f} µs, "
            f"{rate.processor / ours.processor:.2f} ×",
        )  # fmt: skip
    tail, theirs = ours.p99 / ours.median, best["raw"].p99 / best["raw"].median
    yield Result(
        f"{name}: 99th percentile", ours.p99 * 1000, ours.median * 1000, tail,
        f"≤ {TAIL:.0f} × median", "ms", tail <= TAIL, f"the raw driver's: {theirs:.2f} ×",
    )  # fmt: skip


def _idle(data: Path) -> Iterator[Result]:
    started = time.perf_counter()
    with process("auditkeep.cli.main", "serve", "--data", str(data), "--port") as (url, running):
        seconds = time.perf_counter() - started
        time.sleep(3)
        memory = resident_mb(running.pid)
        urllib.request.urlopen(f"{url}/health").close()
    yield Result(
        "serve: from start to first answer", seconds, None, None,
        f"≤ {FIRST_ANSWER_SECONDS:.0f} s", "s", seconds <= FIRST_ANSWER_SECONDS,
    )  # fmt: skip
    yield Result(
        "serve: idle memory", memory, None, None, f"≤ {IDLE_MB:.0f} MB", "MB", memory <= IDLE_MB
    )


def _client(url: str, keys: dict[str, str]) -> Any:
    client = botocore.session.get_session().create_client(
        "auditmanager",
        region_name=keys["region"],
        aws_access_key_id=keys["accessKeyId"],
        aws_secret_access_key=keys["secretAccessKey"],
        endpoint_url=url,
        config=Config(retries={"max_attempts": 0}),
    )
    client.register_account()
    return client


def _assessment(client: Any, keys: dict[str, str], nth: int) -> str:
    """An assessment of the nth framework by size; its id."""
    shipped = client.list_assessment_frameworks(frameworkType="Standard")["frameworkMetadataList"]
    shipped.sort(key=lambda f: f["controlsCount"])
    made = client.create_assessment(
        name=f"Assessment of {shipped[nth]['name']}"[:100],
        frameworkId=shipped[nth]["id"],
        assessmentReportsDestination={"destinationType": "S3", "destination": "s3://reports"},
        scope={"awsAccounts": [{"id": ACCOUNT}]},
        roles=[{"roleType": "PROCESS_OWNER", "roleArn": keys["arn"]}],
    )
    return str(made["assessment"]["metadata"]["id"])


def _others(data: Path) -> None:
    """Copies of the account's assessments, owned by other accounts."""
    db = sqlite3.connect(data / "audit.db")
    names = [row[1] for row in db.execute("PRAGMA table_info(assessments)")]
    rest = ", ".join(n for n in names if n != "account")
    for number in range(OTHERS // LISTED):
        db.execute(
            f"INSERT INTO assessments (account, {rest}) "
            f"SELECT '{222_200_000_000 + number}', {rest} FROM assessments WHERE account = ?",
            (ACCOUNT,),
        )
    db.commit()
    db.close()
