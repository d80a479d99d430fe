"""License Manager: which product a licence configuration is about -> the keyword that finds it.

AWS's own framework asks License Manager through an activity no custom control can name and gives
each answer to the control that names its product, the rest to one for other licences (spec 3.5).
Here a control names the product itself, with a keyword of ours:

    license-manager_GetLicenseManagerSummary    every configuration
    license-manager_<Product>                   those about a product of the table, e.g.
                                                `license-manager_SQL Server`
    license-manager_Other                       those about none of them

What a configuration is about is told by its product information (what License Manager discovers
by) before its name and description.
"""

import re
from collections.abc import Iterable

PREFIX = "license-manager_"
EVERYTHING = f"{PREFIX}GetLicenseManagerSummary"
OTHER = f"{PREFIX}Other"

_PRODUCTS = {
    "Exchange Server": r"exchange server",
    "IBM Db2": r"db2",
    "Microsoft Office": r"\boffice\b",
    "Oracle Database": r"oracle",
    "Red Hat Enterprise Linux": r"red ?hat|\brhel\b",
    "Remote Desktop Services": r"remote desktop|\brds (?:sal|cal)",
    "SAP": r"\bsap\b",
    "SharePoint Server": r"sharepoint",
    "SQL Server": r"sql ?server|\bmssql\b",
    "SUSE Linux Enterprise Server": r"\bsuse\b|\bsles\b",
    "Visual Studio": r"visual studio",
    "Windows Server": r"windows",
}
_PATTERNS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _PRODUCTS.items()}

_ORDER = (*(n for n in sorted(_PATTERNS) if n != "Windows Server"), "Windows Server")
"""Windows last: what runs on it is named together with it."""


def keywords() -> list[str]:
    """Every keyword of License Manager."""
    return sorted([EVERYTHING, OTHER, *(f"{PREFIX}{name}" for name in _PATTERNS)])


def is_keyword(keyword: str) -> bool:
    return keyword in (EVERYTHING, OTHER) or keyword.removeprefix(PREFIX) in _PATTERNS


def keyword_of(information: Iterable[str], naming: Iterable[str]) -> str:
    """The keyword of a configuration: from its product information, else from what names it."""
    for texts in (information, naming):
        whole = "\n".join(texts)
        for name in _ORDER:
            if _PATTERNS[name].search(whole):
                return f"{PREFIX}{name}"
    return OTHER
