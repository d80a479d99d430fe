"""Whether somebody who is named exists (spec section 12, point 16).

AWS answers NotFound for a role it does not know (yet), and clients try again for two minutes. Here
principals may live elsewhere, in AWS or at a provider of identities, so that any well-formed ARN is
believed, unless the setting `check_roles` says that all of them are known to this deployment.
"""

import re
from collections.abc import Iterable

from auditkeep.access import credentials, roles
from auditkeep.errors import NotFound
from auditkeep.operations.call import Call

_PRINCIPAL = re.compile(r"arn:[^:]*:iam::(\d{12}):(user|role)/(?:.*/)?([^/]+)")


def require_known(call: Call, arns: Iterable[str]) -> None:
    """NotFound for the first ARN that stands for no user with a key and no role of ours."""
    if not call.deps.settings.check_roles:
        return
    system = call.tx.system()
    for arn in arns:
        match = _PRINCIPAL.fullmatch(arn)
        if match is None:
            raise NotFound("role", arn)
        account, kind, name = match.groups()
        known = (
            credentials.has_user(system, account, name)
            if kind == "user"
            else roles.find(system, account, name) is not None
        )
        if not known:
            raise NotFound("role", arn)
