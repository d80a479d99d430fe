"""A process that destroys what nobody sees once, unless it is ended at a named place before.

python -m tests.workflows.unseeing DATA DATABASE_URL NOW ASSESSMENT
"""

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

from tests.lake.worker import open_lake

from auditkeep import settings as settings_room
from auditkeep.clock import FixedClock, Instant
from auditkeep.collection.keeping import LensKeeper
from auditkeep.evidence.metering import LensMeter
from auditkeep.ids import Tenant
from auditkeep.lake.governance import Destruction
from auditkeep.lake.lake import Lake
from auditkeep.library.library import Library
from auditkeep.workflows.unseen import destroy_unseen

HERE = Tenant("111122223333", "us-east-1")


@cache
def _library() -> Library:
    return Library.load()


def reopened(data: Path, url: str) -> Lake:
    """The lake of a world that was closed, with who knows its lenses."""
    keeper = LensKeeper(LensMeter(), _library(), settings_room.load(data))
    return replace(open_lake(data, url), keeper=keeper)


def run(data: Path, url: str, now: Instant, assessment: str) -> list[Destruction]:
    lake = reopened(data, url)
    try:
        return destroy_unseen(lake, HERE, assessment, FixedClock(now))
    finally:
        lake.db.close()


if __name__ == "__main__":
    folder, database, moment, deleted = sys.argv[1:]
    run(Path(folder), database, Instant(int(moment)), deleted)
