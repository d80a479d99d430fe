"""Tags on a tenant's own assessments, controls and frameworks (spec section 8.5).

Keys and values have been held to the model's patterns by the wire's codec. What is left is what
no single request can show: that a resource has 50 tags at most, all requests together.
Tags are not inherited: an assessment begins with those of its own request.
"""

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import bindparam

from auditkeep.db import schema
from auditkeep.db.prepared import Prepared
from auditkeep.db.tx import Tx
from auditkeep.errors import InvalidRequest

MOST = 50
"""Tags of one resource."""

_TABLE = schema.tags
_OF_ONE = Prepared(_TABLE.c.key, _TABLE.c.value, where=[_TABLE.c.arn == bindparam("arn")])

_NAMES = Prepared(_TABLE.c.name, where=[_TABLE.c.arn == bindparam("arn")])


def of(tx: Tx, arn: str) -> dict[str, str]:
    """A resource's tags, sorted by key."""
    return {row.key: row.value for row in sorted(tx.fetch(_OF_ONE, arn=arn))}


def of_many(tx: Tx, arns: Collection[str]) -> dict[str, dict[str, str]]:
    """The tags of several resources, each with an entry, be it empty."""
    found: dict[str, dict[str, str]] = {arn: {} for arn in arns}
    if found:
        columns = (_TABLE.c.arn, _TABLE.c.key, _TABLE.c.value)
        rows = tx.all(tx.select(*columns).where(_TABLE.c.arn.in_(list(found))))
        for row in sorted(rows, key=lambda r: str(r.key)):
            found[row.arn][row.key] = row.value
    return found


def add(tx: Tx, arn: str, tags: Mapping[str, str] | None, most: int = MOST) -> None:
    """Set tags beside those there are, replacing equal keys; InvalidRequest beyond `most`."""
    if not tags:
        return
    tx.lock_tenant()  # or two requests at once could each find room for the fiftieth
    there = {bytes(row.name) for row in tx.fetch(_NAMES, arn=arn)}
    total = len(there) + len(tags)
    if total > most:  # some of them may be there already
        total = len(there | {tx.digest(_TABLE.c.name, key) for key in tags})
    if total > most:
        raise InvalidRequest.of_field(
            "tags", f"would make {total} on this resource; it may have {most}."
        )
    rows = [{"arn": arn, "key": key, "value": value} for key, value in tags.items()]
    tx.upsert(_TABLE, rows, replace=["key", "value"])


def remove(tx: Tx, arn: str, keys: Iterable[str]) -> None:
    """Take tags off; keys that are not there are ignored."""
    name = _TABLE.c.name
    names = [tx.digest(name, key) for key in keys]
    tx.run(tx.delete(_TABLE).where(_TABLE.c.arn == arn, name.in_(names)))


def drop(tx: Tx, arn: str) -> None:
    """Take all tags off, for a resource that is deleted."""
    tx.run(tx.delete(_TABLE).where(_TABLE.c.arn == arn))
