"""What lies beside batches: the ids that observations are found by, and stored files."""

from collections.abc import Callable, Container
from hashlib import sha256

from sqlalchemy import func

from auditkeep.db.schema import batches, blobs, observation_ids
from auditkeep.errors import AuditkeepError
from auditkeep.lake.audit.catalog import Catalog
from auditkeep.lake.audit.findings import Position, State
from auditkeep.lake.batch import DESTROYED
from auditkeep.lake.blobs import get_stored
from auditkeep.lake.model import count_gone

_FILES = 200


class Files:
    """Ids and stored files of one tenant."""

    def __init__(self, catalog: Catalog, found: State, tick: Callable[[], None]) -> None:
        self._owner = catalog.owner
        self._lake = catalog.lake
        self._tenant = catalog.tenant
        self._found = found
        self._tick = tick

    def check_ids(self) -> None:
        """Every observation is found by its id: one row each, in its batch."""
        b, o = batches.c, observation_ids.c
        with self._lake.db.read(self._tenant) as tx:
            alive = (b.segment_id.is_(None)) | (b.segment_id != DESTROYED)
            cut = tx.select(b.batch_no, b.gone).where(alive, b.gone.is_not(None))
            gone = {r.batch_no: count_gone(r.gone) for r in tx.stream(cut)}
            all_rows = tx.scalar(tx.select(func.sum(b.rows)).where(alive)) or 0
            expected = all_rows - sum(gone.values())
            mine = o.batch_no.in_(tx.select(b.batch_no).where(alive))
            there = tx.scalar(tx.select(func.count(o.batch_no)).where(mine)) or 0
            if expected == there:
                return
            counted = tx.select(o.batch_no, func.count(o.batch_no).label("ids"))
            ids = {r.batch_no: r.ids for r in tx.stream(counted.group_by(o.batch_no))}
            for row in tx.stream(tx.select(b.batch_no, b.rows).where(alive)):
                left = row.rows - gone.get(row.batch_no, 0)
                if ids.get(row.batch_no, 0) != left:
                    self._found.problem(
                        f"Batch {row.batch_no} of {self._owner}: {ids.get(row.batch_no, 0)} of its "
                        f"{left} observations are found by their ids."
                    )

    def check_files(self, at: Position, forgiven: Container[str]) -> None:
        """Stored files: each opens, and has the size and hash it was kept with."""
        while True:
            with self._lake.db.read(self._tenant) as tx:
                query = tx.select(blobs.c.id).where(blobs.c.id > at.after_file)
                names = [r.id for r in tx.all(query.order_by(blobs.c.id).limit(_FILES))]
            if not names:
                return
            for name in names:
                fault = self._fault(name, forgiven) and self._fault(name, forgiven)
                if fault:
                    self._found.problem(f"The stored file '{name}' of {self._owner}: {fault}")
                self._found.counts.files += 1
                at.after_file = name
                self._tick()

    def _fault(self, name: str, forgiven: Container[str]) -> str | None:
        with self._lake.db.read(self._tenant) as tx:
            row = tx.first(tx.select(blobs).where(blobs.c.id == name))
            if row is None:
                return None  # deleted since the list was read
            state, size = sha256(), 0
            try:
                for part in get_stored(tx, self._lake, name):
                    state.update(part)
                    size += len(part)
                    self._tick()
            except AuditkeepError as error:
                # what a restore brought back without its key is told with its batches
                return None if row.bucket_id in forgiven else str(error)
            if (size, state.digest()) != (row.size, bytes(row.sha256)):
                return "it is not the one that was kept."
        return None
