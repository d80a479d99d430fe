"""S3 for tests: moto behind a door that checks signatures as S3 does, and can misbehave.

The door adds what moto leaves out: every request must be signed with the one key there is, the
signature must hold, cover all `x-amz-` headers and be of now; puts of one key wait for each other,
so that `If-None-Match` decides between many writers; what is locked is not taken away. Told to, it
denies actions, fails, drops answers after the work is done, or lets callers wait.

Signatures: AWS Signature Version 4, computed anew from the request line and headers as they
arrived, with nothing of the client's.
"""

import base64
import hashlib
import hmac
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from auditkeep.lake.s3.place import Place

REGION = "eu-central-1"
ACCESS_KEY = "AKIAEXAMPLEEXAMPLE00"
SECRET = "example/secret/of/the/tests/0000000000000"
BUCKET = "evidence-of-tests"


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str] = field(repr=False)


@dataclass
class S3Server:
    """A running server, and what it was asked."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    """Actions, as `s3:PutObject`, that a policy does not allow."""
    failing: int = 0
    """Requests that are answered 503 before anything is done."""
    dropping: int = 0
    """Puts that are done and answered 500 all the same."""
    silent: bool = False
    """Requests are taken and not answered."""
    forgetful: bool = False
    """`If-None-Match` is passed over, as some compatible stores do."""
    skew: int = 0
    """Seconds that the server's clock is ahead."""
    ended: threading.Event = field(default_factory=threading.Event)

    def place(self, **how: Any) -> Place:
        told = {"region": REGION, "endpoint": self.url, "timeout_seconds": 5.0}
        return Place(BUCKET, **{"prefix": "deployment/one", **told, **how})

    def client(self) -> Any:
        import boto3

        return boto3.client(
            "s3",
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET,
        )

    def behave(self) -> None:
        """Put an end to all that it was told to do amiss."""
        self.denied.clear()
        self.failing = self.dropping = self.skew = 0
        self.silent = self.forgetful = False

    def bucket(self, *, versioned: bool = False, locked: bool = False) -> None:
        """Make the bucket anew, empty."""
        import moto.s3.models
        from moto.core.models import DEFAULT_ACCOUNT_ID

        backends: Any = moto.s3.models.s3_backends
        backends[DEFAULT_ACCOUNT_ID]["aws"].reset()
        client = self.client()
        client.create_bucket(
            Bucket=BUCKET,
            CreateBucketConfiguration={"LocationConstraint": REGION},
            ObjectLockEnabledForBucket=locked,
        )
        if versioned:
            client.put_bucket_versioning(
                Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}
            )
        self.asked.clear()

    def shown(self) -> list[str]:
        """What the bucket shows, whole keys."""
        found = self.client().list_objects_v2(Bucket=BUCKET)
        return [o["Key"] for o in found.get("Contents", ())]

    def puts(self) -> list[Asked]:
        return [a for a in self.asked if a.method == "PUT"]


@contextmanager
def running_s3(context: ssl.SSLContext | None = None) -> Iterator[S3Server]:
    """S3 on a free port of this machine with one empty bucket; with a context, over TLS."""
    import moto.server
    from werkzeug.serving import make_server

    server = S3Server()
    applications: Any = moto.server
    inner = applications.DomainDispatcherApplication(applications.create_backend_app)
    puts = threading.Lock()

    def door(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = BytesIO(body)
        asked = _asked(environ)
        server.asked.append(asked)
        if server.silent:
            server.ended.wait(30)
        refused = _signature(asked, body, server.skew)
        locking = "x-amz-object-lock-mode" in asked.headers
        if not refused and (
            _action(asked) in server.denied
            or (locking and "s3:PutObjectRetention" in server.denied)
        ):
            refused = "403 AccessDenied"
        if not refused and server.failing > 0:
            server.failing -= 1
            refused = "503 SlowDown"
        if refused:
            return _refuse(start, refused, asked.method)
        if server.forgetful:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        if asked.method != "PUT":
            return inner(environ, start)  # type: ignore[no-any-return]
        with puts:
            if server.dropping > 0:
                server.dropping -= 1
                list(inner(environ, lambda *_: None))
                return _refuse(start, "500 InternalError", asked.method)
            return list(inner(environ, start))

    httpd = make_server("127.0.0.1", 0, door, threaded=True, ssl_context=context)
    httpd.log = lambda *_, **__: None  # type: ignore[method-assign]
    server.url = f"http://127.0.0.1:{httpd.port}"
    if context is not None:
        server.url = f"https://localhost:{httpd.port}"
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        if context is None:
            server.bucket()
        yield server
    finally:
        server.ended.set()
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def end_locks() -> None:
    """moto's clock does not follow ours: the day comes on which all locks have ended."""
    import moto.s3.models
    from moto.core.models import DEFAULT_ACCOUNT_ID

    backends: Any = moto.s3.models.s3_backends
    keys = backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[BUCKET].keys
    for version in [v for key in keys for v in keys.getlist(key)]:
        if getattr(version, "lock_until", None):
            version.lock_until = "2000-01-01T00:00:00Z"


def _asked(environ: dict[str, Any]) -> Asked:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in {"CONTENT_TYPE", "CONTENT_LENGTH"}
    }
    path = str(environ.get("RAW_URI") or environ["REQUEST_URI"]).partition("?")[0]
    return Asked(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), headers)


