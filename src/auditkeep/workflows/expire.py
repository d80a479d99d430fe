"""Expiry: what its retention policy no longer keeps is destroyed, bucket by bucket, keys first.

Buckets that go whole: one transaction for each kind of class of a tenant, policy, destruction and
rows together; keys and files follow its commit, and the sweeper finishes what a crash has cut off.
Buckets of which a legal hold, or a short policy, keeps a part are cut down one by one
(`lake.generations`). Whoever runs it again finds only what is due then.
"""

import logging
from dataclasses import dataclass
from functools import partial

from sqlalchemy import ColumnElement

from auditkeep.clock import DAY, Instant
from auditkeep.crypto.asking import with_keys
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import (
    batches,
    observation_ids,
    reports,
    selection_exceptions,
    tenants,
)
from auditkeep.db.tx import Tx
from auditkeep.frameworks import sharing_store
from auditkeep.ids import Tenant
from auditkeep.lake import generations, keeping, retention
from auditkeep.lake.blobs import has_blob
from auditkeep.lake.buckets import ERASED
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.destruction import destroy_buckets
from auditkeep.lake.generations import Doomed
from auditkeep.lake.governance import Authority, Destruction
from auditkeep.lake.lake import Lake
from auditkeep.lake.remains import forget_ids
from auditkeep.lake.retention import Due
from auditkeep.reports import store as report_store
from auditkeep.settings import RetentionKind, Settings

SNAPSHOTS_KEPT = 365 * DAY
"""How long what an expired share request had offered is kept (spec 9.2)."""

_log = logging.getLogger("auditkeep.retention")


@dataclass(frozen=True, slots=True)
class Expired:
    """What one run did: buckets that went, buckets that holds keep, and how much that was."""

    gone: tuple[Due, ...] = ()
    held: tuple[Due, ...] = ()
    observations: int = 0
    files: int = 0


def expire(lake: Lake, settings: Settings, tenant: Tenant, now: Instant) -> Expired:
    """Destroy what a tenant's policies no longer keep; nothing where it is erased anyway.

    LogError if the database is behind the published log.
    """
    each = [_expire(lake, settings, tenant, now, kind) for kind in retention.KINDS]
    if any(one.gone for one in each):
        forget_ids(lake, tenant)
    return Expired(
        tuple(due for one in each for due in one.gone),
        tuple(due for one in each for due in one.held),
        sum(one.observations for one in each),
        sum(one.files for one in each),
    )


def _expire(
    lake: Lake, settings: Settings, tenant: Tenant, now: Instant, kind: RetentionKind
) -> Expired:
    """What is due of one kind: whole buckets in one transaction, parts bucket by bucket."""
    due, done = with_keys(partial(_destroy_whole, lake, settings, tenant, now, kind))
    gone = [one for one in due if one.held is None and not one.part]
    dones = [] if done is None else [done]
    for one in due:
        if one.part:
            cut = _cut(lake, settings, tenant, one, kind, now)
            if cut is not None:
                gone.append(one)
                dones.append(cut)
    if gone:
        _log.info("Retention: %d buckets of %s expired in %s.", len(gone), kind, tenant)
    return Expired(
        tuple(gone),
        tuple(one for one in due if one.held is not None),
        sum(one.rows for one in dones),
        sum(one.files for one in dones),
    )


def _destroy_whole(
    lake: Lake, settings: Settings, tenant: Tenant, now: Instant, kind: RetentionKind
) -> tuple[list[Due], Destruction | None]:
    """What is due, and what became of those buckets of it that go as a whole."""
    with lake.db.write(tenant) as tx:
        tx.lock_tenant()
        if tx.scalar(tx.select(tenants.c.status)) in {*ERASED, None}:
            return [], None
        in_force = retention.rules(tx, settings.retention_days)
        if kind == keeping.FACTS and (days := in_force[kind].days) is not None:
            keeping.forget_passed_over(tx, Instant(now - days * DAY))
        due = retention.due(tx, {kind: in_force[kind]}, now)
        ids = [one.id for one in due if one.held is None and not one.part]
        if not ids:
            return due, None
        reach("expire.chosen")
        _forget(tx, batches.c.bucket_id.in_(ids))
        given = retention.authority(tx, lake, kind, in_force[kind], now)
        done = destroy_buckets(tx, lake, ids, given, now)
        _forget_reports(tx, kind)
    reach("expire.done")
    return due, done


def _cut(
    lake: Lake, settings: Settings, tenant: Tenant, one: Due, kind: RetentionKind, now: Instant
) -> Destruction | None:
    """Destroy what of a bucket is over; what stays goes on in its next generation."""

    def choose(tx: Tx, bucket_id: str) -> Doomed:
        if tx.scalar(tx.select(tenants.c.status)) in {*ERASED, None}:
            return Doomed()
        return retention.doomed(tx, bucket_id, settings.retention_days, now)

    def authority(tx: Tx) -> Authority:
        rule = retention.rules(tx, settings.retention_days)[kind]
        return retention.authority(tx, lake, kind, rule, now)

    def before(tx: Tx, doomed: Doomed) -> None:
        for some in in_pieces(sorted(doomed.batches)):
            _forget(tx, batches.c.batch_no.in_(some))

    def after(tx: Tx, _done: Destruction) -> None:
        _forget_reports(tx, kind)

    return generations.cut(lake, tenant, one.id, choose, authority, now, before=before, after=after)


def drop_snapshots(lake: Lake, now: Instant) -> int:
    """Forget what share requests offered that expired a year ago; how many."""
    with lake.db.system_write() as tx:
        return sharing_store.drop_snapshots(tx, Instant(now - SNAPSHOTS_KEPT))


def _forget(tx: Tx, these: ColumnElement[bool]) -> None:
    """Selections count what they hold: without what is about to go."""
    doomed = tx.select(observation_ids.c.id).where(
        observation_ids.c.id.in_(tx.select(selection_exceptions.c.observation_id)),
        observation_ids.c.batch_no.in_(tx.select(batches.c.batch_no).where(these)),
    )
    tx.run(tx.delete(selection_exceptions).where(selection_exceptions.c.observation_id.in_(doomed)))


def _forget_reports(tx: Tx, kind: RetentionKind) -> None:
    """Reports whose archives are gone: a list must not offer what cannot be had."""
    if kind != "reports":
        return
    done = tx.select(reports.c.id).where(reports.c.status == "COMPLETE")
    for row in tx.all(done):
        report = report_store.find(tx, row.id)
        if report is not None and not has_blob(tx, report_store.place(report).object_key):
            report_store.delete(tx, report.id)
