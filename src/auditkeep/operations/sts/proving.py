"""The client's side of `presigned`: a GetCallerIdentity signed with real AWS credentials."""

import base64

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from auditkeep.operations.sts.presigned import HEADER, PREFIX

_SECONDS = 300


def aws_proof(
    credentials: ReadOnlyCredentials, *, server: str, region: str, endpoint: str | None = None
) -> str:
    """A token that proves to `server`, and to no other, whose these credentials are."""
    base = (endpoint or f"https://sts.{region}.{_domain(region)}").rstrip("/")
    url = f"{base}/?Action=GetCallerIdentity&Version=2011-06-15"
    request = AWSRequest("GET", url, headers={HEADER: server})
    SigV4QueryAuth(credentials, "sts", region, expires=_SECONDS).add_auth(request)
    return PREFIX + base64.urlsafe_b64encode(request.url.encode()).decode().rstrip("=")


def _domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
