"""Makes the test vectors beside it: every byte that can never change, computed a second time.

Shares no code with Auditkeep: hashlib, json and struct, and `cryptography` for HKDF, AES and
Ed25519, following docs/formats.md by hand. Run `python tests/vectors/make.py` after adding a case;
a change of an existing case would mean that evidence already kept can no longer be proven.
"""

import base64
import json
import struct
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HERE = Path(__file__).parent
TENANT = {"account": "111122223333", "region": "eu-central-1"}


def jcs(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def hkdf(key: bytes, info: bytes, length: int = 32) -> bytes:
    return HKDF(SHA256(), length, None, info).derive(key)


def number(name: str, size: int = 32) -> bytes:
    """A fixed byte string that stands for a random one."""
    return sha256(name.encode()).digest()[:size]


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word; `leaves` are hashes already."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def observation_id(second: int, source: str, natural_key: list[str]) -> str:
    owner = [TENANT["account"], TENANT["region"]]
    named = jcs(["auditkeep/observation/1", *owner, source, natural_key])
    return (struct.pack(">I", second) + sha256(named).digest()[:12]).hex()


def observations() -> list[dict[str, Any]]:
    """A CloudTrail event with all members, one with none, and one with hard characters."""
    full: dict[str, Any] = {
        "collected_at": "2026-05-01T10:11:12.345678Z",
        "cuts": [{"length": 40, "mac": number("mac").hex(), "offset": 17, "rule": "aws-secret"}],
        "event_time": "2026-04-30T23:59:59.000000Z",
        "natural_key": ["0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9"],
        "position": "17",
        "provenance": {
            "collector": "auditkeep ingest",
            "how": "file",
            "run": "7d9f8a52-0e0c-4a8e-8f4e-0d2d1a3b4c5d",
            "software": "auditkeep 0.1.0",
        },
        "reading": {
            "account": "444455556666",
            "actor": "arn:aws:iam::444455556666:user/eve",
            "event_name": "CreateUser",
            "event_source": "iam.amazonaws.com",
            "match_key": "iam:CreateUser",
            "reader": "cloudtrail/1",
            "region": "aws-global",
            "resources": [
                {"arn": "arn:aws:iam::444455556666:user/mallory", "value": "mallory"},
                {"type": "AWS::IAM::User", "value": "u", "verdict": "NON_COMPLIANT"},
            ],
            "verdict": "WARNING",
        },
        "source": "AWS_Cloudtrail",
        "tenant": TENANT,
        "unit": "unit-1",
        "v": 1,
    }
    bare: dict[str, Any] = {
        **{k: v for k, v in full.items() if k != "cuts"},
        "event_time": "2026-05-01T00:00:00.000001Z",
        "natural_key": ["rule", "resource", "2026-05-01T00:00:00Z"],
        "reading": {
            "account": "444455556666",
            "match_key": "config:IAM_PASSWORD_POLICY",
            "reader": "config/1",
            "region": "eu-central-1",
        },
        "source": "AWS_Config",
    }
    hard: dict[str, Any] = {
        **bare,
        "natural_key": ['quote " back \\ slash /', "tab\t line\n \x01\x1f\x7f", "é € 😀 \u2028"],
        "position": "/Records/3",
        "source": "AWS_Security_Hub",
    }
    raws = ['{"eventName": "CreateUser"}', '{ "kept": "as it came"\r\n}', ""]
    seconds = [1777593599, 1777593600, 1777593600]
    made = []
    for n, (envelope, second, raw) in enumerate(
        zip((full, bare, hard), seconds, raws, strict=True)
    ):
        source, natural_key = envelope["source"], envelope["natural_key"]
        id_ = observation_id(second, source, natural_key)
        text = jcs({**envelope, "id": id_})
        nonce = number(f"nonce {n}")
        hashes = sha256(text).digest() + sha256(raw.encode()).digest()
        made.append(
            {
                "second": second,
                "source": source,
                "natural_key": natural_key,
                "id": id_,
                "raw": raw,
                "nonce": nonce.hex(),
                "envelope": text.decode(),
                "envelope_sha256": sha256(text).hexdigest(),
                "leaf": sha256(b"\x00auditkeep/leaf/1" + nonce + hashes).hexdigest(),
            }
        )
    return made


def batch(leaves: list[bytes]) -> dict[str, Any]:
    record = jcs(
        {
            "batch_no": 7,
            "bucket": "0b7f3a86-52d5-4f4c-9d0e-6f1f5f8f3c11",
            "class": "facts",
            "committed_at": "2026-05-01T10:11:13.000000Z",
            "root": mth(leaves).hex(),
            "rows": len(leaves),
            "tenant": TENANT,
            "unit": "unit-1",
            "v": 1,
        }
    )
    salt = number("salt")
    entry = sha256(b"auditkeep/batch/1" + salt + record).digest()
    return {
        "leaves": [leaf.hex() for leaf in leaves],
        "paths": [[step.hex() for step in path(m, leaves)] for m in range(len(leaves))],
        "record": record.decode(),
        "salt": salt.hex(),
        "entry": entry.hex(),
        "log_leaf": sha256(b"\x00" + entry).hexdigest(),
    }


def log() -> dict[str, Any]:
    """A log of 300 entries: two tiles of level 0, one of level 1, and its signed checkpoint."""
    entries = [number(f"entry {n}") for n in range(300)]
    leaves = [sha256(b"\x00" + entry).digest() for entry in entries]
    bundles = [b"".join(struct.pack(">H", 32) + e for e in part) for part in split(entries)]
    tiles = [b"".join(part) for part in split(leaves)]
    origin, seed = "log.example.org/auditkeep/1", number("log key")
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes_raw()
    key_id = sha256(origin.encode() + b"\n\x01" + public).digest()[:4]
    encoded = base64.b64encode(b"\x01" + public).decode()
    body = f"{origin}\n300\n{base64.b64encode(mth(leaves)).decode()}\n"
    signature = base64.b64encode(key_id + key.sign(body.encode())).decode()
    return {
        "origin": origin,
        "seed": seed.hex(),
        "vkey": f"{origin}+{key_id.hex()}+{encoded}",
        "checkpoint": f"{body}\n— {origin} {signature}\n",
        "entries": [entry.hex() for entry in entries],
        "root": mth(leaves).hex(),
        "inclusion_of_256": [step.hex() for step in path(256, leaves)],
        "file_sha256": {
            "tile/entries/000": sha256(bundles[0]).hexdigest(),
            "tile/entries/001.p/44": sha256(bundles[1]).hexdigest(),
            "tile/0/000": sha256(tiles[0]).hexdigest(),
            "tile/0/001.p/44": sha256(tiles[1]).hexdigest(),
            "tile/1/000.p/1": sha256(mth(leaves[:256])).hexdigest(),
        },
    }


def split(values: list[bytes]) -> list[list[bytes]]:
    return [values[n : n + 256] for n in range(0, len(values), 256)]


def sealed() -> list[dict[str, str]]:
    """Object keys and blobs: nonce ‖ ciphertext ‖ tag."""
    bucket_key = number("bucket key")
    made = []
    for object_id, aad in [
        ("tail/7", f"auditkeep/tail/1\n{TENANT['account']}\n{TENANT['region']}\n7"),
        ("übergabe/8d2b", "any additional data"),
        ("", ""),
    ]:
        key = hkdf(bucket_key, b"auditkeep/object/1" + object_id.encode())
        nonce, plaintext = number(f"gcm {object_id}", 12), f"content of {object_id}".encode()
        blob = nonce + AESGCM(key).encrypt(nonce, plaintext, aad.encode())
        made.append(
            {
                "bucket_key": bucket_key.hex(),
                "object_id": object_id,
                "object_key": key.hex(),
                "aad": aad,
                "plaintext": plaintext.decode(),
                "blob": blob.hex(),
            }
        )
    return made


def wrapped() -> dict[str, Any]:
    master, key = number("master key"), number("bucket key")
    context = {"region": "eu-central-1", "bucket": "b-1", "account": "111122223333"}
    fingerprint = hkdf(master, b"auditkeep/master-key-id/1", 8)
    head = b"\x01" + fingerprint
    nonce = number("wrap nonce", 12)
    cipher = AESGCM(hkdf(master, b"auditkeep/wrap/1"))
    return {
        "file": "auditkeep/master-key/1\n" + base64.b64encode(master).decode() + "\n",
        "key_id": f"local:{fingerprint.hex()}",
        "context": context,
        "key": key.hex(),
        "wrapped": (head + nonce + cipher.encrypt(nonce, key, head + jcs(context))).hex(),
    }


def shown_ids() -> dict[str, Any]:
    """Folder and evidence ids: one AES block each."""
    secret, assessment, ordinal, day = number("id secret"), number("a", 16).hex(), 3, 20574
    observation = bytes.fromhex(observations()[0]["id"])

    def block(info: str, data: bytes) -> str:
        cipher = Cipher(AES(hkdf(secret, info.encode(), 16)), ECB())
        value = cipher.encryptor().update(data).hex()
        return "-".join((value[:8], value[8:12], value[12:16], value[16:20], value[20:]))

    return {
        "secret": secret.hex(),
        "assessment": assessment,
        "ordinal": ordinal,
        "day": day,
        "folder_id": block(
            f"auditkeep/folder-id/1{assessment}", struct.pack(">II", ordinal, day) + bytes(8)
        ),
        "observation_id": observation.hex(),
        "evidence_id": block(f"auditkeep/evidence-id/1{assessment}/{ordinal}", observation),
    }


def governance() -> list[dict[str, str]]:
    """One record of each kind: raw bytes, as the log covers them."""
    at, who, request = "2026-05-01T10:11:12.345678Z", "arn:aws:iam::111122223333:user/eve", "r-1"
    asked = {"at": at, "principal": who, "request": request}
    made = batch([number("leaf of governance")])
    bucket = {
        "class": "manual/99999999-0000-4000-8000-000000000000",
        "generation": 1,
        "id": "0b7f3a86-52d5-4f4c-9d0e-6f1f5f8f3c11",
        "key": "local:0011223344556677",
        "month": "2026-04",
        "next": "7c1e5b0a-3d52-4e57-9d0a-2a1f0c6b8e44",
    }
    records: list[dict[str, Any]] = [
        {**asked, "action": "DeleteAssessment", "id": "a-1", "kind": "authority", "subject": "x"},
        {
            "at": at,
            "authority": "a-1",
            "batches": [[1, 3], [7, 7]],
            "buckets": [bucket],
            "files": 2,
            "id": "d-1",
            "kind": "destruction",
            "parts": [[4, [[0, 2], [5, 5]]]],
            "rows": 41,
        },
        {"destruction": "d-1", "kind": "openings", "openings": [[made["salt"], made["record"]]]},
        {
            **asked,
            "assessment": "",
            "first": "",
            "id": "h-1",
            "kind": "hold",
            "last": "2026-04-30T00:00:00.000000Z",
            "reason": "Übergabe “an” 😀",
        },
        {**asked, "hold": "h-1", "kind": "release", "reason": "over"},
        {
            "at": at,
            "backup": "20260430T020000Z-1",
            "id": "r-1",
            "keys": ["k-1"],
            "kind": "recovery",
            "lost": [[5, 9]],
            "origin": "log.example.org/auditkeep/1",
            "principal": who,
            "size": 10,
        },
        {
            "destruction": "d-1",
            "kind": "unseen",
            "policy": "a-2",
            "spans": [["iam:CreateUser", "111122223333", "aws-global", at, at, 41]],
            "version": 3,
        },
    ]
    return [
        {
            "kind": one["kind"],
            "raw": jcs({**one, "v": 1}).decode(),
            "match_key": f"governance:{one['kind']}",
        }
        for one in records
    ]


def epoch() -> dict[str, Any]:
    """A log's second name, in a note of the first one's key; and one whose end nobody knew."""
    old, entries = log(), [number(f"entry {n}") for n in range(300)]
    leaves = [sha256(b"\x00" + entry).digest() for entry in entries]
    name, former = f"{old['origin']}/epoch-2", old["origin"]
    public = Ed25519PrivateKey.from_private_bytes(number("second key")).public_key()
    raw = public.public_bytes_raw()
    key_id = sha256(name.encode() + b"\n\x01" + raw).digest()[:4]
    encoded = base64.b64encode(b"\x01" + raw).decode()
    vkey = f"{name}+{key_id.hex()}+{encoded}"
    kept = base64.b64encode(mth(leaves[:200])).decode()
    signer = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(old["seed"]))
    head = bytes.fromhex(old["vkey"].split("+")[1])
    notes = []
    for end in (f"300\n{base64.b64encode(mth(leaves)).decode()}", "unknown\nunknown"):
        body = f"log-epoch/1\n{former}\n{vkey}\n200\n{kept}\n{end}\n"
        signature = base64.b64encode(head + signer.sign(body.encode())).decode()
        notes.append(f"{body}\n— {former} {signature}\n")
    return {
        "former_vkey": old["vkey"],
        "vkey": vkey,
        "kept_size": 200,
        "kept_root": mth(leaves[:200]).hex(),
        "last_size": 300,
        "last_root": mth(leaves).hex(),
        "note": notes[0],
        "note_of_unknown_end": notes[1],
    }


def vectors() -> dict[str, Any]:
    made = observations()
    leaves = [bytes.fromhex(one["leaf"]) for one in made]
    return {
        "observations.json": made,
        "batch.json": batch(leaves),
        "log.json": log(),
        "sealed.json": sealed(),
        "wrapped.json": wrapped(),
        "shown-ids.json": shown_ids(),
        "governance.json": governance(),
        "epoch.json": epoch(),
    }


def text_of(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    for name, value in vectors().items():
        (HERE / name).write_text(text_of(value))
        print(f"wrote {name}")
