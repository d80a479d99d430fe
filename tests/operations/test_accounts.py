"""RegisterAccount, DeregisterAccount, GetAccountStatus, GetSettings, UpdateSettings."""

from collections.abc import Callable
from functools import partial

import pytest

from auditkeep.accounts import store
from auditkeep.errors import AccessDenied, InvalidRequest, KeyNotAtHand
from auditkeep.lake.buckets import BucketKeys
from auditkeep.operations.auditmanager.accounts import (
    deregister_account,
    get_account_status,
    get_settings,
    register_account,
    update_settings,
)
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am

KEY = "arn:aws:kms:us-east-1:444455556666:key/k"
TOPIC = "arn:aws:sns:us-east-1:111122223333:audit"


def status(call: Call) -> str | None:
    return get_account_status(call, am.GetAccountStatusRequest()).status


def test_registering_answers_active_at_once_and_again(unregistered: Call) -> None:
    assert status(unregistered) == "INACTIVE"
    assert register_account(unregistered, am.RegisterAccountRequest()).status == "ACTIVE"
    assert register_account(unregistered, am.RegisterAccountRequest()).status == "ACTIVE"
    assert status(unregistered) == "ACTIVE"


@pytest.fixture
def usable(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every key can be used; which were tried. (tests/e2e/test_kms.py has real ones.)"""
    tried: list[str] = []
    monkeypatch.setattr(BucketKeys, "vouch", lambda _self, _tenant, name: tried.append(name))
    return tried


def test_a_key_may_be_named_first_or_later(unregistered: Call, usable: list[str]) -> None:
    register_account(unregistered, am.RegisterAccountRequest(kms_key=KEY))
    assert store.require_active(unregistered.tx).kms_key == KEY
    register_account(unregistered, am.RegisterAccountRequest())
    assert store.require_active(unregistered.tx).kms_key == KEY
    register_account(unregistered, am.RegisterAccountRequest(kms_key="DEFAULT"))
    assert store.require_active(unregistered.tx).kms_key == "DEFAULT"
    assert usable == [KEY], "the one it has is not tried again"


def _begun_again(work: Callable[[], object]) -> None:
    """As the service does it: a key that is held elsewhere is asked for, and the call repeated."""
    try:
        work()
    except KeyNotAtHand as error:
        error.fetch()
        work()


def test_a_key_that_cannot_be_used_is_refused_and_changes_nothing(call: Call) -> None:
    for ask, why in (
        (KEY, "kmsKey cannot be used.*may not ask.*AUDITKEEP_KMS=aws"),
        (KEY.replace("us-east-1", "eu-west-1"), "kmsKey must name a key in us-east-1"),
    ):
        for refused in (
            partial(update_settings, call, am.UpdateSettingsRequest(kms_key=ask)),
            partial(register_account, call, am.RegisterAccountRequest(kms_key=ask)),
        ):
            with pytest.raises(InvalidRequest, match=why):
                _begun_again(refused)
    assert store.require_active(call.tx).kms_key == "DEFAULT"


def test_only_the_managing_account_registers_with_an_administrator(unregistered: Call) -> None:
    ask = am.RegisterAccountRequest(delegated_admin_account="999988887777")
    with pytest.raises(AccessDenied, match="does not manage"):
        register_account(unregistered, ask)
    assert status(unregistered) == "INACTIVE"


def test_deregistering_closes_and_is_idempotent(call: Call, unregistered: Call) -> None:
    for one in (call, call, unregistered):
        assert deregister_account(one, am.DeregisterAccountRequest()).status == "INACTIVE"
        assert status(one) == "INACTIVE"
    with pytest.raises(AccessDenied):
        get_settings(call, am.GetSettingsRequest(attribute="ALL"))


def test_settings_outlive_a_deregistration_that_keeps_everything(call: Call) -> None:
    keep = am.DeregistrationPolicy(delete_resources="DEFAULT")
    update_settings(call, am.UpdateSettingsRequest(sns_topic=TOPIC, deregistration_policy=keep))
    deregister_account(call, am.DeregisterAccountRequest())
    register_account(call, am.RegisterAccountRequest())
    shown = get_settings(call, am.GetSettingsRequest(attribute="ALL")).settings
    assert shown is not None
    assert (shown.sns_topic, shown.deregistration_policy) == (TOPIC, keep)


@pytest.mark.usefixtures("usable")
def test_update_settings_answers_with_all_of_them(call: Call) -> None:
    changed = update_settings(call, am.UpdateSettingsRequest(sns_topic=TOPIC, kms_key=KEY))
    read = get_settings(call, am.GetSettingsRequest(attribute="ALL"))
    assert changed.settings == read.settings
    assert changed.settings is not None
    assert changed.settings.sns_topic == TOPIC
    assert changed.settings.kms_key == KEY
    assert changed.settings.default_process_owners == ()


def test_a_refused_change_changes_nothing(call: Call) -> None:
    before = get_settings(call, am.GetSettingsRequest(attribute="ALL"))
    ask = am.UpdateSettingsRequest(kms_key=KEY, evidence_finder_enabled=True)
    with pytest.raises(InvalidRequest, match="evidenceFinderEnabled"):
        update_settings(call, ask)
    assert get_settings(call, am.GetSettingsRequest(attribute="ALL")) == before


@pytest.mark.usefixtures("usable")
def test_settings_belong_to_one_tenant(call: Call, elsewhere: Call) -> None:
    update_settings(call, am.UpdateSettingsRequest(kms_key=KEY))
    assert store.require_active(elsewhere.tx).kms_key == "DEFAULT"
