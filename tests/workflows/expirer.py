"""A process that runs retention once, unless it is ended at a named place before.

python -m tests.workflows.expirer DATA DATABASE_URL NOW
"""

import sys
from pathlib import Path

from tests.lake.worker import open_lake

from auditkeep import settings as settings_room
from auditkeep.clock import Instant
from auditkeep.ids import Tenant
from auditkeep.workflows.expire import Expired, expire

HERE = Tenant("111122223333", "us-east-1")


def run(data: Path, url: str, now: Instant) -> Expired:
    lake = open_lake(data, url)
    try:
        return expire(lake, settings_room.load(data), HERE, now)
    finally:
        lake.db.close()


if __name__ == "__main__":
    folder, database, moment = sys.argv[1:]
    run(Path(folder), database, Instant(int(moment)))
