"""A master key in an HSM, reached through PKCS#11 (OASIS PKCS #11 v3.0): AES-256-GCM in the token.

The key is named by a URI (RFC 7512): `pkcs11:token=NAME;object=LABEL`, percent-encoded. The library
and the PIN come from the settings, never from the URI. Wrapped key: 0x03 ‖ length ‖ URI ‖ iv(12) ‖
ciphertext ‖ tag(16); the additional data is the context as canonical JSON. The nonce is random, 96
bits: under one master key that is good for 2^32 wrapped keys (NIST SP 800-38D), far more than a
deployment has buckets.

A session belongs to one thread at a time; a token that was taken out and is back is opened anew
before an error is told.
"""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from auditkeep.crypto.aead import KEY_SIZE, NONCE_SIZE, TAG_SIZE
from auditkeep.crypto.providers import HSM, canonical, framed, unframed
from auditkeep.crypto.providers.guard import Guard
from auditkeep.errors import DecryptionFailed, KeyAway, KeyUnusable

T = TypeVar("T")

_SCHEME = "pkcs11:"
_TAG_BITS = TAG_SIZE * 8


class Hsm:
    """The HSM's library as this process reaches it. Safe to share between threads."""

    def __init__(self, module: str, pin: Callable[[], str], guard: Guard | None = None) -> None:
        self._module = module
        self._pin = pin
        self.guard = guard or Guard()
        self._lock = threading.Lock()
        self._sessions: dict[str, Any] = {}

    def key(self, uri: str) -> "HsmKey":
        """The provider of one key; KeyUnusable if the URI does not name one, or no HSM is set."""
        token, label = parse(uri)
        if not self._module:
            raise KeyUnusable(
                f"The key {uri} is in an HSM, and AUDITKEEP_PKCS11_MODULE names no library to "
                "reach it through."
            )
        return HsmKey(self, uri, token, label)

    def make(self, uri: str) -> None:
        """Generate a new key in the token: it never leaves there. KeyUnusable if it exists."""
        key = self.key(uri)
        self.guard.forget()  # that there is none is what brings somebody here
        key.ask(lambda session: _generate(session, uri, parse(uri)[1]))

    def with_session(self, token: str, work: Callable[[Any], T]) -> T:
        """Work in the token's session, which is kept; one that is no more is opened once again."""
        import pkcs11  # noqa: PLC0415  # a deployment without an HSM never loads it

        ended = (
            pkcs11.SessionHandleInvalid,
            pkcs11.SessionClosed,
            pkcs11.UserNotLoggedIn,
            pkcs11.DeviceRemoved,
            pkcs11.TokenNotPresent,
        )
        with self._lock:
            session = self._sessions.get(token)
            if session is not None:
                try:
                    return work(session)
                except ended:
                    del self._sessions[token]
            session = self._sessions[token] = self._open(token)
            return work(session)

    def _open(self, token: str) -> Any:
        import pkcs11  # noqa: PLC0415

        found = pkcs11.lib(self._module).get_token(token_label=token)
        try:
            return found.open(user_pin=self._pin(), rw=True)
        except pkcs11.UserAlreadyLoggedIn:  # another session of this process did so
            return found.open(rw=True)


