"""A process that changes things through the API until it is killed, and says what was answered.

    python -m tests.activity.worker DATA NUMBER

Each line on standard output is the id of a control that was answered as made.
"""

import sys
from pathlib import Path

from tests.operations.in_process import Api

from auditkeep import app, settings
from auditkeep.activity.batcher import Batcher
from auditkeep.clock import SystemClock

SOURCE = {
    "sourceName": "s",
    "sourceSetUpOption": "Procedural_Controls_Mapping",
    "sourceType": "MANUAL",
}


def work(data: Path, number: int) -> None:
    with app.opened(settings.load(data), SystemClock()) as parts:
        api = Api(parts.db, parts.deps, parts.clock)
        batcher = Batcher(parts.lake, parts.deps.heard, parts.clock)
        client = api.client()
        for count in range(number):
            ask = {"name": f"control {count}", "controlMappingSources": [SOURCE]}
            print(api.call(client.create_control, **ask)["control"]["id"], flush=True)
            api.call(client.list_controls, controlType="Custom")
            if count % 3 == 1:
                batcher.listen()
                batcher.keep()
                batcher.gather(now=True)


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]))
