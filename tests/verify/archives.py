"""Small report archives, honest ones and those of a forger, written from docs/formats.md.

A forger may do at each step what the attack needs: change members before or after the digest is
signed, and sign with keys of their own.
"""

import json
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.vectors.make import jcs, number

from auditkeep.crypto.signing import ReportKey
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.tlog.merkle import Tree, leaf_hash
from auditkeep.tlog.note import Signer, sign
from auditkeep.verify import format as fmt

TOP = "payments-1a2b3c4d/"
FOLDER = TOP + "q2-1a2b3c4d5e6f70/"
ACCOUNT, REGION = "111122223333", "eu-central-1"


@dataclass(frozen=True)
class House:
    """Whoever makes reports: a log's key and a report key."""

    signer: Signer
    report_key: ReportKey

    @property
    def origin(self) -> str:
        return self.signer.name

    @property
    def vkey(self) -> str:
        return self.signer.vkey


@dataclass
class Record:
    """One observation as its batch logged it."""

    number: int
    unit: str
    raw: bytes
    attachment: bytes | None = None
    account: str = ACCOUNT
    natural_key: list[str] = field(default_factory=list)
    id: str | None = None
    v: int = 1
    source: str = "AWS_Cloudtrail"

    @property
    def name(self) -> str:
        return f"{TOP}control-0a1b2c3d/CloudTrail/2026-05-01/10-00-{self.number:02d}_item"

    @property
    def nonce(self) -> bytes:
        return number(f"nonce of {self.number}")

    @property
    def envelope(self) -> str:
        natural_key = self.natural_key or [f"event-{self.number}"]
        named = ["auditkeep/observation/1", self.account, REGION, self.source, natural_key]
        second = 1_777_629_600 + self.number
        id_ = second.to_bytes(4, "big") + sha256(jcs(named)).digest()[:12]
        body = {
            "collected_at": "2026-05-02T00:00:00.000000Z",
            "event_time": f"2026-05-01T10:00:{self.number:02d}.000000Z",
            "id": self.id or id_.hex(),
            "natural_key": natural_key,
            "position": str(self.number),
            "provenance": {"collector": "c", "how": "file", "run": "r", "software": "s"},
            "reading": {"account": ACCOUNT, "match_key": "k", "reader": "r", "region": REGION},
            "source": self.source,
            "tenant": {"account": self.account, "region": REGION},
            "unit": self.unit,
            "v": self.v,
        }
        return jcs(body).decode()

    @property
    def leaf(self) -> bytes:
        hashes = sha256(self.envelope.encode()).digest() + sha256(self.raw).digest()
        return sha256(b"\x00auditkeep/leaf/1" + self.nonce + hashes).digest()


@dataclass
class Batch:
    """What one append logged."""

    batch_no: int
    records: list[Record]
    account: str = ACCOUNT
    v: int = 1

    @property
    def tree(self) -> Tree:
        return Tree([record.leaf for record in self.records])

    @property
    def salt(self) -> bytes:
        return number(f"salt of {self.batch_no}")

    @property
    def record(self) -> str:
        body = {
            "batch_no": self.batch_no,
            "bucket": "b",
            "class": "facts",
            "committed_at": "2026-05-02T00:00:00.000000Z",
            "root": self.tree.root.hex(),
            "rows": len(self.records),
            "tenant": {"account": self.account, "region": REGION},
            "unit": f"unit-{self.batch_no}",
            "v": self.v,
        }
        return jcs(body).decode()

    @property
    def entry(self) -> bytes:
        return sha256(b"auditkeep/batch/1" + self.salt + self.record.encode()).digest()


def handed_in(**members: str) -> bytes:
    """The raw bytes of a manual record (docs/formats.md, "Manual evidence")."""
    return jcs({"fileName": "policy.pdf", "uploader": "arn:aws:iam::1:user/u", **members})


def batches() -> list[Batch]:
    """Two batches of five and three observations; the last one is an upload with its file."""
    first = [Record(n, "unit-1", b'{"event": %d}' % n) for n in range(5)]
    second = [Record(n, "unit-2", b'{"event": %d}' % n) for n in range(5, 8)]
    upload = b"%PDF-1.7 the customer's own file"
    second[-1].attachment = upload
    second[-1].source = "MANUAL"
    second[-1].raw = handed_in(form="file", sha256=sha256(upload).hexdigest())
    return [Batch(1, first), Batch(2, second)]


