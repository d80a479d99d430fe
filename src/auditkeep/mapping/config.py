"""Config rules: owner, identifier and name -> match key `config:<IDENTIFIER>` (spec 3.2).

A managed rule is known by its identifier, whatever a user named it. A rule of one's own is
`Custom_` and its name, without the random suffix that organisation rules and conformance packs
add. Copies that other services keep (`securityhub-*` above all) are ignored, because their
findings arrive by themselves. Names are case sensitive.
"""

import re

from auditkeep.mapping import catalogue

CUSTOM = "Custom_"

_ORGANISATION = re.compile(r"(OrgConfigRule-.+)-[a-z0-9]{8}")
_SERVICE_RULE = re.compile(r"config-rule/aws-service-rule/([^/]+)")
_OWN_SERVICES = frozenset(
    {"config-conforms.amazonaws.com", "config-multiaccountsetup.amazonaws.com"}
)
_PACK = re.compile(r"(.+-conformance-pack)-[a-z0-9]{8,9}")


def rule_key(name: str, *, identifier: str | None = None, managed: bool | None = None) -> str:
    """The match key of a rule.

    `identifier` is its SourceIdentifier, if known to be AWS's own; `managed` tells the owner
    where only that is known. With neither, a name that a managed rule has by default is taken
    as that rule: somebody who kept the default name means it.
    """
    if identifier:
        return f"config:{identifier}"
    known = catalogue.config().names.get(name) if managed is not False else None
    return f"config:{known}" if known else f"config:{CUSTOM}{stripped(name)}"


def stripped(name: str) -> str:
    """The name without the random suffix of organisation rules and conformance packs."""
    for pattern in (_ORGANISATION, _PACK):
        match = pattern.fullmatch(name)
        if match:
            return match[1]
    return name


def is_copy(name: str, arn: str = "") -> bool:
    """Whether another service keeps this rule, so that its results must not count twice.

    Rules that AWS Config itself deploys, for conformance packs and organisations, are none.
    """
    if name.startswith("securityhub-"):
        return True
    service = _SERVICE_RULE.search(arn)
    return service is not None and service[1] not in _OWN_SERVICES


def keyword_keys(keyword: str) -> frozenset[str]:
    if keyword.startswith(CUSTOM):
        return frozenset({f"config:{CUSTOM}{stripped(keyword.removeprefix(CUSTOM))}"})
    return frozenset({f"config:{keyword}"})


def keywords() -> list[str]:
    return catalogue.config().keywords
