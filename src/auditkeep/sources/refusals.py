"""What AWS refuses or fails to answer -> why something was not collected (`sources.pull`).

The codes are those of botocore's models, of its own retry rules, and of "Common errors" in the
services' API references; services do not agree on them, so what a message says decides where a
code means two things. botocore is imported only when something was asked of it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from auditkeep.errors import NotCollected
from auditkeep.sources.answers import Heard, heard
from auditkeep.sources.aws import hook
from auditkeep.sources.pull import (
    Denied,
    Expired,
    Gone,
    Refused,
    RegionOff,
    SwitchedOff,
    Throttled,
    Unreachable,
    WrongTime,
)

_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AccessDeniedFault",
        "AuthorizationError",
        "AuthorizationErrorException",
        "AuthorizationException",
        "ExplicitDeny",
        "ForbiddenException",
        "InsufficientPrivilegesException",
        "KMSAccessDeniedException",
        "NotAuthorized",
        "NotAuthorizedException",
        "OperationNotPermitted",
        "UnauthorizedException",
        "UnauthorizedOperation",
    }
)
_THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",  # EC2 says so of session credentials that are over
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
_KEY_UNKNOWN = frozenset(
    {
        "AuthFailure",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    }
)
"""Also what a region answers that is switched off for the account."""

_WRONG_TIME = frozenset({"InvalidSignatureTime", "RequestTimeTooSkewed"})
_GONE = frozenset(
    {"AccountClosedException", "AccountProblem", "AccountSuspendedException", "Blocked"}
)
_OFF = frozenset(
    {
        "AWSOrganizationsNotInUseException",
        "InvalidAccessException",
        "NotSignedUp",
        "OptInRequired",
        "OptInRequiredException",
        "SubscriptionRequiredException",
        "UnsubscribedException",
    }
)
_RECORDER = frozenset(
    {"NoAvailableConfigurationRecorderException", "NoSuchConfigurationRecorderException"}
)
_LATER = frozenset(
    {
        "InternalError",
        "InternalException",
        "InternalFailure",
        "InternalServerError",
        "InternalServerErrorException",
        "InternalServerException",
        "InternalServiceError",
        "ModeledTimeoutException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceException",
        "ServiceFailure",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)

_ACTION = re.compile(r"perform:? ([a-z][a-z0-9-]*:[A-Za-z0-9]+)")
_NOT_ENABLED = re.compile(
    r"(?:is|are|has|have) not (?:been )?(?:enabled|subscribed)"
    r"|not subscribed to|not signed up|must (?:first )?be enabled",
    re.IGNORECASE,
)
_SKEW = re.compile(r"signature (?:expired|not yet current)|clock", re.IGNORECASE)
_CLOSED = re.compile(r"account (?:is|has been) (?:closed|suspended)", re.IGNORECASE)

_ALWAYS_ON = re.compile(
    r"us-(?:east|west)-[12]|eu-west-[123]|eu-central-1|eu-north-1|ap-northeast-[123]"
    r"|ap-southeast-[12]|ap-south-1|ca-central-1|sa-east-1|us-gov-.*|cn-.*|us-iso.*|aws-global"
)
"""Regions that are on for every account (AWS Account Management, "Enable or disable Regions")."""


def always_on(region: str) -> bool:
    """Whether a region is on for every account; any other may be off."""
    return _ALWAYS_ON.fullmatch(region) is not None


@contextmanager
def asking(client: Any, operation: str, *, action: str = "") -> Iterator[Heard]:
    """Turn what a call of a botocore client raises into why it was not answered.

    `operation` is named as the service does; `action` is the IAM action it needs, where that is
    not `service:Operation`. What came back can be taken.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - heavy
    from botocore.parsers import ResponseParserError  # noqa: PLC0415 - heavy

    hook(client, "before-parse", _whole)
    try:
        with heard(client) as ear:
            yield ear
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        meta = client.meta
        raise why(
            error,
            service=meta.service_model.service_name,
            signing_name=meta.service_model.signing_name,
            operation=operation,
            region=meta.region_name or "",
            action=action,
        ) from error


def throttles(code: str) -> bool:
    """Whether an error's code says that one asks too often."""
    return code.removeprefix("Client.").removesuffix("Fault") in _THROTTLED


