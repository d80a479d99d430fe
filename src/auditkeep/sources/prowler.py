"""Prowler's results -> observations: CSV of versions 2 to 5, its own JSON, and its OCSF.

Which of them a file is, its beginning tells. A check is known by its id: `Prowler_<check id>` is
the keyword, in versions before 3 with the number of the check as its title gives it
(`[check114] …` is `Prowler_check114`). PASS and FAIL become PASSED and FAILED, what is muted
SUPPRESSED, what a person must decide NOT_AVAILABLE (spec 3.6).

Of a row is kept a JSON object of its columns, in their order: a row by itself would not say what
they mean. Results without a time, as CSV of version 2, need `Context.observed_at`. Subscriptions,
projects and clusters are kept as they are, see `sources.ocsf`.
"""

import codecs
import csv
import re
from collections.abc import Iterator
from itertools import chain

import msgspec

from auditkeep.clock import Instant
from auditkeep.ids import GLOBAL_REGION, is_account
from auditkeep.mapping import scanners
from auditkeep.observations import Observation, Resource
from auditkeep.sources import ocsf
from auditkeep.sources.batch import DEFAULT, Limits, Single
from auditkeep.sources.content import content_hash
from auditkeep.sources.records import NO_CONTROL, Context, Parsed, Rejected, Tally, read_each, told
from auditkeep.sources.times import read_time
from auditkeep.sources.values import values
from auditkeep.sources.window import Blocks

READER = "prowler/1"

NO_RESULT = "the check gave no result"

_LONGEST_LINE = 4 * 1024 * 1024
"""Bytes that a row may take: a file without line feeds is not held whole."""

_OLD_CHECK = re.compile(r"\[([A-Za-z0-9_]+)\]")
_VERDICTS = {"PASS": "PASSED", "FAIL": "FAILED", "MANUAL": "NOT_AVAILABLE", "WARNING": "WARNING"}
_NO_RESULTS = frozenset({"", "INFO", "ERROR"})

# column or member names of the versions, the newest first
_CHECK = ("CHECK_ID", "CheckID")
_TITLE = ("TITLE_TEXT", "Control")
_STATUS = ("STATUS", "Status", "CHECK_RESULT")
_TIME = ("TIMESTAMP", "AssessmentStartTime", "ASSESSMENT_START_TIME", "Timestamp")
_ACCOUNT = ("ACCOUNT_UID", "ACCOUNT_ID", "AccountId", "Account Number", "ACCOUNT_NUM")
_REGION = ("REGION", "Region")
_FINDING = ("FINDING_UID", "FINDING_UNIQUE_ID", "FindingUniqueId")
_RESOURCE = ("RESOURCE_UID", "RESOURCE_ARN", "ResourceArn", "RESOURCE_ID", "ResourceId")
_OLD_RESOURCE = ("Resource ID", "CHECK_RESOURCE_ID")
_TYPE = ("RESOURCE_TYPE", "ResourceType", "CHECK_ASFF_RESOURCE_TYPE")
_MUTED = ("MUTED", "Muted")

_LINE = msgspec.json.Decoder(dict[str, object])


def parse(blocks: Blocks, context: Context, tally: Tally, limits: Limits = DEFAULT) -> Parsed:
    """All results of a text, in any of their forms, in order."""
    first = next((block for block in blocks if block.strip()), b"")
    text = chain([first], blocks)
    if not first or first.lstrip().startswith((b"{", b"[")):
        items = values(text, ocsf.LISTS, limits)
        yield from read_each(items, lambda one: _value(one, context, tally))
    else:
        yield from _csv(text, context, tally)


def _value(one: Single, context: Context, tally: Tally) -> Parsed:
    """A result in Prowler's own form, or an OCSF event."""
    try:
        members = _LINE.decode(one.raw)
    except msgspec.DecodeError:
        members = {}
    if not any(name in members for name in (*_CHECK, *_TITLE)):
        yield from ocsf.read(one, context, tally)
        return
    tally.records += 1
    texts = {name: value for name, value in members.items() if isinstance(value, str)}
    yield from told(_observation(texts, one.raw, one.position, context), tally)


