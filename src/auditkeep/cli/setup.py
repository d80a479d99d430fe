"""`auditkeep init`, `auditkeep operations` and `auditkeep model`."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from auditkeep.cli.options import DEFAULT_REGION, Account, Data, Json, Region, report


def init(
    *,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    master_key: Annotated[
        str, Parameter(help="A KMS key's ARN or a pkcs11: URI; empty: a new key in a file.")
    ] = "",
    log_key: Annotated[
        str, Parameter(help="The same for the key that signs the log (Ed25519).")
    ] = "",
    report_key: Annotated[
        str, Parameter(help="The same for the key that signs reports (RSA, 3072 bits).")
    ] = "",
    json: Json = False,
) -> int:
    """First start: database, keys, and an administrator's access key (shown once).

    The account named manages the deployment's organisation, and its tenant in `region` is
    registered. A directory that was initialised before is left as it is. On a terminal it asks
    whether the master key is to be escrowed now.
    """
    from auditkeep import app
    from auditkeep.app import escrow
    from auditkeep.clock import SystemClock
    from auditkeep.ids import Tenant
    from auditkeep.settings import load

    settings = load(data)
    elsewhere = app.Elsewhere(master_key, log_key, report_key)
    made = app.initialise(settings, Tenant(account, region), SystemClock(), elsewhere)
    report(
        {
            "data": str(data),
            "account": account,
            "region": region,
            "arn": made.arn,
            "accessKeyId": made.access_key_id,
            "secretAccessKey": made.secret_access_key,
            "logKey": made.log_key,
        },
        as_json=json,
    )
    key = escrow.missing(settings)
    if key is not None:
        sys.stderr.write(f"\n{escrow.explained(settings, key)}\n")
        if not json and sys.stdin.isatty() and sys.stderr.isatty():
            _offer(data)
    return 0


def _offer(data: Path) -> None:
    """Ask for a folder to put shares into, until there is one or the answer is later."""
    from auditkeep.cli import keys
    from auditkeep.errors import AuditkeepError

    while True:
        sys.stderr.write("\nA folder for five shares, any three of which open it (or: later): ")
        sys.stderr.flush()
        answer = sys.stdin.readline().strip()
        if answer == "later":
            return
        try:
            if answer:
                keys.escrow(data=data, out=Path(answer), shares=5, threshold=3)
                return
        except AuditkeepError as error:
            sys.stderr.write(f"auditkeep: {error}\n")


def model() -> int:
    """The service model of what is offered beyond AWS's API, for `aws configure add-model`."""
    from auditkeep.wire.client import model_text

    print(model_text(), end="")
    return 0


def operations(*, json: Json = False) -> int:
    """Which operations of the API are written, and which answer 501."""
    from auditkeep.operations.table import written

    rows = written()
    done = [name for name, there in rows if there]
    missing = [name for name, there in rows if not there]
    report({"written": done, "notWritten": missing}, as_json=json)
    return 0
