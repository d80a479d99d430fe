"""Erasing a tenant, step by step, until nothing of it is left (accounts.erasure has the stages).

Durable and resumable: each step is a transaction of its own and safe to repeat, and the stage is
written down with it, so that whoever takes the job over after a crash goes on where it stood. It
never gives up: what stands in its way is told in the server's log and tried again.

Keys go first: from then on nothing that is left can be read. A large tenant's go in pieces, so that
writers of other tenants wait for one piece at most, and people see how far it is. What is home to
the deployment, whose tenant owns the operator's own records, goes on keeping those from the moment
of the request on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from msgspec.structs import replace
from sqlalchemy import func

from auditkeep.accounts import erasure, store
from auditkeep.accounts.erasure import Erasure, Gone
from auditkeep.activity import pending
from auditkeep.clock import DAY, MINUTE, Clock, Instant, iso
from auditkeep.db import clearing
from auditkeep.db.database import Database
from auditkeep.db.schema import batches, buckets
from auditkeep.db.tx import Tx
from auditkeep.errors import StorageError
from auditkeep.ids import Tenant
from auditkeep.lake import governance
from auditkeep.lake.blobs import put_blob
from auditkeep.lake.buckets import ACTIVITY, fetching
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.destruction import destroy_buckets
from auditkeep.lake.fields import CLASS as FIELDS
from auditkeep.lake.governance import Authority, Destruction
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Stored, size_of
from auditkeep.lake.proofs import LogReader, prove
from auditkeep.lake.sweep import clear_away, destroy_keys
from auditkeep.settings import Settings
from auditkeep.verify.certificate import (
    KIND,
    Amounts,
    Asked,
    Certificate,
    Entry,
    Key,
    LogPart,
    statement_of,
)
from auditkeep.verify.format import BatchLine
from auditkeep.work.pump import Handler
from auditkeep.work.retry import Retry
from auditkeep.workflows.logged import await_log

MOST_BATCHES = 1_000
"""Batches of the buckets that one transaction destroys, unless a single bucket has more."""

_ALWAYS = Retry(tries=1_000_000, longest=MINUTE)


class Deps(Protocol):
    """What of the house's parts erasing needs."""

    @property
    def settings(self) -> Settings: ...

    @property
    def lake(self) -> Lake: ...


@dataclass(frozen=True, slots=True)
class Eraser:
    """The parts, the time, and `forget`: gives up what this process remembers of answers."""

    deps: Deps
    clock: Clock
    forget: Callable[[], None]

    @property
    def lake(self) -> Lake:
        return self.deps.lake

    @property
    def db(self) -> Database:
        return self.deps.lake.db


def erase_handler(deps: Deps, clock: Clock, forget: Callable[[], None]) -> Handler:
    """How the pump runs jobs of kind `erasure.JOB`."""
    return Handler(partial(erase, Eraser(deps, clock, forget)), retry=_ALWAYS)


def erase(eraser: Eraser, tenant: Tenant, erasure_id: str) -> None:
    """Carry an erasure to its end, from wherever it stands. Errors raised may pass by trying."""
    reach("erase.asked")
    while True:
        with eraser.db.read(tenant) as tx:
            found = erasure.find(tx, erasure_id)
        if found is None or found.stage == "done":
            return
        fetching(partial(_STEPS[found.stage], eraser, tenant, erasure_id))


def _destroy_keys(eraser: Eraser, tenant: Tenant, erasure_id: str) -> None:
    """Everything in the lake, and what is on its way there."""
    with eraser.db.read(tenant) as tx:
        found = erasure.get(tx, erasure_id)
        authority = _authority(tx, eraser.lake, found)
        pieces = _pieces(tx, found)
    for some in pieces:
        with eraser.db.write(tenant) as tx:
            tx.lock_tenant()
            done = destroy_buckets(tx, eraser.lake, some, authority, eraser.clock.now())
            store.forget_settings(tx)  # nobody may stumble over what opens no more
            now_known = erasure.get(tx, erasure_id)
            gone = _with_destroyed(now_known.gone, done)
            erasure.save(tx, replace(now_known, gone=gone))
            tx.after_commit(eraser.forget)
        reach("erase.some-keys-gone")
    with eraser.db.write(tenant) as tx:
        store.forget_settings(tx)
        erasure.save(tx, replace(erasure.get(tx, erasure_id), stage="rows"))
        tx.after_commit(eraser.forget)
    destroy_keys(eraser.lake, tenant)  # those that a run before this one did not get to
    reach("erase.keys-gone")


