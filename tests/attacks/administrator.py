"""What somebody can do who holds the disk, the database and every key of a deployment.

Each function does its work as well as it can be done: sealed with the right keys, with rows, sizes,
digests and signatures made to fit. The table in docs/verification.md says what finds it all the same.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
from tests.attacks.deployment import TENANT, Deployment

from auditkeep.app import Parts
from auditkeep.app.places import Places
from auditkeep.clock import Instant
from auditkeep.collection.keeping import WindowSight
from auditkeep.crypto.signing import ReportKey, SigningKey
from auditkeep.db.schema import (
    batches,
    buckets,
    checkpoints,
    log_entries,
    meta,
    observation_ids,
    segments,
    tail,
    tenants,
)
from auditkeep.db.tx import Tx
from auditkeep.lake import governance, keeping, parquet, published
from auditkeep.lake.columns import Heavy, Light
from auditkeep.lake.destruction import destroy_buckets
from auditkeep.lake.generations import Doomed, cut
from auditkeep.lake.segments import keep_rewritten, object_name, opening_of
from auditkeep.observations import Observation
from auditkeep.settings import load
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.tlog.note import Signer
from auditkeep.verify import format as fmt
from auditkeep.workflows import unseen


def buckets_of(tx: Tx, klass: str) -> list[str]:
    return [row.id for row in tx.all(tx.select(buckets.c.id).where(buckets.c["class"] == klass))]


def classes(parts: Parts, beginning: str) -> list[str]:
    with parts.db.read(TENANT) as tx:
        named = {row.klass for row in tx.all(tx.select(buckets.c["class"].label("klass")))}
    return sorted(name for name in named if name.startswith(beginning))


def in_class(parts: Parts, klass: str, *, sealed: bool = False) -> list[int]:
    """The numbers of a class's batches, those in segments or those in the tail."""
    with parts.db.read(TENANT) as tx:
        ids = buckets_of(tx, klass)
        where = batches.c.segment_id.is_not(None) if sealed else batches.c.segment_id.is_(None)
        query = tx.select(batches.c.batch_no).where(batches.c.bucket_id.in_(ids), where)
        return [row.batch_no for row in tx.all(query.order_by(batches.c.batch_no))]


def acquit(light: Light, heavy: Heavy) -> None:
    """Every verdict of a batch becomes PASSED, in what is searched and in what is shown."""
    light.verdicts[:] = ["PASSED"] * len(light.verdicts)
    heavy.envelopes[:] = [e.replace(b'"FAILED"', b'"PASSED"') for e in heavy.envelopes]


def acquit_segment(parts: Parts, batch_no: int) -> None:
    """Every verdict of a batch's segment, written again under its own id and key, its row to fit."""
    import polars as pl

    lake = parts.lake
    with parts.db.write(TENANT) as tx:
        row = tx.first(tx.select(batches).where(batches.c.batch_no == batch_no))
        assert row is not None
        name = object_name(TENANT, row.segment_id)
        key = lake.keys.object_key(TENANT, row.bucket_id, row.segment_id)
        opening = parquet.Opening(row.segment_id, lake.objects, name, key)
        frame = parquet._scan(opening).collect()
        assert isinstance(frame, pl.DataFrame)
        envelopes = [e.replace(b'"FAILED"', b'"PASSED"') for e in frame["envelope"].to_list()]
        frame = frame.with_columns(
            pl.lit("PASSED").alias("verdict"),
            pl.Series("envelope", envelopes, dtype=pl.Binary),
        )
        out = io.BytesIO()
        frame.write_parquet(
            out,
            encryption=pl.ParquetEncryptionProperties(
                footer_key=key, aad_prefix=row.segment_id.encode(), store_aad_prefix=False
            ),
        )
        data = out.getvalue()
        lake.objects.replace(name, data)
        fitting = tx.update(segments).where(segments.c.id == row.segment_id)
        tx.run(fitting.values(size=len(data), sha256=hashlib.sha256(data).digest()))


def delete_newest(parts: Parts, count: int) -> None:
    """The newest batches, with everything that counts them, but not what the log says."""
    with parts.db.write(TENANT) as tx:
        last = tx.scalar(tx.select(tenants.c.last_batch_no)) - count
        for table in (batches, tail, observation_ids):
            tx.run(tx.delete(table).where(table.c.batch_no > last))
        tx.run(tx.update(tenants).values(last_batch_no=last))


