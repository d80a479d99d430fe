"""Keys in AWS KMS: bound to their context, and a sentence for each state they can be in."""

import threading
import time
from collections.abc import Iterator

import pytest
from tests.kms import KmsServer, running_kms

from auditkeep.clock import FixedClock, Instant
from auditkeep.crypto.masters import MasterGiven
from auditkeep.crypto.providers.guard import AT_ONCE, Guard
from auditkeep.crypto.providers.kms import TOKEN_SECONDS, Kms, KmsKey
from auditkeep.crypto.ring import KeyRing
from auditkeep.crypto.uses import KeyUse, Uses
from auditkeep.errors import DecryptionFailed, KeyAway, KeyUnusable

pytestmark = pytest.mark.server

CONTEXT = {"account": "111122223333", "region": "us-east-1", "bucket": "b"}
KEY = bytes(range(32))


@pytest.fixture(scope="module")
def kms_server() -> Iterator[KmsServer]:
    with running_kms() as server:
        yield server


@pytest.fixture
def server(kms_server: KmsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[KmsServer]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    yield kms_server
    kms_server.denied.clear()
    kms_server.silent.clear()
    kms_server.asked.clear()


class _Ticks:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def _provider(server: KmsServer, arn: str, **how: object) -> KmsKey:
    return Kms(endpoint_url=server.url, **how).key(arn)  # type: ignore[arg-type]


def test_a_key_comes_back_under_its_own_context_only(server: KmsServer) -> None:
    key = _provider(server, server.key())
    wrapped = key.wrap(KEY, CONTEXT)
    assert key.unwrap(wrapped, dict(reversed(CONTEXT.items()))) == KEY
    assert KEY not in wrapped
    (asked,) = server.names("Encrypt")
    assert asked["EncryptionContext"] == CONTEXT, "what AWS's own log will show"
    assert [a["KeyId"] for a in server.names("Decrypt")] == [key.key_id]
    with pytest.raises(DecryptionFailed, match="moved to another bucket"):
        key.unwrap(wrapped, {**CONTEXT, "bucket": "c"})
    with pytest.raises(KeyUnusable, match="cannot open it"):
        _provider(server, server.key()).unwrap(wrapped, CONTEXT)


@pytest.mark.parametrize(
    ("turn", "back", "state", "said"),
    [
        ("disable_key", ("enable_key",), "disabled", "is disabled. Enable it"),
        (
            "schedule_key_deletion", ("cancel_key_deletion", "enable_key"),
            "pending deletion", "pending deletion.*Cancel",
        ),
    ],
)  # fmt: skip
def test_a_key_that_is_away_says_why_and_is_well_again_without_repair(
    server: KmsServer, turn: str, back: tuple[str, ...], state: str, said: str
) -> None:
    ticks = _Ticks()
    arn = server.key()
    key = _provider(server, arn, guard=Guard(ticks=ticks))
    wrapped = key.wrap(KEY, CONTEXT)
    server.turn(turn, arn, *((7,) if "schedule" in turn else ()))
    for use, what in ((key.unwrap, wrapped), (key.wrap, KEY)):
        with pytest.raises(KeyAway, match=said) as caught:
            use(what, CONTEXT)
        assert caught.value.state == state
        assert arn in str(caught.value)
    assert len(server.names("Encrypt")) == 1, "who was told once does not ask at once again"
    for call in back:
        server.turn(call, arn)
    ticks.at += 11
    assert key.unwrap(wrapped, CONTEXT) == KEY


def test_a_policy_that_denies_is_told(server: KmsServer) -> None:
    key = _provider(server, server.key())
    server.denied.add("Encrypt")
    with pytest.raises(KeyAway, match=r"may not be used.*kms:Decrypt") as caught:
        key.wrap(KEY, CONTEXT)
    assert caught.value.state == "denied"


def test_a_key_that_never_was_is_gone(server: KmsServer) -> None:
    arn = server.key().rpartition("/")[0] + "/11111111-2222-3333-4444-555555555555"
    with pytest.raises(KeyAway, match="does not exist") as caught:
        _provider(server, arn).wrap(KEY, CONTEXT)
    assert caught.value.state == "gone"


def test_nobody_waits_twice_for_an_endpoint_that_is_silent(server: KmsServer) -> None:
    ticks = _Ticks()
    kms = Kms(endpoint_url=server.url, seconds=0.2, guard=Guard(ticks=ticks))
    first, second = kms.key(server.key()), kms.key(server.key())
    server.silent.add("us-east-1")
    with pytest.raises(KeyAway, match="does not answer") as caught:
        first.wrap(KEY, CONTEXT)
    assert caught.value.state == "unreachable"
    asked = len(server.names("Encrypt"))
    for key in (first, second):
        with pytest.raises(KeyAway, match="does not answer"):
            key.wrap(KEY, CONTEXT)
    assert len(server.names("Encrypt")) == asked
    server.silent.clear()
    ticks.at += 11
    assert second.unwrap(second.wrap(KEY, CONTEXT), CONTEXT) == KEY


def test_a_region_that_is_silent_leaves_another_its_place() -> None:
    guard, silent, answered = Guard(), threading.Event(), threading.Barrier(AT_ONCE + 1)

    def waits() -> None:
        answered.wait(10)
        assert silent.wait(10)

    asking = [
        threading.Thread(target=guard.ask, args=("kms/far", f"k{n}", waits)) for n in range(AT_ONCE)
    ]
    for thread in asking:
        thread.start()
    answered.wait(10)
    with pytest.raises(KeyAway, match="others wait"):
        guard.ask("kms/far", "k", lambda: None)
    assert guard.ask("kms/near", "k", lambda: "answered") == "answered"
    silent.set()
    for thread in asking:
        thread.join()
    assert guard.ask("kms/far", "k", lambda: "well") == "well"


def test_a_replica_opens_what_the_primary_wrapped(server: KmsServer) -> None:
    arn = server.key(MultiRegion=True)
    assert ":key/mrk-" in arn
    server.turn("replicate_key", arn, "eu-west-1")
    kms = Kms(endpoint_url=server.url, seconds=0.2, replicas=("eu-west-1",))
    key = kms.key(arn)
    wrapped = key.wrap(KEY, CONTEXT)
    server.silent.add("us-east-1")
    assert key.unwrap(wrapped, CONTEXT) == KEY
    assert ":eu-west-1:" in server.names("Decrypt")[-1]["KeyId"]
    assert kms.key(arn.replace("us-east-1", "eu-west-1")).key_id != arn
    server.silent.clear()
    server.turn("disable_key", arn)
    with pytest.raises(KeyAway, match="disabled"):  # what its owner says counts, not who else knows
        _provider(server, arn, replicas=("eu-west-1",)).unwrap(wrapped, CONTEXT)


def test_a_grant_is_made_where_the_policy_lets_and_its_lack_is_no_harm(server: KmsServer) -> None:
    uses = Uses(FixedClock(Instant(5)))
    ring = KeyRing(
        MasterGiven(b"A" * 43 + b"=", "test"),
        kms=Kms(endpoint_url=server.url),
        note=uses.note,
    )
    tenant = {"account": "111122223333", "region": "us-east-1"}
    arn = server.key()
    ring.grant(arn, tenant, "auditkeep-111122223333-us-east-1")
    (asked,) = server.names("CreateGrant")
    assert asked["Constraints"] == {"EncryptionContextSubset": tenant}
    assert asked["GranteePrincipal"].startswith("arn:aws:")
    held, lost = uses.take()
    assert [use.operation for use in held] == ["CreateGrant", "Encrypt", "Decrypt"]
    assert held[1] == KeyUse(Instant(5), "Encrypt", arn, {**tenant, "bucket": "trial"})
    assert lost == 0
    server.denied.update({"CreateGrant", "DescribeKey"})
    ring.grant(arn, tenant, "again")
    assert [use.operation for use in uses.take()[0]] == ["Encrypt", "Decrypt"]
    server.denied.add("Encrypt")
    with pytest.raises(KeyAway, match="may not be used"):
        ring.grant(arn, tenant, "again")
    (use,) = uses.take()[0]
    assert (use.operation, use.error) == ("Encrypt", "KeyAway"), "who was refused is noted too"


def test_a_grant_is_shown_until_aws_knows_it_everywhere(
    server: KmsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the policy lets this process make grants and nothing else, the grant alone counts."""
    kms = Kms(endpoint_url=server.url)
    arn, far = server.key(), server.key()
    kms.key(arn).grant({"account": "111122223333"}, "n")
    wrapped = kms.key(arn).wrap(KEY, CONTEXT)
    assert kms.key(arn).unwrap(wrapped, CONTEXT) == KEY
    kms.key(far).wrap(KEY, CONTEXT)
    shown = [a.get("GrantTokens") for a in (*server.names("Encrypt"), *server.names("Decrypt"))]
    assert shown[0] == shown[2] != shown[1] is None
    moment = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: moment + TOKEN_SECONDS)
    kms.key(arn).wrap(KEY, CONTEXT)
    assert "GrantTokens" not in server.names("Encrypt")[-1]


def test_only_symmetric_keys_for_encryption_will_do(server: KmsServer) -> None:
    arn = server.key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
    with pytest.raises(KeyAway, match="no symmetric key"):
        _provider(server, arn).require_fit()


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:kms:us-east-1:111122223333:alias/mine",
        "arn:aws:kms:us-east-1:111122223333:key/",
        "arn:aws:s3:us-east-1:111122223333:key/k",
        "mine",
    ],
)
def test_what_does_not_name_one_key_for_good_is_refused(arn: str) -> None:
    with pytest.raises(KeyUnusable, match="not the ARN of a key"):
        Kms().key(arn)
