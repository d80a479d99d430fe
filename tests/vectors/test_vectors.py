"""The product agrees, byte for byte, with a second computation of everything that is kept."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import rfc8785
from tests.vectors import make

from auditkeep.clock import SECOND, Day, Instant, parse
from auditkeep.crypto.aead import open_sealed
from auditkeep.crypto.derive import object_key
from auditkeep.crypto.providers.local import LocalKeyProvider
from auditkeep.crypto.signing import SigningKey
from auditkeep.evidence.ids import EvidenceIds, FolderIds
from auditkeep.ids import Tenant
from auditkeep.lake import encoding, governance
from auditkeep.observations import Cut, Observation, Provenance, Resource
from auditkeep.tlog import tiles
from auditkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from auditkeep.tlog.epoch import Epoch, follow
from auditkeep.tlog.merkle import Tree, leaf_hash
from auditkeep.tlog.note import Signer, Verifier
from auditkeep.verify.format import Envelope
from auditkeep.verify.record import observation_id

HERE = Path(__file__).parent
TENANT = Tenant("111122223333", "eu-central-1")


def vector(name: str) -> Any:
    return json.loads((HERE / name).read_text())


OBSERVATIONS = vector("observations.json")


def test_the_files_are_what_the_script_makes() -> None:
    for name, value in make.vectors().items():
        assert (HERE / name).read_text() == make.text_of(value), name


def observation(envelope: dict[str, Any], raw: str) -> Observation:
    reading = envelope["reading"]
    return Observation(
        source=envelope["source"],
        natural_key=tuple(envelope["natural_key"]),
        event_time=parse(envelope["event_time"]),
        match_key=reading["match_key"],
        account=reading["account"],
        region=reading["region"],
        raw=raw.encode(),
        reader=reading["reader"],
        position=envelope["position"],
        verdict=reading.get("verdict"),
        resources=tuple(Resource(**r) for r in reading.get("resources", [])),
        actor=reading.get("actor"),
        event_name=reading.get("event_name", ""),
        event_source=reading.get("event_source", ""),
        cuts=tuple(Cut(**c) for c in envelope.get("cuts", [])),
    )


@pytest.mark.parametrize("case", OBSERVATIONS, ids=lambda c: c["source"])
def test_ids(case: dict[str, Any]) -> None:
    at = Instant(case["second"] * SECOND + 999_999)
    made = encoding.observation_id(TENANT, case["source"], tuple(case["natural_key"]), at)
    assert made.hex() == case["id"]


@pytest.mark.parametrize("case", OBSERVATIONS, ids=lambda c: c["source"])
def test_envelopes(case: dict[str, Any]) -> None:
    envelope = json.loads(case["envelope"])
    made = encoding.envelope(
        TENANT,
        observation(envelope, case["raw"]),
        bytes.fromhex(case["id"]),
        unit_id=envelope["unit"],
        provenance=Provenance(**envelope["provenance"]),
        collected_at=parse(envelope["collected_at"]),
    )
    assert made.decode() == case["envelope"]


@pytest.mark.parametrize("case", OBSERVATIONS, ids=lambda c: c["source"])
def test_envelopes_are_canonical_json(case: dict[str, Any]) -> None:
    assert rfc8785.dumps(json.loads(case["envelope"])).decode() == case["envelope"]


@pytest.mark.parametrize("case", OBSERVATIONS, ids=lambda c: c["source"])
def test_the_verifier_finds_the_id_in_the_envelope(case: dict[str, Any]) -> None:
    assert observation_id(msgspec.json.decode(case["envelope"], type=Envelope)) == case["id"]


@pytest.mark.parametrize("case", OBSERVATIONS, ids=lambda c: c["source"])
def test_leaves(case: dict[str, Any]) -> None:
    made = encoding.leaf(
        bytes.fromhex(case["nonce"]),
        sha256(case["envelope"].encode()).digest(),
        sha256(case["raw"].encode()).digest(),
    )
    assert made.hex() == case["leaf"]


def test_batches() -> None:
    case = vector("batch.json")
    tree = Tree([bytes.fromhex(leaf) for leaf in case["leaves"]])
    assert [[step.hex() for step in tree.path(i)] for i in range(tree.size)] == case["paths"]
    fields = json.loads(case["record"])
    record = encoding.batch_record(
        TENANT,
        batch_no=fields["batch_no"],
        bucket=fields["bucket"],
        klass=fields["class"],
        committed_at=parse(fields["committed_at"]),
        root=tree.root,
        rows=tree.size,
        unit_id=fields["unit"],
    )
    assert record.decode() == case["record"]
    entry = encoding.log_entry(bytes.fromhex(case["salt"]), record)
    assert entry.hex() == case["entry"]
    assert leaf_hash(entry).hex() == case["log_leaf"]


def test_the_log(tmp_path: Path) -> None:
    case = vector("log.json")
    entries = [bytes.fromhex(entry) for entry in case["entries"]]
    kept: dict[str, bytes] = {}
    kept.update(tiles.new_tiles(kept.__getitem__, 0, entries))
    assert {p: sha256(data).hexdigest() for p, data in kept.items()} == case["file_sha256"]
    reader = tiles.TileReader(kept.__getitem__, len(entries))
    assert reader.root().hex() == case["root"]
    assert [step.hex() for step in reader.inclusion(256)] == case["inclusion_of_256"]

    signer = Signer(case["origin"], key_of(bytes.fromhex(case["seed"])))
    assert signer.vkey == case["vkey"]
    checkpoint = Checkpoint(case["origin"], len(entries), reader.root())
    assert checkpoint.signed(signer) == case["checkpoint"]
    assert open_checkpoint(case["checkpoint"], [Verifier.parse(case["vkey"])]) == checkpoint


def key_of(seed: bytes) -> SigningKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return SigningKey(Ed25519PrivateKey.from_private_bytes(seed))


@pytest.mark.parametrize("case", vector("sealed.json"), ids=lambda c: c["object_id"] or "empty")
def test_sealed_objects(case: dict[str, str]) -> None:
    key = object_key(bytes.fromhex(case["bucket_key"]), case["object_id"])
    assert key.hex() == case["object_key"]
    opened = open_sealed(key, bytes.fromhex(case["blob"]), case["aad"].encode())
    assert opened.decode() == case["plaintext"]


def test_wrapped_keys(tmp_path: Path) -> None:
    case = vector("wrapped.json")
    file = tmp_path / "master.key"
    file.write_text(case["file"])
    file.chmod(0o600)
    provider = LocalKeyProvider.open(file)
    assert provider.key_id == case["key_id"]
    assert provider.unwrap(bytes.fromhex(case["wrapped"]), case["context"]).hex() == case["key"]


def test_the_ids_that_people_see() -> None:
    case = vector("shown-ids.json")
    secret, assessment = bytes.fromhex(case["secret"]), case["assessment"]
    assert FolderIds(secret, assessment).of(case["ordinal"], Day(case["day"])) == case["folder_id"]
    shown = EvidenceIds(secret, assessment, case["ordinal"])
    assert shown.of("iam:CreateUser", bytes.fromhex(case["observation_id"])) == case["evidence_id"]


@pytest.mark.parametrize("case", vector("governance.json"), ids=lambda c: c["kind"])
def test_governance_records(case: dict[str, str]) -> None:
    record = governance.decode(case["raw"].encode())
    assert record.__struct_config__.tag == case["kind"]
    assert governance.encode(record) == case["raw"].encode()
    assert case["match_key"] == f"{governance.CLASS}:{case['kind']}"


def test_there_is_a_vector_of_every_governance_record() -> None:
    kinds = {str(one.__struct_config__.tag) for one in get_args(governance.Record)}
    assert {case["kind"] for case in vector("governance.json")} == kinds


def test_epoch_notes() -> None:
    case, former = vector("epoch.json"), vector("log.json")
    signer = Signer(former["origin"], key_of(bytes.fromhex(former["seed"])))
    ends: list[tuple[str, int | None, bytes | None]] = [
        ("note", case["last_size"], bytes.fromhex(case["last_root"])),
        ("note_of_unknown_end", None, None),
    ]
    for name, size, root in ends:
        epoch = Epoch(
            former["origin"],
            case["vkey"],
            case["kept_size"],
            bytes.fromhex(case["kept_root"]),
            size,
            root,
        )
        assert epoch.signed(signer) == case[name]
        assert follow([case[name]], [Verifier.parse(case["former_vkey"])]) == [epoch]
        assert follow([case[name]], []) == []
