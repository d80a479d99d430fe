"""Bulk statements where a statement for each row would cost more than the row's own work.

The tenant is named by the caller's `Tx`, here as everywhere. SQLite runs one prepared statement
over all rows; PostgreSQL gets whole columns as arrays.
"""

from collections.abc import Sequence

from auditkeep.db.tx import Tx


def claim_ids(tx: Tx, ids: Sequence[tuple[bytes, bytes]], batch_no: int) -> int:
    """Insert (observation id, content) pairs for a batch; ids that are known stay as they are.

    Returns how many were new. Pairs sorted by id are inserted fastest.
    """
    tx.require_writable()
    account, region = tx.tenant.account, tx.tenant.region
    connection = tx.driver()
    if not ids:
        return 0
    if tx.postgres:
        return connection.exec_driver_sql(
            "INSERT INTO observation_ids (account, region, id, content, batch_no) "
            "SELECT %s, %s, new.id, new.content, %s FROM unnest(%b::bytea[], %b::bytea[]) "
            "AS new(id, content) ON CONFLICT DO NOTHING",
            (account, region, batch_no, [i for i, _ in ids], [c for _, c in ids]),
        ).rowcount
    return connection.exec_driver_sql(
        "INSERT INTO observation_ids (account, region, id, content, batch_no) "
        f"VALUES (?, ?, ?, ?, {batch_no:d}) ON CONFLICT DO NOTHING",
        [(account, region, id_, content) for id_, content in ids],
    ).rowcount


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
        arrays = "%s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[]"
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
        arrays = ", ".join(f"%s::{kind}[]" for kind in _ROLLUP_TYPES)
        tx.driver().exec_driver_sql(
            f"{into} SELECT %s, %s, new.* FROM unnest({arrays}) AS new {merge}",
            (*owner, *(list(column) for column in zip(*rows, strict=True))),
        )
        return
    values = ", ".join(["?"] * (len(owner) + len(_ROLLUP_TYPES)))
    tx.driver().exec_driver_sql(
        f"{into} VALUES ({values}) {merge}", [(*owner, *row) for row in rows]
    )
