"""Whether a report archive is what its makers signed and what the log holds (spec 5.5, design 5).

In this order: the zip says one thing only; it has one digest.txt; the log's key (pinned, or the
archive's own) signed the checkpoint and endorsed the report's key; that key signed the digest;
every listed file is there unchanged and no other; every batch's entry is in the log; every
record's bytes, envelope and place are those of its batch; every evidence file is some record's;
what the report says of its completeness is borne out by the runs' records and by its own lines.

Works offline, with public keys, on archives of any size: files are streamed, and memory grows with
their number only. Whatever is wrong is named, and the check goes on to find the rest.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec

from auditkeep import clock
from auditkeep.crypto.signing import fingerprint, verify_rsa
from auditkeep.errors import ProofError
from auditkeep.verify.anchors import Anchors, Outsiders
from auditkeep.verify.container import Container
from auditkeep.verify.findings import Findings, Verdict
from auditkeep.verify.format import DIGEST, Digest
from auditkeep.verify.proofs import Proofs
from auditkeep.verify.trust import Trust, establish

Progress = Callable[[int, int], None]
"""Told how many bytes of how many have been hashed."""

_DIGEST_LIMIT = 1 << 29
"""Room for the names and hashes of more than a million files."""


def verify_archive(
    source: Path | BinaryIO,
    pinned: Sequence[str],
    checkpoint: str | None = None,
    *,
    outsiders: Outsiders | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Check a report archive against the log keys in `pinned` (vkeys).

    The archive is a file by its path, or an open one that can be sought in, which is closed.
    `checkpoint` is the text of a signed checkpoint of the same log that the auditor holds, if any;
    `outsiders` are the witnesses and timestamp authorities that the auditor trusts.
    InputError if the file cannot be opened, KeyUnusable if a pinned key is not a key; whatever is
    wrong with the archive itself is in the verdict.
    """
    found = Findings()
    try:
        container = Container(source)
    except ProofError as error:
        found.problem(str(error))
        return _verdict(found)
    with container as archive:
        for problem in archive.problems:
            found.problem(problem)
        digests = [name for name in archive.names if PurePosixPath(name).name == DIGEST]
        if len(digests) != 1:
            found.problem(f"The archive has {len(digests)} files named {DIGEST} instead of one.")
            return _verdict(found)
        folder = digests[0].removesuffix(DIGEST)
        trust = establish(archive, folder, pinned, checkpoint, found)
        digest = _digest(archive, digests[0], trust.report_key, found)
        hashes = _hash_files(archive, found, progress)
        proofs = None
        if digest is not None:
            _compare_files(archive, digests[0], digest, hashes, found)
            digest = msgspec.structs.replace(digest, files=())  # by far its largest part
        if trust.checkpoint is not None:
            believed = outsiders if outsiders is not None else Outsiders()
            anchors = Anchors(archive, folder, trust.checkpoint, trust.keys, believed, found)
            proofs = Proofs(archive, folder, trust.checkpoint, hashes, found, anchors)
            proofs.check(digest)
        return _verdict(found, archive, trust, digest, proofs)


def _digest(
    archive: Container, name: str, report_key: bytes | None, found: Findings
) -> Digest | None:
    """digest.txt, if it can be read; whether its signature holds is found on the way."""
    try:
        content = archive.read(name, _DIGEST_LIMIT)
        digest = msgspec.json.decode(content, type=Digest)
    except (ProofError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        found.problem(f"{name} cannot be read as a digest: {error}")
        return None
    if digest.file_bytes() != content:
        found.problem(f"{name} was changed: it is not written in its one exact form.")
    if report_key is None:
        found.problem(f"The signature of {name} cannot be checked: no endorsed key is known.")
        return digest
    if digest.public_key_fingerprint != fingerprint(report_key):
        found.problem(f"{name} names another report key than the one that the log endorses.")
    try:
        signature = bytes.fromhex(digest.hash_signature)
        verify_rsa(report_key, digest.signed_bytes(), signature)
    except (ProofError, ValueError):
        found.problem(
            f"{name} was changed, or signed by somebody else: its signature does not hold."
        )
    return digest


def _hash_files(archive: Container, found: Findings, progress: Progress | None) -> dict[str, bytes]:
    """The SHA-256 of every file that can be read; why one cannot is found on the way."""
    hashes: dict[str, bytes] = {}
    total, done = archive.total_size, 0
    for name in archive.names:
        state = hashlib.sha256()
        try:
            for block in archive.blocks(name):
                state.update(block)
                done += len(block)
                if progress is not None:
                    progress(done, total)
        except ProofError as error:
            found.problem(str(error))
            continue
        hashes[name] = state.digest()
    return hashes


def _compare_files(
    archive: Container, own_name: str, digest: Digest, hashes: dict[str, bytes], found: Findings
) -> None:
    """What the digest lists and what the archive holds are the same files."""
    listed: set[str] = set()
    for file in digest.files:
        name = file.file_name
        if name in listed:
            found.problem(f"{name} is listed twice in {DIGEST}.")
        listed.add(name)
        if name not in archive:
            found.problem(f"{name} is missing: it is listed in {DIGEST}.")
        elif name in hashes and hashes[name].hex() != file.file_hash_value:
            found.problem(f"{name} was changed: its SHA-256 is not the one in {DIGEST}.")
        elif archive.size(name) != file.size:
            found.problem(f"{name} has another size than {DIGEST} says.")
    for name in archive.names:
        if name not in listed and name != own_name:
            found.problem(f"{name} was added: it is not listed in {DIGEST}.")


def _verdict(
    found: Findings,
    archive: Container | None = None,
    trust: Trust | None = None,
    digest: Digest | None = None,
    proofs: Proofs | None = None,
) -> Verdict:
    """What was found, with as much about the archive as could be told."""
    key = trust.log_key if trust else None
    checkpoint = trust.checkpoint if trust else None
    report_key = trust.report_key if trust else None
    tally = proofs.anchored if proofs else None
    return Verdict(
        state=found.state,
        problems=found.problems,
        doubts=found.doubts,
        origin=key.name if key else "",
        log_key=key.vkey if key else "",
        fingerprint=key.fingerprint if key else "",
        log_size=checkpoint.size if checkpoint else 0,
        report_key_fingerprint=fingerprint(report_key) if report_key else "",
        report_name=digest.report_name if digest else "",
        account=digest.account_id if digest else "",
        region=digest.region if digest else "",
        signed_at=digest.signature_date_time if digest else "",
        files=len(archive.names) if archive else 0,
        bytes=archive.total_size if archive else 0,
        records=proofs.records if proofs else 0,
        batches=proofs.batches if proofs else 0,
        attachments=proofs.attachments if proofs else 0,
        notices=found.notices,
        anchored=tally.covered if tally else 0,
        anchored_late=tally.late if tally else 0,
        anchored_by=clock.iso(tally.last) if tally and tally.last is not None else "",
        vouched=tuple(sorted(tally.names)) if tally else (),
        completeness=proofs.completeness.summary() if proofs else {},
    )
