"""Destroying a class takes its rows, counts, files and keys, and nothing of any other class."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.evidence.making import NOW, fact, keep
from tests.lake.destroying import destroy_everything
from tests.vectors.make import jcs

from auditkeep.clock import Day, Instant
from auditkeep.db.database import Database
from auditkeep.db.schema import (
    batches,
    buckets,
    log_entries,
    observation_ids,
    rollups,
    segments,
    tail,
)
from auditkeep.db.tx import Tx
from auditkeep.ids import Tenant
from auditkeep.lake import governance, read, sums
from auditkeep.lake.batch import DESTROYED
from auditkeep.lake.blobs import put_blob
from auditkeep.lake.destruction import destroy_class
from auditkeep.lake.encoding import log_entry
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import View
from auditkeep.lake.read import find, observations
from auditkeep.lake.remains import forget_ids
from auditkeep.lake.seal import seal

pytestmark = pytest.mark.both_databases

KEYS = {fact(NOW).match_key}
ASKED = governance.authority(governance.DELETE_ASSESSMENT, "arn:u", "req-1", "a", NOW)


@pytest.mark.parametrize("sealed", [False, True], ids=["tail", "segment"])
def test_a_destroyed_class_leaves_its_place_in_the_log_only(
    db: Database, lake: Lake, tenant: Tenant, sealed: bool
) -> None:
    with db.write(tenant) as tx:
        gone = keep(tx, lake, [fact(NOW), fact(NOW)], "manual/a")
        stays = keep(tx, lake, [fact(NOW)], "facts")
    while sealed and seal(lake, tenant, now=NOW, min_rows=1):
        pass
    with db.write(tenant) as tx:
        destroy_class(tx, lake, "manual/a", ASKED, NOW)
    with db.read(tenant) as tx:
        left = {bytes(r.id) for r in tx.all(tx.select(observation_ids))}
        assert {s.batch_no for s in find(tx, lake, left).values()} == {stays, stays + 1}
        seen = read.rollups(tx, match_keys=KEYS, first_day=Day(0), last_day=None)
        assert sum(row.items for row in seen) == 1, "what is destroyed counts no more"
        sums_seen = sums.sums(tx, match_keys=KEYS, first_day=Day(0), last_day=None)
        assert [row.items for row in sums_seen] == [1]
        counted = {row.bucket_id for row in tx.all(tx.select(rollups.c.bucket_id))}
        assert len(counted) == 3, "no key waits for its counts to be deleted"
    assert forget_ids(lake, tenant) == 2
    assert forget_ids(lake, tenant) == 0
    with db.read(tenant) as tx:
        kept = {r.batch_no: r.segment_id for r in tx.all(tx.select(batches))}
        assert kept[gone] == DESTROYED
        assert kept[stays] != DESTROYED
        ids = observation_ids.c.batch_no
        assert {r.batch_no for r in tx.all(tx.select(ids))} == {stays, stays + 1}
        assert gone not in {r.batch_no for r in tx.all(tx.select(tail.c.batch_no))}
        sources = {r.source for r in tx.all(tx.select(rollups.c.source))}
        assert sources == {"AWS_Cloudtrail", "GOVERNANCE"}
        assert tx.scalar(tx.select(func.count(segments.c.id))) == sealed
    assert len(lake.keystore.bucket_ids()) == 3, "of facts, of fields and of governance"
    assert len(list(lake.objects.list("segments/"))) == sealed


def records(lake: Lake, db: Database, tenant: Tenant) -> list[governance.Record]:
    view = View(
        frozenset(f"governance:{k}" for k in ("authority", "destruction", "openings")),
        None,
        None,
        Instant(0),
        Instant(NOW + 1),
    )
    with db.read(tenant) as tx:
        found = observations(tx, lake, [view], limit=100, klass=governance.CLASS)
    return [governance.decode(s.raw) for s in sorted(found, key=lambda s: (s.batch_no, s.index))]


def test_a_destruction_is_logged_with_who_asked_for_it(
    db: Database, lake: Lake, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(governance, "OPENINGS_EACH", 2)
    with db.write(tenant) as tx:
        for klass in ("manual/a", "facts", "manual/a", "manual/a"):
            keep(tx, lake, [fact(NOW), fact(NOW)], klass)
        put_blob(tx, lake, "manual/a", "manual/a/file", b"file", NOW)
        entries = {r.batch_no: bytes(r.entry) for r in tx.all(_entries(tx))}
        done = destroy_class(tx, lake, "manual/a", ASKED, NOW)
    authority, destruction, *openings = records(lake, db, tenant)
    assert authority == ASKED
    assert destruction == done
    assert isinstance(destruction, governance.Destruction)
    assert destruction.authority == ASKED.id
    assert destruction.batches == ((1, 1), (3, 4))
    assert (destruction.rows, destruction.files) == (6, 1)
    (bucket,) = destruction.buckets
    assert (bucket.klass, bucket.month, bucket.key) == ("manual/a", "2026-05", lake.provider.key_id)
    assert len(openings) == 2
    told = {}
    for part in openings:
        assert isinstance(part, governance.Openings)
        assert part.destruction == destruction.id
        for salt, record in part.openings:
            batch_no = json.loads(record)["batch_no"]
            told[batch_no] = log_entry(bytes.fromhex(salt), record.encode())
    assert told == {n: entries[n] for n in (1, 3, 4)}, "what the log holds can still be told"


def _entries(tx: Tx) -> Any:
    return select(batches.c.batch_no, log_entries.c.entry).where(
        tx.mine(batches), batches.c.log_position == log_entries.c.position
    )


def test_everything_of_a_tenant_goes_but_what_says_so(
    db: Database, lake: Lake, tenant: Tenant
) -> None:
    asked = governance.authority(governance.DEREGISTER_ACCOUNT, "arn", "req", "", NOW)
    with db.write(tenant) as tx:
        keep(tx, lake, [fact(NOW)], "manual/a")
        keep(tx, lake, [fact(NOW)], "facts")
        put_blob(tx, lake, "reports", "reports/b/r.zip", b"zip", NOW)
        destroy_class(tx, lake, "manual/a", ASKED, NOW)
        destroy_everything(tx, lake, asked, NOW)
    assert [r.id for r in records(lake, db, tenant) if isinstance(r, governance.Authority)] == [
        ASKED.id,
        asked.id,
    ]
    with db.read(tenant) as tx:
        alive = tx.all(tx.select(buckets).where(buckets.c.destroyed_at.is_(None)))
        assert [b._mapping["class"] for b in alive] == [governance.CLASS]
    assert lake.keystore.bucket_ids() == [alive[0].id]
    assert list(lake.objects.list("blobs/")) == []


@pytest.mark.parametrize(
    ("action", "subject", "klass", "allowed"),
    [
        (governance.DELETE_ASSESSMENT, "a", "manual/a", True),
        (governance.DELETE_ASSESSMENT, "a", "manual/b", False),
        (governance.DELETE_ASSESSMENT, "a", "facts", False),
        (governance.DELETE_ASSESSMENT, "a", "governance", False),
        (governance.DEREGISTER_ACCOUNT, "", "facts", True),
        (governance.DEREGISTER_ACCOUNT, "", "governance", False),
        ("GetAssessment", "a", "manual/a", False),
    ],
)
def test_what_an_authority_allows(action: str, subject: str, klass: str, allowed: bool) -> None:
    given = governance.authority(action, "arn", "req", subject, NOW)
    assert governance.allows(given, klass) == allowed


def test_records_are_canonical_json() -> None:
    raw = governance.encode(ASKED)
    assert raw == jcs(json.loads(raw))
    assert governance.decode(raw) == ASKED


def test_a_destruction_that_is_rolled_back_destroyed_nothing(
    db: Database, lake: Lake, tenant: Tenant
) -> None:
    with db.write(tenant) as tx:
        keep(tx, lake, [fact(NOW)], "manual/a")
    with pytest.raises(KeyError), db.write(tenant) as tx:
        destroy_class(tx, lake, "manual/a", ASKED, NOW)
        raise KeyError
    assert len(lake.keystore.bucket_ids()) == 3, "one of them nobody knows: it opens nothing"
    with db.read(tenant) as tx:
        assert tx.scalar(tx.select(func.count(tail.c.account))) == 1
        assert tx.scalar(tx.select(func.count(buckets.c.account))) == 2, "of fields, too"


def test_destroying_what_is_not_there_does_nothing(
    db: Database, lake: Lake, tenant: Tenant
) -> None:
    with db.write(tenant) as tx:
        destroy_class(tx, lake, "manual/a", ASKED, NOW)
