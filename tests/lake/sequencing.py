"""A process that writes the log when it is told to.

    python -m tests.lake.sequencing DATA DATABASE_URL ORIGIN

Prints `held` or `busy` at once, then for each line on standard input the size of the log after a
step, or `fenced` once another holds it.
"""

import sys
from pathlib import Path

from tests.lake.making import NOW

from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.providers.local import LocalKeyProvider
from auditkeep.crypto.signing import SigningKey
from auditkeep.db.database import Database
from auditkeep.errors import Busy
from auditkeep.lake.lake import Lake
from auditkeep.lake.objects import LocalObjects
from auditkeep.lake.sequencer import Sequencer
from auditkeep.tlog.note import Signer


def main() -> None:
    data, url, origin = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    keys = data / "keys"
    lake = Lake.open(
        db=Database(url),
        data=data,
        objects=LocalObjects(data / "objects"),
        provider=LocalKeyProvider.open(keys / "master.key"),
        keystore=KeyStore(keys / "buckets"),
        signer=Signer(origin, SigningKey.open(keys / "log.key")),
    )
    try:
        sequencer = Sequencer(lake)
    except Busy:
        print("busy", flush=True)
        return
    print("held", flush=True)
    for _ in sys.stdin:
        try:
            checkpoint = sequencer.step(NOW)
            print(0 if checkpoint is None else checkpoint.size, flush=True)
        except Busy:
            print("fenced", flush=True)


if __name__ == "__main__":
    main()
