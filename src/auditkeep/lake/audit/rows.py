"""One batch's observations against their leaves, and what is read of them against what was logged.

The leaf covers envelope, raw bytes and nonce. Times, keys, verdicts and resources beside them are
what readers search by: they must say what the envelope says, or a changed copy would be shown while
the logged one is intact.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from auditkeep.clock import Instant
from auditkeep.lake.columns import Columns
from auditkeep.lake.encoding import NONCE_SIZE, TimeWriter
from auditkeep.lake.parquet import SEPARATOR

_NAMES = (
    *("id", "event time", "source", "match key", "account", "region", "verdict"),
    *("resources", "resources", "verdicts of resources"),
)
MANUAL = "MANUAL"
_LEAF = b"\x00auditkeep/leaf/1"


class _Resource(msgspec.Struct, frozen=True, gc=False):
    value: str
    verdict: str = ""


class _Reading(msgspec.Struct, frozen=True, gc=False):
    account: str
    match_key: str
    region: str
    resources: tuple[_Resource, ...] = ()
    verdict: str = ""


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    collected_at: str
    event_time: str
    id: str
    reading: _Reading
    source: str


class ManualFile(msgspec.Struct, frozen=True):
    """What a manual observation's raw bytes say of its file."""

    object: str | None = None
    sha256: str | None = None


_envelope = msgspec.json.Decoder(_Envelope).decode
_manual = msgspec.json.Decoder(ManualFile).decode

Light = tuple[str, str, str, str, str, str, str, int, str, str]
"""id in hex, event time as ISO 8601, source, match key, account, region, verdict, number of
resources, and these and their verdicts, each joined by `SEPARATOR`."""


def leaves(
    nonces: Iterable[bytes], envelopes: Iterable[bytes], raws: Iterable[bytes]
) -> list[bytes]:
    """The leaf of each row."""
    hashed = sha256
    return [
        hashed(_LEAF + nonce + hashed(envelope).digest() + hashed(raw).digest()).digest()
        for nonce, envelope, raw in zip(nonces, envelopes, raws, strict=True)
    ]


def nonces(joined: bytes) -> list[bytes]:
    return [joined[at : at + NONCE_SIZE] for at in range(0, len(joined), NONCE_SIZE)]


def light_of(columns: Columns, times: TimeWriter) -> Iterator[Light]:
    """What a tail blob says of its rows beside their envelopes."""
    light = columns.light
    for index in range(len(columns)):
        resources = light.resources[index]
        yield (
            columns.id(index).hex(),
            times.iso(Instant(light.event_times[index])),
            light.sources[index],
            light.match_keys[index],
            light.accounts[index],
            light.regions[index],
            light.verdicts[index],
            len(resources),
            SEPARATOR.join(resources),
            SEPARATOR.join(light.resource_verdicts[index]),
        )


def differing(light: Light, collected_at: str, envelope: bytes) -> str | None:
    """The first member of a row that is not what its envelope says; None if all agree."""
    try:
        told = _envelope(envelope)
    except msgspec.MsgspecError:
        return "envelope"
    reading = told.reading
    resources = reading.resources
    logged = (
        told.id,
        told.event_time,
        told.source,
        reading.match_key,
        reading.account,
        reading.region,
        reading.verdict,
        len(resources),
        SEPARATOR.join([r.value for r in resources]) if resources else "",
        SEPARATOR.join([r.verdict for r in resources]) if resources else "",
    )
    if logged == light and told.collected_at == collected_at:
        return None
    pairs = zip(_NAMES, logged, light, strict=True)
    return next((name for name, one, other in pairs if one != other), "time of collection")


def misread(part: Sequence[Sequence[Any]], times: Mapping[int, str]) -> list[tuple[int, str]]:
    """The rows of a slice of a segment (`parquet.slices`) that are not what their envelopes say.

    `times` are the slice's times of collection in ISO 8601. One pass without a tuple for each row:
    this and hashing are most of what an audit costs.
    """
    found: list[tuple[int, str]] = []
    decode, join = _envelope, SEPARATOR.join
    _, _, ats, *light, envelopes, _, _ = part
    for place, (
        at,
        id_,
        time,
        source,
        key,
        account,
        region,
        verdict,
        count,
        named,
        said,
        envelope,
    ) in enumerate(zip(ats, *light, envelopes, strict=True)):
        try:
            told = decode(envelope)
        except msgspec.MsgspecError:
            found.append((place, "envelope"))
            continue
        reading = told.reading
        resources = reading.resources
        if (
            told.id == id_
            and told.event_time == time
            and told.collected_at == times[at]
            and told.source == source
            and reading.match_key == key
            and reading.account == account
            and reading.region == region
            and reading.verdict == verdict
            and len(resources) == count
            and (
                not count
                or (count == 1 and resources[0].value == named and resources[0].verdict == said)
                or (
                    join([r.value for r in resources]) == named
                    and join([r.verdict for r in resources]) == said
                )
            )
        ):
            continue
        row = (id_, time, source, key, account, region, verdict, count, named, said)
        name = differing(row, times[at], envelope)
        if name is not None:
            found.append((place, name))
    return found


def manual_file(raw: bytes) -> tuple[str, str] | None:
    """(object id, SHA-256 in hex) of the file that a manual observation came with."""
    try:
        told = _manual(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return None if told.object is None or told.sha256 is None else (told.object, told.sha256)
