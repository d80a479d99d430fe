"""Config rules: owner, identifier and name -> match key `config:<IDENTIFIER>` (spec 3.2).

A managed rule is known by its identifier, whatever a user named it. A rule of one's own is
`Custom_` and its name, without the random suffix that organisation rules and conformance packs
add. Copies that other services keep (`securityhub-*` above all) are ignored, because their
findings arrive by themselves. Names are case sensitive.

A keyword says what a rule is called, and not whose it is: one that names a rule of an organisation
or a conformance pack means AWS's own rule of that default name, too (AWS documents both spellings),
and one with a random suffix is meant without it. Of such keys the keyword's own comes first, the
others stand in for it: a rule under any of them is the rule that was named.
"""

import re
from collections.abc import Iterable
from functools import cache

from auditkeep.mapping import catalogue

CUSTOM = "Custom_"

_ORGANISATION = re.compile(r"(OrgConfigRule-.+)-[a-z0-9]{8}")
_SERVICE_RULE = re.compile(r"config-rule/aws-service-rule/([^/]+)")
_OWN_SERVICES = frozenset(
    {"config-conforms.amazonaws.com", "config-multiaccountsetup.amazonaws.com"}
)
_PACK = re.compile(r"(.+-conformance-pack)-[a-z0-9]{8,9}")
_DEPLOYED = re.compile(r"OrgConfigRule-(.+)|(.+)-conformance-pack")
_KEY = f"config:{CUSTOM}"


def rule_key(name: str, *, identifier: str | None = None, managed: bool | None = None) -> str:
    """The match key of a rule.

    `identifier` is its SourceIdentifier, if known to be AWS's own; `managed` tells the owner
    where only that is known. With neither, a name that a managed rule has by default is taken
    as that rule, also where an organisation or a conformance pack deployed it: somebody who kept
    the default name means it.
    """
    if identifier:
        return f"config:{identifier}"
    short = stripped(name)
    if managed is not False:
        known = catalogue.config().names.get(name) or default_identifier(short)
        if known:
            return f"config:{known}"
    return f"config:{CUSTOM}{short}"


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
    key = f"config:{keyword}"
    return frozenset({key, *stand_ins(key)})


def stand_ins(key: str) -> frozenset[str]:
    """The other match keys under which the rule may be found that a keyword's own key names.

    What ends a name without a digit is taken for a word of it, and not for a random suffix:
    `…-disabled` and `…-required` are as long as one.
    """
    if not key.startswith(_KEY):
        return frozenset()
    name = key.removeprefix(_KEY)
    short = stripped(name)
    if not any(c.isdigit() for c in name.removeprefix(short)):
        short = name
    identifier = default_identifier(short)
    found = {f"{_KEY}{short}", *((f"config:{identifier}",) if identifier else ())}
    return frozenset(found - {key})


def default_identifier(name: str) -> str | None:
    """AWS's own rule that an organisation or a conformance pack deploys under this name."""
    deployed = _DEPLOYED.fullmatch(name)
    return catalogue.config().names.get(deployed[1] or deployed[2]) if deployed else None


def spare(keys: Iterable[str]) -> frozenset[str]:
    """Those match keys that only stand in for others of them: no rule need have them."""
    some = frozenset(keys)
    return frozenset(other for key in some for other in stand_ins(key)) & some


def keywords() -> list[str]:
    return catalogue.config().keywords


def default_name(identifier: str) -> str:
    """The name that AWS gives a managed rule if nobody chooses another one."""
    return _default_names().get(identifier) or identifier.lower().replace("_", "-")


@cache
def _default_names() -> dict[str, str]:
    return {identifier: name for name, identifier in catalogue.config().names.items()}


def required_parameters(identifier: str) -> dict[str, str | None]:
    """What a managed rule cannot do without: each parameter with AWS's default, or with None."""
    return catalogue.config().parameters.get(identifier, {})
