"""Registering, deregistering and settings (spec sections 1.11, 2.1 and 10.2).

`RegisterAccount` answers ACTIVE at once. `DeregisterAccount` stops collection and keeps everything;
under the policy ALL, which UpdateSettings has set before, it destroys everything: what that is and
how is in `erasing`.
"""

from auditkeep.accounts import erasure, organisation, settings, store
from auditkeep.accounts.model import OWN_KEY, Account
from auditkeep.crypto.providers.kms import ARN
from auditkeep.errors import InvalidRequest, KeyAway, KeyNotAtHand, KeyUnusable
from auditkeep.operations.auditmanager import erasing
from auditkeep.operations.auditmanager.organisation import hand_over, take_back
from auditkeep.operations.auditmanager.propagation import account_deregistered
from auditkeep.operations.call import Call, pair
from auditkeep.reports import destination
from auditkeep.wire.models import auditmanager as am


def get_account_status(call: Call, _ask: am.GetAccountStatusRequest) -> am.GetAccountStatusResponse:
    """Answers whoever asks: an account that never registered is INACTIVE."""
    return am.GetAccountStatusResponse(status=store.status(call.tx))


def register_account(call: Call, ask: am.RegisterAccountRequest) -> am.RegisterAccountResponse:
    """Idempotent; a key that is named replaces the one before, an administrator does not.

    Refused while what a former registration had is still being destroyed.
    """
    erasure.require_none(call.tx, store.find(call.tx))
    if ask.delegated_admin_account is not None:
        hand_over(call, ask.delegated_admin_account)
    _require_usable(call, ask.kms_key)
    store.register(call.tx, ask.kms_key, call.now)
    return am.RegisterAccountResponse(status="ACTIVE")


def deregister_account(
    call: Call, _ask: am.DeregisterAccountRequest
) -> am.DeregisterAccountResponse:
    """Idempotent; assessments stay as they are and sleep until they are saved again.

    An organisation that the account had handed over is no longer administered. Under the policy ALL
    everything goes: the account's own, and what its administrator had here (spec 2.1).
    """
    account = store.find(call.tx)
    everything = account is not None and erasing.is_asked_for(account)
    if organisation.has_handed_over(call.tx):
        administrator = take_back(call)
        if everything:
            erasing.begin(administrator)
    if store.status(call.tx) == "ACTIVE":
        account_deregistered(call)
        if everything:
            erasing.begin(call)
        else:
            store.deregister(call.tx)
    return am.DeregisterAccountResponse(status="INACTIVE")


def get_settings(call: Call, ask: am.GetSettingsRequest) -> am.GetSettingsResponse:
    account = store.require_active(call.tx)
    return am.GetSettingsResponse(settings=_shown(call, account, ask.attribute))


def update_settings(call: Call, ask: am.UpdateSettingsRequest) -> am.UpdateSettingsResponse:
    call.tx.lock_tenant()  # merging reads first: two merges at once must not lose one
    for member, asked in (
        ("defaultAssessmentReportsDestination", ask.default_assessment_reports_destination),
        ("defaultExportDestination", ask.default_export_destination),
    ):
        if asked is not None and asked.destination is not None:
            destination.parse(asked.destination, member)
    account = settings.merged(store.require_active(call.tx), ask)
    _require_usable(call, ask.kms_key)
    store.save_settings(call.tx, account.settings, account.kms_key)
    return am.UpdateSettingsResponse(settings=_shown(call, account))


def _require_usable(call: Call, kms_key: str | None) -> None:
    """InvalidRequest unless the key can be used now, for this tenant and in its region.

    A key that the tenant has already is not asked for again: it may be away at the moment.
    """
    known = store.find(call.tx)
    if kms_key in (None, OWN_KEY) or (known is not None and known.kms_key == kms_key):
        return
    found = ARN.fullmatch(kms_key)
    if found is not None and found[1] != call.tenant.region:
        raise InvalidRequest.of_field(
            "kmsKey", f"must name a key in {call.tenant.region}, where this account's data is."
        )
    try:
        call.deps.lake.keys.vouch(call.tenant, kms_key)
    except KeyNotAtHand:
        raise
    except KeyUnusable as error:
        if isinstance(error, KeyAway) and error.state == "unreachable":
            raise
        raise InvalidRequest.of_field("kmsKey", f"cannot be used. {error}") from error


def _shown(call: Call, account: Account, attribute: am.SettingAttribute = "ALL") -> am.Settings:
    return settings.to_wire(account, attribute, in_organisation=organisation.is_enabled(call.tx))


OPERATIONS = (
    pair(am.GET_ACCOUNT_STATUS, get_account_status),
    pair(am.REGISTER_ACCOUNT, register_account),
    pair(am.DEREGISTER_ACCOUNT, deregister_account),
    pair(am.GET_SETTINGS, get_settings),
    pair(am.UPDATE_SETTINGS, update_settings),
)
