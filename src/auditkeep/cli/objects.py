"""`auditkeep objects …`: where objects lie."""

from auditkeep.cli.options import Data, Json, report


def check(*, data: Data, json: Json = False) -> int:
    """Prove that the object store works as it must, and tell how it protects what it keeps."""
    from auditkeep import app
    from auditkeep.app import stores
    from auditkeep.clock import SystemClock
    from auditkeep.settings import load

    with app.opened(load(data), SystemClock()) as parts:
        report(stores.checked(parts), as_json=json)
    return 0
