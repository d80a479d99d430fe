"""Which bucket objects lie in, and how it is asked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

LockMode = Literal["none", "governance", "compliance"]


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket and a prefix in it; what is empty is left to AWS's own defaults."""

    bucket: str
    prefix: str = ""
    region: str = ""
    """Empty: the one that the process's AWS configuration names."""
    endpoint: str = ""
    """Of a store that speaks as S3 does: it is asked with the bucket in the path."""
    kms_key: str = ""
    """The ARN of the key that S3 encrypts with (SSE-KMS). Empty: as the bucket is set."""
    lock: LockMode = "governance"
    """How objects are locked in a bucket that has Object Lock."""
    lock_days: int = 731
    timeout_seconds: float = 20.0
    """How long one request may take; with tries again, three times as long."""
    ca_file: Path | None = None
    """Certificates (PEM) that the endpoint proves itself by."""

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, key: str) -> str:
        """An object's key as the bucket has it."""
        return f"{self.prefix}/{key}" if self.prefix else key

    def ours(self, key: str) -> str:
        """The same the other way round."""
        return key.removeprefix(f"{self.prefix}/") if self.prefix else key
