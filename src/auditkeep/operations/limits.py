"""The quotas of the tenant that asks; see `accounts.quotas`."""

from auditkeep.accounts import quotas
from auditkeep.operations.call import Call
from auditkeep.settings import QuotaName


def limit(call: Call, name: QuotaName) -> int:
    """How much the caller's account may have; whoever uses it up holds the tenant's lock."""
    return quotas.limit(call.tx, call.deps.settings, name)
