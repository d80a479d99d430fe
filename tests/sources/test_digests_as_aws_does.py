"""The AWS CLI's own validator and ours judge the same trails, whole and tampered with."""
# ruff: noqa: N803 - arguments are named as boto3 names them

import base64
import datetime as dt
import gzip
import io
import random
from collections.abc import Iterator
from typing import Any

import pytest
from awscli.customizations.cloudtrail.validation import (
    DigestProvider,
    DigestTraverser,
    PublicKeyProvider,
)
from botocore.exceptions import ClientError
from tests.sources.test_digests import check
from tests.sources.trail_making import BEGIN, HOUR, Trail, public_der, public_keys

START, END = BEGIN - HOUR, BEGIN + 100 * HOUR
HOURS = 9


class Bucket:
    """As much of boto3's S3 client as the AWS CLI uses, over a trail's objects."""

    def __init__(self, trail: Trail) -> None:
        self.trail = trail

    def get_client(self, _bucket: str) -> "Bucket":
        return self

    def get_paginator(self, operation: str) -> "Bucket":
        assert operation == "list_objects"
        return self

    def paginate(self, *, Bucket: str, Marker: str, Prefix: str) -> "Bucket":
        assert Bucket == self.trail.bucket
        self.found = sorted(k for k in self.trail.objects if k.startswith(Prefix) and k > Marker)
        return self

    def search(self, _expression: str) -> Iterator[str]:
        return iter(self.found)

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        found = self.trail.objects.get(Key)
        if Bucket != self.trail.bucket or found is None:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": "?"}}, "GetObject")
        return {"Body": io.BytesIO(found.body), "Metadata": found.metadata}


class Keys:
    """CloudTrail's ListPublicKeys."""

    def list_public_keys(self, **_: Any) -> dict[str, Any]:
        listed = public_keys()
        listed["PublicKeyList"][0]["Value"] = base64.b64encode(public_der())
        return listed


def judged_by_aws(trail: Trail) -> dict[str, str]:
    """Each digest's key, and what the AWS CLI says of it."""
    said: dict[str, str] = {}
    bucket = Bucket(trail)
    traverser = DigestTraverser(
        digest_provider=DigestProvider(
            bucket, trail.account, trail.name, trail.home, trail.region, trail.organisation or None
        ),
        starting_bucket=trail.bucket,
        starting_prefix=trail.prefix.rstrip("/") or None,
        public_key_provider=PublicKeyProvider(Keys()),
        on_invalid=lambda last_key, **_: said.update({last_key: "invalid"}),
        on_missing=lambda last_key, **_: said.update({last_key: "missing"}),
        on_gap=lambda last_key, **_: said.update({f"{last_key} gap": "gap"}),
    )
    for backfill in (False, True):
        for digest in traverser.traverse_digests(START, END, is_backfill=backfill):
            said[digest["digestS3Object"]] = "valid"
    return said


OURS = {
    "DigestInvalid": "invalid",
    "DigestMoved": "invalid",
    "DigestKeyUnknown": "invalid",
    "DigestMissing": "missing",
}


def judged_by_us(trail: Trail) -> dict[str, str]:
    said: dict[str, str] = {}
    for checked in check(trail):
        if checked.digest is not None:
            said[checked.key.key] = "valid"
        for finding in checked.findings:
            if finding.problem == "DigestGap":
                said[f"{finding.key} gap"] = "gap"
            elif finding.problem != "DigestVerified":
                said[finding.key] = OURS[finding.problem]
    return said


def tampered(trail: Trail, keys: list[str], chance: random.Random) -> None:
    """One or two things that somebody might do to a bucket."""
    for _ in range(chance.randint(0, 2)):
        # the newest stays: that nothing came after it looks like a trail that ended
        key = chance.choice(keys[:-1])
        made = trail.objects.get(key)
        if made is None:
            continue
        act = chance.randrange(6)
        if act == 0:
            del trail.objects[key]
        elif act == 1:
            text = gzip.decompress(made.body)
            made.body = gzip.compress(text.replace(b"CloudTrail/", b"CloudTrial/"))
        elif act == 2:
            made.metadata["signature"] = made.metadata["signature"][::-1]
        elif act == 3:
            made.body = made.body[:50]
        elif act == 4:
            trail.objects[key] = trail.objects.get(chance.choice(keys), made)
        else:
            made.metadata.pop("signature-algorithm", None)
            made.metadata.pop("signature", None)


@pytest.mark.parametrize("seed", range(40))
def test_both_say_the_same_of_every_digest(seed: int) -> None:
    chance = random.Random(seed)
    trail = Trail(
        prefix=chance.choice(["", "a/b/"]),
        organisation=chance.choice(["", "o-abcde12345"]),
        region=chance.choice(["us-east-1", "eu-west-1"]),
        name=chance.choice(["main-trail", "a_b_c"]),
    )
    keys = trail.hours(HOURS)
    if chance.random() < 0.5:
        late = trail.log(BEGIN + dt.timedelta(minutes=50))
        assert late
        keys.insert(0, trail.digest(BEGIN + 3 * HOUR, backfill=True, first=True))
    if chance.random() < 0.4:
        keys.append(trail.digest(BEGIN + 20 * HOUR, first=True))
        keys.append(trail.digest(BEGIN + 21 * HOUR))
    tampered(trail, keys, chance)
    ours = judged_by_us(trail)
    theirs = judged_by_aws(trail)
    assert gaps(ours) == gaps(theirs)
    assert {k: v for k, v in ours.items() if v != "gap"} == {
        k: v for k, v in theirs.items() if v != "gap"
    }


def gaps(said: dict[str, str]) -> int:
    return sum(v == "gap" for v in said.values())
