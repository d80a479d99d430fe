"""Segments: sealed batches as encrypted Parquet files (Parquet Modular Encryption, AES-256-GCM).

Uniform encryption: the footer key, which is the object key of the segment's id, encrypts footer and
all columns. The AAD prefix is the segment id's text and is not in the file, so a file that was put
in another's place does not open. Rows are sorted by source, match key, event time (newest first)
and account; row groups hold at most 2,000, so that a reader for one control and day skips
nearly all of them. `docs/formats.md` lists the columns.

Polars is imported only where it is needed: a server that only answers requests stays small.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from auditkeep.clock import SECOND, Instant
from auditkeep.errors import AuditkeepError, DecryptionFailed, ObjectMissing, StorageError
from auditkeep.lake.encoding import ID_SIZE, NONCE_SIZE
from auditkeep.lake.model import Header, Stored, View
from auditkeep.lake.objects import ObjectStore

if TYPE_CHECKING:
    import polars as pl

    from auditkeep.lake.columns import Columns

T = TypeVar("T")

ROW_GROUP = 2_000
LEVEL = 3
"""zstd level: beyond it files hardly shrink and writing slows down."""

_SORTED_BY = ("source", "match_key", "event_time", "account")
_NEWEST_FIRST = [False, False, True, False]
_LIGHT = Header.__struct_fields__
_STORED = Stored.__struct_fields__
_COUNTED = (
    *("event_time", "match_key", "account", "region", "source", "verdict"),
    *("resources", "resource_verdicts", "batch_no"),
)
SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Opening:
    """What it takes to read one segment: its id, its object, its key."""

    segment_id: str
    objects: ObjectStore = field(repr=False)
    name: str
    key: bytes = field(repr=False)


def encode(batches: Sequence[Columns], segment_id: str, key: bytes) -> bytes:
    """The file of one segment."""
    return _written(_frame(batches), segment_id, key)


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a segment that go on in another: those of `batches`, or all."""

    opening: Opening
    batches: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A segment's file made of others, and what the catalog says of it."""

    data: bytes = field(repr=False)
    rows: int
    unpacked: int
    min_time: Instant
    max_time: Instant
    match_keys: tuple[str, ...]
    rows_of: Mapping[int, int]
    """How many rows it holds of each batch."""
    lights: tuple[tuple[Any, ...], ...] = field(repr=False)
    """(event time, match key, account, region, source, verdict, resources, their verdicts) of each
    row, and its batch, where these were asked for."""
    dropped: tuple[bytes, ...] = field(repr=False)
    """Ids of the rows that were left out by themselves."""


def rewrite(
    parts: Sequence[Part],
    batches: Sequence[Columns],
    segment_id: str,
    key: bytes,
    *,
    without: Mapping[int, frozenset[int]] = MappingProxyType({}),
    lights: bool = False,
) -> Rewritten | None:
    """Rows of other segments and of batches as the file of one; None where nothing is left.

    `without` names rows that are left out, by batch and index. All of it is in memory at once: the
    caller bounds what it hands over.
    """
    import polars as pl  # noqa: PLC0415

    openings = [part.opening for part in parts]
    frames = _collect(openings, [_kept(part) for part in parts])
    frame = pl.concat([*frames, *([_frame(batches)] if batches else [])])
    del frames
    dropped: list[bytes] = []
    if without:
        gone = _places(without)
        dropped = frame.join(gone, on=gone.columns, how="semi")["id"].to_list()
        frame = frame.join(gone, on=gone.columns, how="anti", maintain_order="left")
    if not frame.height:
        return None
    counted = frame.group_by("batch_no").len()
    told = frame.select(_COUNTED).iter_rows() if lights else ()
    first, last = frame.select(
        pl.col("event_time").min(), pl.col("event_time").max().alias("last")
    ).row(0)
    return Rewritten(
        data=_written(frame, segment_id, key),
        rows=frame.height,
        unpacked=sum(int(frame[name].bin.size().sum()) for name in ("raw", "envelope")),
        min_time=Instant(first),
        max_time=Instant(last),
        match_keys=tuple(sorted(frame["match_key"].unique())),
        rows_of=dict(counted.iter_rows()),
        lights=tuple(told),
        dropped=tuple(dropped),
    )


def _places(rows: Mapping[int, frozenset[int]]) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415

    return pl.DataFrame(
        {
            "batch_no": [number for number, indexes in rows.items() for _ in indexes],
            "index": pl.Series(_joined(rows.values()), dtype=pl.Int32),
        }
    )


def _kept(part: Part) -> pl.LazyFrame:
    import polars as pl  # noqa: PLC0415

    scan = _scan(part.opening)
    if part.batches is not None:
        scan = scan.filter(pl.col("batch_no").is_in(sorted(part.batches)))
    return scan


