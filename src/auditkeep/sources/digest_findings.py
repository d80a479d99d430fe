"""What the checking of digests found, as observations: kept, logged and shown like any other.

Their match key is `digest:cloudtrail`, which a control names with the CloudTrail keyword
`digest_cloudtrail`. The raw bytes of a digest that holds its proof hold all that is needed to check
it again: the digest's own text, its signature and the public key. What cannot be proven either way
(logging was off, a signature is not at hand) is inconclusive; what is wrong is non-compliant.

A finding says nothing of when it was made: found again, it is the same observation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

import msgspec

from auditkeep.clock import Instant, iso
from auditkeep.observations import Observation, Resource
from auditkeep.sources.trail_layout import Place

MATCH_KEY = "digest:cloudtrail"
READER = "cloudtrail-digest/1"

Problem = Literal[
    "DigestVerified",
    "DigestUnsigned",
    "DigestKeyUnknown",
    "DigestInvalid",
    "DigestMoved",
    "DigestMissing",
    "DigestLinkBroken",
    "DigestGap",
    "LogFileChanged",
    "LogFileMissing",
    "LogFileUnnamed",
]

VERDICTS: Mapping[Problem, str] = {
    "DigestVerified": "PASSED",
    "DigestUnsigned": "NOT_AVAILABLE",
    "DigestKeyUnknown": "FAILED",
    "DigestInvalid": "FAILED",
    "DigestMoved": "FAILED",
    "DigestMissing": "FAILED",
    "DigestLinkBroken": "FAILED",
    "DigestGap": "NOT_AVAILABLE",
    "LogFileChanged": "FAILED",
    "LogFileMissing": "FAILED",
    "LogFileUnnamed": "WARNING",
}


@dataclass(frozen=True)
class Finding:
    """One thing found. `at` is when what it is about was to be: a digest's end, a file's
    delivery, the end of a gap; `sentence` is for a person; `proof` is kept beside it.
    """

    problem: Problem
    place: Place
    bucket: str
    key: str
    at: Instant
    sentence: str
    proof: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        return VERDICTS[self.problem]

    @property
    def broken(self) -> bool:
        return self.verdict in ("FAILED", "WARNING")

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def observation(finding: Finding) -> Observation:
    """The finding as it is appended; its natural key is all that it says."""
    body = {
        "additionalEventData": {
            "s3Bucket": finding.bucket,
            "s3Object": finding.key,
            "finding": finding.sentence,
            "verdict": finding.verdict,
        },
        "awsRegion": finding.place.region,
        "eventName": finding.problem,
        "eventSource": "auditkeep",
        "eventTime": iso(finding.at),
        "proof": finding.proof,
        "recipientAccountId": finding.place.account,
    }
    raw = msgspec.json.encode(body, order="sorted")
    arn = f"arn:aws:s3:::{finding.bucket}/{finding.key}"
    return Observation(
        source="AWS_Cloudtrail",
        natural_key=("digest", finding.problem, finding.url, sha256(raw).hexdigest()),
        event_time=finding.at,
        match_key=MATCH_KEY,
        account=finding.place.account,
        region=finding.place.region,
        raw=raw,
        reader=READER,
        position=finding.key,
        verdict=finding.verdict,
        resources=(Resource(value=arn, arn=arn, type="AWS::S3::Object", verdict=finding.verdict),),
        event_name=finding.problem,
        event_source="auditkeep",
    )
