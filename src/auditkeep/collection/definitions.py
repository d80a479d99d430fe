"""Config rules as pulls read them, remembered: by account and region, whose they are and what of.

An event says what a rule is called and not whether it is AWS's own, so whoever brings one is read
with what the account itself said of its rules last (spec 3.2). A rule is remembered under its ARN:
one that was made anew under an old name is another one, and nothing is known of it.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from auditkeep.clock import Instant
from auditkeep.db.schema import config_rules
from auditkeep.db.tx import Tx
from auditkeep.sources.rules import Rule

Asks = Callable[[str, str], frozenset[str] | None]
"""For which match keys AWS Config of an account and region is asked by this deployment; None: not
at all.
"""


def nobody_asks(account: str, region: str) -> None:
    """For whoever collects nothing by itself."""


class Known:
    """A `sources.rules.Definitions` over what is remembered, read as far as it is asked for."""

    def __init__(self, tx: Tx, asks: Asks = nobody_asks) -> None:
        self._tx = tx
        self._asks = asks
        self._read: dict[tuple[str, str], dict[str, Rule]] = {}
        self.used: set[tuple[str, str, str]] = set()
        """ARN, owner and identifier of the rules that were found."""
        self._awaiting: list[tuple[str, str]] = []

    def find(self, name: str, arn: str, account: str, region: str) -> Rule | None:
        place = account, region
        if place not in self._read:
            self._read[place] = named(self._tx, *place)
        rule = meant(self._read[place], name, arn)
        if rule is None:
            return None
        self.used.add((rule.arn, rule.source.owner or "", rule.source.identifier or ""))
        return rule

    def awaited(self, account: str, region: str) -> bool:
        if self._asks(account, region) is None:
            return False
        self._awaiting.append((account, region))
        return True

    def awaiting(self) -> list[tuple[str, str]]:
        """Where rules are of which nothing is known, of those that were looked for since the last
        time.
        """
        found, self._awaiting = self._awaiting, []
        return found


def known(tx: Tx, account: str, region: str) -> list[Rule]:
    """What is remembered of one account and region."""
    t = config_rules.c
    query = tx.select(t.document).where(t.origin_account == account, t.origin_region == region)
    row = tx.first(query)
    return [] if row is None else msgspec.json.decode(row.document, type=list[Rule])


def named(tx: Tx, account: str, region: str) -> dict[str, Rule]:
    """The same by name."""
    return {rule.name: rule for rule in known(tx, account, region)}


def meant(rules: Mapping[str, Rule], name: str, arn: str) -> Rule | None:
    """The rule of a place that is meant: another ARN is another rule of that name."""
    rule = rules.get(name)
    return None if rule is None or (arn and rule.arn != arn) else rule


def remember(tx: Tx, account: str, region: str, rules: Iterable[Rule], now: Instant) -> None:
    """These are all the rules that there are."""
    told = sorted((r for r in rules if r.name), key=lambda r: r.name)
    if told == known(tx, account, region):
        return
    row = {
        "origin_account": account,
        "origin_region": region,
        "document": msgspec.json.encode(told).decode(),
        "changed_at": now,
    }
    tx.upsert(config_rules, [row], replace=["document", "changed_at"])


def add(tx: Tx, rules: Iterable[Rule], now: Instant) -> None:
    """These are there, too: as somebody brought them, each under the place that its ARN names."""
    places: dict[tuple[str, str], list[Rule]] = {}
    for rule in rules:
        parts = rule.arn.split(":")
        if len(parts) > 5 and rule.source.owner is not None:
            places.setdefault((parts[4], parts[3]), []).append(rule)
    for place, some in places.items():
        named = {r.name: r for r in (*known(tx, *place), *some)}
        remember(tx, *place, named.values(), now)


def version(tx: Tx) -> tuple[int, int]:
    """What changes with what is remembered: how many places are known of, and the last change."""
    rows = tx.all(tx.select(config_rules.c.changed_at))
    return len(rows), max((int(row.changed_at) for row in rows), default=0)
