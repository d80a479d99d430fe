"""What the pages on keys and cryptography list is what the source does: nothing new goes unlisted."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import ROOT

Trees = list[tuple[str, ast.Module]]

SOURCE = ROOT / "src" / "auditkeep"

LISTED = {
    # cryptography
    "AESGCM": "AES-256-GCM",
    "HKDF": "HKDF-SHA-256",
    "Scrypt": "scrypt",
    "SHA256": "SHA-256",
    "hashes": "SHA-256",
    "X25519PrivateKey": "X25519",
    "X25519PublicKey": "X25519",
    "ed25519": "Ed25519",
    "Ed25519PublicKey": "Ed25519",
    "rsa": "RSA PKCS#1 v1.5",
    "RSAPublicKey": "RSA PKCS#1 v1.5",
    "padding": "RSA PKCS#1 v1.5",
    "ec": "P-256",
    "Cipher": "AES-128, one block",
    "AES": "AES-128, one block",
    "ECB": "AES-128, one block",
    "serialization": "",  # forms of keys, no primitive
    # the standard library
    "hashlib.sha256": "SHA-256",
    "hashlib.file_digest": "SHA-256",
    "hmac.sha256": "HMAC-SHA-256",
    "ssl": "TLS 1.2 and 1.3",
    # others
    "jwt.RS256": "RSA with SHA-256",
    "jwt.ES256": "ECDSA on P-256",
    "jwt.EdDSA": "Ed25519",
    "rfc3161_client": "whatever its certificate names",
    "shamir_mnemonic": "Shamir over GF(256)",
    # elsewhere
    "pkcs11.AES_GCM": "AES-256-GCM",
    "pkcs11.EDDSA": "Ed25519",
    "pkcs11.EC_EDWARDS_KEY_PAIR_GEN": "Ed25519",
    "pkcs11.SHA256_RSA_PKCS": "RSA PKCS#1 v1.5",
    "kms.ED25519_SHA_512": "Ed25519",
    "kms.RSASSA_PKCS1_V1_5_SHA_256": "RSA PKCS#1 v1.5",
}
"""Each primitive of the source, and how docs/cryptography.md calls it."""

WRAPPING = {
    "lake/buckets.py": "a key for each bucket",
    "lake/rotation.py": "",  # what the others have wrapped, anew
    "lake/fields.py": "`secret/fields`",
    "app/secrets.py": "`secret/links`",
    "access/credentials.py": "access keys",
    "access/sessions.py": "sessions",
    "backup/keys.py": "a key for each backup of the key store",
}
"""Who has something wrapped, and how docs/keys.md calls it, which says how a rotation reaches it."""

_NAMED = re.compile(r"(?:RS|ES|PS|HS)(?:256|384|512)|EdDSA")
_KMS = re.compile(r"(?:RSASSA|ECDSA|ED25519|SM2DSA|ML_DSA)[A-Z0-9_]*_SHA[A-Z0-9_]*|RSAES_\w+")


_TELLS = re.compile(
    r"cryptography|hashlib|hmac|\bssl\b|[Mm]echanism|rfc3161_client|shamir_mnemonic|Crypto|nacl"
    r"|RS256|ES256|EdDSA|_SHA_|\.wrap\b|md5|sha1|MD5|SHA1|DES|ARC4"
)
"""Without one of these a file holds nothing of what is looked for here."""


@pytest.fixture(scope="module")
def trees() -> list[tuple[str, ast.Module]]:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text()
        if _TELLS.search(text):
            found.append((str(path.relative_to(SOURCE)), ast.parse(text)))
    return found


def _primitives(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module)):
                names = [alias.name for alias in node.names]
                if module.startswith("cryptography.hazmat.primitives.serialization"):
                    continue
                if module.startswith("cryptography.hazmat"):
                    yield from names
                elif module in ("hashlib", "hmac"):
                    yield from (f"{module}.{name}" for name in names)
                elif module.partition(".")[0] in ("rfc3161_client", "shamir_mnemonic", "Crypto"):
                    yield module.partition(".")[0]
            case ast.Import():
                yield from (alias.name for alias in node.names if alias.name in ("ssl", "nacl"))
            case ast.Attribute(value=ast.Name(id="hashlib"), attr=attribute):
                yield f"hashlib.{attribute}"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="hmac"), attr="new" | "digest")):
                yield f"hmac.{_digest(node.args[2])}"
            case ast.Attribute(value=ast.Attribute(attr="Mechanism"), attr=mechanism):
                yield f"pkcs11.{mechanism}"
            case ast.Attribute(value=ast.Name(id="mechanism"), attr=mechanism):
                yield f"pkcs11.{mechanism}"
            case ast.Constant(value=str(text)) if _NAMED.fullmatch(text):
                yield f"jwt.{text}"
            case ast.Constant(value=str(text)) if _KMS.fullmatch(text):
                yield f"kms.{text}"


def _digest(given: ast.expr) -> str:
    match given:
        case ast.Constant(value=str(text)):
            return text
        case ast.Attribute(attr=text) | ast.Name(id=text):
            return text
    return ast.unparse(given)


def test_every_primitive_of_the_source_is_on_the_page(trees: Trees) -> None:
    page = (ROOT / "docs" / "cryptography.md").read_text()
    found: dict[str, str] = {}
    for place, tree in trees:
        for primitive in _primitives(tree):
            found.setdefault(primitive, place)
    new = {name: place for name, place in found.items() if name not in LISTED}
    assert not new, "say on docs/cryptography.md what it is for, and whether it is approved"
    assert {name for name in LISTED if name not in found} == set(), "no more used"
    for name, called in LISTED.items():
        assert called in page, f"docs/cryptography.md does not speak of {called}, for {name}"


def test_nothing_here_hashes_with_what_is_broken(trees: Trees) -> None:
    for place, tree in trees:
        names = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        names |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        assert not names & {"md5", "sha1", "MD5", "SHA1", "DES", "TripleDES", "ARC4"}, place


def test_who_has_something_wrapped_is_on_the_page_that_says_how_rotation_reaches_it(
    trees: Trees,
) -> None:
    found = set()
    for place, tree in trees:
        if place.startswith("crypto/"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == "wrap":
                found.add(place)
    assert found == set(WRAPPING), (
        "a rotation must reach it, or it must end; then list it in docs/keys.md"
    )
    page = Path(ROOT / "docs" / "keys.md").read_text()
    for called in WRAPPING.values():
        assert called in page
