"""Write `src/auditkeep/mapping/data/*.json`: identifiers only, from published lists and facts.

    python tools/make_keywords.py ../shared

Reads `spec/keywords-*.json` (AWS Audit Manager's lists), `facts/*.json` (Config and Security Hub
identifiers, CloudTrail event names), botocore (which names one service goes by) and moto (what AWS
documents of the parameters of Config's managed rules). Every rule
that chooses between sources which disagree stands here, beside its reason.
"""

import gzip
import json
import re
import sys
from collections import Counter, defaultdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import botocore.session

DATA = Path(__file__).parent.parent / "src" / "auditkeep" / "mapping" / "data"

PCI = "pci-dss-3.2.1"

NOT_THIS_SERVICES_NAME = {
    ("cloudwatchomni", "cloudwatch"),  # signs as CloudWatch, which is `monitoring` in CloudTrail
    ("connectparticipant", "execute-api"),  # signs as API Gateway
}

REAL_SOURCES = {"ses", "sso", "lex", "memorydb", "appstream", "detective", "iot", "wickr"}
"""Event source prefixes CloudTrail is known to write where several names compete."""

EXTRA_ALIASES = {
    "elbv2": "elasticloadbalancing",
    "elasticloadbalancingv2": "elasticloadbalancing",
    "oidc": "sso",  # IAM Identity Center's token service logs as sso.amazonaws.com
    "sso-oidc": "sso",
    "sso-oauth": "sso",
    "sso-admin": "sso",
    "eventbridge": "events",
}

READS = re.compile(r"(Get|List|Describe|Search|Lookup|Check|Query|Scan|BatchGet|Detect)([A-Z]|$)")


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def aliases(real: set[str]) -> dict[str, str]:
    """Every name of a service -> the prefix of its CloudTrail event source.

    A service goes by its SDK name, its endpoint prefix and its signing name (the IAM prefix);
    names that meet in one service mean one event source.
    """
    session = botocore.session.get_session()
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            name = parent[name]
        return name

    weight: Counter[str] = Counter()
    for service in session.get_available_services():
        metadata = session.get_service_model(service).metadata
        endpoint = metadata["endpointPrefix"].removeprefix("api.")
        signing = metadata.get("signingName", endpoint)
        weight[signing] += 2
        weight[endpoint] += 3
        for name in (service, signing):
            if (service, name) not in NOT_THIS_SERVICES_NAME:
                parent[root(name)] = root(endpoint)
    for name, other in EXTRA_ALIASES.items():
        parent[root(name)] = root(other)

    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(parent):
        groups[root(name)].append(name)
    table: dict[str, str] = {}
    for names in groups.values():
        known = [n for n in names if n in REAL_SOURCES] or [n for n in names if n in real]
        canonical = max(known or names, key=lambda n: (weight[n], n))
        table |= {n: canonical for n in names if n != canonical}
    return dict(sorted(table.items()))


def cloudtrail(shared: Path) -> dict[str, Any]:
    derived = read(shared / "spec" / "keywords-cloudtrail-derived.json")
    facts = read(shared / "facts" / "cloudtrail-events.json")
    events = {p: set(names) for p, names in derived["keywordsByPrefix"].items()}
    real = set()
    for name, fact in facts.items():
        for source in fact["eventSource"]:
            prefix = source.removesuffix(".amazonaws.com")
            real.add(prefix)
            wanted = fact["managementOrData"] == "management" and not READS.match(name)
            versioned = re.search(r"\d{8}(v\d+)?$", name)
            if wanted and not versioned and f"{prefix}_{name}" not in derived["excluded"]:
                events.setdefault(prefix, set()).add(name)
    return {
        "aliases": aliases(real),
        "events": {p: sorted(names) for p, names in sorted(events.items())},
    }


def config(shared: Path) -> dict[str, Any]:
    listed = read(shared / "spec" / "keywords-config-rules.json")["managedRules"]
    facts = read(shared / "facts" / "config-rules.json")
    names = {r["ruleName"]: r["keyword"] for r in listed}
    # the facts win: two names of the listed table belong to other identifiers
    names |= {f["name"]: i for i, f in facts.items() if not f.get("placeholder")}
    return {
        "keywords": sorted(r["keyword"] for r in listed),
        "names": dict(sorted(names.items())),
        "parameters": parameters(),
    }


