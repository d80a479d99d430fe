"""Which of the facts that arrive are kept (see `lake.keeping`), asked for and looked at.

The change decides what will be there, so it is a governance record like a retention policy. It is
in force from its commit on: each batch is committed under the tenant's lock, and is kept by the
policy that it finds.
"""

from auditkeep import clock
from auditkeep.accounts import store as accounts
from auditkeep.clock import day_name
from auditkeep.collection.keeping import seen_now
from auditkeep.collection.not_kept import NotKept
from auditkeep.lake import governance, keeping
from auditkeep.operations.call import Call, pair
from auditkeep.wire.models import auditkeep as ak


def get_keep_policy(call: Call, _ask: ak.GetKeepPolicyRequest) -> ak.GetKeepPolicyResponse:
    return ak.GetKeepPolicyResponse(keeping=kept(call))


def put_keep_policy(call: Call, ask: ak.PutKeepPolicyRequest) -> ak.PutKeepPolicyResponse:
    """Asking for the policy that is in force changes nothing."""
    call.tx.lock_tenant()
    accounts.require_active(call.tx)
    if keeping.of(call.tx).policy != ask.policy:
        given = call.authority(governance.PUT_KEEP_POLICY, ask.policy)
        governance.record_given(call.tx, call.deps.lake, given, [given], call.now)
        keeping.choose(call.tx, ask.policy, call.now)
    return ak.PutKeepPolicyResponse(keeping=kept(call))


def kept(call: Call) -> ak.Keeping:
    """The policy, and what there is of facts."""
    choice, amount = keeping.of(call.tx), keeping.amount(call.tx)
    return ak.Keeping(
        policy=choice.policy,
        since=None if choice.since is None else clock.wire(choice.since),
        observations=amount.observations,
        seen=seen_now(call.tx),
        raw_bytes=amount.raw_bytes,
        stored_bytes=amount.stored_bytes,
    )


def not_kept(one: NotKept) -> ak.NotKept:
    """What was passed over, in the API's shape."""
    return ak.NotKept(
        source=one.source,
        account=one.origin_account,
        region=one.origin_region,
        keywords=one.match_keys,
        first_day=day_name(one.first_day),
        last_day=day_name(one.last_day),
        last_at=clock.wire(one.last_at),
        read_again=one.read_again,
    )


OPERATIONS = (
    pair(ak.GET_KEEP_POLICY, get_keep_policy),
    pair(ak.PUT_KEEP_POLICY, put_keep_policy),
)
