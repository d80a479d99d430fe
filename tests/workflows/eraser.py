"""A process that carries an erasure to its end, unless it is ended at a named place before.

python -m tests.workflows.eraser DATA DATABASE_URL ACCOUNT ERASURE_ID
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from tests.lake.worker import open_lake

from auditkeep import settings as settings_room
from auditkeep.clock import SystemClock
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake
from auditkeep.settings import Settings
from auditkeep.workflows.erase import Eraser, erase


@dataclass(frozen=True)
class Deps:
    settings: Settings
    lake: Lake


def carry_out(data: Path, url: str, tenant: Tenant, erasure_id: str) -> Lake:
    lake = open_lake(data, url)
    deps = Deps(settings_room.load(data), lake)
    erase(Eraser(deps, SystemClock(), lambda: None), tenant, erasure_id)
    return lake


if __name__ == "__main__":
    folder, database, account, name = sys.argv[1:]
    carry_out(Path(folder), database, Tenant(account, "us-east-1"), name).db.close()
