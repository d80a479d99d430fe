"""The context of a request: what conditions of identity policies may ask about it.

Source: AWS IAM User Guide, "AWS global condition context keys". Nothing is worked out before a
policy asks for it. A key that does not apply to a request is absent: `aws:username` for a role,
`aws:MultiFactorAuthPresent` for an access key that lasts, `aws:SourceIp` where no address is known.
"""

from collections.abc import Callable, Mapping
from typing import Final

from auditkeep.access.principals import Principal
from auditkeep.clock import SECOND, Instant, to_datetime
from auditkeep.ids import Tenant, iam_arn
from auditkeep.wire.messages import Request
from auditkeep.wire.model import Shape
from auditkeep.wire.peers import Proxies, Sender

Values = tuple[str, ...]
Tags = Callable[[], Mapping[str, str]]


class RequestContext:
    """The facts of one request; `tags` gives the tags of its resource."""

    __slots__ = ("_known", "ask", "now", "principal", "proxies", "request", "tags", "tenant")

    def __init__(
        self,
        *,
        request: Request,
        proxies: Proxies,
        principal: Principal,
        tenant: Tenant,
        ask: Shape,
        now: Instant,
        tags: Tags,
    ) -> None:
        self.request = request
        self.proxies = proxies
        self.principal = principal
        self.tenant = tenant
        self.ask = ask
        self.now = now
        self.tags = tags
        self._known: dict[str, Values] = {}

    def values(self, key: str) -> Values:
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._look_up(key)
        return found

    @property
    def sender(self) -> Sender:
        return self.proxies.sender(self.request)

    def _look_up(self, key: str) -> Values:
        family, slash, tag = key.partition("/")
        if slash:
            tags = _FAMILIES.get(family.lower())
            return () if tags is None else _tagged(tags(self), tag)
        fact = _FACTS.get(key.lower())
        return () if fact is None else fact(self)


def of_principal(principal: Principal, now: Instant) -> dict[str, Values]:
    """Every fact that follows from who asks and when, by its key."""
    return {key: fact(principal, now) for key, fact in _OF_PRINCIPAL.items()}


def _tagged(tags: Mapping[str, str], name: str) -> Values:
    """The value of a tag. Names have no case here; the very spelling goes before any other."""
    if name in tags:
        return (tags[name],)
    return tuple(value for key, value in tags.items() if key.lower() == name.lower())


def principal_type(principal: Principal) -> str:
    """`AssumedRole`, `FederatedUser`, `Account` or `User`."""
    if principal.role is not None or ":assumed-role/" in principal.arn:
        return "AssumedRole"
    if ":federated-user/" in principal.arn:
        return "FederatedUser"
    return "Account" if principal.arn.endswith(":root") else "User"


def _username(principal: Principal, _now: Instant) -> Values:
    return (principal.user,) if principal_type(principal) == "User" else ()


def _with_mfa(principal: Principal, _now: Instant) -> Values:
    """Present for temporary credentials only, as IAM has it."""
    if principal.mfa_at is not None:
        return ("true",)
    return () if principal.issued_at is None else ("false",)


def _mfa_age(principal: Principal, now: Instant) -> Values:
    return () if principal.mfa_at is None else (str((now - principal.mfa_at) // SECOND),)


def _issued(principal: Principal, _now: Instant) -> Values:
    return () if principal.issued_at is None else (_date(principal.issued_at),)


def _date(at: Instant) -> str:
    return to_datetime(at).strftime("%Y-%m-%dT%H:%M:%SZ")


_OF_PRINCIPAL: Final[Mapping[str, Callable[[Principal, Instant], Values]]] = {
    "aws:currenttime": lambda _, now: (_date(now),),
    "aws:epochtime": lambda _, now: (str(now // SECOND),),
    "aws:multifactorauthage": _mfa_age,
    "aws:multifactorauthpresent": _with_mfa,
    "aws:principalaccount": lambda p, _: (p.account,),
    "aws:principalarn": lambda p, _: (iam_arn(p.arn),),
    "aws:principaltype": lambda p, _: (principal_type(p),),
    "aws:tokenissuetime": _issued,
    "aws:userid": lambda p, _: (p.user_id,) if p.user_id else (),
    "aws:username": _username,
    "aws:viaawsservice": lambda _, __: ("false",),
}


def _asked_tags(context: RequestContext) -> Mapping[str, str]:
    return getattr(context.ask, "tags", None) or {}


def _tag_keys(context: RequestContext) -> Values:
    return tuple(_asked_tags(context)) or tuple(getattr(context.ask, "tag_keys", None) or ())


def _source_ip(context: RequestContext) -> Values:
    address = context.sender.address
    return () if address is None else (str(address),)


def _user_agent(context: RequestContext) -> Values:
    agent = context.request.header(b"user-agent")
    return () if agent is None else (agent.decode("latin-1"),)


def _for_request(
    fact: Callable[[Principal, Instant], Values],
) -> Callable[[RequestContext], Values]:
    return lambda context: fact(context.principal, context.now)


_FACTS: Final[Mapping[str, Callable[[RequestContext], Values]]] = {
    **{key: _for_request(fact) for key, fact in _OF_PRINCIPAL.items()},
    "aws:requestedregion": lambda c: (c.tenant.region,),
    "aws:securetransport": lambda c: ("true" if c.sender.secure else "false",),
    "aws:sourceip": _source_ip,
    "aws:tagkeys": _tag_keys,
    "aws:useragent": _user_agent,
}

_FAMILIES: Final[Mapping[str, Callable[[RequestContext], Mapping[str, str]]]] = {
    "aws:principaltag": lambda c: dict(c.principal.tags),
    "aws:requesttag": _asked_tags,
    "aws:resourcetag": lambda c: c.tags(),
}
