"""Signatures as Standard Webhooks has them."""

import base64

from auditkeep.clock import SECOND, Instant
from auditkeep.notifications.senders.signing import headers


def test_the_example_of_the_specification() -> None:
    made = headers(
        base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        Instant(1614265330 * SECOND + 999_999),
    )
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
