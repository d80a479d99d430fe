"""CloudTrail: event source and name -> match key `<prefix>:<EventName>` (spec 3.4).

One service goes by several names (SDK, endpoint, IAM prefix); one table turns all of them into
the prefix of the event source that CloudTrail writes. Invariant: a keyword and the events it
means give the same key, whichever spelling either uses.
"""

import re
from collections import defaultdict
from functools import cache

from auditkeep.mapping import catalogue

SOURCE_SUFFIX = ".amazonaws.com"

EXCLUDED = frozenset(
    {
        "kms:GenerateDataKey",
        "kms:Decrypt",
        "sts:AssumeRole",
        "kinesisvideo:GetDataEndpoint",
        "kinesisvideo:GetSignalingChannelEndpoint",
        "kinesisvideo:DescribeSignalingChannel",
        "kinesisvideo:DescribeStream",
    }
)
"""Match keys AWS excludes by name, whatever `readOnly` says (spec 3.4)."""

VERSIONED_NAMES = frozenset({"lambda", "cloudfront"})
_API_VERSION = re.compile(r"\d{4}_?\d{2}_?\d{2}(v\d+)?$")
"""These two write the API's date behind the operation: `CreateFunction20150331`."""

_SHARED = re.compile("(config|securityhub):[A-Z][a-z][A-Za-z0-9]*")

_LOGGED_AS = {
    "s3:PutPublicAccessBlock": ("s3:PutBucketPublicAccessBlock", "s3:PutAccountPublicAccessBlock"),
    "s3:DeletePublicAccessBlock": (
        "s3:DeleteBucketPublicAccessBlock",
        "s3:DeleteAccountPublicAccessBlock",
    ),
    "s3:PutBucketLifecycleConfiguration": ("s3:PutBucketLifecycle",),
    "s3:PutBucketNotificationConfiguration": ("s3:PutBucketNotification",),
}
"""Operations that CloudTrail logs under another name than the API has."""


def prefix_of(name: str) -> str:
    """`monitoring` for `cloudwatch`, `monitoring.amazonaws.com`, `monitoring`."""
    short = name.removesuffix(SOURCE_SUFFIX)
    return catalogue.cloudtrail().aliases.get(short, short)


def event_key(source: str, name: str) -> str:
    """The match key of an event, from its `eventSource` and `eventName`."""
    prefix = prefix_of(source)
    return f"{prefix}:{without_version(name) if prefix in VERSIONED_NAMES else name}"


def without_version(name: str) -> str:
    return _API_VERSION.sub("", name) or name


def keyword_keys(keyword: str) -> frozenset[str]:
    """`iam_CreateUser` and aliases; a bare `ConsoleLogin` means every source that has the event.

    A bare name that no source has stands for itself: no event has such a key.
    """
    prefix, separator, name = keyword.partition("_")
    if not separator:
        sources = _sources().get(keyword, ())
        return frozenset(event_key(p, keyword) for p in sources) or frozenset({keyword})
    key = event_key(prefix, name)
    return frozenset({key, *_LOGGED_AS.get(key, ())})


def is_event_of_a_source(match_key: str) -> bool:
    """Whether a key with another source's prefix is an event all the same.

    CloudTrail logs what is done to AWS Config and to Security Hub. Their events are words joined
    together, `PutConfigRule`, which no rule (`IAM_X`, `Custom_…`) and no control (`IAM.4`) is.
    """
    return _SHARED.fullmatch(match_key) is not None


def keywords() -> list[str]:
    return sorted(f"{p}_{n}" for p, names in catalogue.cloudtrail().events.items() for n in names)


@cache
def _sources() -> dict[str, tuple[str, ...]]:
    """Event name -> the prefixes that have it."""
    found: dict[str, list[str]] = defaultdict(list)
    for prefix, names in catalogue.cloudtrail().events.items():
        for name in names:
            found[name].append(prefix)
    return {name: tuple(prefixes) for name, prefixes in found.items()}