def _action(asked: Asked) -> str:
    """The permission that a request takes (S3 user guide, "Required permissions")."""
    names = {name for name, _ in parse_qsl(asked.query, keep_blank_values=True)}
    if asked.path.strip("/").count("/") == 0:  # of the bucket
        for name, action in {
            "versions": "s3:ListBucketVersions",
            "versioning": "s3:GetBucketVersioning",
            "object-lock": "s3:GetBucketObjectLockConfiguration",
            "uploads": "s3:ListBucketMultipartUploads",
        }.items():
            if name in names:
                return action
        return "s3:ListBucket"
    if asked.method == "DELETE":
        return "s3:DeleteObjectVersion" if "versionId" in names else "s3:DeleteObject"
    return "s3:GetObject" if asked.method in {"GET", "HEAD"} else "s3:PutObject"


def _signature(asked: Asked, body: bytes, skew: int) -> str:
    """What is wrong with a request's signature, as status and code; empty: nothing."""
    scheme, _, rest = asked.headers.get("authorization", "").partition(" ")
    told = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
    if scheme != "AWS4-HMAC-SHA256" or set(told) != {"Credential", "SignedHeaders", "Signature"}:
        return "403 AccessDenied"
    key, day, region, service, end = told["Credential"].split("/")
    if key != ACCESS_KEY:
        return "403 InvalidAccessKeyId"
    if (region, service, end) != (REGION, "s3", "aws4_request"):
        return "400 AuthorizationHeaderMalformed"
    at = asked.headers["x-amz-date"]
    then = datetime.strptime(at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    if abs(time.time() + skew - then) > 15 * 60:
        return "403 RequestTimeTooSkewed"
    signed = told["SignedHeaders"].split(";")
    if any(n.startswith("x-amz-") and n not in signed for n in asked.headers):
        return "403 AccessDenied"
    hashed = asked.headers["x-amz-content-sha256"]
    if hashed not in {"UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()}:
        return "400 XAmzContentSHA256Mismatch"
    told_sum = asked.headers.get("x-amz-checksum-sha256")
    if told_sum and told_sum != base64.b64encode(hashlib.sha256(body).digest()).decode():
        return "400 BadDigest"
    query = "&".join(
        sorted(
            f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}"
            for n, v in parse_qsl(asked.query, keep_blank_values=True)
        )
    )
    canonical = "\n".join(
        [
            asked.method,
            quote(unquote(asked.path), safe="/-_.~"),
            query,
            *(f"{n}:{' '.join(asked.headers[n].split())}" for n in signed),
            "",
            told["SignedHeaders"],
            hashed,
        ]
    )
    scope = f"{day}/{region}/{service}/{end}"
    text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    secret = f"AWS4{SECRET}".encode()
    for part in (day, region, service, end):
        secret = hmac.digest(secret, part.encode(), "sha256")
    if hmac.digest(secret, text.encode(), "sha256").hex() != told["Signature"]:
        return "403 SignatureDoesNotMatch"
    return ""


def _refuse(start: Callable[..., Any], refused: str, method: str) -> list[bytes]:
    status, code = refused.split(" ")
    told = f"expecting '{REGION}'" if code == "AuthorizationHeaderMalformed" else "no"
    answer = f"<Error><Code>{code}</Code><Message>{told}</Message></Error>".encode()
    start(f"{status} {code}", [("Content-Type", "application/xml")])
    return [] if method == "HEAD" else [answer]
