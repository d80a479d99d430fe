"""SARIF logs -> observations: what scanners of code, images and templates found.

Source: SARIF 2.1.0 (OASIS). A result is known by its tool and rule: `SARIF_<tool>_<rule id>` is
the keyword. A result of kind `fail` (what it is unless it says otherwise) is FAILED, `pass`
PASSED, a suppressed one SUPPRESSED, one of level `none` or of another kind says no verdict but
its own word. Its time is the end of the run that found it; many tools write none, and then
`Context.observed_at` must say. Findings in code are of no region: they count in any.

Results lie deep in the one object that a log is, so it is read whole: logs beyond `LARGEST` are
refused, not half read.
"""

from collections.abc import Iterator

import msgspec
from msgspec import Raw

from auditkeep.clock import Instant
from auditkeep.ids import GLOBAL_REGION
from auditkeep.mapping import scanners
from auditkeep.observations import Observation, Resource
from auditkeep.sources.batch import DEFAULT, Limits
from auditkeep.sources.content import content_hash
from auditkeep.sources.records import (
    NO_CONTROL,
    UNREADABLE,
    Context,
    Parsed,
    Rejected,
    Tally,
    told,
    unreadable,
)
from auditkeep.sources.times import read_time
from auditkeep.sources.window import Blocks

READER = "sarif/1"

LARGEST = 128 * 1024 * 1024
"""Bytes of a log that is read."""

_MOST_PLACES = 20
"""Locations of one result that are named."""


class _Rule(msgspec.Struct, gc=False):
    id: str | None = None


class _Driver(msgspec.Struct, gc=False):
    name: str = ""
    rules: list[_Rule] | None = None


class _Tool(msgspec.Struct, gc=False):
    driver: _Driver


class _Invocation(msgspec.Struct, gc=False, rename="camel"):
    start_time_utc: str | None = None
    end_time_utc: str | None = None


class _Origin(msgspec.Struct, gc=False, rename="camel"):
    repository_uri: str = ""


class _Run(msgspec.Struct, gc=False, rename="camel"):
    tool: _Tool
    results: list[Raw] | None = None
    invocations: list[_Invocation] | None = None
    version_control_provenance: list[_Origin] | None = None


class _Log(msgspec.Struct, gc=False):
    version: str
    runs: list[_Run]


class _Artifact(msgspec.Struct, gc=False):
    uri: str | None = None


class _Physical(msgspec.Struct, gc=False, rename="camel"):
    artifact_location: _Artifact | None = None


class _Location(msgspec.Struct, gc=False, rename="camel"):
    physical_location: _Physical | None = None


class _Suppression(msgspec.Struct, gc=False):
    status: str = "accepted"


class _Result(msgspec.Struct, gc=False, rename="camel"):
    rule_id: str | None = None
    rule_index: int | None = None
    rule: _Rule | None = None
    kind: str = "fail"
    level: str | None = None
    locations: list[_Location] | None = None
    suppressions: list[_Suppression] | None = None
    fingerprints: dict[str, str] | None = None
    partial_fingerprints: dict[str, str] | None = None


_LOG = msgspec.json.Decoder(_Log)
_RESULT = msgspec.json.Decoder(_Result)


def parse(
    blocks: Blocks,
    context: Context,
    tally: Tally,
    _limits: Limits = DEFAULT,
) -> Parsed:
    """All results of a log, run by run, in order."""
    text = bytearray()
    for block in blocks:
        text += block
        if len(text) > LARGEST:
            yield Rejected("", f"It is larger than {LARGEST:,} bytes: have its tool split it.")
            return
    try:
        log = _LOG.decode(text)
        text.decode()
    except UNREADABLE as error:
        yield unreadable("", error)
        return
    if not log.version.startswith("2."):
        yield Rejected("", f"It is SARIF of version {log.version!r:.20}, not 2.1.0.")
        return
    for number, run in enumerate(log.runs):
        at = _time(run, context)
        for index, raw in enumerate(run.results or ()):
            tally.records += 1
            position = f"runs[{number}].results[{index}]"
            yield from told(_observation(run, bytes(raw), position, at, context), tally)


def _time(run: _Run, context: Context) -> Instant | str:
    """When a run ended; or why that is not known."""
    for invocation in reversed(run.invocations or []):
        value = invocation.end_time_utc or invocation.start_time_utc
        if value:
            try:
                return read_time(value)
            except ValueError:
                return f"its run's time {value!r:.60} is no time"
    if context.observed_at is None:
        return "its run has no time: say with --observed-at when it was made"
    return context.observed_at


def _observation(
    run: _Run, raw: bytes, position: str, at: Instant | str, context: Context
) -> Observation | Rejected | str:
    """The observation, why there is none, or (as text) why nobody wants it."""
    try:
        result = _RESULT.decode(raw)
    except UNREADABLE as error:
        return unreadable(position, error)
    tool = run.tool.driver.name
    rule = _rule(result, run)
    if not tool or not rule:
        return Rejected(position, "it does not name its tool and rule")
    key = scanners.match_key(scanners.keyword("SARIF_", tool, rule))
    if not context.interest.wants(key):
        return NO_CONTROL
    if isinstance(at, str):
        return Rejected(position, at)
    verdict = _verdict(result)
    kept, cuts = context.cutter.cut(raw)
    return Observation(
        source="SCANNER",
        natural_key=("sarif", tool, rule, str(at), content_hash(kept)),
        event_time=at,
        match_key=key,
        account=context.tenant.account,
        region=GLOBAL_REGION,
        raw=kept,
        reader=READER,
        position=position,
        verdict=verdict,
        resources=tuple(_resources(result, run, verdict)),
        event_name=rule,
        event_source=tool,
        cuts=cuts,
    )


def _rule(result: _Result, run: _Run) -> str:
    """The rule's id: said, or by its place in the tool's list (SARIF 3.27.5, 3.27.6)."""
    named = result.rule_id or (result.rule.id if result.rule else None)
    if named:
        return named
    rules = run.tool.driver.rules or []
    index = result.rule_index
    return (rules[index].id or "") if index is not None and 0 <= index < len(rules) else ""


def _verdict(result: _Result) -> str:
    if any(s.status == "accepted" for s in result.suppressions or ()):
        return "SUPPRESSED"
    if result.kind == "pass":
        return "PASSED"
    if result.kind == "fail":
        return "NOT_AVAILABLE" if result.level == "none" else "FAILED"
    return result.kind.upper()


def _resources(result: _Result, run: _Run, verdict: str) -> Iterator[Resource]:
    """The files it was found in, each once, under their repository where the run names one."""
    origins = run.version_control_provenance or []
    base = f"{origins[0].repository_uri.rstrip('/')}/" if origins else ""
    seen: set[str] = set()
    for location in result.locations or ():
        physical = location.physical_location
        uri = physical.artifact_location.uri if physical and physical.artifact_location else None
        if uri and uri not in seen and len(seen) < _MOST_PLACES:
            seen.add(uri)
            yield Resource(value=base + uri if "://" not in uri else uri, verdict=verdict)