def _written(frame: pl.DataFrame, segment_id: str, key: bytes) -> bytes:
    import polars as pl  # noqa: PLC0415

    frame = frame.sort(_SORTED_BY, descending=_NEWEST_FIRST, maintain_order=True)
    out = io.BytesIO()
    frame.write_parquet(
        out,
        compression="zstd",
        compression_level=LEVEL,
        row_group_size=ROW_GROUP,
        encryption=pl.ParquetEncryptionProperties(
            footer_key=key, aad_prefix=segment_id.encode(), store_aad_prefix=False
        ),
    )
    return out.getvalue()


def newest(
    openings: Sequence[Opening],
    views: Sequence[View],
    after: tuple[Instant, bytes] | None,
    limit: int,
) -> list[tuple[Instant, bytes, int, Opening]]:
    """(event time, id, batch, segment) of at most `limit` rows of each segment, newest first."""
    import polars as pl  # noqa: PLC0415

    condition = _any_of(views)
    if after is not None:
        at, id_ = pl.col("event_time"), pl.col("id")
        condition &= (at < after[0]) | ((at == after[0]) & (id_ < after[1]))
    scans = [
        _scan(opening)
        .filter(condition)
        .select("event_time", "id", "batch_no")
        .sort(["event_time", "id"], descending=True)
        .head(limit)
        for opening in openings
    ]
    found = _collect(openings, scans)
    return [
        (Instant(at), id_, batch_no, opening)
        for opening, frame in zip(openings, found, strict=True)
        for at, id_, batch_no in frame.iter_rows()
    ]


def headers(opening: Opening, views: Sequence[View]) -> Iterator[Header]:
    """The light side of all rows that a view admits, in the file's order."""
    scan = _scan(opening).filter(_any_of(views)).select(_LIGHT)
    (frame,) = _collect([opening], [scan])
    for id_, no, at, source, key, account, region, verdict, values, verdicts in frame.iter_rows():
        yield Header(
            id_,
            no,
            at,
            source,
            key,
            account,
            region,
            verdict,
            tuple(values or ()),
            tuple(verdicts or ()),
        )


def origins(
    opening: Opening, match_keys: frozenset[str], after_batch: int
) -> Iterator[tuple[Any, ...]]:
    """(batch, index, event time, source, match key, account, region) of the rows of later batches
    that have one of some match keys.
    """
    import polars as pl  # noqa: PLC0415

    wanted = _is_one("match_key", match_keys) & (pl.col("batch_no") > after_batch)
    columns = ("batch_no", "index", "event_time", "source", "match_key", "account", "region")
    (frame,) = _collect([opening], [_scan(opening).filter(wanted).select(columns)])
    yield from frame.iter_rows()


def fetch(opening: Opening, ids: Collection[bytes]) -> list[Stored]:
    """Whole rows by id. An id begins with its event second, so few row groups are read."""
    import polars as pl  # noqa: PLC0415

    starts = sorted({int.from_bytes(id_[:4], "big") * SECOND for id_ in ids})
    at = pl.col("event_time")
    condition = (at >= starts[0]) & (at < starts[-1] + SECOND) & pl.col("id").is_in(list(ids))
    (frame,) = _collect([opening], [_scan(opening).filter(condition).select(_STORED)])
    return [Stored(*row) for row in frame.iter_rows()]


def slices(opening: Opening, rows: int) -> Iterator[list[list[Any]]]:
    """All rows, at most `rows` at a time, in the file's order, for comparing with envelopes.

    Columns of (batch, index, collected at, id in hex, event time as ISO 8601, source, match key,
    account, region, verdict, number of resources, resources, their verdicts, envelope, raw bytes,
    nonce); lists are joined by `SEPARATOR`, which is many times as fast as handing them over.
    """
    import polars as pl  # noqa: PLC0415

    columns = (
        *("batch_no", "index", "collected_at"),
        pl.col("id").bin.encode("hex"),
        pl.from_epoch("event_time", time_unit="us").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
        *("source", "match_key", "account", "region"),
        pl.col("verdict").fill_null(""),  # where a source gives no verdict, a segment has none
        pl.col("resources").list.len().fill_null(0).alias("count"),
        pl.col("resources").list.join(SEPARATOR).fill_null(""),
        pl.col("resource_verdicts").list.join(SEPARATOR).fill_null(""),
        *("envelope", "raw", "nonce"),
    )
    at = 0
    scan = _scan(opening)  # one for all slices: the footer is read once
    while True:
        opening.objects.near([opening.name])  # a copy may have given way to others meanwhile
        (frame,) = _collect([opening], [scan.slice(at, rows).select(columns)])
        if not frame.height:
            return
        yield [column.to_list() for column in frame.iter_columns()]
        at += frame.height


def _scan(opening: Opening) -> pl.LazyFrame:
    import polars as pl  # noqa: PLC0415

    (path,) = opening.objects.near([opening.name])
    return pl.scan_parquet(
        path,
        glob=False,
        decryption=pl.ParquetDecryptionProperties(
            footer_key=opening.key, aad_prefix=opening.segment_id.encode()
        ),
    )


