"""`auditkeep objects …`: where objects lie."""

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import Data, Json, report


def check(*, data: Data, json: Json = False) -> int:
    """Prove that the object store works as it must, and tell how it protects what it keeps."""
    from auditkeep.app import stores

    with deployment(data) as parts:
        report(stores.checked(parts), as_json=json)
    return 0
