"""Digests: genuine ones hold, and whatever is changed, moved or taken away is found."""

import datetime as dt
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sources.trail_making import BEGIN, BUCKET, HOUR, Trail, public_der, public_keys

from auditkeep.clock import Instant, from_datetime
from auditkeep.errors import InputError, ProofError
from auditkeep.observations import verdict_of
from auditkeep.sources import digests
from auditkeep.sources.digest_chain import Checked, Fetched, Link, chains, follow
from auditkeep.sources.digest_findings import MATCH_KEY, VERDICTS, Finding, observation
from auditkeep.sources.trail_layout import DIGESTS, read_key

KEYS = digests.read_keys([json.dumps(public_keys()).encode()])
SINCE = from_datetime(BEGIN)
LATER = from_datetime(BEGIN + 1000 * HOUR)


class Shelf:
    def __init__(self, trail: Trail, *, metadata: bool = True) -> None:
        self.trail = trail
        self.metadata = metadata

    def digest(self, bucket: str, key: str) -> Fetched | None:
        found = self.trail.objects.get(key)
        if bucket != self.trail.bucket or found is None:
            return None
        signature = found.metadata.get("signature", "") if self.metadata else None
        return Fetched(found.body, signature)


def check(
    trail: Trail,
    last: Link | None = None,
    *,
    now: Instant = LATER,
    since: Instant = SINCE,
    metadata: bool = True,
) -> list[Checked]:
    keys = [k for o in trail.objects if (k := read_key(o)) is not None and k.kind == DIGESTS]
    found = []
    for chain in chains(keys).values():
        shelf = Shelf(trail, metadata=metadata)
        found += list(follow(chain, trail.bucket, last, shelf, lambda _k, _d: KEYS, now, since))
    return found


def findings(checked: list[Checked]) -> list[Finding]:
    return [f for c in checked for f in c.findings if f.problem != "DigestVerified"]


def test_a_whole_chain_holds_and_says_so() -> None:
    trail = Trail()
    trail.hours(4)
    trail.digest(BEGIN + 5 * HOUR)
    checked = check(trail)
    assert [c.digest is not None for c in checked] == [True] * 5
    assert findings(checked) == []
    # an hour without log files holds too, and is not worth a word
    assert [len(c.findings) for c in checked] == [1, 1, 1, 1, 0]


def test_the_proof_that_is_kept_can_be_checked_again() -> None:
    trail = Trail()
    trail.hours(2)
    proof = check(trail)[1].findings[0].proof
    text = proof["digest"].encode()
    keys = {digests.decode(text).fingerprint: public_der()}
    digests.verify(digests.decode(text), text, proof["signature"], keys)
    with pytest.raises(ProofError, match="not valid"):
        digests.verify(digests.decode(text), text + b" ", proof["signature"], keys)


def test_a_chain_goes_on_where_the_last_pass_ended() -> None:
    trail = Trail()
    trail.hours(2)
    last = check(trail)[-1].link
    trail.hours(2, start=2)
    for key in list(trail.objects)[:4]:
        del trail.objects[key]  # the first two hours are not looked at again
    checked = check(trail, last)
    assert len(checked) == 2
    assert findings(checked) == []


def changed_text(trail: Trail, key: str) -> None:
    made = trail.objects[key]
    text = gzip.decompress(made.body).replace(b'"SHA-256"', b'"SHA-255"')
    made.body = gzip.compress(text)


def no_signature(trail: Trail, key: str) -> None:
    trail.objects[key].metadata.clear()


def other_signature(trail: Trail, key: str) -> None:
    signature = trail.objects[key].metadata["signature"]
    trail.objects[key].metadata["signature"] = ("1" if signature[0] != "1" else "2") + signature[1:]


def not_hex(trail: Trail, key: str) -> None:
    trail.objects[key].metadata["signature"] = "zz"


def cut_off(trail: Trail, key: str) -> None:
    trail.objects[key].body = trail.objects[key].body[:-20]


def trailing(trail: Trail, key: str) -> None:
    trail.objects[key].body += gzip.compress(b"{}")


def no_json(trail: Trail, key: str) -> None:
    trail.objects[key].body = gzip.compress(b"[]")


@pytest.mark.parametrize(
    "spoil",
    [changed_text, no_signature, other_signature, not_hex, cut_off, trailing, no_json],
)
def test_a_digest_that_was_touched_is_found_and_the_chain_goes_on(
    spoil: Callable[[Trail, str], None],
) -> None:
    trail = Trail()
    keys = trail.hours(4)
    spoil(trail, keys[1])
    checked = check(trail)
    (found,) = findings(checked)
    assert (found.problem, found.key) == ("DigestInvalid", keys[1])
    assert [c.digest is not None for c in checked] == [True, False, True, True]


def test_a_digest_of_another_place_proves_nothing() -> None:
    trail = Trail()
    keys = trail.hours(3)
    trail.objects[keys[1]] = trail.objects[keys[0]]
    (found,) = findings(check(trail))
    assert (found.problem, found.key) == ("DigestMoved", keys[1])


def test_a_digest_under_a_key_that_is_not_cloudtrails_is_found() -> None:
    trail = Trail(key_name="somebody else")
    trail.hours(1)
    (found,) = findings(check(trail))
    assert found.problem == "DigestKeyUnknown"
    assert found.verdict == "FAILED"


