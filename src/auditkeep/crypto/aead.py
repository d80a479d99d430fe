"""Sealing bytes: AES-256-GCM with a random nonce (NIST SP 800-38D).

A sealed blob is nonce(12) ‖ ciphertext ‖ tag(16). The additional data names what is sealed, so
that a blob moved to another name does not open. Keys come from `derive.object_key`, one for each
object, so the 2^32 messages that random nonces allow under one key are never approached.
"""

import os
from collections import deque

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auditkeep.errors import DecryptionFailed, KeyUnusable

KEY_SIZE = 32
NONCE_SIZE = 12
TAG_SIZE = 16
OVERHEAD = NONCE_SIZE + TAG_SIZE


def new_key() -> bytes:
    """A fresh random key of 32 bytes."""
    return os.urandom(KEY_SIZE)


class _Nonces:
    """Random nonces, asked of the system many at a time: each question lets all other threads in,
    and a small write asks for several. Safe to share between threads; a forked process has its own.
    """

    _AT_ONCE = 256

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        os.register_at_fork(after_in_child=self._waiting.clear)

    def take(self) -> bytes:
        try:
            return self._waiting.popleft()
        except IndexError:
            fresh = os.urandom(NONCE_SIZE * self._AT_ONCE)
            starts = range(NONCE_SIZE, len(fresh), NONCE_SIZE)
            self._waiting.extend(fresh[at : at + NONCE_SIZE] for at in starts)
            return fresh[:NONCE_SIZE]


new_nonce = _Nonces().take
"""A random nonce of 12 bytes."""


def seal(key: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Nonce ‖ ciphertext ‖ tag, bound to `aad`."""
    nonce = new_nonce()
    return nonce + _cipher(key).encrypt(nonce, plaintext, aad)


def open_sealed(key: bytes, blob: bytes, aad: bytes) -> bytes:
    """What was sealed; DecryptionFailed if key, bytes or `aad` are not the ones of sealing."""
    if len(blob) < OVERHEAD:
        raise DecryptionFailed(
            f"An encrypted object is cut short: {len(blob)} bytes cannot hold a nonce and a tag."
        )
    try:
        return _cipher(key).decrypt(blob[:NONCE_SIZE], blob[NONCE_SIZE:], aad)
    except InvalidTag as error:
        raise DecryptionFailed(
            "An encrypted object does not open: it was changed, moved to another name, "
            "or sealed with another key."
        ) from error


def _cipher(key: bytes) -> AESGCM:
    if len(key) != KEY_SIZE:
        raise KeyUnusable(f"An AES-256 key has {KEY_SIZE} bytes, this one has {len(key)}.")
    return AESGCM(key)
