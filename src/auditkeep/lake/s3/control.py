"""What obstore has no words for, asked through botocore: locks, versions, large objects.

- Is the bucket versioned, has it Object Lock? Asked once.
- An object under a lock is locked by the request that puts it, so that there is no moment at which
  it is there and free; S3 wants such headers signed, which obstore cannot be told to do.
- What is larger than one request goes in parts; the request that ends it is conditional, as one
  whole put is, so that a key is never taken twice.
- Deleting in a versioned bucket hides an object; taking it away for good means its versions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from auditkeep.clock import Instant, from_datetime, to_datetime
from auditkeep.errors import AuditkeepError, StorageError
from auditkeep.lake.s3.breaker import Breaker
from auditkeep.lake.s3.credentials import Ambient
from auditkeep.lake.s3.place import Place
from auditkeep.lake.s3.refusals import explained, is_denied

MARK = "auditkeep-put"
"""Metadata of an object: which attempt put it, so that a try again knows its own."""

_NO_LOCK = frozenset({"ObjectLockConfigurationNotFoundError", "InvalidRequest", "NotImplemented"})
_NOT_THERE = frozenset({"NotImplemented", "MethodNotAllowed", "501", "405"})


@dataclass(frozen=True, slots=True)
class Protection:
    """What a bucket does to keep what is put into it; None: it did not want to tell."""

    versioned: bool | None
    locked: bool | None
    default: str
    """The bucket's own rule for objects that come without one, such as 'GOVERNANCE, 30 days'."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, or the mark that it was deleted."""

    key: str
    id: str
    latest: bool
    marker: bool
    size: int
    modified: Instant