def parameters() -> dict[str, dict[str, str | None]]:
    """The parameters that a managed rule cannot do without, each with AWS's value if it has one."""
    packed = (files("moto") / "config" / "resources" / "aws_managed_rules.json.gz").read_bytes()
    rules = json.loads(gzip.decompress(packed))["ManagedRules"]
    required = {
        identifier: {p["Name"]: p.get("Default") for p in rule["Parameters"] if not p["Optional"]}
        for identifier, rule in sorted(rules.items())
    }
    return {identifier: needed for identifier, needed in required.items() if needed}


def securityhub(shared: Path) -> dict[str, Any]:
    listed = read(shared / "spec" / "keywords-securityhub.json")
    facts = read(shared / "facts" / "securityhub-controls.json")
    printed = {c["keyword"]: c["securityControlId"] for c in listed["controls"]}
    consolidated = corrected(printed, listed["correctionsUnverified"]["map"], facts)
    return {
        "keywords": sorted(printed),
        "controls": sorted({*facts, *(v for v in consolidated.values() if "PCI" not in v)}),
        "consolidated": {k: v for k, v in sorted(consolidated.items()) if k != v},
        "standards": standards(facts),
    }


def corrected(
    printed: dict[str, str], corrections: dict[str, str], facts: dict[str, Any]
) -> dict[str, str]:
    """Standard-specific id -> consolidated id, with corrections where the facts agree.

    The printed PCI column mostly strips `PCI.`, which is wrong wherever the numbering differs. A
    service's corrections are taken together, and only if the independent membership list of PCI
    DSS 3.2.1 bears them out: every corrected control is a member, and together they reach a
    member that the printed ones leave out. So IAM, CloudTrail and S3 are corrected; for ES,
    Opensearch and SSM the corrections only swap members among themselves, which membership
    cannot tell apart, and the printed pairs stay.
    """
    members = {i for i, f in facts.items() if PCI in f["standards"]}
    result = dict(printed)
    for service in sorted({k.split(".")[1] for k in corrections}):
        group = {k: v for k, v in printed.items() if k.startswith(f"PCI.{service}.")}
        fixed = {k: corrections.get(k, v) for k, v in group.items()}
        changed = {v for k, v in fixed.items() if k in corrections}
        if changed <= members and (set(fixed.values()) & members) > (set(group.values()) & members):
            result |= fixed
    # what is left when all others are paired: one id without a control, one member without an id
    orphans = [k for k, v in result.items() if v not in facts and v.startswith("PCI.")]
    unreached = members - {v for k, v in result.items() if k.startswith("PCI.")}
    if len(orphans) == len(unreached) == 1:
        result[orphans[0]] = unreached.pop()
    return result


def standards(facts: dict[str, Any]) -> dict[str, dict[str, str]]:
    """CIS version -> its recommendation id -> consolidated id, where exactly one control has it."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for control, fact in facts.items():
        for standard, ids in fact["related"].items():
            if standard.startswith("cis-aws-"):
                for identifier in ids:
                    found[standard.removeprefix("cis-aws-")][identifier].append(control)
    return {
        version: {i: c[0] for i, c in sorted(ids.items()) if len(c) == 1}
        for version, ids in sorted(found.items())
    }


def api(shared: Path) -> dict[str, Any]:
    listed = read(shared / "spec" / "keywords-api-calls.json")["keywords"]
    return {"keywords": sorted(c["keyword"] for c in listed)}


def main() -> None:
    shared = Path(sys.argv[1])
    DATA.mkdir(exist_ok=True)
    for make in (api, cloudtrail, config, securityhub):
        text = json.dumps(make(shared), indent=0, separators=(",", ":"), ensure_ascii=True)
        path = DATA / f"{make.__name__}.json"
        path.write_text(text + "\n")
        print(f"{path.name}: {len(text):,} bytes")


if __name__ == "__main__":
    main()
