"""Clients for the service that AWS does not have."""

from typing import Any

from tests.operations.in_process import BASE, Api

import auditkeep
from auditkeep.access.credentials import AccessKey


class Keep(Api):
    """Clients for the service that AWS does not have."""

    def client(
        self, key: AccessKey | None = None, region: str = "us-east-1", service: str = "auditkeep"
    ) -> Any:
        who = key or self.admin
        client = auditkeep.client(
            BASE,
            region_name=region,
            aws_access_key_id=who.access_key_id,
            aws_secret_access_key=who.secret_access_key,
        )
        client.meta.events.register("before-send.auditkeep", self._send)
        return client
