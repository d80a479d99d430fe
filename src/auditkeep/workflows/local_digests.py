"""Digests beside log files on disk: a trail's folder as it was downloaded, checked by hand.

A digest's signature is metadata of its object, which a download loses. But each digest repeats the
signature of the one before it: so all but the newest of a chain can be checked from the files
alone. The newest needs a file beside it, `NAME.metadata.json`, as `aws s3api head-object` prints
it; without one, what it names is read as it is and the digest is told as unsigned.

Public keys are those that the operator names, and never what lies beside the logs: whoever could
change them could change those as well. Folders must be as the bucket had them, from `AWSLogs` on.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from auditkeep.clock import Instant
from auditkeep.collection.findings import log_changed, log_missing, text_hash
from auditkeep.collection.ingest import walk
from auditkeep.errors import InputError, ProofError
from auditkeep.observations import How
from auditkeep.sources import digests
from auditkeep.sources.digest_chain import Fetched, chains, follow
from auditkeep.sources.digest_findings import Finding
from auditkeep.sources.digests import MAX_DIGEST, Digest, Keys, LogFile
from auditkeep.sources.records import UNREADABLE
from auditkeep.sources.trail_layout import DIGESTS, LOGS, ROOT, Key, Place, read_key

METADATA = ".metadata.json"


class _Metadata(msgspec.Struct, frozen=True):
    signature: str = ""


class _Head(msgspec.Struct, frozen=True):
    metadata: _Metadata = msgspec.field(name="Metadata", default=_Metadata())


_HEAD = msgspec.json.Decoder(_Head)


class LocalDigests:
    """What the digests among some paths say of the log files among them."""

    def __init__(self, paths: Sequence[Path], keys: Keys, now: Instant) -> None:
        self._keys = keys
        self._now = now
        self._own: set[Path] = set()
        self._at: dict[tuple[str, str], Path] = {}
        self._signatures: dict[tuple[str, str], str] = {}
        self._named: dict[str, tuple[Place, LogFile]] = {}
        self._days: set[str] = set()
        self._seen: set[str] = set()
        self.findings: list[Finding] = []
        self._judge(list(self._laid_out(paths)))

    def owns(self, path: Path) -> bool:
        """Whether a file is a digest or belongs to one: it is no log file then."""
        return path in self._own

    def judge(self, path: Path) -> Callable[[BinaryIO], How] | None:
        """How a log file came here, once it is open; None for one that no digest names."""
        named = self._named.get(path.name)
        if named is None:
            return None
        place, log = named
        self._seen.add(path.name)

        def judged(file: BinaryIO) -> How:
            same = text_hash(file) == log.hash_value.lower()
            if not same:
                self.findings.append(log_changed(place, log, _time_of(log)))
            return "verified-log" if same else "file"

        return judged

    def conclude(self) -> list[Finding]:
        """Everything that was found, once all files were read.

        A log file is missed only where others of its day are there: parts of a trail may be read.
        """
        for name, (place, log) in self._named.items():
            if name not in self._seen and _folder(log.key) in self._days:
                self.findings.append(log_missing(place, log, _time_of(log)))
        return self.findings

    def digest(self, bucket: str, key: str) -> Fetched | None:
        """`digest_chain.Shelf`."""
        path = self._at.get((bucket, key))
        if path is None:
            return None
        return Fetched(_packed(path), self._signatures.get((bucket, key)))

    def _laid_out(self, paths: Sequence[Path]) -> Iterator[tuple[Path, Key]]:
        """Digests as they lie; on the way, which days have log files."""
        for found in walk(paths):
            if not isinstance(found, Path):
                continue
            key = read_key(found.absolute().as_posix().lstrip("/"))
            if key is None:
                continue
            if key.kind == LOGS:
                self._days.add(_folder(key.key))
            elif key.kind == DIGESTS:
                self._own |= {found, found.with_name(found.name + METADATA)}
                yield found, key

    def _judge(self, laid_out: list[tuple[Path, Key]]) -> None:
        buckets: dict[str, list[Key]] = {}
        for path, lies in laid_out:
            bucket, key = self._known(path, lies)
            self._at[bucket, key.key] = path
            buckets.setdefault(bucket, []).append(key)
        for bucket, keys in buckets.items():
            for chain in chains(keys).values():
                begin = chain[0].at
                for checked in follow(
                    chain, bucket, None, self, lambda _key, _digest: self._keys, self._now, begin
                ):
                    self.findings += checked.findings
                    logs = () if checked.digest is None else checked.digest.logs
                    for log in logs:
                        name = log.key.rsplit("/", 1)[-1]
                        self._named[name] = (checked.key.place, log)

    def _known(self, path: Path, lies: Key) -> tuple[str, Key]:
        """The bucket and key of a digest: its own, if they agree with where it lies here."""
        try:
            digest = digests.decode(digests.unpacked(_packed(path)))
        except ProofError:
            return "", lies
        self._note_signatures(path, digest)
        own = read_key(digest.key)
        if own is None or _tail(own.key) != _tail(lies.key):
            return digest.bucket, lies
        return digest.bucket, own

    def _note_signatures(self, path: Path, digest: Digest) -> None:
        if digest.previous_key and digest.previous_bucket and digest.previous_signature:
            before = (digest.previous_bucket, digest.previous_key)
            self._signatures.setdefault(before, digest.previous_signature)
        beside = path.with_name(path.name + METADATA)
        try:
            said = _HEAD.decode(beside.read_bytes()).metadata.signature
        except OSError:
            return  # there is none, as for most
        except UNREADABLE as error:
            raise InputError(
                f"{beside} is not what `aws s3api head-object` prints: {error}."
            ) from error
        self._signatures[digest.bucket, digest.key] = said


def _packed(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_DIGEST)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error


def _tail(key: str) -> str:
    return key[key.rindex(ROOT) :]


def _folder(key: str) -> str:
    return _tail(key).rsplit("/", 1)[0] if ROOT in key else ""


def _time_of(log: LogFile) -> Instant:
    key = read_key(log.key)
    return key.at if key else Instant(0)
