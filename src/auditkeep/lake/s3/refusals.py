"""What S3 and those that speak as it does refuse with, as sentences that name what to do.

Codes: Amazon S3 API reference, "Error responses"; obstore has them in the text of its exceptions,
botocore in the response. Of that text only the code, the action that was denied and the region that
was expected are repeated: the rest may hold the signed request.
"""

import re
from typing import Any

from auditkeep.errors import ObjectExists, ObjectMissing, StorageError, StoreAway
from auditkeep.lake.s3.place import Place

_CODE = re.compile(r"<Code>\s*([A-Za-z0-9_.]{1,80})\s*</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_DENIED = re.compile(r"not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)")
_EXPECTED = re.compile(r"expecting '([a-z0-9-]+)'|<Region>([a-z0-9-]+)</Region>")
_TLS = ("certificate", "ssl", "tls")

_KEYS = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidToken",
        "ExpiredToken",
        "TokenRefreshRequired",
    }
)
_ELSEWHERE = frozenset(
    {
        "PermanentRedirect",
        "TemporaryRedirect",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "IncorrectEndpoint",
        "301",
        "307",
    }
)
_BUSY = frozenset({"SlowDown", "InternalError", "ServiceUnavailable", "500", "502", "503", "504"})
_TAKEN = frozenset({"PreconditionFailed", "412"})
_NO_KEY = frozenset({"NoSuchKey", "NoSuchVersion", "404"})
_DENIALS = frozenset({"AccessDenied", "AllAccessDisabled", "AccountProblem", "403"})


def explained(error: Exception, place: Place, key: str, action: str) -> StorageError:
    """An error of obstore's or botocore's as one of ours; `action` is the permission it took."""
    code, text = _code(error), str(error)
    if code in _TAKEN:
        return ObjectExists(f"There is an object {key!r} already; it is never overwritten.")
    if code in _NO_KEY:
        return ObjectMissing(f"There is no object {key!r}.")
    return StoreAway(_sentence(code, text, place, action), silent=not code or code in _BUSY)


def is_denied(error: Exception) -> bool:
    """Whether a permission, or a lock, is what stands in the way."""
    return _code(error) in _DENIALS


def _code(error: Exception) -> str:
    answer: Any = getattr(error, "response", None)
    if isinstance(answer, dict):  # botocore.exceptions.ClientError
        told = str(answer.get("Error", {}).get("Code", ""))
        return told or str(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    text = str(error)
    found = _CODE.search(text) or _STATUS.search(text)
    if found is not None:
        return found[1]
    return "NoSuchKey" if isinstance(error, FileNotFoundError) else ""


def _sentence(code: str, text: str, place: Place, action: str) -> str:
    bucket = f"The bucket {place.bucket}"
    if code == "NoSuchBucket":
        return f"There is no bucket {place.bucket} at {_where(place)}. Make it, or name another."
    if code.startswith("KMS.") or "kms" in code.lower():
        return f"{bucket} cannot use its KMS key ({code}): enable the key, or let it be used."
    if code in _DENIALS:
        denied = _DENIED.search(text)
        return (
            f"{bucket} denies {denied[1] if denied else action}. Allow it in the policy of this "
            "process's identity, of the bucket and of its KMS key (docs/objects.md lists all)."
        )
    if code == "RequestTimeTooSkewed":
        return (
            f"{bucket} refuses what is signed here, because this machine's clock is more than 15 "
            "minutes off. Set it, and keep it by NTP."
        )
    if code in _KEYS:
        return (
            f"{bucket} does not accept this process's AWS credentials ({code}): they are wrong, "
            "have ended, or are another store's."
        )
    if code in _ELSEWHERE:
        expected = _EXPECTED.search(text)
        told = (expected[1] or expected[2]) if expected else ""
        where = f" in {told}" if told else " in another region"
        return f"{bucket} is{where}, not at {_where(place)}. Set AUDITKEEP_OBJECTS_REGION."
    if code:
        return f"{bucket} refuses to answer {action} at this moment ({code})."
    if any(word in text.lower() for word in _TLS):
        return (
            f"The object store at {_where(place)} does not prove who it is by its certificate. "
            "If an authority of your own signs it, name that in AUDITKEEP_OBJECTS_CA_FILE."
        )
    return f"The object store at {_where(place)} does not answer."


def _where(place: Place) -> str:
    return place.endpoint or f"S3 in {place.region or 'its region'}"
