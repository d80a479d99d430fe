"""Tenants, observations and lenses for the tests of evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditkeep.accounts import store as accounts
from auditkeep.clock import Instant, parse
from auditkeep.db.tx import Tx
from auditkeep.ids import new_id
from auditkeep.lake.append import Unit, append
from auditkeep.lake.lake import Lake
from auditkeep.observations import Observation, Provenance, Resource

NOW = parse("2026-05-04T12:00:00Z")
ACCOUNT = "111122223333"
PROVENANCE = Provenance(how="file", collector="test", run="run", software="test")


def register(tx: Tx) -> None:
    accounts.register(tx, None, NOW)


def fact(
    event_time: Instant,
    *,
    match_key: str = "iam:CreateUser",
    account: str = ACCOUNT,
    region: str = "us-east-1",
    source: Any = "AWS_Cloudtrail",
    verdict: str | None = None,
    resources: Sequence[str] = (),
    raw: bytes = b"{}",
    position: str = "0",
    actor: str | None = None,
) -> Observation:
    """An observation like no other."""
    return Observation(
        source=source,
        natural_key=(new_id(),),
        event_time=event_time,
        match_key=match_key,
        account=account,
        region=region,
        raw=raw,
        reader="test/1",
        position=position,
        verdict=verdict,
        resources=tuple(Resource(value=r, verdict=verdict) for r in resources),
        event_name=match_key.rpartition(":")[2],
        event_source="iam.amazonaws.com",
        actor=actor,
    )


def keep(
    tx: Tx,
    lake: Lake,
    observations: Sequence[Observation],
    klass: str = "facts",
    now: Instant = NOW,
) -> int:
    """One batch; its number."""
    done = append(
        tx,
        lake,
        unit=Unit(new_id(), "test"),
        klass=klass,
        observations=observations,
        provenance=PROVENANCE,
        now=now,
    )
    assert done.batch_no is not None
    return done.batch_no
