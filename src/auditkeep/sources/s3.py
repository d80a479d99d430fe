"""Objects of an S3 bucket: listed page by page, and read as a stream in bounded memory.

Only here does reading from S3 touch the network. A client comes from `sources.pull.Clients`, and
with it TLS that is verified and botocore's own retries. What botocore does not do is to go on in
the middle of an object: when a stream breaks, the rest is asked for by range, of the same version
(If-Match), so that what was read is one object or nothing.

A denial names the action: objects under a customer's KMS key need `kms:Decrypt` beside
`s3:GetObject`, and S3 says which of the two was missing.
"""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO, cast

from auditkeep.clock import Instant, from_datetime
from auditkeep.errors import InputError
from auditkeep.sources.files import IN_MEMORY
from auditkeep.sources.pull import Denied, Unreachable
from auditkeep.sources.refusals import asking

ATTEMPTS = 5
"""How often a stream that breaks is taken up again without having moved."""
FIRST_PAUSE = 0.2
GONE = "It is not there any more."

_READ = 256 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """An object as a listing shows it; `modified` is when it arrived."""

    key: str
    size: int
    etag: str
    modified: Instant


class Bucket:
    """One bucket, read through one client of boto3's for `s3`."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.name = name

    def url(self, key: str) -> str:
        return f"s3://{self.name}/{key}"

    def listed(self, prefix: str, *, after: str = "") -> Iterator[Found]:
        """Objects whose keys begin so, in the order of their keys, from behind `after` on."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=prefix, **({"StartAfter": after} if after else {})
        )
        for page in self._pages(pages):
            for o in page.get("Contents", ()):
                yield Found(o["Key"], o["Size"], o["ETag"], from_datetime(o["LastModified"]))

    def folders(self, prefix: str) -> list[str]:
        """What follows the prefix up to the next slash, of every key that has one there."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=prefix, Delimiter="/"
        )
        found = [p["Prefix"] for page in self._pages(pages) for p in page.get("CommonPrefixes", ())]
        return [name.removeprefix(prefix).rstrip("/") for name in found]

    def whole(self, key: str, most: int) -> tuple[bytes, dict[str, str]] | None:
        """A small object and its metadata; None if there is none, InputError if it is not small."""
        stream = _Stream(self._client, self.name, key, None)
        if not stream.begin():
            return None
        try:
            if stream.size > most:
                raise InputError(f"It is larger than {most:,} bytes.")
            return stream.read(), stream.metadata
        finally:
            stream.close()

    def version(self, key: str, etag: str | None = None, most: int = 0) -> "Version":
        """One version of an object, with its bytes if they are no more; Vanished if it is gone."""
        stream = _Stream(self._client, self.name, key, etag)
        if not stream.begin():
            raise Vanished(GONE)
        try:
            content = stream.read() if stream.size <= most else None
            return Version(self, key, stream.etag, stream.modified, content)
        finally:
            stream.close()

    @contextmanager
    def opened(self, key: str, etag: str | None = None) -> Iterator[tuple[BinaryIO, bytes]]:
        """An object at its beginning, and the SHA-256 of what is stored.

        Up to `IN_MEMORY` bytes are held; of a larger object two streams are read. InputError if it
        is not there, or is another one than `etag` says; NotCollected where S3 does not answer.
        """
        stream = _Stream(self._client, self.name, key, etag)
        if not stream.begin():
            raise Vanished(GONE)
        try:
            if stream.size <= IN_MEMORY:
                content = stream.read()
                yield io.BytesIO(content), sha256(content).digest()
                return
            digest = sha256()
            while block := stream.read(_READ):
                digest.update(block)
            stream.seek(0)
            yield cast("BinaryIO", stream), digest.digest()
        finally:
            stream.close()

    def _pages(self, pages: Any) -> Iterator[dict[str, Any]]:
        iterator = iter(pages)
        while True:
            with asking(self._client, "ListObjectsV2", action="s3:ListBucket"):
                page = next(iterator, None)
            if page is None:
                return
            yield page


@dataclass(frozen=True, slots=True)
class Version:
    """An object that was found, held if it is small: what `opened` gives is this one or none."""

    bucket: Bucket
    key: str
    etag: str
    modified: Instant
    content: bytes | None

    @contextmanager
    def opened(self) -> Iterator[tuple[BinaryIO, bytes]]:
        """As `Bucket.opened`."""
        if self.content is not None:
            yield io.BytesIO(self.content), sha256(self.content).digest()
            return
        with self.bucket.opened(self.key, self.etag) as opened:
            yield opened


class Vanished(InputError):
    """An object that was named is not there."""


class _Stream:
    """An object's bytes from a place on; asks for the rest again when the connection breaks."""

    def __init__(self, client: Any, bucket: str, key: str, etag: str | None) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self.etag = etag or ""
        self._at = 0
        self._body: Any = None
        self.size = 0
        self.modified = Instant(0)
        self.metadata: dict[str, str] = {}

    def begin(self) -> bool:
        """Whether there is such an object; afterwards its size, age and metadata are known."""
        return self._ask()

    def read(self, size: int = -1) -> bytes:
        """So many bytes, fewer only at the end; all that is left without a number."""
        parts: list[bytes] = []
        left = self.size - self._at if size < 0 else min(size, self.size - self._at)
        while left > 0:
            block = self._some(left)
            parts.append(block)
            left -= len(block)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def seek(self, at: int) -> int:
        self.close()
        self._at = at
        return at

    def close(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    def _some(self, most: int) -> bytes:
        """At least one byte; Unreachable if none came in all attempts."""
        from botocore.exceptions import HTTPClientError, IncompleteReadError  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - with botocore, when asked

        pause = FIRST_PAUSE
        reason = "the stream ended early"
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(pause)
                pause *= 2
            try:
                if self._body is None and not self._ask():
                    raise Vanished(GONE)
                block = bytes(self._body.read(most))
            except (HTTPClientError, IncompleteReadError, HTTPError, OSError) as error:
                reason = str(error)
                block = b""
            if block:
                self._at += len(block)
                return block
            self.close()
        raise Unreachable(
            f"s3://{self._bucket}/{self._key} broke off again and again: {reason}.",
            service="s3",
            operation="GetObject",
        )

    def _ask(self) -> bool:
        """Ask for the object from `_at` on; False if it is not there."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - heavy

        asked: dict[str, Any] = {"Bucket": self._bucket, "Key": self._key}
        if self._at:
            asked["Range"] = f"bytes={self._at}-"
        if self.etag:
            asked["IfMatch"] = self.etag
        try:
            with asking(self._client, "GetObject", action="s3:GetObject"):
                try:
                    answer = self._client.get_object(**asked)
                except ClientError as error:
                    code = str(error.response.get("Error", {}).get("Code", ""))
                    if code in ("NoSuchKey", "404"):
                        return False
                    if code in ("PreconditionFailed", "412", "InvalidRange", "416"):
                        raise InputError("It was changed while it was read.") from error
                    if code == "InvalidObjectState":
                        raise InputError(
                            "It is archived: restore it first, then read again."
                        ) from error
                    raise
        except Denied as error:
            raise _named(error, self.url) from error
        self._body = answer["Body"]
        self.etag = str(answer["ETag"])
        if not self._at:
            self.size = answer["ContentLength"]
            self.modified = from_datetime(answer["LastModified"])
            self.metadata = dict(answer.get("Metadata", {}))
        return True

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._key}"


def _named(error: Denied, url: str) -> Denied:
    """The same denial, with the object's name."""
    return Denied(
        f"{url}: {error}",
        action=error.action,
        service=error.service,
        operation=error.operation,
        code=error.code,
    )
