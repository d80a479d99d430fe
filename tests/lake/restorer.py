"""A process that recovers a restored lake, until it is ended at a named place.

python -m tests.lake.restorer DATA DATABASE_URL
"""

import sys
from pathlib import Path

from tests.lake.making import NOW, TENANT
from tests.lake.worker import open_lake

from auditkeep.lake.recovery import recover


def main(arguments: list[str]) -> None:
    data, url = arguments
    recover(open_lake(Path(data), url), TENANT, "test", NOW)
    print("recovered", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