class Report:
    """The members of an archive, by name; sign it, then write it."""

    def __init__(
        self, house: House, made: list[Batch] | None = None, *, more_entries: int = 5
    ) -> None:
        made = made or batches()
        self.house = house
        self.batches = made
        # Other tenants' entries come before and after: they are opaque.
        others = [number(f"other {n}") for n in range(more_entries)]
        self.entries = [*others[:2], *(batch.entry for batch in made), *others[2:]]
        self.log = Tree([leaf_hash(entry) for entry in self.entries])
        self.members: dict[str, bytes] = {
            FOLDER + "AssessmentReportSummary.pdf": b"%PDF-1.7 a summary",
            FOLDER + "README.txt": b"How to check this report.\n",
        }
        self.batch_lines = [
            {
                "batch_no": batch.batch_no,
                "record": batch.record,
                "salt": batch.salt.hex(),
                "index": 2 + n,
                "inclusion": [step.hex() for step in self.log.path(2 + n)],
            }
            for n, batch in enumerate(made)
        ]
        self.record_lines: list[dict[str, Any]] = []
        for batch in made:
            for index, record in enumerate(batch.records):
                self._add(batch, index, record)
        self.checkpoint = Checkpoint(house.origin, self.log.size, self.log.root)
        self.set_note(fmt.CHECKPOINT, self.checkpoint.signed(house.signer))
        self.set_note(fmt.LOG_KEY, house.vkey + "\n")
        self.endorse(house.signer, house.report_key)

    def _add(self, batch: Batch, index: int, record: Record) -> None:
        self.members[record.name] = record.raw
        line: dict[str, Any] = {
            "evidenceId": f"00000000-0000-4000-8000-{record.number:012d}",
            "file": record.name,
            "batch_no": batch.batch_no,
            "index": index,
            "nonce": record.nonce.hex(),
            "envelope": record.envelope,
            "path": [step.hex() for step in batch.tree.path(index)],
        }
        if record.attachment is not None:
            line["attachment"] = {
                "file": record.name + "_policy.pdf",
                "sha256": sha256(record.attachment).hexdigest(),
            }
            self.members[record.name + "_policy.pdf"] = record.attachment
        self.record_lines.append(line)

    def set_note(self, name: str, text: str) -> None:
        self.members[FOLDER + name] = text.encode()

    def endorse(self, signer: Signer, key: ReportKey) -> None:
        body = fmt.report_key_body(self.house.origin, key.public_der)
        self.set_note(fmt.REPORT_KEY, sign(body, [signer]))

    def set_lines(self, name: str, lines: Iterable[Any]) -> None:
        self.members[FOLDER + name] = b"".join(jcs(line) + b"\n" for line in lines)

    def signed(self, key: ReportKey | None = None, **changes: Any) -> "Report":
        """Write the proofs and sign the digest; `changes` replace members of the digest."""
        key = key or self.house.report_key
        for name, lines in ((fmt.BATCHES, self.batch_lines), (fmt.RECORDS, self.record_lines)):
            if FOLDER + name not in self.members:
                self.set_lines(name, lines)
        digest = {
            "version": "1.0",
            "region": REGION,
            "accountId": ACCOUNT,
            "assessmentId": "a",
            "assessmentReportId": "r",
            "reportName": "q2",
            "generatedAt": "2026-05-03T00:00:00Z",
            "files": [
                {
                    "fileName": name,
                    "fileHashValue": sha256(data).hexdigest(),
                    "size": len(data),
                }
                for name, data in sorted(self.members.items())
                if name != FOLDER + fmt.DIGEST
            ],
            "hashAlgorithm": "SHA-256",
            "signatureAlgorithm": "SHA256withRSA",
            "signatureDateTime": "2026-05-03T00:00:00Z",
            "signatureKeyId": "report-key-1",
            "publicKeyFingerprint": key.fingerprint,
            **changes,
        }
        digest["hashSignature"] = key.sign(jcs(digest)).hex()
        self.members[FOLDER + fmt.DIGEST] = jcs(digest)
        return self

    def edit_json(self, name: str, change: Callable[[Any], None]) -> None:
        value = json.loads(self.members[name])
        change(value)
        self.members[name] = jcs(value)

    def write(self, path: Path, *, compress: bool = True) -> Path:
        method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in self.members.items():
                archive.writestr(name, data)
        return path
