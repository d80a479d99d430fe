"""Before a start: is the bucket there, may it be used, does it keep what it is told to?

A store that takes a key twice would let two writers each believe that theirs was kept; such a one
is refused. What is put here is taken away again; where a lock or missing permission keeps it, it is
a few bytes that say nothing.
"""

import secrets
from collections.abc import Iterator
from contextlib import suppress

from auditkeep.clock import MINUTE, Instant
from auditkeep.errors import ObjectExists, ObjectMissing, StorageError, StoreAway
from auditkeep.lake.s3.store import S3Objects

FOLDER = "probe/"
LOCKED = 30 * MINUTE
"""Longer than two clocks may differ that S3 takes for the same."""


def prove(objects: S3Objects) -> None:
    """StoreAway with a sentence that says what to do, unless all that is needed works."""
    objects.control.list_one()
    key = f"{FOLDER}{secrets.token_hex(16)}"
    _expect_missing(objects, key)
    objects.put(key, b"first")
    try:
        with suppress(ObjectExists):
            objects.put(key, b"second")
            raise StoreAway(
                f"{objects.place.url} lets an object be put in place of another: it does not "
                "honour If-None-Match, so two writers would undo each other. Use another store."
            )
        if objects.get(key) != b"first":
            raise StoreAway(f"{objects.place.url} gives back other bytes than it was given.")
    finally:
        objects.delete(key)
    if objects.locks:
        _lock(objects)


def _lock(objects: S3Objects) -> None:
    """What is locked here stays for half an hour; what earlier starts left goes."""
    now = objects.now()
    key = f"{FOLDER}{secrets.token_hex(16)}"
    objects.control.put(key, b"", "probe", Instant(now + LOCKED))
    objects.delete(key)
    objects.purge(FOLDER, now)


def _expect_missing(objects: S3Objects, key: str) -> None:
    """S3 tells that an object is missing only to who may list; to others it denies."""
    try:
        objects.get(key)
    except ObjectMissing:
        return
    raise StorageError(f"{objects.place.url} says that an object exists that nobody put.")


def told(objects: S3Objects) -> Iterator[str]:
    """What an operator should know of the bucket, in sentences."""
    place, found = objects.place, objects.control.protection
    if found.versioned is None or found.locked is None:
        yield (
            f"Whether {place.bucket} is versioned or has Object Lock is not told: allow "
            "s3:GetBucketVersioning and s3:GetBucketObjectLockConfiguration."
        )
    if found.locked:
        how = (
            "objects are put without a lock of their own (AUDITKEEP_OBJECTS_LOCK=none)"
            if place.lock == "none"
            else f"objects are locked ({place.lock}) for {place.lock_days} days"
        )
        rule = f"; the bucket's own rule is {found.default}" if found.default else ""
        yield f"{place.bucket} has Object Lock: {how}{rule}."
    if found.versioned and not objects.may_purge:
        yield (
            f"{place.bucket} is versioned, and versions may not be listed (s3:ListBucketVersions): "
            "what is deleted stays, unreadable once its key is destroyed, until a lifecycle rule "
            "of the bucket takes it away."
        )
