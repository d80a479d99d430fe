"""Security Hub: any standard's control id -> match key `securityhub:<control id>` (spec 3.3).

Keywords may be standard-specific (`1.12`, `PCI.IAM.1`); findings carry the consolidated id or,
with consolidation off, the id of their standard, one finding for each standard. Everything is
resolved to the consolidated id, so a control mapped to any of them receives all. Keywords of
scanners (`mapping.scanners`) stand beside them and mean themselves.
"""

import re
from functools import cache

from auditkeep.mapping import catalogue, scanners

_CIS = re.compile(r"(?:CIS\.)?(\d+\.\d+(?:\.\d+)?)")
_CIS_STANDARD = "cis-aws-foundations-benchmark"


def control_key(control_id: str) -> str:
    """The match key of a consolidated or standard-specific id (bare numbers are CIS v1.2.0)."""
    number = _CIS.fullmatch(control_id)
    if number:
        return standard_key(_CIS_STANDARD, "1.2.0", number[1]) or f"securityhub:{number[1]}"
    name = catalogue.securityhub().consolidated.get(control_id, control_id)
    return f"securityhub:{name}"


def standard_key(standard: str, version: str, control_id: str) -> str | None:
    """The key of a finding made for one standard, e.g. ("cis-aws-foundations-benchmark",
    "1.4.0", "1.4"); None where the tables do not know which control is meant.
    """
    data = catalogue.securityhub()
    if standard == _CIS_STANDARD:
        # what AWS prints for its keywords comes first; the rest is known from the controls
        printed = data.consolidated.get(control_id) if version == "1.2.0" else None
        name = printed or data.standards.get(version.removesuffix(".0"), {}).get(control_id)
        return f"securityhub:{name}" if name else None
    if standard == "pci-dss" and version == "3.2.1" and not control_id.startswith("PCI."):
        control_id = f"PCI.{control_id}"
    name = data.consolidated.get(control_id, control_id)
    return f"securityhub:{name}" if name in _controls() else None


@cache
def _controls() -> frozenset[str]:
    return frozenset(catalogue.securityhub().controls)


def keyword_keys(keyword: str) -> frozenset[str]:
    if scanners.is_ours(keyword):
        return frozenset({scanners.match_key(keyword)})
    return frozenset({control_key(keyword)})


def keywords() -> list[str]:
    return catalogue.securityhub().keywords
