"""Trails as CloudTrail delivers them: log files and digests in exactly its format, with keys of ours.

Source: AWS CloudTrail user guide, "CloudTrail digest file structure" and "Custom implementations".
Shares no code with Auditkeep; `aws cloudtrail validate-logs` is asked whether it is right.
"""

import base64
import datetime as dt
import gzip
import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

BEGIN = dt.datetime(2026, 4, 1, 0, 1, 31, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
BUCKET = "trail-bucket"
ACCOUNT = "111122223333"


@cache
def signer(name: str = "aws") -> rsa.RSAPrivateKey:
    """A key that plays CloudTrail's of one region; made once in a run."""
    return rsa.generate_private_key(65537, 2048)


def public_der(name: str = "aws") -> bytes:
    return signer(name).public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)


def fingerprint(name: str = "aws") -> str:
    return hashlib.md5(public_der(name)).hexdigest()


def public_keys(name: str = "aws") -> dict[str, Any]:
    """What `aws cloudtrail list-public-keys` answers."""
    value = base64.b64encode(public_der(name)).decode()
    return {
        "PublicKeyList": [
            {
                "Value": value,
                "ValidityStartTime": (BEGIN - 24 * HOUR).timestamp(),
                "ValidityEndTime": (BEGIN + 24 * 365 * HOUR).timestamp(),
                "Fingerprint": fingerprint(name),
            }
        ]
    }


def event(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "eventVersion": "1.09",
        "eventID": f"0828c0d2-3589-4390-b954-{number:012}",
        "eventName": "CreateUser",
        "eventSource": "iam.amazonaws.com",
        "eventTime": (BEGIN + dt.timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "awsRegion": "us-east-1",
        "readOnly": False,
        "managementEvent": True,
        "eventCategory": "Management",
        "recipientAccountId": ACCOUNT,
    } | changes


@dataclass
class Object:
    body: bytes
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass
class Trail:
    """One account and region of a trail, delivered step by step into `objects`."""

    prefix: str = ""
    organisation: str = ""
    account: str = ACCOUNT
    region: str = "us-east-1"
    name: str = "main-trail"
    home: str = "us-east-1"
    bucket: str = BUCKET
    key_name: str = "aws"
    objects: dict[str, Object] = field(default_factory=dict)
    made: int = 0
    last: tuple[str, str, bytes] | None = None
    """Key, signature and text of the last digest."""
    waiting: list[dict[str, str]] = field(default_factory=list)

    def folder(self, kind: str, at: dt.datetime) -> str:
        owner = f"{self.organisation}/" if self.organisation else ""
        return f"{self.prefix}AWSLogs/{owner}{self.account}/{kind}/{self.region}/{at:%Y/%m/%d}"

    def log(self, at: dt.datetime, *events: dict[str, Any], named: bool = True) -> str:
        """Deliver a log file; its key. Not `named`: no digest will know of it."""
        self.made += 1
        unique = hashlib.sha256(f"{self.account}{self.region}{self.made}".encode()).hexdigest()[:16]
        name = f"{self.account}_CloudTrail_{self.region}_{at:%Y%m%dT%H%MZ}_{unique}.json.gz"
        key = f"{self.folder('CloudTrail', at)}/{name}"
        text = json.dumps({"Records": events}, separators=(",", ":")).encode()
        self.objects[key] = Object(gzip.compress(text, mtime=0))
        if named:
            stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
            self.waiting.append(
                {
                    "s3Bucket": self.bucket,
                    "s3Object": key,
                    "hashValue": hashlib.sha256(text).hexdigest(),
                    "hashAlgorithm": "SHA-256",
                    "newestEventTime": stamp,
                    "oldestEventTime": stamp,
                }
            )
        return key

    def digest(
        self, end: dt.datetime, *, first: bool = False, backfill: bool = False, **changes: Any
    ) -> str:
        """Deliver the digest of the hour that ends then; its key."""
        before = None if first else self.last
        name = (
            f"{self.account}_CloudTrail-Digest_{self.region}_{self.name}_{self.home}_"
            f"{end:%Y%m%dT%H%M%SZ}{'_backfill' if backfill else ''}.json.gz"
        )
        key = f"{self.folder('CloudTrail-Digest', end)}/{name}"
        body = {
            "awsAccountId": self.account,
            "digestStartTime": (end - HOUR).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "digestEndTime": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "digestS3Bucket": self.bucket,
            "digestS3Object": key,
            "digestPublicKeyFingerprint": fingerprint(self.key_name),
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": self.waiting[-1]["newestEventTime"] if self.waiting else None,
            "oldestEventTime": self.waiting[0]["oldestEventTime"] if self.waiting else None,
            "previousDigestS3Bucket": self.bucket if before else None,
            "previousDigestS3Object": before[0] if before else None,
            "previousDigestHashValue": hashlib.sha256(before[2]).hexdigest() if before else None,
            "previousDigestHashAlgorithm": "SHA-256" if before else None,
            "previousDigestSignature": before[1] if before else None,
            "logFiles": self.waiting,
        } | changes
        self.waiting = []
        text = json.dumps(body, separators=(",", ":")).encode()
        signature = self.sign(body, text)
        metadata = {"signature": signature, "signature-algorithm": "SHA256withRSA"}
        if backfill:
            stamp = end.strftime("%Y-%m-%dT%H:%M:%SZ")
            metadata["backfill-generation-timestamp"] = stamp
        else:
            self.last = (key, signature, text)
        self.objects[key] = Object(gzip.compress(text, mtime=0), metadata)
        return key

    def sign(self, body: dict[str, Any], text: bytes) -> str:
        signed = "\n".join(
            [
                str(body["digestEndTime"]),
                f"{body['digestS3Bucket']}/{body['digestS3Object']}",
                hashlib.sha256(text).hexdigest(),
                str(body["previousDigestSignature"] or "null"),
            ]
        )
        return signer(self.key_name).sign(signed.encode(), padding.PKCS1v15(), SHA256()).hex()

    def hours(self, count: int, *, start: int = 0) -> list[str]:
        """So many hours of one log file with two events each, and their digests; digests' keys."""
        made = []
        for hour in range(start, start + count):
            at = BEGIN + hour * HOUR
            self.log(at + dt.timedelta(minutes=20), event(10 * hour), event(10 * hour + 1))
            made.append(self.digest(at + HOUR))
        return made

    def write(self, folder: Path) -> Path:
        """As `aws s3 sync` writes a bucket: metadata is lost."""
        for key, made in self.objects.items():
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made.body)
        return folder

    def put(self, client: Any) -> None:
        """Into a bucket, with metadata."""
        for key, made in self.objects.items():
            client.put_object(Bucket=self.bucket, Key=key, Body=made.body, Metadata=made.metadata)
