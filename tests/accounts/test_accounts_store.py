"""Registration and settings of a tenant, kept on both databases."""

import pytest

from auditkeep.accounts import store
from auditkeep.accounts.model import TenantSettings
from auditkeep.clock import Instant
from auditkeep.db import schema
from auditkeep.db.database import Database
from auditkeep.errors import AccessDenied
from auditkeep.ids import Tenant

pytestmark = pytest.mark.both_databases
KEY = "arn:aws:kms:us-east-1:111122223333:key/k"


def test_an_unknown_tenant_is_inactive(db: Database, tenant: Tenant) -> None:
    with db.read(tenant) as tx:
        assert store.status(tx) == "INACTIVE"
        assert store.find(tx) is None
        with pytest.raises(AccessDenied, match="RegisterAccount"):
            store.require_active(tx)


def test_registering_opens_and_deregistering_closes(db: Database, tenant: Tenant) -> None:
    with db.write(tenant) as tx:
        store.register(tx, None, Instant(1))
        assert store.require_active(tx).kms_key == "DEFAULT"
        store.deregister(tx)
        assert store.status(tx) == "INACTIVE"
        with pytest.raises(AccessDenied):
            store.require_active(tx)


def test_each_region_registers_by_itself(db: Database, tenant: Tenant) -> None:
    with db.write(tenant) as tx:
        store.register(tx, None, Instant(1))
    with db.read(Tenant(tenant.account, "eu-west-1")) as tx:
        assert store.status(tx) == "INACTIVE"


def test_registering_again_keeps_settings_and_batch_numbers(db: Database, tenant: Tenant) -> None:
    settings = TenantSettings(sns_topic="arn:aws:sns:us-east-1:111122223333:t")
    with db.write(tenant) as tx:
        store.register(tx, KEY, Instant(1))
        store.save_settings(tx, settings, KEY)
        tx.run(tx.update(schema.tenants).values(last_batch_no=7))
        store.deregister(tx)
        store.register(tx, None, Instant(2))
        account = store.require_active(tx)
        assert account.settings == settings
        assert account.kms_key == KEY
        assert tx.scalar(tx.select(schema.tenants.c.last_batch_no)) == 7
        store.register(tx, "DEFAULT", Instant(3))
        assert store.require_active(tx).kms_key == "DEFAULT"