class HsmKey:
    """One key in a token: AES-256 where it wraps; `signing` has those that sign."""

    def __init__(self, hsm: Hsm, uri: str, token: str, label: str) -> None:
        self._hsm = hsm
        self._token = token
        self._label = label
        self.key_id = uri

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        nonce = os.urandom(NONCE_SIZE)
        return framed(HSM, self.key_id, nonce + self._seal(nonce, key, canonical(context)))

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        name, body = unframed(HSM, wrapped)
        if name != self.key_id:
            raise KeyUnusable(f"A key was wrapped by {name}, and {self.key_id} cannot open it.")
        nonce, sealed = body[:NONCE_SIZE], body[NONCE_SIZE:]
        aad = canonical(context)

        def opened(session: Any) -> bytes:
            import pkcs11  # noqa: PLC0415

            try:
                return bytes(
                    self._held(session, "decrypt")(
                        sealed,
                        mechanism=pkcs11.Mechanism.AES_GCM,
                        mechanism_param=pkcs11.GCMParams(nonce, aad, _TAG_BITS),
                    )
                )
            except (pkcs11.EncryptedDataInvalid, pkcs11.EncryptedDataLenRange) as error:
                raise _unopened(self.key_id) from error
            except pkcs11.GeneralError as error:
                # What some tokens say of a wrong tag, and others when they are broken.
                self._sealed(session, os.urandom(NONCE_SIZE), bytes(KEY_SIZE), aad)
                raise _unopened(self.key_id) from error

        return self.ask(opened)

    def ask(self, work: Callable[[Any], T]) -> T:
        """What the token answers; KeyAway or DecryptionFailed, saying why, where it does not."""
        return self._hsm.guard.ask(
            f"hsm/{self._token}",
            self.key_id,
            lambda: _answer(self.key_id, lambda: self._hsm.with_session(self._token, work)),
        )

    def forget(self) -> None:
        """Ask the token again, whatever it answered before."""
        self._hsm.guard.forget()

    def _seal(self, nonce: bytes, key: bytes, aad: bytes) -> bytes:
        return self.ask(lambda session: self._sealed(session, nonce, key, aad))

    def _sealed(self, session: Any, nonce: bytes, key: bytes, aad: bytes) -> bytes:
        import pkcs11  # noqa: PLC0415

        return bytes(
            self._held(session, "encrypt")(
                key,
                mechanism=pkcs11.Mechanism.AES_GCM,
                mechanism_param=pkcs11.GCMParams(nonce, aad, _TAG_BITS),
            )
        )

    def _held(self, session: Any, use: str) -> Any:
        import pkcs11  # noqa: PLC0415

        key = session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=self._label)
        return able(key, use, self.key_id)

    def __repr__(self) -> str:
        return f"HsmKey({self.key_id})"


def _generate(session: Any, uri: str, label: str) -> None:
    import pkcs11  # noqa: PLC0415

    try:
        session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=label)
    except pkcs11.NoSuchKey:
        kept_inside = {pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False}
        session.generate_key(
            pkcs11.KeyType.AES, KEY_SIZE * 8, label=label, store=True, template=kept_inside
        )
        return
    raise KeyUnusable(f"The HSM has a key {uri} already; it stays as it is.")


def able(key: Any, use: str, uri: str) -> Any:
    """A key's `encrypt`, `decrypt` or `sign`, which `pkcs11` gives to keys that may do so alone."""
    found = getattr(key, use, None)
    if found is None:
        raise KeyAway(
            f"The HSM does not let the key {uri} {use}: CKA_{use.upper()} is off. Set it in the "
            "HSM; nothing here needs repair, and nothing was changed.",
            "disabled",
        )
    return found


def parse(uri: str) -> tuple[str, str]:
    """Token and label that a URI names; KeyUnusable if it does not name both and nothing else."""
    parts: dict[str, str] = {}
    for part in uri.removeprefix(_SCHEME).split(";"):
        name, _, value = part.partition("=")
        parts[name] = unquote(value)
    if not uri.startswith(_SCHEME) or parts.keys() != {"token", "object"} or "" in parts.values():
        raise KeyUnusable(
            f"{uri[:200]!r} does not name a key of an HSM. Write pkcs11:token=NAME;object=LABEL, "
            "percent-encoded; library and PIN are settings."
        )
    return parts["token"], parts["object"]


def uri_of(token: str, label: str) -> str:
    """The URI of a key."""
    return f"{_SCHEME}token={quote(token, safe='')};object={quote(label, safe='')}"


def _answer(uri: str, work: Callable[[], T]) -> T:
    import pkcs11  # noqa: PLC0415

    try:
        return work()
    except pkcs11.NoSuchKey as error:
        raise KeyAway(f"The HSM's token has no key {uri}, or no more.", "gone") from error
    except pkcs11.MultipleObjectsReturned as error:
        raise KeyAway(
            f"The HSM's token has several keys {uri}: give the right one a label of its own.",
            "denied",
        ) from error
    except (
        pkcs11.PinIncorrect,
        pkcs11.PinLocked,
        pkcs11.PinInvalid,
        pkcs11.PinExpired,
        pkcs11.PinLenRange,
    ) as error:
        raise KeyAway(
            f"The HSM refuses the PIN for the key {uri}. Set AUDITKEEP_PKCS11_PIN right.", "denied"
        ) from error
    except (pkcs11.PKCS11Error, OSError) as error:
        raise KeyAway(
            f"The key {uri} could not be used: the HSM does not answer as it should "
            f"({type(error).__name__}). Nothing was done; it is tried again by itself.",
            "unreachable",
        ) from error


def _unopened(uri: str) -> DecryptionFailed:
    return DecryptionFailed(
        f"The HSM does not open a wrapped key with {uri}: it was changed, moved to another bucket, "
        "or wrapped with another key."
    )