def swap_segments(parts: Parts) -> None:
    """Two segments change places, with the rows that tell their sizes and digests."""
    objects = parts.lake.objects
    with parts.db.write(TENANT) as tx:
        one, other = list(tx.all(tx.select(segments)))[:2]
        data = [objects.get(object_name(TENANT, row.id)) for row in (one, other)]
        for row, its, content in ((one, other, data[1]), (other, one, data[0])):
            objects.replace(object_name(TENANT, row.id), content)
            changed = tx.update(segments).where(segments.c.id == row.id)
            tx.run(changed.values(size=its.size, sha256=bytes(its.sha256)))


def sign_anew(house: Deployment) -> str:
    """Another log key in the place of the first, and every checkpoint signed with it; its vkey."""
    places = Places.of(load(house.data))
    with house.parts() as parts:
        origin = parts.lake.origin
    places.log_key.unlink()
    signer = Signer(origin, SigningKey.create(places.log_key))
    from auditkeep.db.database import Database

    db = Database(load(house.data).database)
    with db.system_write() as tx:
        tx.run(tx.update(meta).where(meta.c.key == "log_key").values(value=signer.vkey))
        rows = tx.all(tx.select(checkpoints).order_by(checkpoints.c.size))
        note = ""
        for row in rows:
            note = Checkpoint(origin, row.size, bytes(row.root)).signed(signer)
            mine = tx.update(checkpoints).where(checkpoints.c.size == row.size)
            tx.run(mine.values(note=note))
    db.close()
    with house.parts() as parts:
        parts.lake.objects.replace(published.NAME, note.encode())
    return signer.vkey


def destroy_in_secret(parts: Parts, batch_no: int) -> None:
    """A batch goes, and its row says that it was destroyed."""
    with parts.db.write(TENANT) as tx:
        for table in (tail, observation_ids):
            tx.run(tx.delete(table).where(table.c.batch_no == batch_no))
        gone = tx.update(batches).where(batches.c.batch_no == batch_no)
        tx.run(gone.values(segment_id="destroyed", leaves=b""))


def destroy_key(parts: Parts, batch_no: int) -> None:
    """The key of a batch's bucket, and no word of it anywhere."""
    with parts.db.read(TENANT) as tx:
        bucket = tx.scalar(tx.select(batches.c.bucket_id).where(batches.c.batch_no == batch_no))
    parts.lake.keystore.destroy(bucket)
    parts.lake.keys.forget(TENANT, bucket)


def destroy_segment(parts: Parts, batch_no: int) -> None:
    """The file of a batch's segment, its row, and what says that it was ever sealed."""
    with parts.db.write(TENANT) as tx:
        segment = tx.scalar(tx.select(batches.c.segment_id).where(batches.c.batch_no == batch_no))
        tx.run(tx.delete(segments).where(segments.c.id == segment))
        tx.run(tx.update(batches).where(batches.c.segment_id == segment).values(segment_id=None))
    parts.lake.objects.delete(object_name(TENANT, segment))


def compact_without(parts: Parts, numbers: list[int], batch_no: int, index: int) -> None:
    """The segments of some batches become one, as in compaction, but for one observation: ids, sizes
    and what the batch says of itself are made to fit.
    """
    lake = parts.lake
    with parts.db.write(TENANT) as tx:
        b = batches.c
        rows = tx.all(tx.select(b.segment_id, b.bucket_id).where(b.batch_no.in_(numbers)))
        (bucket,) = {row.bucket_id for row in rows}
        old = sorted({row.segment_id for row in rows})
        made = keep_rewritten(
            lake, TENANT, bucket,
            [parquet.Part(opening_of(lake, TENANT, bucket, one)) for one in old],
            [], Instant(0), without={batch_no: frozenset({index})},
        )  # fmt: skip
        assert made is not None
        segment, rewritten = made
        segment.insert(tx)
        tx.run(tx.update(batches).where(b.segment_id.in_(old)).values(segment_id=segment.id))
        told = tx.update(batches).where(b.batch_no == batch_no)
        tx.run(told.values(gone=f"[[{index},{index}]]"))
        tx.run(tx.delete(observation_ids).where(observation_ids.c.id.in_(rewritten.dropped)))
        tx.run(tx.delete(segments).where(segments.c.id.in_(old)))
    for one in old:
        lake.objects.delete(object_name(TENANT, one))