def _collect(openings: Sequence[Opening], scans: Sequence[pl.LazyFrame]) -> list[pl.DataFrame]:
    """Run scans together; if one fails, say which segment is at fault."""
    import polars as pl  # noqa: PLC0415

    try:
        return pl.collect_all(scans)
    except (pl.exceptions.PolarsError, OSError) as error:
        if len(scans) == 1:
            told = _explained(openings[0], error)
            if isinstance(told, DecryptionFailed):
                with suppress(StorageError):  # was it only the copy? Then the next reading opens
                    openings[0].objects.anew(openings[0].name)
            raise told from error
    return [_collect([o], [s])[0] for o, s in zip(openings, scans, strict=True)]


def _explained(opening: Opening, error: Exception) -> AuditkeepError:
    if isinstance(error, FileNotFoundError):
        return ObjectMissing(f"The segment {opening.segment_id} is not in the object store.")
    words = str(error).lower()
    if "encrypt" in words or "decrypt" in words or "out of specification" in words:
        return DecryptionFailed(
            f"The segment {opening.segment_id} does not open: it was changed, swapped with "
            "another file, or written under another key."
        )
    return StorageError(f"The segment {opening.segment_id} cannot be read: {error}")


def _any_of(views: Sequence[View]) -> pl.Expr:
    import polars as pl  # noqa: PLC0415

    # The widest interval first, on its own: it is what row groups are skipped by.
    at = pl.col("event_time")
    widest = (at >= min(v.start for v in views)) & (at < max(v.end for v in views))
    keys = frozenset[str]().union(*(v.match_keys for v in views))
    return widest & _is_one("match_key", keys) & pl.any_horizontal([_admitted(v) for v in views])


def _admitted(view: View) -> pl.Expr:
    import polars as pl  # noqa: PLC0415

    at = pl.col("event_time")
    condition = (at >= view.start) & (at < view.end) & _is_one("match_key", view.match_keys)
    if view.accounts is not None:
        condition &= _is_one("account", view.accounts)
    if view.regions is not None:
        condition &= _is_one("region", view.regions)
    if view.up_to_batch is not None:
        condition &= pl.col("batch_no") <= view.up_to_batch
    return condition


def _is_one(column: str, values: frozenset[str]) -> pl.Expr:
    import polars as pl  # noqa: PLC0415

    if len(values) == 1:
        return pl.col(column) == next(iter(values))
    return pl.col(column).is_in(sorted(values))


def _frame(batches: Sequence[Columns]) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415

    lights = [batch.light for batch in batches]
    heavies = [batch.heavy for batch in batches]
    sizes = [len(batch) for batch in batches]

    def each(values: Sequence[int]) -> pl.Series:
        return pl.Series(_joined([value] * n for value, n in zip(values, sizes, strict=True)))

    return pl.DataFrame(
        {
            "id": _binary(_joined(_cut(light.ids, ID_SIZE) for light in lights)),
            "batch_no": each([batch.batch_no for batch in batches]),
            "index": pl.Series(_joined(range(n) for n in sizes), dtype=pl.Int32),
            "event_time": pl.Series(_joined(light.event_times for light in lights)),
            "collected_at": each([light.collected_at for light in lights]),
            "source": _text(_joined(light.sources for light in lights)),
            "match_key": _text(_joined(light.match_keys for light in lights)),
            "account": _text(_joined(light.accounts for light in lights)),
            "region": _text(_joined(light.regions for light in lights)),
            "verdict": _text([v or None for light in lights for v in light.verdicts]),
            "resources": _lists(_joined(light.resources for light in lights)),
            "resource_verdicts": _lists(_joined(light.resource_verdicts for light in lights)),
            "envelope": _binary(_joined(heavy.envelopes for heavy in heavies)),
            "raw": _binary(_joined(heavy.raws for heavy in heavies)),
            "nonce": _binary(_joined(_cut(heavy.nonces, NONCE_SIZE) for heavy in heavies)),
        }
    )


def _joined(parts: Iterable[Iterable[T]]) -> list[T]:
    return list(chain.from_iterable(parts))


def _binary(values: list[bytes]) -> pl.Series:
    import polars as pl  # noqa: PLC0415

    return pl.Series(values, dtype=pl.Binary)


def _text(values: Sequence[str | None]) -> pl.Series:
    import polars as pl  # noqa: PLC0415

    return pl.Series(values, dtype=pl.String)


def _lists(values: Sequence[Sequence[str]]) -> pl.Series:
    """A column of lists of text, null where a list is empty.

    Splitting joined text is sixty times as fast as handing lists over; the slow way remains for
    text that holds the separator itself.
    """
    import polars as pl  # noqa: PLC0415

    joined = [SEPARATOR.join(v) if v else None for v in values]
    expected = sum(len(v) - 1 for v in values if v)
    if sum(text.count(SEPARATOR) for text in joined if text) != expected:
        return pl.Series([v or None for v in values], dtype=pl.List(pl.String))
    return pl.Series(joined, dtype=pl.String).str.split(SEPARATOR)


def _cut(joined: bytes, size: int) -> list[bytes]:
    return [joined[i : i + size] for i in range(0, len(joined), size)]
