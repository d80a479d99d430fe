"""The small STS of this server, on AWS's query protocol.

    GetCallerIdentity            signed: who am I
    AssumeRole                   signed: a role's session, for principals of this deployment
    AssumeRoleWithWebIdentity    unsigned: the same for who proves to be somebody elsewhere, by an
                                 OpenID token or by AWS's own word (`presigned`)

Invariants: a role that is not there and one that trusts somebody else answer the same; nobody is
asked over the network before the role named is known to trust them; no database transaction is
open while the network is asked; secrets appear in the answer and nowhere else; a session commits
with its record in the activity log, and refusals are told there as the other services' are.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

from auditkeep.access import policy, roles, sessions
from auditkeep.access.credentials import Credentials
from auditkeep.access.policies import Policies
from auditkeep.access.principals import Principal
from auditkeep.access.roles import Role
from auditkeep.access.sessions import Issued, Wanted
from auditkeep.activity.heard import Buffer, Heard
from auditkeep.clock import Clock, Instant, iso
from auditkeep.crypto.providers import KeyProvider
from auditkeep.db.database import Database
from auditkeep.db.tx import SystemTx
from auditkeep.errors import AccessDenied, KeyAway, RefusedByRule, RequestError, UnknownOperation
from auditkeep.ids import Tenant
from auditkeep.lake.buckets import BucketKeys
from auditkeep.operations.authenticate import Authenticator
from auditkeep.operations.context import RequestContext
from auditkeep.operations.keys import told
from auditkeep.operations.recording import Recording
from auditkeep.operations.sts import asking, presigned
from auditkeep.operations.sts.asking import Asked
from auditkeep.operations.sts.fetching import Fetch, Fetcher
from auditkeep.operations.sts.openid import Issuers
from auditkeep.operations.sts.presigned import AwsIdentities
from auditkeep.settings import Settings
from auditkeep.wire import query_protocol
from auditkeep.wire.errors import describe
from auditkeep.wire.messages import Request, Response
from auditkeep.wire.model import AnyOperation, Operation, Shape
from auditkeep.wire.peers import Proxies
from auditkeep.wire.query_protocol import Members

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
VERSION = "2011-06-15"
LONGEST_TOKEN = 20_000
"""Characters of a web identity token: AWS's limit."""

_Action = Callable[[Request, Mapping[str, str], Heard], Members]

_LOG = logging.getLogger("auditkeep.signin")


@dataclass(frozen=True, slots=True)
class _Shown:
    """Who somebody is elsewhere, and a proof that may be used once, where it is such a one."""

    origin: str
    subject: str
    audience: str
    provider: str
    once: presigned.Proof | None = None


class _Session(Shape, frozen=True, rename="camel"):
    """What the activity log shows of a request for a role."""

    role_arn: str
    role_session_name: str
    duration_seconds: int | None = None
    tags: dict[str, str] | None = None


_OPERATIONS: Mapping[str, AnyOperation] = {
    name: Operation("sts", name, "POST", "/", _Session, Shape)
    for name in ("GetCallerIdentity", "AssumeRole", "AssumeRoleWithWebIdentity")
}


class _Tagged(Shape, frozen=True):
    """What policies ask about a request for a role: the tags its session is to have."""

    tags: dict[str, str]


