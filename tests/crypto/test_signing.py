"""The log's key and the reports' key: made, kept, checked with another program."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.crypto.signing import ReportKey, SigningKey, verify_ed25519, verify_rsa
from auditkeep.errors import KeyUnusable, ProofError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key of each kind, made once: RSA keys take a while."""
    folder = tmp_path_factory.mktemp("keys")
    SigningKey.create(folder / "log.pem")
    ReportKey.create(folder / "report.pem")
    return folder


def test_keys_come_back_from_their_files(folder: Path) -> None:
    log, report = SigningKey.open(folder / "log.pem"), ReportKey.open(folder / "report.pem")
    assert len(log.public) == 32
    verify_ed25519(log.public, b"data", log.sign(b"data"))
    verify_rsa(report.public_der, b"data", report.sign(b"data"))
    assert report.sign(b"data") == report.sign(b"data")
    for name in ("log.pem", "report.pem"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600


def test_openssl_agrees_with_the_report_signature(folder: Path, tmp_path: Path) -> None:
    key = ReportKey.open(folder / "report.pem")
    (tmp_path / "key.der").write_bytes(key.public_der)
    (tmp_path / "data").write_bytes(b"what is signed")
    (tmp_path / "signature").write_bytes(key.sign(b"what is signed"))
    check = ["openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", "key.der"]
    done = subprocess.run(
        [*check, "-signature", "signature", "data"], cwd=tmp_path, capture_output=True, check=True
    )
    assert b"Verified OK" in done.stdout


@given(st.binary(max_size=80))
def test_no_other_signature_holds(signature: bytes) -> None:
    with pytest.raises(ProofError):
        verify_ed25519(bytes(32), b"data", signature)


def test_changed_data_is_found(folder: Path) -> None:
    log, report = SigningKey.open(folder / "log.pem"), ReportKey.open(folder / "report.pem")
    with pytest.raises(ProofError, match="Ed25519"):
        verify_ed25519(log.public, b"other", log.sign(b"data"))
    with pytest.raises(ProofError, match="RSA"):
        verify_rsa(report.public_der, b"other", report.sign(b"data"))
    with pytest.raises(ProofError, match="cannot be read"):
        verify_rsa(b"noise", b"data", report.sign(b"data"))


def test_a_weak_or_foreign_key_verifies_nothing() -> None:
    weak = rsa.generate_private_key(65537, 1024).public_key()
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    for key in (weak, other):
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(ProofError, match="3072"):
            verify_rsa(der, b"data", b"signature")


def test_files_of_another_kind_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable, match="another kind; an Ed25519"):
        SigningKey.open(folder / "report.pem")
    with pytest.raises(KeyUnusable, match="another kind; an RSA"):
        ReportKey.open(folder / "log.pem")
    weak = rsa.generate_private_key(65537, 2048)
    pem = weak.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "weak.pem").write_bytes(pem)
    (tmp_path / "weak.pem").chmod(0o600)
    with pytest.raises(KeyUnusable, match="at least 3072 bits"):
        ReportKey.open(tmp_path / "weak.pem")


@pytest.mark.parametrize("kind", [SigningKey, ReportKey])
def test_missing_garbled_and_open_files(
    kind: type[SigningKey] | type[ReportKey], folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "key.pem"
    with pytest.raises(KeyUnusable, match="is missing"):
        kind.open(file)
    secret = (folder / "log.pem").read_bytes()
    file.write_bytes(secret[:60] + b"!" + secret[61:])
    file.chmod(0o600)
    with pytest.raises(KeyUnusable, match="does not hold a private key") as caught:
        kind.open(file)
    assert secret[30:50].decode() not in str(caught.value)
    file.chmod(0o640)
    with pytest.raises(KeyUnusable, match=f"chmod 600 {file}"):
        kind.open(file)
    with pytest.raises(KeyUnusable, match="exists already"):
        kind.create(file)


def test_no_secret_in_what_is_printed(folder: Path) -> None:
    for key in (SigningKey.open(folder / "log.pem"), ReportKey.open(folder / "report.pem")):
        assert "object at" not in repr(key)
        assert repr(key).startswith(type(key).__name__)
        public = {name: value for name, value in vars(key).items() if not name.startswith("_")}
        assert all(isinstance(value, bytes) and len(value) < 500 for value in public.values())
