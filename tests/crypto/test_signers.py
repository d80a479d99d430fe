"""Keys that sign where they are held: AWS KMS and an HSM, by the file that names them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kms import KmsServer, running_kms
from tests.softhsm import PIN, TOKEN, new_token

from auditkeep.clock import FixedClock, Instant
from auditkeep.crypto import keyfiles, signers
from auditkeep.crypto.asking import patient
from auditkeep.crypto.providers.guard import Guard
from auditkeep.crypto.providers.hsm import Hsm, uri_of
from auditkeep.crypto.providers.kms import Kms
from auditkeep.crypto.providers.signing import Held, Kind, held
from auditkeep.crypto.signers import DistantLogKey, DistantReportKey
from auditkeep.crypto.signing import ReportKey, SigningKey, verify_ed25519, verify_rsa
from auditkeep.crypto.uses import Uses
from auditkeep.errors import KeyAway, KeyUnusable, StorageError

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def kms() -> Iterator[KmsServer]:
    with running_kms() as server:
        yield server


@pytest.fixture
def aws(kms: KmsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[KmsServer]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    yield kms
    kms.denied.clear()
    kms.silent.clear()


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hsm]:
    with pytest.MonkeyPatch.context() as patch:
        library = new_token(tmp_path_factory.mktemp("hsm"), patch)
        yield Hsm(str(library), lambda: PIN)


def _in_kms(server: KmsServer, guard: Guard | None = None) -> signers.Find:
    kms = Kms(endpoint_url=server.url, seconds=0.3, guard=guard)
    return lambda name, kind: held(name, kind, kms=kms, hsm=None)


def _both(tmp_path: Path, log: str, report: str, find: signers.Find, uses: Uses) -> None:
    """Named, opened from their files, and signing what anybody can check."""
    keyfiles.create(tmp_path / "log.key", signers.log_key_file(log, find, uses.note))
    keyfiles.create(tmp_path / "report.key", signers.report_key_file(report, find, uses.note))
    uses.take()
    log_key = signers.open_log_key(tmp_path / "log.key", find, uses.note)
    report_key = signers.open_report_key(tmp_path / "report.key", find, uses.note)
    verify_ed25519(log_key.public, b"data", log_key.sign(b"data"))
    verify_rsa(report_key.public_der, b"data", report_key.sign(b"data"))
    assert report_key.sign(b"data") == report_key.sign(b"data"), "the same bytes for the same data"
    assert (signers.name_of(tmp_path / "log.key"), repr(log_key).count(log)) == (log, 1)
    told = [(use.operation, use.key_id, use.context["purpose"]) for use in uses.take()[0]]
    assert told[:2] == [("Sign", log, "auditkeep/log"), ("Sign", report, "auditkeep/reports")]


def test_both_keys_in_aws_kms(aws: KmsServer, tmp_path: Path) -> None:
    uses = Uses(FixedClock(Instant(5)))
    _both(tmp_path, aws.log_key(), aws.report_key(), _in_kms(aws), uses)


def test_both_keys_in_an_hsm_which_makes_them(hsm: Hsm, tmp_path: Path) -> None:
    uses = Uses(FixedClock(Instant(5)))

    def find(name: str, kind: Kind) -> Held:
        return held(name, kind, kms=None, hsm=hsm)

    log, report = uri_of(TOKEN, "log"), uri_of(TOKEN, "reports")
    _both(tmp_path, log, report, find, uses)
    again = signers.log_key_file(log, find)
    assert again == (tmp_path / "log.key").read_bytes(), "one that is there stays"
    with pytest.raises(KeyUnusable, match="another kind"):
        signers.log_key_file(report, find)
    with pytest.raises(KeyUnusable, match="another kind"):
        signers.report_key_file(log, find)


def test_files_of_our_own_are_opened_as_ever(tmp_path: Path) -> None:
    def find(name: str, kind: Kind) -> Held:
        raise AssertionError((name, kind))

    SigningKey.create(tmp_path / "log.key")
    ReportKey.create(tmp_path / "report.key")
    assert isinstance(signers.open_log_key(tmp_path / "log.key", find), SigningKey)
    assert isinstance(signers.open_report_key(tmp_path / "report.key", find), ReportKey)
    assert signers.name_of(tmp_path / "log.key") == "file"
    signers.require_signing(signers.open_log_key(tmp_path / "log.key", find))


def test_a_key_of_another_kind_or_too_weak_is_refused(aws: KmsServer) -> None:
    find = _in_kms(aws)
    weak = aws.key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
    for name in (aws.report_key(), aws.key()):
        with pytest.raises(KeyUnusable, match=r"another kind|no key for signing|could not be used"):
            signers.log_key_file(name, find)
    for name in (aws.log_key(), weak):
        with pytest.raises(KeyUnusable, match="another kind"):
            signers.report_key_file(name, find)


class _Ticks:
    at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.mark.parametrize(
    ("turn", "back", "state", "said"),
    [
        ("disable_key", ("enable_key",), "disabled", "is disabled"),
        (
            "schedule_key_deletion",
            ("cancel_key_deletion", "enable_key"),
            "pending deletion",
            "pending deletion",
        ),
        ("denied", (), "denied", "kms:Sign"),
        ("silent", (), "unreachable", "does not answer"),
    ],
)
def test_a_key_that_is_away_says_why_once_and_signs_again_by_itself(
    aws: KmsServer, tmp_path: Path, turn: str, back: tuple[str, ...], state: str, said: str
) -> None:
    ticks, uses = _Ticks(), Uses(FixedClock(Instant(5)))
    find, arn = _in_kms(aws, Guard(ticks=ticks)), aws.log_key()
    keyfiles.create(tmp_path / "log.key", signers.log_key_file(arn, find))
    key = signers.open_log_key(tmp_path / "log.key", find, uses.note)
    if turn == "denied":
        aws.denied.add("Sign")
    elif turn == "silent":
        aws.silent.add("us-east-1")
    else:
        aws.turn(turn, arn, *((7,) if "schedule" in turn else ()))
    for _ in range(3):  # the log asks every second
        with pytest.raises(KeyAway, match=said) as caught:
            key.sign(b"data")
        assert (caught.value.state, arn in str(caught.value)) == (state, True)
    assert [use.error for use in uses.take()[0]] == ["KeyAway"], "that it is so still is no news"
    for call in back:
        aws.turn(call, arn)
    aws.denied.clear()
    aws.silent.clear()
    ticks.at += 11
    verify_ed25519(key.public, b"data", key.sign(b"data"))


class _Exchanged:
    """A key behind whose name somebody has put another one."""

    key_id = "pkcs11:token=t;object=o"

    def __init__(self, folder: Path) -> None:
        self._other = SigningKey.create(folder / "other.key")

    def public_der(self) -> bytes:
        raise AssertionError

    def sign(self, data: bytes) -> bytes:
        return self._other.sign(data)


def test_a_key_exchanged_behind_its_name_signs_nothing(aws: KmsServer, tmp_path: Path) -> None:
    public = held(aws.log_key(), "ed25519", kms=Kms(endpoint_url=aws.url), hsm=None).public_der()
    other = _Exchanged(tmp_path)
    key = DistantLogKey(other, public)
    with pytest.raises(KeyUnusable, match="is not the one that this deployment was given"):
        key.sign(b"data")
    with pytest.raises(KeyUnusable, match="another kind; an RSA"):
        DistantReportKey(other, public)


def test_nobody_signs_elsewhere_whom_others_wait_for(aws: KmsServer) -> None:
    find, arn = _in_kms(aws), aws.log_key()
    with patient(), pytest.raises(StorageError, match="while others wait"):
        find(arn, "ed25519").sign(b"data")


def test_where_nobody_may_be_asked_the_name_says_so(tmp_path: Path) -> None:
    for name, setting in (
        ("arn:aws:kms:us-east-1:111122223333:key/1", "AUDITKEEP_KMS=aws"),
        ("pkcs11:token=t;object=o", "AUDITKEEP_PKCS11_MODULE"),
    ):
        with pytest.raises(KeyAway, match=setting):
            held(name, "ed25519", kms=None, hsm=None)
    (tmp_path / "log.key").write_bytes(b"auditkeep/signing-key/1\narn:x\n")
    (tmp_path / "log.key").chmod(0o600)
    with pytest.raises(KeyUnusable, match="names no signing key"):
        signers.name_of(tmp_path / "log.key")
