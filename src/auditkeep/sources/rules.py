"""What is known about Config rules: their owners and identifiers, from `DescribeConfigRules`.

Evaluation results name a rule by the name its user gave it; only this catalogue tells which of
them are AWS's own. It is collected from the same files, before their results are read.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

AWS_OWNER = "AWS"


class Source(msgspec.Struct, frozen=True, gc=False):
    """A rule's `Source`: who wrote it, and AWS's identifier or the function's ARN."""

    owner: str | None = msgspec.field(name="Owner", default=None)
    identifier: str | None = msgspec.field(name="SourceIdentifier", default=None)


class Rule(msgspec.Struct, frozen=True, gc=False):
    """One element of a `DescribeConfigRules` answer, as far as it matters."""

    name: str = msgspec.field(name="ConfigRuleName", default="")
    arn: str = msgspec.field(name="ConfigRuleArn", default="")
    source: Source = msgspec.field(name="Source", default=Source())

    @property
    def managed(self) -> bool:
        return self.source.owner == AWS_OWNER and bool(self.source.identifier)


class Definitions(Protocol):
    """What is remembered of accounts' rules, where what is read says nothing of them itself."""

    def find(self, name: str, arn: str, account: str, region: str) -> Rule | None: ...

    def awaited(self, account: str, region: str) -> bool:
        """Whether the account is asked for its rules: then none is guessed by its name."""


class Rules:
    """Rules by ARN and, with the account and region of the ARN, by name."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._by_arn: dict[str, Rule] = {}
        self._by_place: dict[tuple[str, str, str], Rule] = {}
        self._by_name: dict[str, Rule | None] = {}
        for rule in rules:
            self.add(rule)

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[Rule]:
        """Those whose ARN is known."""
        return iter(self._by_arn.values())

    def add(self, rule: Rule) -> None:
        if not rule.name or rule.source.owner is None:
            return
        if rule.arn:
            self._by_arn[rule.arn] = rule
            parts = rule.arn.split(":")
            if len(parts) > 5:
                self._by_place[(parts[4], parts[3], rule.name)] = rule
        known = self._by_name.get(rule.name, rule)
        same = known is not None and known.source == rule.source
        self._by_name[rule.name] = rule if same else None

    def fingerprint(self) -> list[tuple[str, str, str, str]]:
        """What tells one catalogue from another, in a fixed order."""
        rules = {*self._by_arn.values(), *(r for r in self._by_name.values() if r)}
        return sorted(
            (r.name, r.arn, r.source.owner or "", r.source.identifier or "") for r in rules
        )

    def find(self, name: str, *, arn: str = "", account: str = "", region: str = "") -> Rule | None:
        """The rule meant: by ARN, by place and name, or by a name that means one rule only."""
        return (
            self._by_arn.get(arn)
            or self._by_place.get((account, region, name))
            or self._by_name.get(name)
        )
