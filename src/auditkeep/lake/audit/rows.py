"""One batch's observations against their leaves, and what is read of them against what was logged.

The leaf covers envelope, raw bytes and nonce. Times, keys, verdicts and resources beside them are
what readers search by: they must say what the envelope says, or a changed copy would be shown while
the logged one is intact.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

import msgspec

from auditkeep.clock import Instant, iso
from auditkeep.lake.columns import Columns
from auditkeep.lake.encoding import NONCE_SIZE, TimeWriter

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

Light = tuple[
    bytes, int, str, str, str, str, str | None, Sequence[str] | None, Sequence[str] | None
]
"""id, event time, source, match key, account, region, verdict, resources, their verdicts."""


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


def light_of(columns: Columns) -> Iterator[Light]:
    """What a tail blob says of its rows beside their envelopes."""
    light = columns.light
    for index in range(len(columns)):
        yield (
            columns.id(index),
            light.event_times[index],
            light.sources[index],
            light.match_keys[index],
            light.accounts[index],
            light.regions[index],
            light.verdicts[index],
            light.resources[index],
            light.resource_verdicts[index],
        )


class Readings:
    """Compares what is searched with what was logged; made once, it remembers days it has named."""

    def __init__(self) -> None:
        self._times = TimeWriter()
        self._collected: tuple[int, str] = (-1, "")

    def differing(self, light: Light, collected_at: int, envelope: bytes) -> str | None:
        """The first member that differs from the envelope's; None if all agree."""
        try:
            told = _envelope(envelope)
        except msgspec.MsgspecError:
            return "envelope"
        if self._collected[0] != collected_at:
            self._collected = collected_at, iso(Instant(collected_at))
        id_, at, source, match_key, account, region, verdict, resources, verdicts = light
        reading = told.reading
        if (
            told.id == id_.hex()
            and told.event_time == self._times.iso(Instant(at))
            and told.source == source
            and reading.match_key == match_key
            and reading.account == account
            and reading.region == region
            and reading.verdict == (verdict or "")
            and told.collected_at == self._collected[1]
            and _same(reading.resources, resources or (), verdicts or ())
        ):
            return None
        pairs = {
            "id": (told.id, id_.hex()),
            "event time": (told.event_time, self._times.iso(Instant(at))),
            "source": (told.source, source),
            "match key": (reading.match_key, match_key),
            "account": (reading.account, account),
            "region": (reading.region, region),
            "verdict": (reading.verdict, verdict or ""),
            "time of collection": (told.collected_at, self._collected[1]),
        }
        return next((name for name, (one, other) in pairs.items() if one != other), "resources")


def manual_file(source: str, raw: bytes) -> tuple[str, str] | None:
    """(object id, SHA-256 in hex) of the file that a manual observation came with."""
    if source != "MANUAL":
        return None
    try:
        told = _manual(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return None if told.object is None or told.sha256 is None else (told.object, told.sha256)


def _same(told: Sequence[_Resource], values: Sequence[str], verdicts: Sequence[str]) -> bool:
    if not told:
        return not values
    return [r.value for r in told] == list(values) and [r.verdict for r in told] == list(verdicts)
