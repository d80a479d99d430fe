"""A tenant, a trail in moto's S3, and the reading of it with unmodified boto3."""

import json
from typing import Any

import boto3
from tests.sources.trail_making import BUCKET, Trail, public_der

from auditkeep.clock import FixedClock, Instant, from_datetime
from auditkeep.collection.trails import Trail as Kept
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Stored, View
from auditkeep.lake.read import observations
from auditkeep.mapping.interest import Interest
from auditkeep.sources.digest_findings import MATCH_KEY
from auditkeep.workflows import trails
from auditkeep.workflows.trail_counts import TrailCounts
from auditkeep.workflows.trail_queue import QueueCounts, drain

CREDENTIALS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


class CloudTrail:
    """ListPublicKeys, which moto lacks."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        model = boto3.client("cloudtrail", region_name="us-east-1", **CREDENTIALS)
        self.meta = model.meta

    def list_public_keys(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        from tests.sources.trail_making import fingerprint

        return {"PublicKeyList": [{"Value": public_der(), "Fingerprint": fingerprint()}]}


class House:
    """`now` of the pass is given: moto's objects arrived when the test ran."""

    def __init__(self, lake: Lake, tenant: Tenant, endpoint: str, bucket: str = BUCKET) -> None:
        self.lake, self.tenant = lake, tenant
        self.bucket = bucket
        self.endpoint = endpoint
        self.cloudtrail = CloudTrail()
        self.made: dict[str, Any] = {}
        self.s3 = self.client("s3", "us-east-1")
        self.s3.create_bucket(Bucket=bucket)
        self.trail = Kept(name="main", bucket=bucket)
        self.clock = FixedClock(Instant(0))

    def client(self, service: str, region: str) -> Any:
        if service == "cloudtrail":
            return self.cloudtrail
        if service not in self.made:
            self.made[service] = boto3.client(
                service, region_name=region, endpoint_url=self.endpoint, **CREDENTIALS
            )
        return self.made[service]

    def deliver(self, trail: Trail) -> None:
        trail.put(self.s3)

    def read(self, at: Any, interest: Interest | None = None, **more: Any) -> TrailCounts:
        self.clock.at = from_datetime(at)
        return trails.read_trail(
            self.lake,
            self.tenant,
            more.pop("trail", self.trail),
            self,
            interest or Interest.everything(),
            principal="arn:aws:iam::111122223333:user/a",
            clock=self.clock,
            **more,
        )

    def drain(self, at: Any, **more: Any) -> QueueCounts:
        self.clock.at = from_datetime(at)
        return drain(
            self.lake,
            self.tenant,
            more.pop("trail", self.trail),
            self,
            Interest.everything(),
            principal="arn:aws:iam::111122223333:user/a",
            clock=self.clock,
            **more,
        )

    def kept(self, *keys: str) -> list[Stored]:
        view = View(frozenset(keys), None, None, Instant(0), Instant(10**17))
        with self.lake.db.read(self.tenant) as tx:
            return observations(tx, self.lake, [view], limit=10_000)

    def events(self) -> dict[str, str]:
        """Number of each event that was kept -> how it came here."""
        return {
            json.loads(s.raw)["eventID"][-3:]: json.loads(s.envelope)["provenance"]["how"]
            for s in self.kept("iam:CreateUser")
        }

    def findings(self) -> list[tuple[str, str]]:
        """What was found, and how it is judged, oldest first."""
        found = [(json.loads(s.raw)["eventName"], str(s.verdict)) for s in self.kept(MATCH_KEY)]
        return found[::-1]
