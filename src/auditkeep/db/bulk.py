"""Bulk statements where a statement for each row would cost more than the row's own work.

The tenant is named by the caller's `Tx`, here as everywhere. SQLite runs one prepared statement
over all rows; PostgreSQL gets whole columns as arrays, in binary, which is quicker than text.
"""

from collections.abc import Sequence

from auditkeep.db.tx import Tx

_CLAIM = 32
"""Bytes of an observation id and of what is kept of its content, 16 each."""

_CLAIM_IDS = (
    "INSERT INTO observation_ids (account, region, id, content, batch_no) "
    "{numbers} SELECT {account}, {region}, substr({claims}, at, 16), substr({claims}, at + 16, 16),"
    " {batch_no} FROM {source} WHERE true ON CONFLICT DO NOTHING"
)
_CLAIM_IDS_SQLITE = _CLAIM_IDS.format(
    numbers="WITH RECURSIVE numbers(at) AS "
    f"(SELECT 1 UNION ALL SELECT at + {_CLAIM} FROM numbers WHERE at + {_CLAIM} < length(?1))",
    source="numbers",
    claims="?1",
    account="?2",
    region="?3",
    batch_no="?4",
)
_CLAIM_IDS_POSTGRES = _CLAIM_IDS.format(
    numbers="",
    source="(SELECT %b::bytea) AS told(claims), "
    f"generate_series(1, length(claims), {_CLAIM}) AS at",
    claims="claims",
    account="%s",
    region="%s",
    batch_no="%s",
)


def claim_ids(tx: Tx, claims: Sequence[bytes], batch_no: int) -> int:
    """Insert observation ids, each with its content behind it, for a batch; ids that are known stay
    as they are.

    Returns how many were new. Claims in order are inserted fastest. They go to the database as one
    value and are taken apart there: binding them one by one would take three times as long.
    """
    tx.require_writable()
    if not claims:
        return 0
    joined = b"".join(claims)
    if len(joined) != _CLAIM * len(claims):
        raise ValueError(f"a claim has {_CLAIM} bytes")
    account, region = tx.tenant.account, tx.tenant.region
    execute = tx.driver().exec_driver_sql
    if tx.postgres:
        return execute(_CLAIM_IDS_POSTGRES, (account, region, batch_no, joined)).rowcount
    return execute(_CLAIM_IDS_SQLITE, (joined, account, region, batch_no)).rowcount


def merge_usage(tx: Tx, rows: Sequence[tuple[object, ...]]) -> None:
    """Add to metered usage. A row: day, origin account, origin region, source, items."""
    tx.require_writable()
    if not rows:
        return
    into = "INSERT INTO usage (account, region, day, origin_account, origin_region, source, items) "
    merge = (
        " ON CONFLICT (account, region, day, origin_account, origin_region, source) "
        "DO UPDATE SET items = usage.items + excluded.items"
    )
    owner = (tx.tenant.account, tx.tenant.region)
    if tx.postgres:
        arrays = "%b::bigint[], %b::text[], %b::text[], %b::text[], %b::bigint[]"
        tx.driver().exec_driver_sql(
            f"{into}SELECT %s, %s, new.* FROM unnest({arrays}) AS new{merge}",
            (*owner, *(list(column) for column in zip(*rows, strict=True))),
        )
        return
    tx.driver().exec_driver_sql(
        f"{into}VALUES (?, ?, ?, ?, ?, ?, ?){merge}", [(*owner, *row) for row in rows]
    )


_ROLLUP_KEY = "account, region, day, match_key, origin_account, origin_region, source, verdict"
_ROLLUP_TYPES = ("bigint", *["text"] * 6, *["bigint"] * 6)


def merge_rollups(tx: Tx, rows: Sequence[tuple[object, ...]]) -> None:
    """Add counts to rollups. A row: day, match key, origin account, origin region, source, verdict,
    bucket, items, resources, issues, first time, last time, batch.
    """
    tx.require_writable()
    if not rows:
        return
    least, greatest = ("least", "greatest") if tx.postgres else ("min", "max")
    added = ", ".join(f"{c} = rollups.{c} + excluded.{c}" for c in ("items", "resources", "issues"))
    merge = (
        f"ON CONFLICT ({_ROLLUP_KEY}, bucket_id) DO UPDATE SET "
        f"{added}, first_time = {least}(rollups.first_time, excluded.first_time), "
        f"last_time = {greatest}(rollups.last_time, excluded.last_time), "
        f"last_batch = {greatest}(rollups.last_batch, excluded.last_batch)"
    )
    into = (
        f"INSERT INTO rollups ({_ROLLUP_KEY}, bucket_id, "
        "items, resources, issues, first_time, last_time, last_batch)"
    )
    owner = (tx.tenant.account, tx.tenant.region)
    if tx.postgres:
        arrays = ", ".join(f"%b::{kind}[]" for kind in _ROLLUP_TYPES)
        tx.driver().exec_driver_sql(
            f"{into} SELECT %s, %s, new.* FROM unnest({arrays}) AS new {merge}",
            (*owner, *(list(column) for column in zip(*rows, strict=True))),
        )
        return
    values = ", ".join(["?"] * (len(owner) + len(_ROLLUP_TYPES)))
    tx.driver().exec_driver_sql(
        f"{into} VALUES ({values}) {merge}", [(*owner, *row) for row in rows]
    )
