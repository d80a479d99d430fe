"""Every error Auditkeep raises on purpose, drawn as one tree.

    AuditkeepError                 a sentence a person can act on
    ├── RequestError               answered on the wire with a modelled code
    │   ├── InvalidRequest         ValidationException            400
    │   ├── AccessDenied           AccessDeniedException          403
    │   ├── NotFound               ResourceNotFoundException      404
    │   ├── QuotaExceeded          ServiceQuotaExceededException  402
    │   ├── Throttled              ThrottlingException            429
    │   ├── NotWrittenYet          NotImplementedException        501
    │   ├── UnknownOperation       UnknownOperationException      404
    │   │   └── MethodNotAllowed   UnknownOperationException      405
    │   ├── RefusedByRule          ValidationError (STS)          400
    │   │   ├── PolicyMalformed    MalformedPolicyDocument
    │   │   ├── TokenRefused       InvalidIdentityToken: a proof of identity does not hold
    │   │   ├── TokenEnded         ExpiredTokenException: it held once
    │   │   └── IssuerSilent       IDPCommunicationError: who could tell does not answer
    │   └── NotAuthenticated       who asks is not proven         403
    │       ├── SignatureMissing   MissingAuthenticationTokenException
    │       ├── SignatureIncomplete  IncompleteSignatureException
    │       ├── KeyUnknown         UnrecognizedClientException
    │       ├── SessionEnded       ExpiredTokenException
    │       └── SignatureWrong     InvalidSignatureException
    ├── SetupError                 settings, data directory or arguments are not usable
    │   ├── NewerSchema            the database was written by a newer version
    │   └── Busy                   another process holds what must be held by one
    ├── InputError                 a file or record from outside cannot be read
    ├── NotCollected               a source was asked and did not give what was due; its kinds are
    │                              drawn in auditkeep.sources.pull
    ├── StorageError               the lake cannot keep or give back what it was asked
    │   ├── ObjectExists           put-if-absent found the key taken
    │   ├── ObjectMissing          no object under that key
    │   ├── StorageFull            the disk is full; nothing was acknowledged
    │   ├── StoreAway              the object store is out of reach, or refuses for now
    │   └── Contended              others change the same: undone, or waited for too long
    ├── KeyUnusable                a key is missing, wrong, disabled or out of reach
    │   ├── DecryptionFailed       wrong key, or bytes that were changed
    │   ├── KeyDestroyed           there is none, or none any more
    │   ├── KeyAway                disabled, denied or out of reach: it may come back as it is
    │   └── KeyNotAtHand           to be fetched outside of the transaction first, then again
    ├── LogError                   the transparency log would contradict itself
    ├── ProofError                 a signature, proof or digest does not hold
    ├── ReportError                a report cannot be made, and trying again would not help
    └── DeliveryError              a notice or an event could not be handed over
        ├── ChannelDown            nor could anything else that goes the same way
        └── DeliveryRefused        and trying again would not help

Nothing below leaks a driver's exception across a room's border: the room that talks to the
library turns what it raises into one of these.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal


class AuditkeepError(Exception):
    """Base of all errors raised on purpose; `str(error)` is a sentence for a person."""


class RequestError(AuditkeepError):
    """An error a client of the API is told about, by its modelled code and HTTP status."""

    code: ClassVar[str] = "InternalServerException"
    status: ClassVar[int] = 500


@dataclass(frozen=True)
class Field:
    """One member of a request that is not acceptable, and why."""

    name: str
    message: str


Reason = Literal["unknownOperation", "cannotParse", "fieldValidationFailed", "other"]


_LONGEST = 1_500
"""Characters told of one member; the model takes 2,048 (shape ValidationExceptionField)."""


class InvalidRequest(RequestError):
    """ValidationException: the request breaks a rule of the model or of the operation."""

    code = "ValidationException"
    status = 400

    def __init__(
        self, message: str, *, reason: Reason = "other", fields: tuple[Field, ...] = ()
    ) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.fields = fields

    @classmethod
    def of_field(cls, name: str, message: str) -> "InvalidRequest":
        """One member is at fault: `message` completes the sentence that begins with its name.

        It may quote what was sent, which is longer than the model lets a message be.
        """
        if len(message) > _LONGEST:
            message = f"{message[: _LONGEST - 1]}…"
        return cls(
            f"{name} {message}", reason="fieldValidationFailed", fields=(Field(name, message),)
        )


class AccessDenied(RequestError):
    code = "AccessDeniedException"
    status = 403


class NotFound(RequestError):
    """ResourceNotFoundException, which must name the resource (AWS Audit Manager model)."""

    code = "ResourceNotFoundException"
    status = 404

    def __init__(self, resource_type: str, resource_id: str) -> None:
        shown = resource_id if len(resource_id) <= 300 else f"{resource_id[:300]}…"
        super().__init__(f"No {resource_type} with the id '{shown}' was found.")
        self.resource_type = resource_type
        self.resource_id = resource_id


class QuotaExceeded(RequestError):
    code = "ServiceQuotaExceededException"
    status = 402


class Throttled(RequestError):
    """ThrottlingException; `retry_after` is how long to wait, in microseconds."""

    code = "ThrottlingException"
    status = 429

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotWrittenYet(RequestError):
    code = "NotImplementedException"
    status = 501


class UnknownOperation(RequestError):
    """No operation of the service has that path."""

    code = "UnknownOperationException"
    status = 404


class MethodNotAllowed(UnknownOperation):
    """The path exists, but not with that HTTP method."""

    status = 405

    def __init__(self, message: str, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class RefusedByRule(RequestError):
    """A request for session credentials that cannot be granted as it stands (AWS STS)."""

    code = "ValidationError"
    status = 400


class PolicyMalformed(RefusedByRule):
    code = "MalformedPolicyDocument"


class TokenRefused(RefusedByRule):
    """A proof of who one is elsewhere does not hold here."""

    code = "InvalidIdentityToken"


class TokenEnded(RefusedByRule):
    code = "ExpiredTokenException"


class IssuerSilent(RefusedByRule):
    """Who could tell whether a proof holds was asked, and did not answer."""

    code = "IDPCommunicationError"


class NotAuthenticated(RequestError):
    """Who asks is not proven; the codes are those AWS's own front ends answer with."""

    status = 403


