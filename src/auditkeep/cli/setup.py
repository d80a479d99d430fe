"""`auditkeep init`, `auditkeep operations` and `auditkeep model`."""

from auditkeep.cli.options import DEFAULT_REGION, Account, Data, Json, Region, report


def init(
    *, data: Data, account: Account, region: Region = DEFAULT_REGION, json: Json = False
) -> int:
    """First start: database, keys, and an administrator's access key (shown once).

    The account named manages the deployment's organisation, and its tenant in `region` is
    registered. A directory that was initialised before is left as it is.
    """
    from auditkeep import app
    from auditkeep.clock import SystemClock
    from auditkeep.ids import Tenant
    from auditkeep.settings import load

    made = app.initialise(load(data), Tenant(account, region), SystemClock())
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
    return 0


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
