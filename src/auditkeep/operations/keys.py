"""What a client is told when a key cannot be used (AWS: AccessDenied and InternalServer errors)."""

import logging

from auditkeep.errors import AccessDenied, KeyAway, RequestError

_LOG = logging.getLogger("auditkeep.keys")


def told(error: KeyAway) -> RequestError:
    """AccessDeniedException for a key that is disabled, denied, pending deletion or gone; an
    InternalServerException, which clients try again by themselves, for one that does not answer.
    """
    if error.told != str(error):
        _LOG.error("%s", error)
    return RequestError(error.told) if error.state == "unreachable" else AccessDenied(error.told)
