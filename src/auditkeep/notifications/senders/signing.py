"""Signing what is posted, as Standard Webhooks 1.0 has it (www.standardwebhooks.com).

`webhook-signature: v1,BASE64` is HMAC-SHA256 under the webhook's secret over
`ID.TIMESTAMP.BODY`; `webhook-id` is the message's id, the same at every try, and
`webhook-timestamp` the second of this try, so that an old request cannot be played again.
"""

import base64
import hashlib
import hmac

from auditkeep.clock import SECOND, Instant


def headers(secret: bytes, message_id: str, body: bytes, now: Instant) -> dict[str, str]:
    stamp = str(now // SECOND)
    signed = b".".join((message_id.encode(), stamp.encode(), body))
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
