"""The first start: keys, database, the home tenant and an administrator.

An interrupted first start is simply run again: keys that are there are used, and only the last
transaction makes the deployment one.
"""

import os
from dataclasses import dataclass

from auditkeep.access import credentials
from auditkeep.accounts import store as accounts
from auditkeep.activity.operator import acted
from auditkeep.activity.used import used
from auditkeep.app import keys, secrets
from auditkeep.app.places import Places
from auditkeep.clock import Clock
from auditkeep.crypto import keyfiles, signers
from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.providers.kept import KeptKey
from auditkeep.crypto.signing import ReportKey, SigningKey
from auditkeep.crypto.uses import Uses
from auditkeep.db.database import Database
from auditkeep.db.schema import meta
from auditkeep.db.tx import SystemTx
from auditkeep.errors import SetupError
from auditkeep.ids import Tenant, is_account
from auditkeep.lake.buckets import BucketKeys
from auditkeep.settings import Settings
from auditkeep.tlog.note import Signer

ADMINISTRATOR = "AWSAuditManagerAdministratorAccess"


@dataclass(frozen=True, slots=True)
class Initialised:
    """What the first start shows once."""

    access_key_id: str
    secret_access_key: str
    arn: str
    log_key: str
    master_key: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Keys of a new deployment that AWS KMS or an HSM holds, by name; empty: files of our own."""

    master: str = ""
    log: str = ""
    report: str = ""


def initialise(
    settings: Settings, home: Tenant, clock: Clock, elsewhere: Elsewhere | None = None
) -> Initialised:
    """Make a deployment; SetupError where there is one already, which stays as it is.

    KeyUnusable where a key that is to be elsewhere cannot be used.
    """
    named = elsewhere or Elsewhere()
    if not is_account(home.account):
        raise SetupError(f"'{home.account}' is no account id: it has twelve digits.")
    places = Places.of(settings)
    for folder in (settings.data, settings.keys_dir):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    db = Database(settings.database)
    try:
        db.migrate()
        _require_new(db)
        keys.create(settings, named.master)
        uses = Uses(clock)
        ring = keys.ring(settings, uses.note)
        if not ring.key_id.startswith("local:"):
            ring.prove(ring.key_id)
        provider = KeptKey.create(ring, KeyStore(places.own_keys))
        find = keys.finder(settings)
        if not places.log_key.exists():
            if named.log:
                keyfiles.create(places.log_key, signers.log_key_file(named.log, find, uses.note))
            else:
                SigningKey.create(places.log_key)
        if not places.report_key.exists():
            if named.report:
                content = signers.report_key_file(named.report, find, uses.note)
                keyfiles.create(places.report_key, content)
            else:
                ReportKey.create(places.report_key)
        log = signers.open_log_key(places.log_key, find, uses.note)
        origin = settings.log_origin or f"auditkeep.local/{os.urandom(8).hex()}"
        signer = Signer(origin, log)
        now = clock.now()
        rows = {
            "account": home.account,
            "region": home.region,
            "log_origin": origin,
            "master_key": ring.key_id,
            "log_key": signer.vkey,
            **secrets.sealed(provider),
        }
        bucket_keys = BucketKeys(ring, KeyStore(places.bucket_keys))

        def begin(tx: SystemTx) -> credentials.AccessKey:
            tx.upsert(meta, [{"key": k, "value": v} for k, v in rows.items()], replace=["value"])
            accounts.register(tx.of(home), None, now)
            key = credentials.create(tx, provider, home.account, "admin", (ADMINISTRATOR,), now)
            told = {"accessKeyId": key.access_key_id, "userName": "admin", "logKey": signer.vkey}
            acted(tx, bucket_keys, "InitialiseDeployment", told, now)
            used(tx, bucket_keys, uses, now)
            return key

        key = db.system_change(begin)
    finally:
        db.close()
    return Initialised(key.access_key_id, key.secret_access_key, key.arn, signer.vkey, ring.key_id)


def _require_new(db: Database) -> None:
    with db.system_read() as tx:
        account = tx.scalar(tx.select(meta.c.value).where(meta.c.key == "account"))
    if account is not None:
        raise SetupError(
            f"This deployment was set up already, for account {account}. "
            "Make further keys with 'auditkeep keys create'."
        )
