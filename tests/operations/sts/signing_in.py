"""Unmodified botocore clients of STS and Audit Manager over one database, without a socket."""

from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from tests.operations.in_process import BASE, Api, response_of, wire_request_of

from auditkeep.access import roles
from auditkeep.access.credentials import AccessKey
from auditkeep.access.roles import Role
from auditkeep.access.trust import Trust
from auditkeep.clock import Clock
from auditkeep.db.database import Database
from auditkeep.operations.call import Deps
from auditkeep.operations.sts.fetching import Fetch
from auditkeep.operations.sts.service import Sts

ACCOUNT = "111122223333"
SERVER = "audit.example.com"


class NoNetwork:
    """A network that nobody may ask."""

    def __call__(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        raise AssertionError(f"{url} was asked")


class SignIn(Api):
    """The API, and an STS over the same database."""

    def __init__(
        self, db: Database, deps: Deps, clock: Clock, *, fetch: Fetch | None = None, **named: Any
    ) -> None:
        super().__init__(db, deps, clock)
        settings = deps.settings.model_copy(
            update={"external_url": f"https://{SERVER}", "aws_sts_endpoint": "", **named}
        )
        self.service = Sts(
            db=db,
            provider=deps.lake.secrets,
            settings=settings,
            clock=clock,
            heard=deps.heard,
            keys=deps.lake.keys,
            fetch=fetch or NoNetwork(),
        )

    def role(
        self,
        name: str,
        trust: Trust,
        *policies: str,
        account: str = ACCOUNT,
        longest: int = 3600,
    ) -> Role:
        granted = policies or ("AuditkeepReadOnly",)
        with self.db.system_write() as tx:
            return roles.put(tx, account, name, granted, trust, longest, self.clock.now())

    def sts(self, who: AccessKey | Mapping[str, str] | None = None) -> Any:
        """An STS client of a key's holder, of a session, or of nobody."""
        return self._of("sts", who, self._send_sts)

    def api(self, who: AccessKey | Mapping[str, str]) -> Any:
        """An Audit Manager client of a key's holder or of a session."""
        return self._of("auditmanager", who, self._send)

    def _of(self, service: str, who: AccessKey | Mapping[str, str] | None, send: Any) -> Any:
        named: dict[str, Any] = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
        config = Config(retries={"max_attempts": 0}, parameter_validation=False)
        if isinstance(who, AccessKey):
            named = {
                "aws_access_key_id": who.access_key_id,
                "aws_secret_access_key": who.secret_access_key,
            }
        elif who is not None:
            named = {
                "aws_access_key_id": who["AccessKeyId"],
                "aws_secret_access_key": who["SecretAccessKey"],
                "aws_session_token": who.get("SessionToken"),
            }
        else:
            config = config.merge(Config(signature_version=UNSIGNED))
        client = botocore.session.get_session().create_client(
            service, region_name="us-east-1", endpoint_url=BASE, config=config, **named
        )
        client.meta.events.register(f"before-send.{service}", send)
        return client

    def _send_sts(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        return response_of(request, self.service.answer(wire_request_of(request)))
