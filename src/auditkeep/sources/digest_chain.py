"""A chain of digests, followed from the oldest to the newest: what holds, and where it breaks.

`aws cloudtrail validate-logs` walks the other way and forgets; here the last link is kept, so that
each pass goes on where the one before ended. What is told is the same (a test compares), and more
is looked for: a digest whose successor names another signature than it has.

Rules
- A digest that is not in its place, cannot be read, or is not signed by CloudTrail proves nothing.
- One that names none before it begins a chain: what lies between it and the last is a gap.
- One whose predecessor cannot be found says that a digest is missing. While it is younger than
  `PATIENCE` the chain waits instead, because objects arrive in no order.
- A predecessor that lies elsewhere (the trail was given another bucket) is no break.
- Backfill digests, which name late log files, are a chain of their own that may have holes.
- A digest that arrives after its successor was judged is judged by its signature alone.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from auditkeep.clock import MINUTE, Instant, iso
from auditkeep.errors import ProofError
from auditkeep.sources import digests
from auditkeep.sources.digest_findings import Finding, Problem
from auditkeep.sources.digests import Digest, KeyMissing, Keys
from auditkeep.sources.trail_layout import Key, Place, read_key

PATIENCE = 120 * MINUTE


@dataclass(frozen=True, slots=True)
class Fetched:
    """A digest's object. `signature` is what stands in its metadata: "" where there is none,
    None where metadata is not at hand (a file that was downloaded).
    """

    packed: bytes
    signature: str | None


class Shelf(Protocol):
    """Where digests lie."""

    def digest(self, bucket: str, key: str) -> Fetched | None:
        """None if there is no such object."""


FindKeys = Callable[[Key, Digest], Keys]
"""Public keys that may have signed a digest."""


@dataclass(frozen=True, slots=True)
class Link:
    """The last digest of a chain; `signature` is "" where it proved nothing."""

    bucket: str
    key: str
    signature: str
    end: Instant


@dataclass(frozen=True, slots=True)
class Checked:
    """One digest that was judged; `digest` only if it holds, `link` is where the chain is now."""

    key: Key
    digest: Digest | None
    findings: tuple[Finding, ...]
    link: Link | None


def chains(keys: Sequence[Key]) -> dict[tuple[Place, str, str, bool], list[Key]]:
    """Digests by the chain they belong to, each in the order of their ends."""
    found: dict[tuple[Place, str, str, bool], list[Key]] = {}
    for key in sorted(keys, key=lambda k: (k.at, k.key)):
        found.setdefault((key.place, key.trail, key.home, key.backfill), []).append(key)
    return found


def follow(
    keys: Sequence[Key],
    bucket: str,
    last: Link | None,
    shelf: Shelf,
    find_keys: FindKeys,
    now: Instant,
    since: Instant,
) -> Iterator[Checked]:
    """Judge the digests of one chain, oldest first; ends early where it has to wait.

    Without a last link the chain is followed from `since` on: what lay before is nobody's business.
    """
    chain = _Chain(bucket, last, shelf, find_keys, now, since)
    for key in keys:
        checked = chain.judge(key)
        if checked is None:
            return
        yield checked


class _Chain:
    def __init__(
        self,
        bucket: str,
        last: Link | None,
        shelf: Shelf,
        find_keys: FindKeys,
        now: Instant,
        since: Instant,
    ) -> None:
        self._bucket = bucket
        self._last = last
        self._shelf = shelf
        self._find_keys = find_keys
        self._now = now
        self._since = since

    def judge(self, key: Key) -> Checked | None:
        """None if the digest's predecessor may still be on its way."""
        fetched = self._shelf.digest(self._bucket, key.key)
        if fetched is None:
            gone = "The digest was listed, but is not there any more."
            return self._failed(key, "DigestMissing", gone)
        try:
            text = digests.unpacked(fetched.packed)
            digest = digests.decode(text)
        except ProofError as error:
            return self._failed(key, "DigestInvalid", f"The digest cannot be read: {error}.")
        if (digest.bucket, digest.key) != (self._bucket, key.key):
            moved = (
                "The digest was moved: it says of itself that it lies at "
                f"s3://{digest.bucket}/{digest.key}."
            )
            return self._failed(key, "DigestMoved", moved)
        if fetched.signature is None:
            unsigned = "The digest's signature is not at hand: what it names cannot be verified."
            return self._failed(key, "DigestUnsigned", unsigned)
        public = self._find_keys(key, digest)
        try:
            digests.verify(digest, text, fetched.signature, public)
        except KeyMissing as error:
            unknown = f"CloudTrail names no such key for that time and region: {error}."
            return self._failed(key, "DigestKeyUnknown", unknown)
        except ProofError as error:
            return self._failed(key, "DigestInvalid", f"The digest is not genuine: {error}.")
        return self._linked(key, digest, text, fetched.signature, public[digest.fingerprint])

    def _linked(
        self, key: Key, digest: Digest, text: bytes, signature: str, public: bytes
    ) -> Checked | None:
        """A genuine digest: how it hangs together with the one before."""
        findings: list[Finding] = []
        last = self._last
        if last is None:
            broken = self._missing(key, digest, self._since)
        else:
            broken = self._break(key, digest, last) if digest.end > last.end else None
        if broken is not None:
            if broken.problem == "DigestMissing" and self._now - digest.end < PATIENCE:
                return None
            findings.append(broken)
        if digest.logs:
            sentence = f"CloudTrail's signature holds; {len(digest.logs)} log files are named."
            proof = {
                "digest": text.decode(),
                "signature": signature,
                "publicKey": base64.b64encode(public).decode(),
            }
            findings.append(
                Finding(
                    "DigestVerified", key.place, self._bucket, key.key, digest.end, sentence, proof
                )
            )
        self._move(Link(self._bucket, key.key, signature.lower(), digest.end))
        return Checked(key, digest, tuple(findings), self._last)

    def _break(self, key: Key, digest: Digest, last: Link) -> Finding | None:
        """What is wrong between a digest and the last one, if anything is."""
        if digest.previous_key is None or digest.previous_bucket is None:
            if key.backfill:
                return None
            gap = (
                f"Between {iso(last.end)} and {iso(digest.start)} no digests were made: logging "
                "or its validation was off."
            )
            return self._finding(key, "DigestGap", gap, digest.end)
        before = (digest.previous_bucket, digest.previous_key)
        if before == (last.bucket, last.key):
            named = (digest.previous_signature or "").lower()
            if last.signature in ("", named):
                return None
            other = (
                "The digest names another signature of the one before than that one has: "
                "it was replaced."
            )
            return self._finding(key, "DigestLinkBroken", other, digest.end)
        return self._missing(key, digest, Instant(0))

    def _missing(self, key: Key, digest: Digest, since: Instant) -> Finding | None:
        """That the digest before is not there, if it is of a time that matters."""
        if digest.previous_key is None or digest.previous_bucket is None:
            return None
        before = (digest.previous_bucket, digest.previous_key)
        named = read_key(digest.previous_key)
        at = named.at if named else digest.start
        if at < since or self._shelf.digest(*before) is not None:
            return None
        missing = f"The digest before it is not there: s3://{before[0]}/{before[1]}."
        return Finding("DigestMissing", key.place, *before, at, missing)

    def _failed(self, key: Key, problem: Problem, sentence: str) -> Checked:
        self._move(Link(self._bucket, key.key, "", key.at))
        return Checked(key, None, (self._finding(key, problem, sentence, key.at),), self._last)

    def _finding(self, key: Key, problem: Problem, sentence: str, at: Instant) -> Finding:
        return Finding(problem, key.place, self._bucket, key.key, at, sentence)

    def _move(self, link: Link) -> None:
        if self._last is None or link.end >= self._last.end:
            self._last = link
