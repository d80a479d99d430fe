"""`auditkeep keys rotate`, `new` and `show`: the keys that protect data."""

import sys
from typing import Annotated

from cyclopts import Parameter

from auditkeep.cli.options import DEFAULT_REGION, Data, Json, Region, report


def new() -> int:
    """Print a new local master key, one line of base64, to be kept where you give it from."""
    import base64

    from auditkeep.crypto.aead import new_key

    print(base64.b64encode(new_key()).decode())
    return 0


def show(*, data: Data, json: Json = False) -> int:
    """The deployment's master keys by name, newest last: more than one while a rotation lasts."""
    from auditkeep import app
    from auditkeep.clock import SystemClock
    from auditkeep.settings import load

    with app.opened(load(data), SystemClock()) as parts:
        ring = parts.lake.keys.ring
        names = list(ring.key_ids)
        report({"source": ring.masters.source, "keys": names, "current": names[-1]}, as_json=json)
    return 0


def rotate(
    *,
    data: Data,
    tenant: Annotated[
        str, Parameter(help="Only what this account has, to the key its new data goes under.")
    ] = "",
    region: Region = DEFAULT_REGION,
    to: Annotated[
        str, Parameter(help="`local`, a KMS key's ARN or a pkcs11: URI; empty: the kind there is.")
    ] = "",
    json: Json = False,
) -> int:
    """Wrap every data key anew, under a new master key; content stays as it is.

    A server may go on running. Interrupted, it goes on when run again. The old master key is taken
    off the list when nothing is wrapped under it any more; exit 2 says that it is needed still.
    """
    from auditkeep import app
    from auditkeep.cli.progress import RotationProgress
    from auditkeep.clock import SystemClock
    from auditkeep.ids import Tenant
    from auditkeep.settings import load

    quiet = json or not sys.stderr.isatty()
    whose = Tenant(tenant, region) if tenant else None
    with (
        app.opened(load(data), SystemClock()) as parts,
        RotationProgress(quiet=quiet) as progress,
    ):
        done = parts.rotate_keys(whose, to, progress)
    body: dict[str, object] = {
        "masterKey": done.master,
        "wrapped": done.keys,
        "unchanged": done.unchanged,
        "retired": list(done.retired),
    }
    if done.left:
        body["left"] = list(done.left)
    report(body, as_json=json)
    if done.waiting:
        print(
            f"auditkeep: {done.waiting} keys may be about to be used under the old master key, "
            "which stays. Run this again in an hour.",
            file=sys.stderr,
        )
        return 2
    return 0