class Control:
    """One bucket through one client of botocore's, which is made when it is first needed."""

    def __init__(self, place: Place, ambient: Ambient, breaker: Breaker) -> None:
        self._place = place
        self._ambient = ambient
        self._breaker = breaker

    @cached_property
    def client(self) -> Any:
        from botocore.config import Config  # noqa: PLC0415 - heavy

        place = self._place
        patience = Config(
            connect_timeout=min(5.0, place.timeout_seconds),
            read_timeout=place.timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": 3},
            request_checksum_calculation="when_required",  # compatible stores know no others
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if place.endpoint else "auto"},
            user_agent_extra="auditkeep",
        )
        return self._ambient.session.create_client(
            "s3",
            region_name=place.region or None,
            endpoint_url=place.endpoint or None,
            verify=str(place.ca_file) if place.ca_file else None,
            config=patience,
        )

    @cached_property
    def protection(self) -> Protection:
        """Asked once; a bucket that changes is asked again by the next start."""
        versioned = self._versioned()
        locked, default = self._locked()
        return Protection(True if locked else versioned, locked, default)

    def _versioned(self) -> bool | None:
        try:
            found = self.ask("GetBucketVersioning", "", "s3:GetBucketVersioning")
        except _Refused as refused:
            if refused.denied:
                return None
            if refused.code in _NOT_THERE:
                return False
            raise refused.error from refused
        return found.get("Status") in {"Enabled", "Suspended"}

    def _locked(self) -> tuple[bool | None, str]:
        action = "s3:GetBucketObjectLockConfiguration"
        try:
            found = self.ask("GetObjectLockConfiguration", "", action)
        except _Refused as refused:
            if refused.denied:
                return None, ""
            if refused.code in _NO_LOCK | _NOT_THERE:
                return False, ""
            raise refused.error from refused
        told = found.get("ObjectLockConfiguration", {})
        rule = told.get("Rule", {}).get("DefaultRetention", {})
        span = f"{rule['Days']} days" if "Days" in rule else f"{rule.get('Years', 0)} years"
        default = f"{rule['Mode']}, {span}" if "Mode" in rule else ""
        return told.get("ObjectLockEnabled") == "Enabled", default

    def list_one(self) -> None:
        """StorageError with the reason, unless the bucket is there and may be listed."""
        prefix = self._place.key("")
        self._asked("ListObjectsV2", prefix, "s3:ListBucket", Prefix=prefix, MaxKeys=1)

    def put(self, key: str, data: bytes, mark: str, until: Instant | None) -> None:
        """One request that puts, and locks until then; ObjectExists if the key is taken."""
        told = {**self._how(mark, until), "Key": self._place.key(key), "IfNoneMatch": "*"}
        action = "s3:PutObject" if until is None else "s3:PutObjectRetention or s3:PutObject"
        self._asked("PutObject", key, action, Body=data, ChecksumAlgorithm="SHA256", **told)

    def put_parts(self, key: str, parts: Iterator[bytes], mark: str, until: Instant | None) -> None:
        """The same in many requests; if one fails nothing is left, and `parts` may raise too."""
        name = self._place.key(key)
        begun = self._asked(
            "CreateMultipartUpload",
            key,
            "s3:PutObject",
            Key=name,
            ChecksumAlgorithm="SHA256",
            **self._how(mark, until),
        )
        upload = {"Key": name, "UploadId": begun["UploadId"]}
        try:
            done = []
            for number, part in enumerate(parts, 1):
                answer = self._asked(
                    "UploadPart",
                    key,
                    "s3:PutObject",
                    PartNumber=number,
                    Body=part,
                    ChecksumAlgorithm="SHA256",
                    **upload,
                )
                told = {n: answer[n] for n in ("ETag", "ChecksumSHA256") if n in answer}
                done.append({"PartNumber": number, **told})
            self._asked(
                "CompleteMultipartUpload",
                key,
                "s3:PutObject",
                MultipartUpload={"Parts": done},
                IfNoneMatch="*",
                **upload,
            )
        except BaseException:
            self.abort(key, begun["UploadId"])
            raise

    def abort(self, key: str, upload_id: str) -> None:
        """Give up what was uploaded in part; what does not succeed, `tidy` and a rule will."""
        try:
            self.ask(
                "AbortMultipartUpload",
                key,
                "s3:AbortMultipartUpload",
                Key=self._place.key(key),
                UploadId=upload_id,
            )
        except _Refused:
            return

    def uploads(self, folder: str) -> list[tuple[str, str]]:
        """(key, upload) of those that were begun under a folder and not ended."""
        prefix = self._place.key(folder)
        action = "s3:ListBucketMultipartUploads"
        found = self._asked("ListMultipartUploads", folder, action, Prefix=prefix)
        return [
            (self._place.ours(u["Key"]), u["UploadId"])
            for u in found.get("Uploads", ())
            if u["Key"].startswith(prefix)
        ]

    def versions(self, prefix: str) -> Iterator[Version]:
        """All versions and marks under a prefix, in the order of their keys."""
        full, more = self._place.key(prefix), dict[str, str]()
        while True:
            found = self._asked(
                "ListObjectVersions", prefix, "s3:ListBucketVersions", Prefix=full, **more
            )
            for kind in ("Versions", "DeleteMarkers"):
                for one in found.get(kind, ()):
                    yield Version(
                        self._place.ours(one["Key"]),
                        one["VersionId"],
                        one["IsLatest"],
                        kind == "DeleteMarkers",
                        one.get("Size", 0),
                        from_datetime(one["LastModified"]),
                    )
            if not found.get("IsTruncated"):
                return
            more = {"KeyMarker": found["NextKeyMarker"]}
            if found.get("NextVersionIdMarker"):
                more["VersionIdMarker"] = found["NextVersionIdMarker"]

    def destroy(self, version: Version) -> bool:
        """Take one version away for good; False where a lock or a policy keeps it."""
        try:
            self.ask(
                "DeleteObject",
                version.key,
                "s3:DeleteObjectVersion",
                Key=self._place.key(version.key),
                VersionId=version.id,
            )
        except _Refused as refused:
            if refused.denied:
                return False
            raise refused.error from refused
        return True

    def ask(self, operation: str, key: str, action: str, **told: Any) -> Any:
        """One request; `_Refused` with the store's own code and what it means."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - heavy

        try:
            return self.client._make_api_call(operation, {"Bucket": self._place.bucket, **told})
        except (BotoCoreError, ClientError) as error:
            answer = getattr(error, "response", {}).get("Error", {})
            raise _Refused(
                str(answer.get("Code", "")),
                explained(error, self._place, key, action),
                denied=is_denied(error),
            ) from error

    def _asked(self, operation: str, key: str, action: str, **told: Any) -> Any:
        def ask() -> Any:
            try:
                return self.ask(operation, key, action, **told)
            except _Refused as refused:
                raise refused.error from refused

        return self._breaker.through(ask)

    def _how(self, mark: str, until: Instant | None) -> dict[str, Any]:
        """What every object is put with."""
        told: dict[str, Any] = {"Metadata": {MARK: mark}}
        if self._place.kms_key:
            told["ServerSideEncryption"] = "aws:kms"
            told["SSEKMSKeyId"] = self._place.kms_key
            told["BucketKeyEnabled"] = True
        if until is not None:
            told["ObjectLockMode"] = self._place.lock.upper()
            told["ObjectLockRetainUntilDate"] = to_datetime(until)
        return told


class _Refused(AuditkeepError):
    """A request that failed: the store's own code, and ours."""

    def __init__(self, code: str, error: StorageError, *, denied: bool) -> None:
        super().__init__(str(error))
        self.code = code
        self.error = error
        self.denied = denied
