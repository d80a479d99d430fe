"""Values that a shape allows, made of a seed: the same seed gives the same value.

A resource keeps what names it (ids, ARNs, names) through all its versions, while the rest of it
may change with each, as a real resource's settings do.
"""

from dataclasses import dataclass
from typing import Any
from zlib import crc32

from auditkeep.clock import Instant

MOST_DEPTH = 2
BEGINNING = Instant(0)
_ACCOUNTS = frozenset(
    {"ownerid", "accountid", "awsaccountid", "owneraccountid", "account", "owneraccount"}
)
_REGIONS = frozenset({"region", "awsregion", "bucketregion", "regionname"})
_NAMING = ("id", "arn", "name", "identifier", "url", "key", "label", "alias", "version", "number")


@dataclass(frozen=True, slots=True)
class Seed:
    """What a sample is made of."""

    account: str
    region: str
    kind: str
    name: str
    version: int = 0
    at: Instant = BEGINNING

    @property
    def arn(self) -> str:
        service, _, operation = self.kind.partition(":")
        return f"arn:aws:{service}:{self.region}:{self.account}:{operation.lower()}/{self.name}"


def sample(shape: Any, seed: Seed) -> Any:
    """A value of a shape. Lists of resources are the business of whoever asks."""
    return _value(shape, "", seed, 0, ())


def _value(shape: Any, name: str, seed: Seed, depth: int, above: tuple[str, ...]) -> Any:
    kind = shape.type_name
    if kind == "structure":
        return _structure(shape, seed, depth, above)
    if kind == "list":
        inside = _value(shape.member, name.removesuffix("s"), seed, depth + 1, above)
        return [] if inside in ({}, None) else [inside]
    if kind == "map":
        key = shape.key.enum[0] if getattr(shape.key, "enum", None) else "version"
        inside = _value(shape.value, "value", seed, depth + 1, above)
        return {} if inside in ({}, [], None) else {key: inside}
    if kind == "timestamp":
        return seed.at
    if kind == "blob":
        return f"{seed.name}/{seed.version}".encode()
    if kind == "string":
        return _text(shape, name, seed)
    return _number(shape, name, seed)


def _structure(shape: Any, seed: Seed, depth: int, above: tuple[str, ...]) -> dict[str, Any]:
    if shape.name in above or depth > MOST_DEPTH or getattr(shape, "is_eventstream", False):
        return {}
    if shape.name in {"Tag", "ResourceTag"} and {"Key", "Value"} <= set(shape.members):
        return {"Key": "version", "Value": str(seed.version)}
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        if member.type_name == "structure" and depth >= MOST_DEPTH:
            continue
        if getattr(member, "is_eventstream", False):
            continue
        value = _value(member, name, seed, depth + 1, (*above, shape.name))
        one_of = getattr(member, "is_tagged_union", False)
        if value not in ({}, []) or (name in shape.required_members and not one_of):
            found[name] = value
            if getattr(shape, "is_tagged_union", False):
                break
    return found


def _hash(*parts: object) -> int:
    return crc32("\0".join(map(str, parts)).encode())


def _text(shape: Any, name: str, seed: Seed) -> str:
    low = name.lower()
    if getattr(shape, "enum", None):
        return str(shape.enum[_hash(seed.kind, seed.name, name, seed.version) % len(shape.enum)])
    if low in _ACCOUNTS:
        return seed.account
    if low in _REGIONS:
        return seed.region
    if low.endswith("arn"):
        operation = seed.kind.partition(":")[2]
        own = low == "arn" or low.removesuffix("arn") in operation.lower()
        return seed.arn if own else f"{seed.arn}/{low.removesuffix('arn')}"
    if low.endswith(_NAMING) or not name:
        return seed.name
    return f"{name}-{seed.version}"


def _number(shape: Any, name: str, seed: Seed) -> Any:
    turn = _hash(seed.kind, seed.name, name, seed.version)
    if shape.type_name == "boolean":
        return bool(turn & 1)
    low = int(shape.metadata.get("min", 0) or 0)
    high = int(shape.metadata.get("max", low + 1_000) or low)
    number = low + turn % (min(high - low, 1_000) + 1)
    return float(number) if shape.type_name in {"float", "double"} else number
