"""The bytes that are hashed: ids, envelopes, leaves, batch records, log entries.

Source: design section 5 and `docs/formats.md`, held by the vectors in `tests/vectors/`. These bytes
can never change. All JSON here is RFC 8785 canonical: objects with ASCII keys, strings, integers
and lists only, so msgspec gives it directly from structs whose members are declared in order (a
test compares with another implementation).
"""

from collections.abc import Sequence
from hashlib import sha256
from struct import Struct

import msgspec
from msgspec import UNSET, Raw, UnsetType

from auditkeep.clock import DAY, MINUTE, SECOND, Instant, day_name, day_of, iso
from auditkeep.ids import Tenant
from auditkeep.observations import Cut, Observation, Provenance, Resource

ID_SIZE = 16
NONCE_SIZE = 32

_U32 = Struct(">I")
_ID = "auditkeep/observation/1"
_LEAF = b"\x00auditkeep/leaf/1"
_ENTRY = b"auditkeep/batch/1"

LAST_EVENT = Instant((1 << 32) * SECOND - 1)
"""The last instant whose seconds fit an id: 2106-02-07."""

_MINUTES = tuple(f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(24 * 60))
_WHOLE_SECONDS = tuple(f"{second:02d}.000000Z" for second in range(60))

_encode = msgspec.json.Encoder().encode


class _Owner(msgspec.Struct, frozen=True, gc=False):
    account: str
    region: str


class _Provenance(msgspec.Struct, frozen=True, gc=False):
    collector: str
    how: str
    run: str
    software: str


class _Resource(msgspec.Struct, frozen=True, gc=False):
    arn: str | UnsetType
    type: str | UnsetType
    value: str
    verdict: str | UnsetType


class _Reading(msgspec.Struct, frozen=True, gc=False):
    account: str
    actor: str | UnsetType
    event_name: str | UnsetType
    event_source: str | UnsetType
    match_key: str
    reader: str
    region: str
    resources: list[_Resource] | UnsetType
    verdict: str | UnsetType


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    collected_at: str
    cuts: tuple[Cut, ...] | UnsetType
    event_time: str
    id: str
    natural_key: tuple[str, ...]
    position: str
    provenance: Raw
    reading: _Reading
    source: str
    tenant: Raw
    unit: str
    v: int


class _BatchRecord(msgspec.Struct, frozen=True):
    batch_no: int
    bucket: str
    # `class` is what the member is called outside; Python keeps the word for itself.
    klass: str = msgspec.field(name="class")
    committed_at: str
    root: str
    rows: int
    tenant: _Owner
    unit: str
    v: int


def observation_id(
    tenant: Tenant, source: str, natural_key: Sequence[str], event_time: Instant
) -> bytes:
    """16 bytes: u32be(event second) ‖ 96 bits of the SHA-256 of owner, source and natural key."""
    return _id_in(_space(tenant, source), natural_key, event_time)


def _space(tenant: Tenant, source: str) -> bytes:
    """What the names of an owner's observations from one source begin with."""
    return _encode((_ID, tenant.account, tenant.region, source))[:-1] + b","


def _id_in(space: bytes, natural_key: Sequence[str], event_time: Instant) -> bytes:
    named = sha256(space + _encode(natural_key) + b"]").digest()
    return _U32.pack(event_time // SECOND) + named[:12]


class TimeWriter:
    """Writes times as `clock.iso` does, but a day's name is found once for all that lie in it."""

    def __init__(self) -> None:
        self._days: dict[int, str] = {}

    def iso(self, at: Instant) -> str:
        day, rest = divmod(at, DAY)
        name = self._days.get(day)
        if name is None:
            name = self._days[day] = day_name(day_of(at))
        minute, rest = divmod(rest, MINUTE)
        second, micros = divmod(rest, SECOND)
        if not micros:  # as most sources tell the time
            return name + _MINUTES[minute] + _WHOLE_SECONDS[second]
        return f"{name}{_MINUTES[minute]}{second:02d}.{micros:06d}Z"


class EnvelopeWriter:
    """Writes the envelopes of one batch: what they share is encoded once."""

    def __init__(
        self, tenant: Tenant, unit_id: str, provenance: Provenance, collected_at: Instant
    ) -> None:
        self._owner = tenant
        self._tenant = Raw(_encode(_Owner(tenant.account, tenant.region)))
        p = provenance
        self._provenance = Raw(_encode(_Provenance(p.collector, p.how, p.run, p.software)))
        self._unit = unit_id
        self._collected_at = iso(collected_at)
        self._iso = TimeWriter().iso
        self._spaces: dict[str, bytes] = {}

    def id(self, observation: Observation) -> bytes:
        """As `observation_id`; UnicodeEncodeError if its natural key holds half a character."""
        o = observation
        space = self._spaces.get(o.source)
        if space is None:
            space = self._spaces[o.source] = _space(self._owner, o.source)
        return _id_in(space, o.natural_key, o.event_time)

    def write(self, observation: Observation, id_: bytes) -> bytes:
        """The envelope of one observation; UnicodeEncodeError if it holds half a character."""
        o = observation
        return _encode(
            _Envelope(
                self._collected_at,
                o.cuts or UNSET,
                self._iso(o.event_time),
                id_.hex(),
                o.natural_key,
                o.position,
                self._provenance,
                _Reading(
                    o.account,
                    o.actor if o.actor is not None else UNSET,
                    o.event_name or UNSET,
                    o.event_source or UNSET,
                    o.match_key,
                    o.reader,
                    o.region,
                    _resources(o.resources) if o.resources else UNSET,
                    o.verdict if o.verdict is not None else UNSET,
                ),
                o.source,
                self._tenant,
                self._unit,
                1,
            )
        )


def envelope(
    tenant: Tenant,
    observation: Observation,
    id_: bytes,
    *,
    unit_id: str,
    provenance: Provenance,
    collected_at: Instant,
) -> bytes:
    """The canonical JSON that says what an observation is, whose, and how it came here."""
    return EnvelopeWriter(tenant, unit_id, provenance, collected_at).write(observation, id_)


def leaf(nonce: bytes, envelope_hash: bytes, raw_hash: bytes) -> bytes:
    """The leaf hash, from the nonce and the SHA-256 of envelope and of raw bytes."""
    return sha256(_LEAF + nonce + envelope_hash + raw_hash).digest()


def batch_record(
    tenant: Tenant,
    *,
    batch_no: int,
    bucket: str,
    klass: str,
    committed_at: Instant,
    root: bytes,
    rows: int,
    unit_id: str,
) -> bytes:
    """The canonical JSON that a log entry stands for."""
    return _encode(
        _BatchRecord(
            batch_no,
            bucket,
            klass,
            iso(committed_at),
            root.hex(),
            rows,
            _Owner(tenant.account, tenant.region),
            unit_id,
            1,
        )
    )


def log_entry(salt: bytes, record: bytes) -> bytes:
    """32 bytes that tell nothing without the salt."""
    return sha256(_ENTRY + salt + record).digest()


def _resources(resources: tuple[Resource, ...]) -> list[_Resource]:
    return [
        _Resource(
            r.arn if r.arn is not None else UNSET,
            r.type if r.type is not None else UNSET,
            r.value,
            r.verdict if r.verdict is not None else UNSET,
        )
        for r in resources
    ]
