"""AWS clients with the credentials of this process, or of a role that they may take.

Environment, profile, instance or container role: whatever botocore finds. A role's credentials are
renewed before they end, for as long as the clients live. TLS is verified as botocore does it;
`AWS_ENDPOINT_URL…` and `AWS_CA_BUNDLE` move it as they do for any AWS tool.

boto3 is imported when the first client is made.
"""

import threading
from typing import Any

from auditkeep.ids import GLOBAL_REGION
from auditkeep.sources import aws
from auditkeep.sources.refusals import asking

SESSION_NAME = "auditkeep"
HOME_REGION = "us-east-1"
ATTEMPTS = 5
"""How often a request is made in all, where it failed by what may pass."""


class AmbientClients:
    """`sources.pull.Clients` for one role (or none); clients are made once and may be shared."""

    def __init__(self, role: str = "", external_id: str = "", endpoint: str = "") -> None:
        self._role = role
        self._external_id = external_id
        self._endpoint = endpoint or None
        self._lock = threading.Lock()
        self._session: Any = None
        self._made: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str) -> Any:
        region = HOME_REGION if region == GLOBAL_REGION else region
        with self._lock:
            made = self._made.get((service, region))
            if made is None:
                made = self._made[service, region] = self._make(service, region)
            return made

    def _make(self, service: str, region: str) -> Any:
        patience = aws.config(ATTEMPTS, max_pool_connections=16)
        if self._session is None:
            self._session = self._begin()
        return self._session.create_client(
            service, region_name=region, endpoint_url=self._endpoint, config=patience
        )

    def _begin(self) -> Any:
        from botocore.credentials import (  # noqa: PLC0415 - heavy
            AssumeRoleCredentialFetcher,
            DeferredRefreshableCredentials,
        )

        session = aws.session()
        if not self._role:
            return session
        asked = {"RoleSessionName": SESSION_NAME}
        if self._external_id:
            asked["ExternalId"] = self._external_id

        def creator(service: str, **told: Any) -> Any:
            return session.create_client(
                service, endpoint_url=self._endpoint, region_name=HOME_REGION, **told
            )

        fetcher = AssumeRoleCredentialFetcher(
            creator, session.get_credentials(), self._role, extra_args=asked
        )

        def refresh() -> dict[str, Any]:
            sts = session.create_client("sts", region_name=HOME_REGION)
            with asking(sts, "AssumeRole"):
                fetched: dict[str, Any] = fetcher.fetch_credentials()
            return fetched

        taken = aws.session()
        taken._credentials = DeferredRefreshableCredentials(
            refresh_using=refresh, method="assume-role"
        )
        return taken