def _pieces(tx: Tx, found: Erasure) -> list[list[str]]:
    """The buckets that go, as many at a time as one transaction destroys.

    Those of fields go last, for their keys open what is said of the batches of all others. What is
    home to the deployment keeps the records of calls that came after the request.
    """
    home = pending.home_of(tx.system()) == tx.tenant
    b = buckets.c
    alive = tx.select(b.id, b["class"].label("klass"), b.created_at).where(
        b.destroyed_at.is_(None), b["class"] != governance.CLASS
    )
    doomed = [
        row
        for row in tx.all(alive)
        if not (home and row.klass == ACTIVITY and row.created_at > found.asked_at)
    ]
    doomed.sort(key=lambda row: (row.klass == FIELDS, row.klass != ACTIVITY, row.created_at))
    in_bucket = tx.select(batches.c.bucket_id, func.count(batches.c.batch_no).label("number"))
    counts = {r.bucket_id: r.number for r in tx.all(in_bucket.group_by(batches.c.bucket_id))}
    pieces: list[list[str]] = []
    room = 0
    for row in doomed:
        number = counts.get(row.id, 0)
        if not pieces or number > room:
            pieces.append([])
            room = MOST_BATCHES
        pieces[-1].append(row.id)
        room -= number
    return pieces


def _delete_rows(eraser: Eraser, tenant: Tenant, erasure_id: str) -> None:
    destroy_keys(eraser.lake, tenant)
    for table in clearing.tables():
        while _counted(eraser, tenant, erasure_id, partial(clearing.clear_some, table=table)):
            reach("erase.some-rows-gone")
    _counted(eraser, tenant, erasure_id, partial(clearing.clear_jobs, kind=erasure.JOB))
    _move(eraser, tenant, erasure_id, "objects")
    eraser.forget()
    reach("erase.rows-gone")


def _delete_objects(eraser: Eraser, tenant: Tenant, erasure_id: str) -> None:
    gone = clear_away(eraser.lake, tenant)
    with eraser.db.write(tenant) as tx:
        tx.lock_tenant()
        found = erasure.get(tx, erasure_id)
        counted = replace(found.gone, objects=found.gone.objects + gone)
        now = eraser.clock.now()
        stage = _next(tx)
        erasure.save(tx, replace(found, stage=stage, gone=counted, destroyed_at=now))
    reach("erase.objects-gone")


def _certify(eraser: Eraser, tenant: Tenant, erasure_id: str) -> None:
    with eraser.db.read(tenant) as tx:
        found = erasure.get(tx, erasure_id)
        told = governance.told_since(tx, eraser.lake, found.asked_at)
    await_log(eraser.lake, tenant, max(stored.batch_no for stored, _ in told))
    reach("erase.before-certificate")
    with eraser.db.read(tenant) as tx:
        certificate = certificate_of(tx, eraser.lake, found, eraser.deps.settings.key_backup_days)
    data = certificate.signed(eraser.lake.signer).file_bytes()  # by a key that may be elsewhere
    with eraser.db.write(tenant) as tx:
        tx.lock_tenant()
        if erasure.get(tx, erasure_id).stage != "log":
            return  # another run has certified it
        now = eraser.clock.now()
        put_blob(tx, eraser.lake, governance.CLASS, found.certificate, data, now)
        erasure.end(tx, replace(found, stage="done", ended_at=now))
    reach("erase.certified")


_STEPS: dict[str, Callable[[Eraser, Tenant, str], None]] = {
    "keys": _destroy_keys,
    "rows": _delete_rows,
    "objects": _delete_objects,
    "log": _certify,
}


