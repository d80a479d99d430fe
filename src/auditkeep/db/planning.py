"""What SQLite's planner is told of tables that grow: how many rows share the start of a key.

Told nothing, it takes any two columns of a key for nearly enough, and reads all that a tenant has
in the order of the primary key instead of using an index that names more. Statistics of its own
(ANALYZE) would be those of an empty database, or of some day; these say what a large one is like
and stay, so that plans do. PostgreSQL gathers its own.

Invariant: each line counts rows for the first column of a key, the first two, and so on; the first
number is that of all rows. One tenant may have them all.
"""

from sqlalchemy import Connection, text

ROWS = 1_000_000

STATISTICS: dict[str, dict[str, tuple[int, ...]]] = {
    "rollups": {
        "rollups": (ROWS, ROWS, 3_000, 10, 2, 2, 1, 1, 1),
        "rollups_key": (ROWS, ROWS, 3_000, 10),
    },
    "batches": {
        "batches": (ROWS, ROWS, 1),
        "batches_segment": (ROWS, ROWS, 100, 100),
    },
    "delegations": {
        "delegations": (ROWS, ROWS, 1),
        "delegations_assessment": (ROWS, ROWS, 10),
    },
}
"""By table and index; the primary key goes by the name of its table."""


def tell(connection: Connection) -> None:
    """Put the statistics where SQLite looks for them."""
    if connection.dialect.name != "sqlite":
        return
    connection.execute(text("ANALYZE sqlite_schema"))  # makes the table that holds them
    for table, indexes in STATISTICS.items():
        for index, shared in indexes.items():
            connection.execute(
                text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:table, :index, :stat)"),
                {"table": table, "index": index, "stat": " ".join(map(str, (ROWS, *shared)))},
            )
    connection.execute(text("ANALYZE sqlite_schema"))  # has this connection read them