def test_a_digest_taken_out_is_missed() -> None:
    trail = Trail()
    keys = trail.hours(4)
    del trail.objects[keys[1]]
    checked = check(trail)
    (found,) = findings(checked)
    assert (found.problem, found.key) == ("DigestMissing", keys[1])
    assert found.at == from_datetime(BEGIN + 2 * HOUR)
    assert len(checked) == 3


def test_what_lies_before_the_beginning_is_not_missed() -> None:
    trail = Trail()
    keys = trail.hours(3)
    del trail.objects[keys[0]]
    (found,) = findings(check(trail))
    assert (found.problem, found.key) == ("DigestMissing", keys[0])
    assert findings(check(trail, since=from_datetime(BEGIN + HOUR + dt.timedelta(seconds=1)))) == []


def test_a_digest_that_may_still_come_is_waited_for() -> None:
    trail = Trail()
    keys = trail.hours(3)
    late = trail.objects.pop(keys[1])
    now = from_datetime(BEGIN + 3 * HOUR + dt.timedelta(minutes=30))
    checked = check(trail, now=now)
    assert [c.key.key for c in checked] == [keys[0]]
    trail.objects[keys[1]] = late
    rest = check(trail, checked[-1].link, now=now)
    assert findings(rest) == []


def test_a_digest_replaced_by_an_older_genuine_one_of_the_same_name_breaks_the_link() -> None:
    trail, twin = Trail(), Trail()
    keys = trail.hours(2)
    twin.log(BEGIN + dt.timedelta(minutes=20))
    twin.digest(BEGIN + HOUR)
    # as genuine as the first, but not the one that the second names
    trail.objects[keys[0]] = twin.objects[keys[0]]
    (found,) = findings(check(trail))
    assert (found.problem, found.key) == ("DigestLinkBroken", keys[1])


def test_logging_switched_off_and_on_again_is_a_gap_and_no_break() -> None:
    trail = Trail()
    trail.hours(2)
    trail.digest(BEGIN + 12 * HOUR, first=True)
    trail.digest(BEGIN + 13 * HOUR)
    (found,) = findings(check(trail))
    assert found.problem == "DigestGap"
    assert not found.broken
    assert "2026-04-01T02:01:31" in found.sentence
    assert "2026-04-01T11:01:31" in found.sentence


def test_backfill_digests_are_a_chain_of_their_own() -> None:
    trail = Trail()
    trail.hours(2)
    late = trail.log(BEGIN + dt.timedelta(minutes=30))
    key = trail.digest(BEGIN + 2 * HOUR, backfill=True, first=True)
    trail.hours(2, start=2)
    trail.digest(BEGIN + 9 * HOUR, backfill=True, first=True)
    checked = check(trail)
    assert findings(checked) == []
    (backfilled,) = [c for c in checked if c.key.key == key]
    assert backfilled.digest is not None
    assert [log.key for log in backfilled.digest.logs] == [late]


def test_a_trail_that_was_given_another_bucket_has_no_break() -> None:
    trail = Trail()
    (first,) = trail.hours(1)
    second = trail.digest(BEGIN + 2 * HOUR)
    last = Link("an older bucket", first, "", from_datetime(BEGIN + HOUR))
    assert findings(check(trail, last)) == []
    del trail.objects[first]
    found = check(trail, Link("an older bucket", "x", "", from_datetime(BEGIN + HOUR)))
    assert [(f.problem, c.key.key) for c in found for f in c.findings] == [
        ("DigestMissing", second)
    ]


def test_without_metadata_nothing_is_proven_and_nothing_disproven() -> None:
    trail = Trail()
    trail.hours(1)
    (found,) = findings(check(trail, metadata=False))
    assert (found.problem, found.verdict) == ("DigestUnsigned", "NOT_AVAILABLE")


def test_findings_are_observations_with_a_key_and_a_verdict_of_their_own() -> None:
    trail = Trail()
    keys = trail.hours(2)
    changed_text(trail, keys[0])
    checked = check(trail)
    bad, good = (observation(f) for c in checked for f in c.findings)
    assert {bad.match_key, good.match_key} == {MATCH_KEY}
    assert [verdict_of(o.verdict) for o in (bad, good)] == ["non-compliant", "compliant"]
    assert bad.natural_key != good.natural_key
    assert (bad.account, bad.region) == ("111122223333", "us-east-1")
    assert bad.resources[0].arn == f"arn:aws:s3:::{BUCKET}/{keys[0]}"
    # found again, it is the same
    again = [observation(f) for c in check(trail) for f in c.findings]
    assert again == [bad, good]
    assert set(VERDICTS.values()) == {"PASSED", "FAILED", "WARNING", "NOT_AVAILABLE"}


def test_a_real_digest_is_read(corpus: Path) -> None:
    (path,) = corpus.rglob("test-cloudtrail-digest-json.log")
    digest = digests.decode(path.read_bytes().splitlines()[0])
    assert (digest.account, len(digest.logs)) == ("123456789123", 3)
    key = read_key(digest.key)
    assert key is not None
    assert (key.trail, key.home, key.at) == ("leh-ct-test", "us-west-2", digest.end)
    before = read_key(digest.previous_key or "")
    assert before is not None
    assert before.at == digest.start


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b'{"PublicKeyList":[{}]}', b'{"PublicKeyList":[{"Value":"*","Fingerprint":"a"}]}'],
)
def test_what_is_no_list_of_keys_is_refused(text: bytes) -> None:
    with pytest.raises(InputError, match="list-public-keys"):
        digests.read_keys([text])
