"""What the digests of a trail found, on its way into the lake: as a unit of its own."""

from collections.abc import Sequence
from hashlib import sha256
from typing import BinaryIO

from auditkeep.clock import Instant
from auditkeep.collection.ingest import Part
from auditkeep.errors import InputError
from auditkeep.lake.append import Unit
from auditkeep.observations import How
from auditkeep.sources import files
from auditkeep.sources.digest_findings import Finding, observation
from auditkeep.sources.digests import LogFile
from auditkeep.sources.trail_layout import Place

KIND = "digest"


def part_of(findings: Sequence[Finding], how: How) -> Part:
    """Findings as a part to append; found again, it is the same unit."""
    observations = [observation(f) for f in findings]
    named = [part for o in observations for part in o.natural_key]
    unit = sha256(b"auditkeep/digest/1" + "\n".join(named).encode()).hexdigest()
    size = sum(len(o.raw) for o in observations)
    return Part(Unit(unit, KIND, findings[0].url), observations, size=size, how=how)


def log_missing(place: Place, log: LogFile, at: Instant) -> Finding:
    sentence = "A digest names the log file, but it is not there."
    return Finding("LogFileMissing", place, log.bucket, log.key, at, sentence)


def log_changed(place: Place, log: LogFile, at: Instant) -> Finding:
    sentence = "The log file is not what CloudTrail delivered: its hash differs."
    proof = {"delivered": log.hash_value}
    return Finding("LogFileChanged", place, log.bucket, log.key, at, sentence, proof)


def text_hash(file: BinaryIO) -> str:
    """The SHA-256 of a log file's text, as digests say it ("" if it cannot be unpacked).

    Leaves the file at its beginning.
    """
    digest = sha256()
    try:
        for block in files.blocks(file):
            digest.update(block)
    except InputError:
        return ""
    finally:
        file.seek(0)
    return digest.hexdigest()
