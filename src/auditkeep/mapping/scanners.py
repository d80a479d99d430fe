"""Scanners and clouds beyond AWS: keywords of our own, and match keys `scanner:<keyword>`.

AWS's source types have no place for them, so a custom control names such a keyword under
`AWS_Security_Hub`, whose own control ids never begin like that: `Prowler_<check id>`,
`SARIF_<tool>_<rule id>`, and of what arrives as OCSF `OCSF_<product>_<control>` for compliance
findings, `OCSF_<product>_Vulnerability`, `OCSF_<product>_Detection`, and
`OCSF_<product>_<operation>` for API calls.
"""

import re

PREFIXES = ("Prowler_", "OCSF_", "SARIF_")

LONGEST = 100
"""Characters of a keyword (shape KeywordValue)."""

_FORBIDDEN = re.compile(r"[^a-zA-Z_0-9\s().:/-]+", re.ASCII)


def keyword(prefix: str, *parts: str) -> str:
    """The keyword for a product's rule, in the letters that a keyword may have."""
    return _FORBIDDEN.sub("-", prefix + "_".join(parts))[:LONGEST]


def match_key(word: str) -> str:
    return f"scanner:{word}"


def is_ours(word: str) -> bool:
    return word.startswith(PREFIXES)