def certificate_of(tx: Tx, lake: Lake, found: Erasure, days: int) -> Certificate:
    """The certificate of an erasure, unsigned; LogError while the log does not hold it yet."""
    destroyed_at = found.destroyed_at
    if destroyed_at is None:
        raise StorageError(f"The erasure {found.id} has not come to its end.")
    told = _records(tx, lake, found)
    log = LogReader.newest(tx, lake)
    at, out = iso(destroyed_at), iso(Instant(destroyed_at + days * DAY))
    asked = next(record for _, record in told if isinstance(record, Authority))
    keys = tuple(
        Key(
            id=bucket.id,
            klass=bucket.klass,
            month=bucket.month,
            generation=bucket.generation,
            master_key=bucket.key,
            destruction=record.id,
        )
        for _, record in told
        if isinstance(record, Destruction)
        for bucket in record.buckets
    )
    return Certificate(
        kind=KIND,
        id=found.id,
        account=tx.tenant.account,
        region=tx.tenant.region,
        asked=Asked(
            action=asked.action,
            at=asked.at,
            by=iso(found.deadline),
            principal=asked.principal,
            request=asked.request,
        ),
        destroyed_at=at,
        key_backup_days=days,
        out_of_backups_by=out,
        statement=statement_of(at, days, out),
        destroyed=Amounts(
            keys=len(keys),
            batches=found.gone.batches,
            observations=found.gone.observations,
            files=found.gone.files,
            rows=found.gone.rows,
            objects=found.gone.objects,
        ),
        keys=keys,
        log=_log_part(tx, lake, log, told),
    )


def _log_part(
    tx: Tx, lake: Lake, log: LogReader, told: list[tuple[Stored, Authority | Destruction]]
) -> LogPart:
    proofs = {
        number: prove(tx, lake, number, [s.index for s, _ in told if s.batch_no == number], log)
        for number in sorted({stored.batch_no for stored, _ in told})
    }
    return LogPart(
        origin=lake.origin,
        size=log.checkpoint.size,
        root=log.checkpoint.root.hex(),
        checkpoint=log.checkpoint.note,
        entries=tuple(
            Entry(
                kind="authority" if isinstance(record, Authority) else "destruction",
                index=proofs[stored.batch_no].log_index,
                batch_no=stored.batch_no,
                position=stored.index,
                raw=stored.raw.decode(),
                envelope=stored.envelope.decode(),
                nonce=stored.nonce.hex(),
                path=tuple(h.hex() for h in proofs[stored.batch_no].paths[stored.index]),
            )
            for stored, record in told
        ),
        batches=tuple(
            BatchLine(
                batch_no=proof.batch_no,
                record=proof.record,
                salt=proof.salt.hex(),
                index=proof.log_index,
                inclusion=tuple(h.hex() for h in proof.inclusion),
            )
            for proof in proofs.values()
        ),
    )


def _records(tx: Tx, lake: Lake, found: Erasure) -> list[tuple[Stored, Authority | Destruction]]:
    """The authority of this erasure and the destructions that cite it, oldest first."""
    return [
        (stored, record)
        for stored, record in governance.told_since(tx, lake, found.asked_at)
        if (isinstance(record, Authority) and record.id == found.authority)
        or (isinstance(record, Destruction) and record.authority == found.authority)
    ]


def _authority(tx: Tx, lake: Lake, found: Erasure) -> Authority:
    for _, record in _records(tx, lake, found):
        if isinstance(record, Authority):
            return record
    raise StorageError(f"The record of who asked for the erasure {found.id} cannot be found.")


def _counted(eraser: Eraser, tenant: Tenant, erasure_id: str, delete: Callable[[Tx], int]) -> int:
    """Delete some rows, and count them in the same transaction."""
    with eraser.db.write(tenant) as tx:
        count = delete(tx)
        if count:
            found = erasure.get(tx, erasure_id)
            gone = replace(found.gone, rows=found.gone.rows + count)
            erasure.save(tx, replace(found, gone=gone))
    return count


def _move(eraser: Eraser, tenant: Tenant, erasure_id: str, stage: erasure.Stage) -> None:
    with eraser.db.write(tenant) as tx:
        erasure.save(tx, replace(erasure.get(tx, erasure_id), stage=stage))


def _next(tx: Tx) -> erasure.Stage:
    """The log, unless something was written by who had begun before the tenant was erased."""
    aside = {governance.CLASS}
    if pending.home_of(tx.system()) == tx.tenant:
        aside.add(ACTIVITY)
    b = buckets.c
    alive = tx.select(b.id).where(b.destroyed_at.is_(None), b["class"].not_in(sorted(aside)))
    if tx.first(alive.limit(1)) is not None:
        return "keys"
    left = [table.name for table in clearing.tables() if clearing.clear_some(tx, table)]
    return "rows" if left else "log"


def _with_destroyed(gone: Gone, done: Destruction | None) -> Gone:
    if done is None:
        return gone
    return replace(
        gone,
        keys=gone.keys + len(done.buckets),
        batches=gone.batches + size_of(done.batches),
        observations=gone.observations + done.rows,
        files=gone.files + done.files,
    )
