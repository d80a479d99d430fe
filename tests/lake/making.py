"""Observations and appends for the lake's tests."""

import json
from collections.abc import Sequence
from typing import Any

from auditkeep.clock import DAY, SECOND, Instant, parse
from auditkeep.db.database import Database
from auditkeep.db.schema import tenants
from auditkeep.ids import Tenant
from auditkeep.lake import blobs
from auditkeep.lake.append import Appended, Unit, append
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import View
from auditkeep.observations import Observation, Provenance, Resource

NOW = parse("2026-05-01T12:00:00Z")
TENANT = Tenant("111122223333", "us-east-1")
EVERYTHING = View(
    match_keys=frozenset({"iam:CreateUser", "iam:DeleteUser", "config:S3_BUCKET", "pinned:a/1"}),
    accounts=None,
    regions=None,
    start=Instant(0),
    end=Instant(NOW + 2 * DAY),
)
PROVENANCE = Provenance(how="file", collector="test", run="run-1", software="auditkeep/0")


def register(db: Database, tenant: Tenant = TENANT) -> None:
    with db.write(tenant) as tx:
        tx.insert(
            tenants,
            {
                "status": "ACTIVE",
                "kms_key": "",
                "registered_at": NOW,
                "last_batch_no": 0,
            },
        )


def file_name(lake: Lake, object_id: str, tenant: Tenant = TENANT) -> str:
    """The object that holds a stored file."""
    with lake.db.read(tenant) as tx:
        return blobs.object_name(tenant, blobs.stored_name(tx, object_id))


def observation(number: int, **changes: Any) -> Observation:
    """The observation with this number: a different fact for each."""
    at = Instant(NOW - DAY + number * SECOND)
    members: dict[str, Any] = {
        "source": "AWS_Cloudtrail",
        "natural_key": (f"event-{number}",),
        "event_time": at,
        "match_key": "iam:CreateUser" if number % 3 else "iam:DeleteUser",
        "account": f"{111122223333 + number % 4}",
        "region": "us-east-1" if number % 2 else "aws-global",
        "raw": json.dumps({"eventID": f"event-{number}", "n": number}).encode(),
        "reader": "cloudtrail/1",
        "position": f"Records[{number}]",
        "resources": (Resource(f"user-{number}"),) if number % 5 else (),
        "event_name": "CreateUser",
        "event_source": "iam.amazonaws.com",
    }
    return Observation(**(members | changes))


def some(first: int, count: int) -> list[Observation]:
    return [observation(n) for n in range(first, first + count)]


def add(
    lake: Lake,
    unit: str,
    observations: Sequence[Observation],
    *,
    tenant: Tenant = TENANT,
    klass: str = "facts",
    now: Instant = NOW,
) -> Appended:
    """One append in a transaction of its own."""
    with lake.db.write(tenant) as tx:
        return append(
            tx,
            lake,
            unit=Unit(unit, "file"),
            klass=klass,
            observations=observations,
            provenance=PROVENANCE,
            now=now,
        )
