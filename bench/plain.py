"""The ingest of CloudTrail files as one writes it at first: gzip and orjson, the whole file as
objects, and for the few events that match the same rules, cuts, id, envelope and leaf as ours.

Its results are not ours to the byte (orjson writes a record anew, where ours keeps its bytes), and
it reports no bad record, bounds no memory and knows no position: it is the least that does the job.
"""

import gzip
import hmac
import os
from hashlib import sha256
from typing import Any, cast

import orjson

from auditkeep.ids import Tenant
from auditkeep.mapping import cloudtrail, event_flags
from auditkeep.sources.secrets import SECRET_NAMES

_SECRET = tuple(b"".join(words).decode() for words in SECRET_NAMES)
_SEPARATORS = str.maketrans("", "", "_-.")


def records(packed: bytes) -> list[dict[str, Any]]:
    """What one has after unpacking and parsing alone."""
    return cast("list[dict[str, Any]]", orjson.loads(gzip.decompress(packed))["Records"])


def ingest(packed: bytes, tenant: Tenant, wanted: frozenset[str], now: str) -> tuple[int, int]:
    """How many events a file holds, and how many of them were kept."""
    sha256(packed).digest()  # by which it is known, and held to the digest that names it
    found = records(packed)
    kept = 0
    for number, record in enumerate(found):
        key = cloudtrail.event_key(record.get("eventSource", ""), record.get("eventName", ""))
        if key not in wanted or key in cloudtrail.EXCLUDED or not _changes(record, key):
            continue
        kept += 1
        _leaf(record, key, number, tenant, now)
    return len(found), kept


def _changes(record: dict[str, Any], key: str) -> bool:
    return (
        (not record.get("readOnly") or key in event_flags.listed())
        and record.get("managementEvent") is not False
        and record.get("eventCategory") in (None, "Management")
    )


def _leaf(record: dict[str, Any], key: str, number: int, tenant: Tenant, now: str) -> bytes:
    cuts: list[dict[str, Any]] = []
    _cut(record, cuts)
    raw = orjson.dumps(record)
    name = [
        "auditkeep/observation/1",
        tenant.account,
        tenant.region,
        "AWS_Cloudtrail",
        [record["eventID"]],
    ]
    envelope = {
        "collected_at": now,
        "cuts": cuts,
        "event_time": record["eventTime"],
        "id": sha256(orjson.dumps(name)).hexdigest()[:24],
        "natural_key": [record["eventID"]],
        "position": f"Records[{number}]",
        "provenance": {"collector": "bench", "how": "file", "run": "bench"},
        "reading": {
            "account": record.get("recipientAccountId"),
            "actor": (record.get("userIdentity") or {}).get("arn"),
            "event_name": record["eventName"],
            "event_source": record["eventSource"],
            "match_key": key,
            "region": record["awsRegion"],
            "resources": [{"arn": r.get("ARN")} for r in record.get("resources") or ()],
        },
        "source": "AWS_Cloudtrail",
        "unit": "unit",
    }
    sealed = orjson.dumps(envelope, option=orjson.OPT_SORT_KEYS)
    nonce = os.urandom(32)
    return sha256(nonce + sha256(sealed).digest() + sha256(raw).digest()).digest()


def _cut(value: Any, cuts: list[dict[str, Any]]) -> None:
    """Secrets by the names of their members, in place."""
    if isinstance(value, list):
        for inner in value:
            _cut(inner, cuts)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(inner, str):
                _cut(inner, cuts)
            elif name.lower().translate(_SEPARATORS).endswith(_SECRET):
                mac = hmac.digest(b"bench", inner.encode(), "sha256").hex()
                cuts.append({"length": len(inner), "mac": mac})
                value[name] = "[cut]"
