"""A process that keeps a class and destroys it, until it is ended at a named place.

    python -m tests.lake.destroyer DATA DATABASE_URL

Prints `kept` once everything is there, and `destroyed` when the destruction was acknowledged.
"""

import sys
from pathlib import Path

from tests.lake.making import NOW, TENANT, add, observation, some
from tests.lake.worker import make_small, open_lake

from auditkeep.lake import governance
from auditkeep.lake.blobs import put_blob
from auditkeep.lake.destruction import destroy_class
from auditkeep.lake.governance import Authority
from auditkeep.lake.lake import Lake
from auditkeep.lake.seal import seal

KLASS = "manual/a"
FILES = ("manual/a/one", "manual/a/two")


def asked(subject: str = "a", action: str = governance.DELETE_ASSESSMENT) -> Authority:
    return governance.authority(action, "arn:aws:iam::111122223333:user/u", "req-1", subject, NOW)


def keep(lake: Lake) -> None:
    """A class in all its forms: segment, leaves as an object, tail, files; and facts that stay."""
    add(lake, "facts", some(0, 12))
    pinned = [observation(100 + n, match_key="pinned:a/1", source="MANUAL") for n in range(30)]
    add(lake, "pinned-1", pinned[:12], klass=KLASS)
    assert seal(lake, TENANT, now=NOW, min_rows=12) is not None
    assert seal(lake, TENANT, now=NOW, min_rows=12) is not None
    padded = observation(99, match_key="pinned:a/1", raw=b'{"x":"%s"}' % (b"x" * 20_000))
    add(lake, "pinned-2", [padded], klass=KLASS)
    add(lake, "pinned-3", pinned[12:], klass=KLASS)
    with lake.db.write(TENANT) as tx:
        for name in FILES:
            put_blob(tx, lake, KLASS, name, b"a file", NOW)
        put_blob(tx, lake, "reports", "reports/b/stays.zip", b"a report", NOW)


def main(arguments: list[str]) -> None:
    data, url = arguments
    make_small()
    lake = open_lake(Path(data), url)
    keep(lake)
    print("kept", flush=True)
    with lake.db.write(TENANT) as tx:
        destroy_class(tx, lake, KLASS, asked(), NOW)
    print("destroyed", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
