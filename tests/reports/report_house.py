"""A log and its evidence made by hand, so that reports can be built and verified without a lake."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from auditkeep.assessments.model import AssessedControl, ControlCopy
from auditkeep.clock import DAY, MINUTE, SECOND, Instant, day_of, iso, parse
from auditkeep.crypto.signing import ReportKey, SigningKey
from auditkeep.evidence.items import Item
from auditkeep.evidence.reading import reading_of
from auditkeep.ids import Tenant, named_id
from auditkeep.lake.encoding import batch_record, envelope, leaf, log_entry, observation_id
from auditkeep.lake.model import Stored
from auditkeep.observations import Observation, Provenance, Resource, SourceType
from auditkeep.reports.build import Attached, Notes, Plan, Sources, archive
from auditkeep.reports.model import Assessed, Heading, Integrity, Listing, Summary
from auditkeep.reports.pdf.process import render
from auditkeep.reports.proofs import Proven
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.tlog.merkle import Tree, leaf_hash, root
from auditkeep.tlog.note import Signer, sign
from auditkeep.verify.archive import verify_archive
from auditkeep.verify.findings import Verdict
from auditkeep.verify.format import report_key_body
from auditkeep.verify.statement import Stated

TENANT = Tenant("111122223333", "us-east-1")
NOW = parse("2026-05-01T15:07:09Z")
ORIGIN = "auditkeep.local/test"
_PROVENANCE = Provenance(how="file", collector="test", run="r", software="auditkeep 0")


STATED = Stated(
    state="nothing-missing",
    first=iso(Instant(NOW - 2 * DAY)),
    last=iso(NOW),
    created=iso(Instant(NOW - 2 * DAY)),
    minutes=15,
    expected=0,
    answered=0,
    controls=(),
    places=(),
    all_places=True,
    gaps=(),
    doubts=(),
)


@cache
def report_key() -> ReportKey:
    return ReportKey(rsa.generate_private_key(65537, 3072))


@cache
def log_signer() -> Signer:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
    return Signer(ORIGIN, SigningKey(key))


def observation(
    number: int,
    *,
    source: SourceType = "AWS_Config",
    event_name: str = "IAM_PASSWORD_POLICY",
    raw: bytes | None = None,
) -> Observation:
    verdict = None if source != "AWS_Config" else ("NON_COMPLIANT", "COMPLIANT")[number % 2]
    return Observation(
        source=source,
        natural_key=(str(number),),
        event_time=Instant(NOW - DAY + number % 1440 * MINUTE // 2 - number // 1440 * SECOND),
        match_key="config:IAM_PASSWORD_POLICY",
        account="111122223333",
        region="us-east-1",
        raw=raw if raw is not None else b'{"number":%d,"text":"as kept"}' % number,
        reader="test/1",
        position=str(number),
        verdict=verdict,
        resources=(Resource(value=f"user/{number}", verdict=verdict),),
        event_name=event_name,
        event_source="iam.amazonaws.com",
    )


def run_record(run: str, **members: object) -> Observation:
    """What a run says of itself at its end."""
    body: dict[str, object] = {
        "account": TENANT.account,
        "asked": [
            {
                "calls": {"config:DescribeConfigRules": 1, "config:GetComplianceDetails": 3},
                "counts": {"observations": 5, "pages": 4, "records": 6, "rejected": 1},
                "countedBySource": 6,
                "outcome": "complete",
            },
            {"calls": {}, "counts": {}, "outcome": "denied"},
        ],
        "caller": "arn:aws:iam::111122223333:role/AuditkeepCollector",
        "ended": iso(NOW),
        "outcome": "partial",
        "region": "us-east-1",
        "run": run,
        "software": "auditkeep/0",
        "source": "AWS_Config",
        "started": iso(Instant(NOW - MINUTE)),
        **members,
    }
    return Observation(
        source="RUN",
        natural_key=(run,),
        event_time=Instant(NOW - MINUTE),
        match_key="run:collect",
        account=TENANT.account,
        region=TENANT.region,
        raw=msgspec.json.encode(body, order="sorted"),
        reader="pull/1",
        position="",
    )


@dataclass
class House:
    """Batches in a log, the controls that see them, and what was uploaded."""

    controls: dict[int, AssessedControl] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    uploads: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    heading: Heading = field(
        default_factory=lambda: Heading(
            report_id=named_id("report"),
            report_name="Q2-review",
            description=None,
            account=TENANT.account,
            generated_at=NOW,
            assessment="Access & keys, 2026",
        )
    )
    volume_rows: int = 2000
    stated: Stated = STATED
    runs: list[Stored] = field(default_factory=list)
    batches: list[tuple[bytes, bytes, list[bytes]]] = field(default_factory=list)

    def control(self, name: str, set_id: str = "Access control") -> int:
        ordinal = len(self.controls) + 1
        self.controls[ordinal] = AssessedControl(
            ordinal=ordinal,
            set_id=set_id,
            control_id=named_id("control", name),
            position=ordinal,
            status="UNDER_REVIEW",
            removed=False,
            copy=ControlCopy(name=name, type="Custom", labels=("AWS Config",)),
        )
        return ordinal

    def add_run(self, run: str = "r", **members: object) -> None:
        """A run's record, in a batch of its own."""
        before = len(self.items)
        self.add([0], [run_record(run, **members)])
        self.runs += [item.stored for item in self.items[before:]]
        del self.items[before:]

    def add(self, ordinals: Sequence[int], observations: Sequence[Observation]) -> None:
        """One batch, seen by some controls."""
        number = len(self.batches) + 1
        leaves: list[bytes] = []
        for index, o in enumerate(observations):
            id_ = observation_id(TENANT, o.source, o.natural_key, o.event_time)
            text = envelope(TENANT, o, id_, unit_id="u", provenance=_PROVENANCE, collected_at=NOW)
            nonce = hashlib.sha256(id_).digest()
            hashes = (hashlib.sha256(text).digest(), hashlib.sha256(o.raw).digest())
            leaves.append(leaf(nonce, *hashes))
            stored = Stored(
                id=id_,
                batch_no=number,
                index=index,
                event_time=o.event_time,
                collected_at=NOW,
                source=o.source,
                match_key=o.match_key,
                account=o.account,
                region=o.region,
                verdict=o.verdict,
                envelope=text,
                raw=o.raw,
                nonce=nonce,
            )
            self.items += [_item(ordinal, stored) for ordinal in ordinals]
        record = batch_record(
            TENANT,
            batch_no=number,
            bucket="b",
            klass="facts",
            committed_at=NOW,
            root=root(leaves),
            rows=len(leaves),
            unit_id="u",
        )
        self.batches.append((hashlib.sha256(record).digest(), record, leaves))

    @property
    def log(self) -> list[bytes]:
        return [leaf_hash(log_entry(salt, record)) for salt, record, _ in self.batches]

    def prove(self, batch_no: int, indexes: Sequence[int]) -> Proven:
        salt, record, leaves = self.batches[batch_no - 1]
        return Proven(
            record=record.decode(),
            salt=salt,
            index=batch_no - 1,
            inclusion=Tree(self.log).path(batch_no - 1),
            paths={i: Tree(leaves).path(i) for i in indexes},
        )

    def plan(self) -> Plan:
        checkpoint = Checkpoint(ORIGIN, len(self.batches), root(self.log))
        signer, key = log_signer(), report_key()
        note = sign(checkpoint.body(), [signer])
        return Plan(
            tenant=TENANT,
            heading=self.heading,
            assessed=Assessed(
                id=named_id("assessment"),
                name=self.heading.assessment,
                description=None,
                status="ACTIVE",
                region=TENANT.region,
                accounts=(TENANT.account,),
                framework="Framework",
                compliance_type=None,
                owners=("arn:aws:iam::111122223333:user/admin",),
                last_updated=NOW,
            ),
            integrity=Integrity(
                origin=ORIGIN,
                log_size=checkpoint.size,
                log_root=checkpoint.root.hex(),
                log_key=signer.vkey,
                report_key=key.fingerprint,
            ),
            notes=Notes(
                checkpoint=note,
                log_key=signer.vkey + "\n",
                report_key=sign(report_key_body(ORIGIN, key.public_der), [signer]),
                consistency=(),
                epochs=(),
                anchors=lambda _: (),
            ),
            set_names=list(dict.fromkeys(c.set_id for c in self.controls.values())),
            controls=self.controls,
            expected=len(self.items),
            volume_rows=self.volume_rows,
            key=key,
            stated=self.stated,
        )

    def sources(self) -> Sources:
        ordered = sorted(self.items, key=lambda i: (i.stored.event_time, i.stored.id), reverse=True)
        ordered.sort(key=lambda i: i.ordinal)
        return Sources(
            items=ordered,
            prove=self.prove,
            attached=self.attached,
            runs=lambda *_: self.runs,
            vouched=lambda _: None,
        )

    def attached(self, item: Item) -> Attached | None:
        upload = self.uploads.get(item.stored.raw.decode(errors="replace"))
        if upload is None:
            return None
        name, content = upload
        return Attached(name, hashlib.sha256(content).hexdigest(), [content])

    def chunks(self, draw: Callable[[Summary | Listing], bytes] | None = None) -> Iterator[bytes]:
        return archive(self.plan(), self.sources(), draw or partial(render, memory_mb=1024))

    def write(self, path: Path) -> Path:
        path.write_bytes(b"".join(self.chunks()))
        return path


def check(path: Path) -> Verdict:
    return verify_archive(path, [log_signer().vkey])


def _item(ordinal: int, stored: Stored) -> Item:
    day = day_of(stored.event_time)
    return Item(
        ordinal=ordinal,
        day=day,
        folder_id=named_id("folder", str(ordinal), str(day)),
        evidence_id=named_id("evidence", str(ordinal), stored.id.hex()),
        stored=stored,
        reading=reading_of(stored),
    )
