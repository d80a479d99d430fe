"""The service `auditkeep` of a `World`, asked with a boto3 client."""

from __future__ import annotations

from typing import Any

from botocore.config import Config
from tests.operations.world import World

import auditkeep


class Keep:
    """The operations of the service `auditkeep`, asked as an administrator with a boto3 client."""

    def __init__(self, world: World) -> None:
        self._api = world.api
        key = world.api.admin
        self._client = auditkeep.client(
            "http://127.0.0.1:8080",
            region_name="us-east-1",
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
            config=Config(retries={"max_attempts": 0}, parameter_validation=False),
        )
        self._client.meta.events.register("before-send.auditkeep", world.api._send)

    def __getattr__(self, name: str) -> Any:
        return lambda **members: self._api.call(getattr(self._client, name), **members)