def _csv(blocks: Blocks, context: Context, tally: Tally) -> Parsed:
    lines = _lines(blocks)
    header = next(lines, "")
    delimiter = ";" if header.count(";") > header.count(",") else ","
    rows = csv.reader(chain([header], lines), delimiter=delimiter, strict=True)
    number = 0
    names: list[str] = []
    try:
        for number, row in enumerate(rows):
            if not names:
                names = row
                if not any(name in names for name in (*_CHECK, *_TITLE)):
                    yield Rejected("", "It is no CSV of Prowler: it has no column CHECK_ID.")
                    return
                continue
            if not any(row):
                continue
            tally.records += 1
            if len(row) != len(names):
                yield Rejected(f"row {number}", f"it has {len(row)} columns, not {len(names)}")
                continue
            columns = dict(zip(names, row, strict=True))
            raw = msgspec.json.encode(columns)
            yield from told(_observation(columns, raw, f"row {number}", context), tally)
    except (csv.Error, UnicodeDecodeError) as error:
        what = "it is not valid UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        yield Rejected(f"row {number + 1}", f"{what}; the rest was not read")


def _lines(blocks: Blocks) -> Iterator[str]:
    """The text's lines with their ends; csv.Error for one that is too long to hold."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    rest = ""
    for block in blocks:
        *whole, rest = (rest + decoder.decode(block)).split("\n")
        for line in whole:
            yield line + "\n"
        if len(rest) > _LONGEST_LINE:
            raise csv.Error(f"it is longer than {_LONGEST_LINE:,} characters")
    rest += decoder.decode(b"", final=True)
    if rest:
        yield rest


def _first(columns: dict[str, str], names: tuple[str, ...]) -> str:
    return next((columns[name] for name in names if columns.get(name)), "")


def _observation(
    columns: dict[str, str], raw: bytes, position: str, context: Context
) -> Observation | Rejected | str:
    """The observation, why there is none, or (as text) why nobody wants it."""
    check = _first(columns, _CHECK)
    if not check:
        named = _OLD_CHECK.match(_first(columns, _TITLE))
        if named is None:
            return Rejected(position, "it does not name its check")
        check = named[1]
    key = scanners.match_key(scanners.keyword("Prowler_", check))
    if not context.interest.wants(key):
        return NO_CONTROL
    status = _first(columns, _STATUS).upper()
    if status in _NO_RESULTS:
        return NO_RESULT
    at = _time(columns, context)
    if isinstance(at, str):
        return Rejected(position, at)
    muted = _first(columns, _MUTED).lower() == "true"
    verdict = "SUPPRESSED" if muted else _VERDICTS.get(status, status)
    kept, cuts = context.cutter.cut(raw)
    account, region = _place(columns, context)
    resource = _first(columns, _RESOURCE) or _first(columns, _OLD_RESOURCE)
    return Observation(
        source="SCANNER",
        natural_key=("prowler", _first(columns, _FINDING) or check, str(at), content_hash(kept)),
        event_time=at,
        match_key=key,
        account=account,
        region=region,
        raw=kept,
        reader=READER,
        position=position,
        verdict=verdict,
        resources=(_resource(resource, columns, verdict),) if resource else (),
        event_name=check,
        event_source="Prowler",
        cuts=cuts,
    )


def _time(columns: dict[str, str], context: Context) -> Instant | str:
    value = _first(columns, _TIME)
    if not value:
        if context.observed_at is None:
            return "it has no time: say with --observed-at when the check was made"
        return context.observed_at
    try:
        return read_time(value)
    except ValueError:
        return f"its time {value!r:.60} is no time"


def _place(columns: dict[str, str], context: Context) -> tuple[str, str]:
    account = _first(columns, _ACCOUNT)
    if is_account(account):
        return account, _first(columns, _REGION) or context.tenant.region
    return context.tenant.account, GLOBAL_REGION


def _resource(value: str, columns: dict[str, str], verdict: str) -> Resource:
    arn = value if value.startswith("arn:aws") else None
    return Resource(value=value, arn=arn, type=_first(columns, _TYPE) or None, verdict=verdict)