class SignatureMissing(NotAuthenticated):
    code = "MissingAuthenticationTokenException"


class SignatureIncomplete(NotAuthenticated):
    code = "IncompleteSignatureException"


class KeyUnknown(NotAuthenticated):
    code = "UnrecognizedClientException"


class SessionEnded(NotAuthenticated):
    """Session credentials that were good once: their time is over."""

    code = "ExpiredTokenException"


class SignatureWrong(NotAuthenticated):
    code = "InvalidSignatureException"


class SetupError(AuditkeepError):
    """Settings, data directory or command-line arguments cannot be used as they are."""


class NewerSchema(SetupError):
    """The database was written by a newer version of Auditkeep."""


class Busy(SetupError):
    """Another process holds what only one may hold."""


class Overtaken(AuditkeepError):
    """Another run went on meanwhile with what this one had; what is still due is seen anew."""


class InputError(AuditkeepError):
    """A file or a record from outside cannot be read as what it claims to be."""


class NotCollected(AuditkeepError):
    """A source was asked and did not give what was due; `sources.pull` has its kinds.

    `reason` names the kind for machines; `again`: whether asking the same a little later may
    help. `code` is the source's own word for it.
    """

    reason: ClassVar[str] = "refused"
    again: ClassVar[bool] = False

    def __init__(
        self, sentence: str, *, service: str = "", operation: str = "", code: str = ""
    ) -> None:
        super().__init__(sentence)
        self.service = service
        self.operation = operation
        self.code = code


class StorageError(AuditkeepError):
    """The lake cannot keep, or give back, what it was asked to."""


class ObjectExists(StorageError):
    """Put-if-absent found the key taken."""


class ObjectMissing(StorageError):
    """There is no object under that key.

    Whoever read its name from a snapshot of before finds in a new one what took its place, if
    anything did; otherwise it is lost.
    """


class StorageFull(StorageError):
    """No room is left; nothing of the refused write was acknowledged."""


class StoreAway(StorageError):
    """The object store does not answer, or refuses: nothing was acknowledged, and what was before
    is safe. It may come back as it is. `silent`: it was asked in vain for as long as one may.
    """

    def __init__(self, message: str, *, silent: bool = False) -> None:
        super().__init__(message)
        self.silent = silent


class Contended(StorageError):
    """Others were changing the same and nothing was done; `again`: trying at once may help."""

    def __init__(self, message: str, *, again: bool = True) -> None:
        super().__init__(message)
        self.again = again


class KeyUnusable(AuditkeepError):
    """A key is missing, wrong, disabled or out of reach."""


class DecryptionFailed(KeyUnusable):
    """The key is not the one these bytes were sealed with, or the bytes were changed."""


KeyState = Literal["disabled", "pending deletion", "gone", "denied", "unreachable"]


class KeyDestroyed(KeyUnusable):
    """The key is not there: it was destroyed, a moment ago or long since, or was never restored.

    Whoever read from a snapshot of before finds in a new one where its content is now, if anywhere.
    """


class KeyAway(KeyUnusable):
    """Whoever holds the key does not let it be used now; nothing here needs repair.

    `told` is what clients are told where the message is for whoever runs this server.
    """

    def __init__(self, message: str, state: KeyState, told: str = "") -> None:
        super().__init__(message)
        self.state: KeyState = state
        self.told = told or message


class KeyNotAtHand(KeyUnusable):
    """A distant key must be asked for first, and nobody may wait for that with others behind them.

    Whoever opened the transaction ends it, calls `fetch` and begins again (`crypto.asking`).
    """

    def __init__(self, message: str, fetch: Callable[[], object]) -> None:
        super().__init__(message)
        self.fetch = fetch


class LogError(AuditkeepError):
    """The transparency log would contradict what it has published."""


class ProofError(AuditkeepError):
    """A signature, a digest or a proof does not hold."""


class ReportError(AuditkeepError):
    """A report cannot be made as asked; trying the same again would not help."""


class DeliveryError(AuditkeepError):
    """A notice or an event could not be handed over; it may be later."""


class ChannelDown(DeliveryError):
    """Who should take it is out of reach or takes nothing: the rest for them waits too."""


class DeliveryRefused(DeliveryError):
    """It will not be taken, however often it is offered."""