class Sts:
    """Answers requests for identity and sessions. Safe to share between threads."""

    def __init__(
        self,
        *,
        db: Database,
        provider: KeyProvider,
        settings: Settings,
        clock: Clock,
        heard: Buffer,
        keys: BucketKeys,
        fetch: Fetch | None = None,
    ) -> None:
        self._db = db
        self._provider = provider
        self._clock = clock
        self._authenticator = Authenticator(Credentials(db, provider), settings.external_url)
        self._recording = Recording(heard, keys, settings, self._authenticator, clock)
        self._policies = Policies(db)
        self._proxies = Proxies(settings.proxies)
        asker = fetch or Fetcher(approved=settings.crypto == "approved")
        self._issuers = Issuers(asker)
        self._aws = AwsIdentities(
            asker, presigned.server_name(settings.external_url), settings.aws_sts_endpoint
        )
        self._actions: dict[str, _Action] = {
            "GetCallerIdentity": self._caller,
            "AssumeRole": self._assume,
            "AssumeRoleWithWebIdentity": self._assume_with_token,
        }

    def answer(self, request: Request) -> Response:
        """The response to a request, whatever becomes of it."""
        started, action = perf_counter(), "nothing known"
        heard = self._recording.begin(request)
        try:
            form = query_protocol.parameters(request)
            function = self._function(form)
            action = form["Action"]
            heard.at, heard.operation, heard.reads = self._clock.now(), _OPERATIONS[action], True
            result = function(request, form, heard)
            response = query_protocol.answer(action, NAMESPACE, result, request.request_id)
        except RequestError as error:
            _LOG.info("%s %s refused: %s", request.request_id, action, error)
            self._recording.refused(heard, request, error)
            response = query_protocol.refusal(error, NAMESPACE, request.request_id)
        except KeyAway as error:
            self._recording.refused(heard, request, error)
            response = query_protocol.refusal(told(error), NAMESPACE, request.request_id)
        except Exception as error:  # noqa: BLE001  # the client gets an answer, the log the place
            _LOG.error("request %s for %s failed\n%s", request.request_id, action, describe(error))
            self._recording.refused(heard, request, error)
            response = query_protocol.refusal(error, NAMESPACE, request.request_id)
        milliseconds = (perf_counter() - started) * 1000
        _LOG.info("%s %s %d in %.1f ms", request.request_id, action, response.status, milliseconds)
        return response

    def _function(self, form: Mapping[str, str]) -> _Action:
        function = self._actions.get(form.get("Action", ""))
        if function is None or form.get("Version") != VERSION:
            raise UnknownOperation(
                f"This server's STS answers {', '.join(self._actions)} of version {VERSION}."
            )
        return function

    def _caller(self, request: Request, _form: Mapping[str, str], heard: Heard) -> Members:
        principal, _ = self._signer(request, heard)
        self._recording.read(heard)
        return {
            "Arn": principal.arn,
            "UserId": principal.user_id,
            "Account": principal.account,
        }

    def _signer(self, request: Request, heard: Heard) -> tuple[Principal, Tenant]:
        known = self._authenticator.authenticate(request, "sts", heard.at)
        heard.principal, heard.tenant = known
        return known

    def _assume(self, request: Request, form: Mapping[str, str], heard: Heard) -> Members:
        now = heard.at
        principal, tenant = self._signer(request, heard)
        asked = asking.read(form)
        heard.ask = _told(asked)
        role = self._role(asked.role_arn)
        facts = RequestContext(
            request=request,
            proxies=self._proxies,
            principal=principal,
            tenant=tenant,
            ask=_Tagged(tags=dict(asked.tags)),
            now=now,
            tags=dict,
        )
        if role is None or not self._may_take(principal, role, facts, now):
            raise AccessDenied(
                f"User: {principal.arn} is not authorized to perform: sts:AssumeRole on resource: "
                f"{asked.role_arn}"
            )
        seconds = asking.duration(asked, role, chained=principal.session is not None)
        return self._issue(role, asked, seconds, principal.arn, None, heard)

    def _assume_with_token(
        self, _request: Request, form: Mapping[str, str], heard: Heard
    ) -> Members:
        now = heard.at
        asked = asking.read(form)
        heard.ask = _told(asked)
        if asked.tags:
            raise RefusedByRule("Tags cannot be asked for in this way; leave them out.")
        token = asking.required(form, "WebIdentityToken", LONGEST_TOKEN)
        role = self._role(asked.role_arn)
        shown = None if role is None else self._shown(role, token, now)
        if role is None or shown is None:
            raise AccessDenied("Not authorized to perform sts:AssumeRoleWithWebIdentity")
        seconds = asking.duration(asked, role)
        heard.principal = Principal(role.account, shown.subject, shown.origin, (), "")
        issued = self._issue(role, asked, seconds, shown.origin, shown.once, heard)
        return {
            **issued,
            "SubjectFromWebIdentityToken": shown.subject,
            "Audience": shown.audience,
            "Provider": shown.provider,
        }

    def _role(self, arn: str) -> Role | None:
        with self._db.system_read() as tx:
            return roles.find_arn(tx, arn)

    def _may_take(
        self, principal: Principal, role: Role, facts: policy.Context, now: Instant
    ) -> bool:
        """As IAM decides it: inside an account the trust is enough where it names the principal;
        from another account, or where it names a whole account, their policies must allow it too.
        """
        action = "sts:AssumeRole"
        said = policy.decide(self._policies.of(principal, now), action, role.arn, facts)
        if not said.allowed and said.policy is not None:
            return False
        if (
            principal.limits
            and not policy.decide(principal.limits, action, role.arn, facts).allowed
        ):
            return False
        if role.trust.names(principal.arn):
            return said.allowed or principal.account == role.account
        return said.allowed and role.trust.names_account(principal.account)

    def _shown(self, role: Role, token: str, now: Instant) -> _Shown | None:
        """Who the token proves to be its bearer, if the role trusts them; None if it does not."""
        if presigned.is_one(token):
            if not role.trust.aws:
                return None
            proof = self._aws.check(token, now)
            arn = self._aws.ask(proof)
            if not role.trust.names_aws(arn):
                _LOG.info("the role %s does not trust %s", role.arn, arn)
                return None
            return _Shown(arn, arn, self._aws.server, "sts.amazonaws.com", proof)
        if not role.trust.oidc:
            return None
        claims = self._issuers.verify(token, {o.issuer for o in role.trust.oidc}, now)
        issuer, subject = str(claims["iss"]), str(claims["sub"])
        fitting = [o for o in role.trust.of_issuer(issuer) if o.fits(claims)]
        if not fitting:
            _LOG.info("the role %s does not trust %s of %s", role.arn, subject, issuer)
            return None
        return _Shown(f"{issuer} {subject}", subject, _audience(claims["aud"]), issuer)

    def _issue(
        self,
        role: Role,
        asked: Asked,
        seconds: int,
        origin: str,
        once: presigned.Proof | None,
        heard: Heard,
    ) -> dict[str, str | Members]:
        now = heard.at
        wanted = Wanted(asked.name, seconds, origin, asked.policy, asking.allowed_tags(asked, role))

        def made(tx: SystemTx) -> tuple[Issued, dict[str, str | Members]]:
            if once is not None:
                sessions.use_once(tx, once.digest, now, once.forget_at)
            issued = sessions.issue(tx, self._provider, role, wanted, now)
            answer = _session(issued)
            self._recording.issued(tx, heard, role.account, answer)
            return issued, answer

        issued, answer = self._db.system_change(made)
        _LOG.info("%s took %s until %s", origin, issued.arn, iso(issued.expires_at))
        return answer


def _told(asked: Asked) -> _Session:
    return _Session(
        role_arn=asked.role_arn,
        role_session_name=asked.name,
        duration_seconds=asked.seconds,
        tags=dict(asked.tags) or None,
    )


def _session(issued: Issued) -> dict[str, str | Members]:
    return {
        "Credentials": {
            "AccessKeyId": issued.access_key_id,
            "SecretAccessKey": issued.secret_access_key,
            "SessionToken": issued.session_token,
            "Expiration": iso(issued.expires_at)[:19] + "Z",
        },
        "AssumedRoleUser": {"AssumedRoleId": issued.user_id, "Arn": issued.arn},
    }


def _audience(claim: object) -> str:
    return str(claim[0]) if isinstance(claim, list) and claim else str(claim)
