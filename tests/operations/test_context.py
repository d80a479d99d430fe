"""Every key of a request's context: its value, and when it is absent."""

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from auditkeep.access.principals import Principal
from auditkeep.clock import SECOND, Instant, parse
from auditkeep.ids import Tenant
from auditkeep.operations.context import RequestContext
from auditkeep.wire.messages import Request
from auditkeep.wire.model import Shape
from auditkeep.wire.models import auditmanager as am
from auditkeep.wire.peers import Proxies

NOW = parse("2026-05-01T10:00:00.75Z")
JO = Principal(
    "111122223333",
    "jo",
    "arn:aws:iam::111122223333:user/jo",
    (),
    "AKIA" + "A" * 16,
    user_id="AIDAJO",
    tags=(("team", "red"), ("Cost/Centre", "7")),
)
SESSION = replace(
    JO,
    arn="arn:aws:sts::111122223333:assumed-role/Auditor/jo",
    user_id="AROAX:jo",
    session="jo",
    role="Auditor",
    mfa_at=Instant(NOW - 90 * SECOND),
    issued_at=Instant(NOW - 30 * SECOND),
)
REQUEST = Request(
    "GET", b"/", b"", ((b"user-agent", b"aws-cli/2"),), scheme="https", peer="203.0.113.9"
)
LIST = am.ListAssessmentsRequest()
TAG = am.TagResourceRequest(resource_arn="arn:x", tags={"team": "blue", "env": "a"})
UNTAG = am.UntagResourceRequest(resource_arn="arn:x", tag_keys=("team", "env"))


def context(
    principal: Principal = JO,
    ask: Shape = LIST,
    request: Request = REQUEST,
    proxies: str = "192.0.2.0/24",
    tags: Any = dict,
) -> RequestContext:
    return RequestContext(
        request=request,
        proxies=Proxies([ip_network(proxies)]),
        principal=principal,
        tenant=Tenant("111122223333", "eu-west-1"),
        ask=ask,
        now=NOW,
        tags=tags,
    )


@pytest.mark.parametrize(
    ("key", "user", "session"),
    [
        ("aws:CurrentTime", ("2026-05-01T10:00:00Z",), ("2026-05-01T10:00:00Z",)),
        ("aws:EpochTime", ("1777629600",), ("1777629600",)),
        ("aws:MultiFactorAuthAge", (), ("90",)),
        ("aws:MultiFactorAuthPresent", (), ("true",)),
        ("aws:PrincipalAccount", ("111122223333",), ("111122223333",)),
        (
            "aws:PrincipalArn",
            ("arn:aws:iam::111122223333:user/jo",),
            ("arn:aws:iam::111122223333:role/Auditor",),
        ),
        ("aws:PrincipalType", ("User",), ("AssumedRole",)),
        ("aws:PrincipalTag/team", ("red",), ("red",)),
        ("aws:PrincipalTag/TEAM", ("red",), ("red",)),
        ("aws:PrincipalTag/Cost/Centre", ("7",), ("7",)),
        ("aws:PrincipalTag/none", (), ()),
        ("aws:PrincipalTag", (), ()),
        ("aws:RequestedRegion", ("eu-west-1",), ("eu-west-1",)),
        ("aws:SecureTransport", ("true",), ("true",)),
        ("aws:SourceIp", ("203.0.113.9",), ("203.0.113.9",)),
        ("aws:TokenIssueTime", (), ("2026-05-01T09:59:30Z",)),
        ("aws:UserAgent", ("aws-cli/2",), ("aws-cli/2",)),
        ("aws:ViaAWSService", ("false",), ("false",)),
        ("aws:userid", ("AIDAJO",), ("AROAX:jo",)),
        ("aws:username", ("jo",), ()),
        ("AWS:USERNAME", ("jo",), ()),
        ("aws:Nonsense", (), ()),
        ("x:Tag/y", (), ()),
    ],
)
def test_who_when_and_whence(key: str, user: tuple[str, ...], session: tuple[str, ...]) -> None:
    assert context().values(key) == user
    assert context(SESSION).values(key) == session


def test_a_session_without_a_second_factor_says_so() -> None:
    plain = context(replace(SESSION, mfa_at=None))
    assert plain.values("aws:MultiFactorAuthPresent") == ("false",)
    assert plain.values("aws:MultiFactorAuthAge") == ()


@pytest.mark.parametrize(
    ("arn", "kind"),
    [
        ("arn:aws:iam::111122223333:root", "Account"),
        ("arn:aws:sts::111122223333:federated-user/jo", "FederatedUser"),
        ("arn:aws:sts::111122223333:assumed-role/R/jo", "AssumedRole"),
    ],
)
def test_kinds_of_principals(arn: str, kind: str) -> None:
    someone = context(replace(JO, arn=arn))
    assert someone.values("aws:PrincipalType") == (kind,)
    assert someone.values("aws:username") == ()


def test_what_is_not_known_is_absent() -> None:
    bare = context(replace(JO, user_id=""), request=replace(REQUEST, headers=(), peer=""))
    for key in ("aws:userid", "aws:SourceIp", "aws:UserAgent"):
        assert bare.values(key) == ()


def test_the_tags_that_a_request_brings() -> None:
    assert context(ask=TAG).values("aws:RequestTag/team") == ("blue",)
    assert context(ask=TAG).values("aws:RequestTag/Team") == ("blue",)
    assert context(ask=TAG).values("aws:TagKeys") == ("team", "env")
    assert context(ask=UNTAG).values("aws:TagKeys") == ("team", "env")
    assert context(ask=UNTAG).values("aws:RequestTag/team") == ()
    assert context().values("aws:TagKeys") == ()
    untold = am.CreateControlRequest(name="n", control_mapping_sources=(), tags=None)
    assert context(ask=untold).values("aws:TagKeys") == ()


def test_of_tags_that_differ_in_case_the_very_spelling_counts() -> None:
    both = {"team": "red", "Team": "blue"}
    assert context(tags=lambda: both).values("aws:ResourceTag/Team") == ("blue",)
    assert context(tags=lambda: both).values("aws:ResourceTag/TEAM") == ("red", "blue")


def test_the_tags_of_the_resource_are_read_once_and_only_when_asked_for() -> None:
    reads = []

    def tags() -> dict[str, str]:
        reads.append(1)
        return {"team": "red"}

    lazy = context(tags=tags)
    lazy.values("aws:username")
    assert reads == []
    assert lazy.values("aws:ResourceTag/team") == lazy.values("aws:ResourceTag/team") == ("red",)
    assert reads == [1]


def test_behind_a_trusted_proxy_its_word_counts() -> None:
    told = ((b"x-forwarded-for", b"198.51.100.7"), (b"x-forwarded-proto", b"http"))
    request = replace(REQUEST, headers=told)
    assert context(request=request).values("aws:SourceIp") == ("203.0.113.9",)
    behind = context(request=request, proxies="203.0.113.9/32")
    assert behind.values("aws:SourceIp") == ("198.51.100.7",)
    assert behind.values("aws:SecureTransport") == ("false",)
