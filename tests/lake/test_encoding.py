import hashlib
import json
from typing import Any

import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from tests.lake.making import NOW, PROVENANCE, TENANT, observation

from auditkeep.clock import Instant, iso
from auditkeep.ids import Tenant
from auditkeep.lake.encoding import (
    LAST_EVENT,
    EnvelopeWriter,
    batch_record,
    envelope,
    leaf,
    log_entry,
    observation_id,
)
from auditkeep.observations import Cut, Observation, Provenance, Resource

# Unicode without lone surrogates: what any JSON decoder lets through.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
instants = st.integers(0, LAST_EVENT).map(Instant)
resources = st.builds(
    Resource, value=texts, arn=st.none() | texts, type=st.none() | texts, verdict=st.none() | texts
)
cuts = st.builds(
    Cut, length=st.integers(0, 2**40), mac=texts, offset=st.integers(0, 2**40), rule=texts
)
observations = st.builds(
    Observation,
    source=st.sampled_from(["AWS_Cloudtrail", "AWS_Config", "MANUAL", "RUN"]),
    natural_key=st.lists(texts, max_size=3).map(tuple),
    event_time=instants,
    match_key=texts,
    account=texts,
    region=texts,
    raw=st.binary(max_size=50),
    reader=texts,
    position=texts,
    verdict=st.none() | texts,
    resources=st.lists(resources, max_size=3).map(tuple),
    actor=st.none() | texts,
    event_name=texts,
    event_source=texts,
    cuts=st.lists(cuts, max_size=2).map(tuple),
)
provenances = st.builds(
    Provenance,
    how=st.sampled_from(["file", "pulled", "uploaded"]),
    collector=texts,
    run=texts,
    software=texts,
)


def envelope_object(o: Observation, id_: bytes, unit: str, p: Provenance) -> dict[str, Any]:
    """The envelope as docs/formats.md has it, put together a second time and independently."""

    def present(**members: Any) -> dict[str, Any]:
        return {k: v for k, v in members.items() if v not in (None, "", [])}

    return {
        "v": 1,
        "id": id_.hex(),
        "tenant": {"account": TENANT.account, "region": TENANT.region},
        "unit": unit,
        "position": o.position,
        "source": o.source,
        "natural_key": list(o.natural_key),
        "event_time": iso(o.event_time),
        "collected_at": iso(NOW),
        "provenance": {
            "how": p.how,
            "collector": p.collector,
            "run": p.run,
            "software": p.software,
        },
        **present(
            cuts=[
                {"offset": c.offset, "length": c.length, "rule": c.rule, "mac": c.mac}
                for c in o.cuts
            ]
        ),
        "reading": {
            "match_key": o.match_key,
            "account": o.account,
            "region": o.region,
            "reader": o.reader,
            **({} if o.verdict is None else {"verdict": o.verdict}),
            **({} if o.actor is None else {"actor": o.actor}),
            **present(
                event_name=o.event_name,
                event_source=o.event_source,
                resources=[
                    {
                        "value": r.value,
                        **({} if r.arn is None else {"arn": r.arn}),
                        **({} if r.type is None else {"type": r.type}),
                        **({} if r.verdict is None else {"verdict": r.verdict}),
                    }
                    for r in o.resources
                ],
            ),
        },
    }


@given(observations, provenances, texts)
def test_an_envelope_is_the_canonical_json_of_its_members(
    o: Observation, provenance: Provenance, unit: str
) -> None:
    id_ = observation_id(TENANT, o.source, o.natural_key, o.event_time)
    made = envelope(TENANT, o, id_, unit_id=unit, provenance=provenance, collected_at=NOW)
    assert made == rfc8785.dumps(envelope_object(o, id_, unit, provenance))


@given(st.lists(instants, min_size=1, max_size=20))
def test_times_are_written_as_the_clock_writes_them(times: list[Instant]) -> None:
    writer = EnvelopeWriter(TENANT, "u", PROVENANCE, NOW)
    for at in times:
        written = json.loads(writer.write(observation(1, event_time=at), b"\0" * 16))
        assert written["event_time"] == iso(at)


@given(observations)
def test_an_id_is_the_second_and_96_bits_of_a_hash_of_the_natural_key(o: Observation) -> None:
    named = rfc8785.dumps(
        [
            "auditkeep/observation/1",
            TENANT.account,
            TENANT.region,
            o.source,
            list(o.natural_key),
        ]
    )
    expected = (o.event_time // 1_000_000).to_bytes(4, "big") + hashlib.sha256(named).digest()[:12]
    assert observation_id(TENANT, o.source, o.natural_key, o.event_time) == expected


def test_ids_differ_between_tenants_sources_and_how_a_key_is_divided() -> None:
    at = Instant(NOW)
    ids = {
        observation_id(TENANT, "AWS_Config", ("a", "b"), at),
        observation_id(Tenant("111122223333", "eu-west-1"), "AWS_Config", ("a", "b"), at),
        observation_id(Tenant("444455556666", "us-east-1"), "AWS_Config", ("a", "b"), at),
        observation_id(TENANT, "AWS_Security_Hub", ("a", "b"), at),
        observation_id(TENANT, "AWS_Config", ("ab",), at),
        observation_id(TENANT, "AWS_Config", ("a", "", "b"), at),
    }
    assert len(ids) == 6


def test_leaf_and_log_entry_are_hashed_as_fixed() -> None:
    def sha(data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    nonce, salt = bytes(range(32)), bytes(range(32, 64))
    assert leaf(nonce, sha(b"envelope"), sha(b"raw")) == sha(
        b"\x00auditkeep/leaf/1" + nonce + sha(b"envelope") + sha(b"raw")
    )
    assert log_entry(salt, b"record") == sha(b"auditkeep/batch/1" + salt + b"record")


def test_a_batch_record_is_canonical_json() -> None:
    made = batch_record(
        TENANT,
        batch_no=7,
        bucket="b",
        klass="manual/é",
        committed_at=NOW,
        root=b"\xab" * 32,
        rows=3,
        unit_id="u",
    )
    assert made == rfc8785.dumps(
        {
            "v": 1,
            "batch_no": 7,
            "bucket": "b",
            "class": "manual/é",
            "committed_at": iso(NOW),
            "root": "ab" * 32,
            "rows": 3,
            "tenant": {"account": TENANT.account, "region": TENANT.region},
            "unit": "u",
        }
    )
