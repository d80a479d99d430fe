"""Wrapped bucket keys, one small file each, apart from all data.

Purpose (design section 5, Keys): destroying a bucket is destroying its one file here. The store
is backed up apart from data, with a stated maximum age, because a key lives on in every copy.

Invariants: a key is never replaced by another, only by itself wrapped anew (`rewrap`); a destroyed
one stays destroyed even if the power fails in between, because the file is emptied durably before
its name goes.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from auditkeep.crypto.durable import (
    in_waiting,
    make_folder,
    replace_all,
    sync_folder,
    write_new,
)
from auditkeep.errors import KeyDestroyed, KeyUnusable, StorageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


class KeyStore:
    """A folder of wrapped keys by bucket id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, bucket_id: str, wrapped: bytes) -> None:
        """Keep a new key durably; ObjectExists if the bucket has one, which is never replaced."""
        if not wrapped:
            raise KeyUnusable(f"The key of bucket {bucket_id} is empty and cannot be kept.")
        write_new(self._path(bucket_id), wrapped)

    def get(self, bucket_id: str) -> bytes:
        """The wrapped key; KeyDestroyed if there is none, or none any more."""
        path = self._path(bucket_id)
        try:
            wrapped = path.read_bytes()
        except FileNotFoundError as error:
            raise KeyDestroyed(
                f"The key of bucket {bucket_id} is not in the key store {self._folder}: it was "
                "destroyed, or the key store was not restored with the data."
            ) from error
        except OSError as error:
            raise KeyUnusable(f"{path} cannot be read: {error.strerror}.") from error
        if not wrapped:
            raise KeyDestroyed(f"The key of bucket {bucket_id} was destroyed.")
        return wrapped

    def rewrap(self, keys: Mapping[str, tuple[bytes, bytes]]) -> None:
        """Put keys that are wrapped anew in place of what they were: (before, after) by bucket.

        KeyUnusable, and nothing is changed, if one of them is gone or not what it was. Whoever
        calls keeps others from destroying them at the same time.
        """
        for bucket_id, (before, _) in keys.items():
            if self.get(bucket_id) != before:
                raise KeyUnusable(
                    f"The key of bucket {bucket_id} was wrapped anew by somebody else meanwhile."
                )
        replace_all(self._folder, {name: after for name, (_, after) in keys.items()})

    def written_at(self, bucket_id: str) -> int:
        """When the key was put or wrapped anew, in microseconds; 0 if it is gone."""
        try:
            return self._path(bucket_id).stat().st_mtime_ns // 1000
        except FileNotFoundError:
            return 0

    def destroy(self, bucket_id: str) -> None:
        """Make the key unrecoverable from this store; nothing happens if it is gone already."""
        path = self._path(bucket_id)
        try:
            # first what a rotation that died was about to put in its place: the same key
            for one in (in_waiting(path), path):
                self._wipe(one)
        except OSError as error:
            raise StorageError(
                f"The key of bucket {bucket_id} may not be destroyed yet: {path}: {error.strerror}."
            ) from error

    def _wipe(self, path: Path) -> None:
        try:
            handle = os.open(path, os.O_WRONLY)
        except FileNotFoundError:
            return
        try:
            os.ftruncate(handle, 0)
            os.fsync(handle)
        finally:
            os.close(handle)
        path.unlink(missing_ok=True)
        sync_folder(self._folder)

    def bucket_ids(self) -> list[str]:
        """The buckets whose keys are here, sorted: what an audit compares with the catalog."""
        make_folder(self._folder)
        return sorted(p.name for p in self._folder.iterdir() if _NAME.fullmatch(p.name))

    def _path(self, bucket_id: str) -> Path:
        if not _NAME.fullmatch(bucket_id):
            raise KeyUnusable(f"{bucket_id!r} cannot be the id of a bucket.")
        return self._folder / bucket_id
