"""A master key in AWS KMS (API 2014-11-01): symmetric, the customer's own, and never leaves there.

Wrapped key: 0x02 ‖ length ‖ ARN ‖ what KMS's `Encrypt` gave, bound to the encryption context that
AWS's own log shows with each use: account, region and bucket. `Decrypt` names the key, so that
nobody can put another's ciphertext in place.

A multi-Region key (`mrk-…`) is asked for where its ARN says and, if that region does not answer, at
its replicas in the regions that the settings name.

boto3 is loaded when a key is first used. Time-outs are short and tried again once: `guard`
remembers who does not answer. Only KMS's own error codes decide what is wrong with a key; its
messages are not repeated, for they name callers and policies.
"""

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn, TypeVar

from auditkeep.crypto.providers import KMS, framed, unframed
from auditkeep.crypto.providers.guard import Guard
from auditkeep.errors import DecryptionFailed, KeyAway, KeyState, KeyUnusable

T = TypeVar("T")

ARN = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):([0-9]{12}):key/((mrk-)?[A-Za-z0-9-]+)")
"""The ARN of a key itself. An alias may come to mean another key, and so names none."""

GRANTED = ("Encrypt", "Decrypt", "DescribeKey")
TOKEN_SECONDS = 600.0
"""For so long a grant's token goes with each use: a new grant is known everywhere in AWS after five
minutes at most, and till then only to whom shows it."""

_CONNECT_SECONDS = 1.0
_STATES: Mapping[str, tuple[KeyState, str]] = {
    "DisabledException": ("disabled", "is disabled. Enable it in AWS KMS"),
    "KMSInvalidStateException": (
        "pending deletion",
        "is pending deletion, or not in a state to be used. Cancel its deletion in AWS KMS",
    ),
    "NotFoundException": (
        "gone",
        "does not exist in AWS KMS, or no more. What it protects cannot be read without it",
    ),
    "AccessDeniedException": (
        "denied",
        (
            "may not be used by this deployment. Let its key policy or a grant allow "
            "kms:Encrypt and kms:Decrypt (and kms:DescribeKey)"
        ),
    ),
    "ExpiredTokenException": ("denied", "was asked for with AWS credentials that have expired"),
    "UnrecognizedClientException": ("denied", "was asked for with AWS credentials nobody knows"),
    "InvalidSignatureException": ("denied", "was asked for with AWS credentials that do not hold"),
    "IncompleteSignature": ("denied", "was asked for with AWS credentials that do not hold"),
    "InvalidKeyUsageException": ("denied", "is no symmetric key for encryption. Name one that is"),
}
SIGNING_STATES: Mapping[str, tuple[KeyState, str]] = {
    **_STATES,
    "AccessDeniedException": (
        "denied",
        (
            "may not sign for this deployment. Let its key policy or a grant allow kms:Sign and "
            "kms:GetPublicKey"
        ),
    ),
    "InvalidKeyUsageException": ("denied", "is no key for signing. Name one that is"),
    "UnsupportedOperationException": ("denied", "is no key for signing. Name one that is"),
}
"""What the same codes mean for a key that signs."""
_FOREIGN = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


class Kms:
    """AWS KMS as this process reaches it. Safe to share between threads."""

    def __init__(
        self,
        *,
        endpoint_url: str = "",
        replicas: Sequence[str] = (),
        seconds: float = 2.0,
        guard: Guard | None = None,
    ) -> None:
        self._endpoint_url = endpoint_url
        self._replicas = tuple(replicas)
        self._seconds = seconds
        self.guard = guard or Guard()
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}
        self._granted: dict[str, tuple[float, str]] = {}

    def key(self, arn: str, states: Mapping[str, tuple[KeyState, str]] = _STATES) -> "KmsKey":
        """The provider of one key; KeyUnusable if that is not the ARN of a key."""
        found = ARN.fullmatch(arn)
        if found is None:
            raise KeyUnusable(
                f"{arn[:200]!r} is not the ARN of a key in AWS KMS. Write "
                "arn:aws:kms:REGION:ACCOUNT:key/ID; an alias will not do."
            )
        return KmsKey(self, arn, found[1], states, multi_region=found[4] is not None)

    def at(self, region: str) -> Any:
        """The client of one region."""
        return self._client("kms", region)

    def identity(self, region: str) -> str:
        """The ARN of whom this process is to AWS."""
        answer = self.ask("", region, lambda: self._client("sts", region).get_caller_identity())
        return str(answer["Arn"])

    def regions(self, own: str, *, multi_region: bool) -> tuple[str, ...]:
        """Where a key may be asked for, its own region first."""
        if not multi_region:
            return (own,)
        return (own, *(r for r in self._replicas if r != own))

    def granted(self, arn: str, token: str) -> None:
        """Show a new grant's token with each use of the key until the grant is known everywhere."""
        with self._lock:
            self._granted[arn] = time.monotonic() + TOKEN_SECONDS, token

    def tokens(self, arn: str) -> dict[str, list[str]]:
        """What goes with a use of a key that was granted just now."""
        held = self._granted.get(arn)
        if held is None:
            return {}
        if time.monotonic() < held[0]:
            return {"GrantTokens": [held[1]]}
        with self._lock:
            if self._granted.get(arn) == held:
                del self._granted[arn]
        return {}

    def ask(
        self,
        key_id: str,
        region: str,
        work: Callable[[], T],
        states: Mapping[str, tuple[KeyState, str]] = _STATES,
    ) -> T:
        """What AWS answers; KeyAway, saying why, where it does not."""
        asked = partial(_answer, key_id, region, work, states)
        return self.guard.ask(f"kms/{region}", key_id, asked)

    def _client(self, service: str, region: str) -> Any:
        with self._lock:
            client = self._clients.get((service, region))
            if client is None:
                client = self._made(service, region)
                self._clients[service, region] = client
            return client

    def _made(self, service: str, region: str) -> Any:
        import boto3  # noqa: PLC0415  # a deployment without AWS never loads it
        from botocore.config import Config  # noqa: PLC0415

        config = Config(
            connect_timeout=min(_CONNECT_SECONDS, self._seconds),
            read_timeout=self._seconds,
            retries={"total_max_attempts": 2, "mode": "standard"},
        )
        session = boto3.session.Session()
        own = self._endpoint_url or None
        return session.client(service, region_name=region, endpoint_url=own, config=config)


