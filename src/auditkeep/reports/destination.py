"""Where reports go: `s3://BUCKET/PREFIX` of the API, and the object that stands for it here.

Without S3 configured, a bucket is a folder under the data directory: `s3://BUCKET/key` is the
object `reports/BUCKET/key`, encrypted at rest, and reachable through our own presigned links only.
Buckets are not created: any valid name is one.
"""

import re
from dataclasses import dataclass

from auditkeep.errors import InvalidRequest
from auditkeep.reports.names import assessment_folder, report_folder

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_KEY_LENGTH = 900
"""S3's own limit is 1024 bytes; the rest is for the folder of all reports."""
_PART_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Place:
    """An object of a destination."""

    bucket: str
    key: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def object_key(self) -> str:
        """The id under which `lake.blobs` keeps it for its tenant."""
        return f"reports/{self.bucket}/{self.key}"

    @property
    def path(self) -> str:
        """The path of our own links to it, decoded."""
        return f"/files/{self.object_key}"


def parse(url: str, member: str) -> tuple[str, str]:
    """Bucket and key or prefix of an `s3://` URL; InvalidRequest on `member` if it is none."""
    scheme, rest = url[:5].lower(), url[5:]  # the model admits S3:// too
    bucket, _, key = rest.partition("/")
    if scheme != "s3://" or not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise InvalidRequest.of_field(
            member, "must be s3://BUCKET or s3://BUCKET/PREFIX with the name of an S3 bucket."
        )
    key = key.rstrip("/")
    parts = key.split("/") if key else []
    if len(key.encode()) > _KEY_LENGTH or not all(_fits(p) for p in parts):
        raise InvalidRequest.of_field(
            member,
            "must not have empty, '.' or '..' parts, control characters, parts of more than "
            f"{_PART_LENGTH} bytes, or more than {_KEY_LENGTH} bytes after the bucket.",
        )
    return bucket, key


def place(url: str, member: str) -> Place:
    """The object a URL names; InvalidRequest on `member` if it names none."""
    bucket, key = parse(url, member)
    if not key:
        raise InvalidRequest.of_field(member, "must name an object: s3://BUCKET/KEY.")
    return Place(bucket, key)


def place_of(destination: str, *, assessment: tuple[str, str], report: tuple[str, str]) -> Place:
    """`<prefix>/<assessmentName>-<8 hex>/<reportName>-<14 hex>.zip`, names given with their ids."""
    bucket, prefix = parse(destination, "assessmentReportsDestination")
    parts = (prefix, assessment_folder(*assessment), f"{report_folder(*report)}.zip")
    return Place(bucket, "/".join(p for p in parts if p))


def _fits(part: str) -> bool:
    return (
        part not in {"", ".", ".."}
        and len(part.encode()) <= _PART_LENGTH
        and all(c.isprintable() for c in part)
        and not part.startswith(".new-")  # what a half-written file is called
    )