def _whole(operation_model: Any, response_dict: Mapping[str, Any], **_: object) -> None:
    """Hold an answer to the length it announced.

    botocore does not, and reads JSON that was cut off as an answer of nothing: a list that broke
    would pass for an empty one.
    """
    from botocore.exceptions import ResponseStreamingError  # noqa: PLC0415 - heavy

    body = response_dict.get("body")
    told = response_dict.get("headers", {}).get("content-length", "")
    asked_for_it = operation_model.http.get("method") != "HEAD"
    if asked_for_it and isinstance(body, bytes) and told.isdecimal() and len(body) < int(told):
        cut = f"the answer broke off after {len(body)} of {told} bytes"
        raise ResponseStreamingError(error=cut)


def why(
    error: Exception,
    *,
    service: str,
    operation: str,
    region: str,
    action: str = "",
    signing_name: str = "",
) -> NotCollected:
    """Why something was not answered, from what botocore raised."""
    asked = f"{service}:{operation} in {region or 'no region'}"
    answer = getattr(error, "response", None)
    if not isinstance(answer, dict):
        return _unanswered(error, service, operation, asked)
    said = answer.get("Error", {})
    code = str(said.get("Code", ""))
    message = str(said.get("Message", "")).strip()
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    told = {"service": service, "operation": operation, "code": code}
    words = f" AWS says: {code}{': ' if message else ''}{message}"
    plain = code.removeprefix("Client.").removesuffix("Fault")
    if plain in _GONE or _CLOSED.search(message):
        return Gone(f"The account is closed or suspended: {asked} was refused.{words}", **told)
    if plain in _RECORDER:
        off = f"AWS Config records nothing there: {asked} was refused.{words}"
        return SwitchedOff(off, feature="config-recorder", **told)
    if plain in _OFF or _NOT_ENABLED.search(message):
        off = f"The service is not switched on there: {asked} was refused.{words}"
        return SwitchedOff(off, feature=service, **told)
    if plain in _WRONG_TIME or (_SKEW.search(message) and status in (400, 403)):
        wrong = f"This machine's clock and AWS's do not agree: {asked} was refused.{words}"
        return WrongTime(wrong, **told)
    if plain in _EXPIRED:
        over = f"The credentials are over or not valid: {asked} was refused.{words}"
        return Expired(over, **told)
    if plain in _KEY_UNKNOWN:
        return _unknown_key(asked, words, region, told)
    if plain in _THROTTLED or status == 429:
        return Throttled(f"AWS answers no more for now: {asked} was throttled.{words}", **told)
    if plain in _DENIED or status == 403:
        found = _ACTION.search(message)
        lacking = found[1] if found else action or f"{signing_name or service}:{operation}"
        return Denied(
            f"The role lacks {lacking}: {asked} was denied.{words}", action=lacking, **told
        )
    if plain in _LATER or status >= 500:
        return Unreachable(f"AWS failed to answer {asked}.{words}", **told)
    return Refused(f"AWS refused {asked}.{words}", **told)


def _unknown_key(asked: str, words: str, region: str, told: dict[str, str]) -> NotCollected:
    """A key that AWS does not know, or a region where it does not because that is off."""
    if always_on(region):
        return Expired(f"AWS does not know the credentials: {asked} was refused.{words}", **told)
    return RegionOff(
        f"The region is not switched on for the account, or the credentials are not valid: "
        f"{asked} was refused.{words}",
        **told,
    )


def _unanswered(error: Exception, service: str, operation: str, asked: str) -> NotCollected:
    """No answer at all: what went wrong on this side or on the way."""
    from botocore import exceptions as known  # noqa: PLC0415 - heavy
    from botocore.parsers import ResponseParserError  # noqa: PLC0415 - heavy

    told = {"service": service, "operation": operation, "code": type(error).__name__}
    lacking = (
        known.NoCredentialsError,
        known.PartialCredentialsError,
        known.CredentialRetrievalError,
        known.TokenRetrievalError,
        known.SSOError,
    )
    if isinstance(error, lacking):
        return Expired(f"There are no credentials to ask {asked} with: {error}", **told)
    if isinstance(error, known.HTTPClientError | known.ConnectionError):
        return Unreachable(f"AWS could not be reached for {asked}: {error}", **told)
    if isinstance(error, ResponseParserError):
        return Unreachable(f"AWS's answer to {asked} could not be read: {error}", **told)
    return Refused(f"{asked} could not be asked: {error}", **told)