def destroy_as_expired(
    parts: Parts, subject: str, at: Instant, *, batch: int | None = None, index: int | None = None
) -> None:
    """The facts, or one batch or observation of them, by the product's own hand: a policy and a
    destruction that are logged and signed as true ones are. `at` is when the record says that it was.
    """
    lake = parts.lake
    given = governance.authority("PutRetention", "the deployment's settings", "r", subject, at)
    with parts.db.write(TENANT) as tx:
        b = buckets.c
        (facts,) = [r.id for r in tx.all(tx.select(b.id).where(b["class"] == "facts"))]
        governance.record(tx, lake, [given], principal="x", run="r", now=at)
        if batch is None:
            destroy_buckets(tx, lake, [facts], given, at)
    if batch is not None:
        doomed = Doomed(frozenset({batch}))
        if index is not None:
            doomed = Doomed(rows={batch: frozenset({index})})
        assert cut(lake, TENANT, facts, lambda *_: doomed, lambda _: given, at) is not None


class Blind:
    """Somebody who knows lenses, and says that they see nothing."""

    def wanted(self, _tx: Tx, _version: int, observations: Sequence[Observation]) -> list[bool]:
        return [True] * len(observations)

    def sight(self, _tx: Tx) -> WindowSight:
        return WindowSight(())

    def lenses(self, _tx: Tx, _version: int) -> WindowSight:
        return WindowSight(())


def keep_only_what_is_seen(parts: Parts, at: Instant) -> int:
    """Choose the policy `matched` as its operation does; the batch that says so."""
    given = governance.authority("PutKeepPolicy", "arn:x", "r", "matched", at)
    with parts.db.write(TENANT) as tx:
        keeping.choose(tx, "matched", at)
        return governance.record(tx, parts.lake, [given], principal="x", run="r", now=at)


def destroy_as_unseen(parts: Parts, at: Instant, *, since_batch: int) -> None:
    """All facts committed after a batch, by the product's own hand, as if nobody saw them and an
    assessment that did had been deleted.
    """
    lake = replace(parts.lake, keeper=Blind())
    deleted = governance.authority("DeleteAssessment", "arn:x", "r", "some-assessment", at)
    with parts.db.write(TENANT) as tx:
        governance.record(tx, lake, [deleted], principal="x", run="r", now=at)
        told = [r for _, r in governance.told_since(tx, lake, Instant(0))]
        (policy,) = [
            r for r in told if isinstance(r, governance.Authority) and r.action == "PutKeepPolicy"
        ]
        since = keeping.of(tx).since
        (facts,) = buckets_of(tx, "facts")
    assert since is not None
    ground = unseen.Ground(deleted, policy, since_batch, since)
    assert unseen._cut(lake, TENANT, facts, ground, at) is not None


def forget_entries(parts: Parts, count: int) -> None:
    """The newest entries and checkpoints of the log's own table."""
    with parts.db.system_write() as tx:
        size = max(row.size for row in tx.all(tx.select(checkpoints.c.size)))
        tx.run(tx.delete(log_entries).where(log_entries.c.log_index >= size - count))
        tx.run(tx.delete(checkpoints).where(checkpoints.c.size > size - count))


def forge_report(house: Deployment, change: Callable[[dict[str, bytes]], None]) -> None:
    """A report whose files were changed, and whose digest was made anew with the real report key."""
    key = ReportKey.open(Places.of(load(house.data)).report_key)
    with zipfile.ZipFile(house.report) as archive:
        order = archive.namelist()
        members = {name: archive.read(name) for name in order}
    change(members)
    (own,) = [name for name in order if name.endswith(fmt.DIGEST)]
    digest = msgspec.json.decode(members[own], type=fmt.Digest)
    listed = tuple(
        fmt.ListedFile(name, hashlib.sha256(data).hexdigest(), len(data))
        for name, data in sorted(members.items())
        if name != own
    )
    fresh = msgspec.structs.replace(digest, files=listed, hash_signature="")
    members[own] = fresh.signed(key).file_bytes()
    _write(house.report, members)


def _write(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