class KmsKey:
    """One key of AWS KMS."""

    def __init__(
        self,
        kms: Kms,
        arn: str,
        region: str,
        states: Mapping[str, tuple[KeyState, str]],
        *,
        multi_region: bool,
    ) -> None:
        self._kms = kms
        self._region = region
        self._states = states
        self._multi_region = multi_region
        self.key_id = arn

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        answer = self.ask(
            lambda client, arn: client.encrypt(
                KeyId=arn,
                Plaintext=key,
                EncryptionContext=dict(context),
                **self._kms.tokens(self.key_id),
            )
        )
        return framed(KMS, self.key_id, answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        name, blob = unframed(KMS, wrapped)
        if name != self.key_id:
            raise KeyUnusable(f"A key was wrapped by {name}, and {self.key_id} cannot open it.")
        answer = self.ask(
            lambda client, arn: client.decrypt(
                KeyId=arn,
                CiphertextBlob=blob,
                EncryptionContext=dict(context),
                **self._kms.tokens(self.key_id),
            )
        )
        found: bytes = answer["Plaintext"]
        return found

    def require_fit(self) -> None:
        """KeyUnusable unless this is a symmetric key for encryption that is enabled.

        A key that may not be described is taken as it is: using it will tell.
        """
        try:
            about = self.ask(lambda client, arn: client.describe_key(KeyId=arn))["KeyMetadata"]
        except KeyAway as error:
            if error.state == "denied":
                return
            raise
        if about.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT" or (
            about.get("KeyUsage", "ENCRYPT_DECRYPT") != "ENCRYPT_DECRYPT"
        ):
            raise _away("InvalidKeyUsageException", self.key_id)
        if about["KeyState"] != "Enabled":
            disabled = about["KeyState"] == "Disabled"
            raise _away(
                "DisabledException" if disabled else "KMSInvalidStateException", self.key_id
            )

    def grant(self, context: Mapping[str, str], name: str) -> str | None:
        """Let this process go on using the key for this context, whatever its policy becomes.

        The grant's id; None where we may not make grants: the policy decides alone then. Asked
        again under the same name, it is the same grant.
        """
        try:
            grantee = _lasting(self._kms.identity(self._region))
            answer = self.ask(
                lambda client, arn: client.create_grant(
                    KeyId=arn,
                    GranteePrincipal=grantee,
                    Operations=list(GRANTED),
                    Constraints={"EncryptionContextSubset": dict(context)},
                    Name=name,
                )
            )
        except KeyAway as error:
            if error.state == "denied":
                self._kms.guard.forget()  # the key itself may well be used
                return None
            raise
        self._kms.granted(self.key_id, answer["GrantToken"])
        return str(answer["GrantId"])

    def ask(self, ask: Callable[[Any, str], T]) -> T:
        """What KMS answers, of a multi-Region key's replicas where its own region is silent."""
        first: KeyAway | None = None
        for region in self._kms.regions(self._region, multi_region=self._multi_region):
            try:
                return self._asked_in(region, ask)
            except KeyAway as error:
                if error.state != "unreachable" and region == self._region:
                    raise  # its owner said no: a replica must not say yes
                first = first or error
        assert first is not None
        raise first

    def _asked_in(self, region: str, ask: Callable[[Any, str], T]) -> T:
        arn = self.key_id.replace(f":{self._region}:", f":{region}:", 1)
        return self._kms.ask(arn, region, lambda: ask(self._kms.at(region), arn), self._states)

    def __repr__(self) -> str:
        return f"KmsKey({self.key_id})"


def _answer(
    key_id: str,
    region: str,
    work: Callable[[], T],
    states: Mapping[str, tuple[KeyState, str]],
) -> T:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        return work()
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        _refused(code, key_id, states, error)
    except BotoCoreError as error:
        raise KeyAway(
            f"The key {key_id} could not be used: AWS KMS in {region} does not answer "
            f"({type(error).__name__}). Nothing was done; it is tried again by itself.",
            "unreachable",
        ) from error


def _refused(
    code: str, key_id: str, states: Mapping[str, tuple[KeyState, str]], error: Exception
) -> NoReturn:
    if code in _FOREIGN:
        raise DecryptionFailed(
            f"AWS KMS does not open a wrapped key with {key_id}: it was changed, moved to another "
            "bucket, or wrapped with another key."
        ) from error
    raise _away(code, key_id, states) from error


def _away(code: str, key_id: str, states: Mapping[str, tuple[KeyState, str]] = _STATES) -> KeyAway:
    state, told = states.get(code, ("unreachable", f"could not be used: AWS KMS answers {code}"))
    return KeyAway(
        f"The key {key_id} {told}; nothing here needs repair, and nothing was changed.", state
    )


def _lasting(arn: str) -> str:
    """The principal to grant to: a role rather than one session of it."""
    found = re.fullmatch(r"arn:(aws[a-z-]*):sts::([0-9]{12}):assumed-role/([^/]+)/.+", arn)
    return arn if found is None else f"arn:{found[1]}:iam::{found[2]}:role/{found[3]}"
