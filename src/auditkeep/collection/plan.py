"""The plan: what must be asked, of which account and region, how often, and why.

Pure. It follows from *looks* alone: the open intervals of lenses, and the frameworks a tenant has
named as its baseline. Nothing looks, nothing is asked. Two looks at the same thing are one
question, however many frameworks they belong to, and it is asked on the days of either.

    source                 asked                                             where
    AWS_API_Call           each call on its slots                            each region, or once
    AWS_Config             all rules that are looked at, every so often      each region
    AWS_Security_Hub       all controls that are looked at, every so often   each region
    AWS_Cloudtrail         new events, every so often                        each region, and once;
                                                                             where a trail brings
                                                                             them, nobody is asked

Services that have no region are asked once per account, in `ids.GLOBAL_REGION`. What is not asked
because its region is off (`collection.regions`) stays beside the plan. Accounts that are looked at
alike share their part of a plan, so that its size follows from how many ways there are to look, not
from how many accounts there are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from auditkeep.clock import Day, Instant
from auditkeep.evidence import slots
from auditkeep.evidence.slots import Every
from auditkeep.ids import GLOBAL_REGION
from auditkeep.mapping import config
from auditkeep.mapping.cloudtrail import is_event_of_a_source
from auditkeep.mapping.places import GLOBAL_SERVICES
from auditkeep.observations import SourceType

NEVER = Instant(0)

POLLED: tuple[SourceType, ...] = ("AWS_Config", "AWS_Security_Hub", "AWS_Cloudtrail")
"""Sources that are asked every so often; the others have slots."""

HOME = "us-east-1"
"""Where CloudTrail logs the events of services that have no region."""

_PREFIXES: Mapping[str, SourceType] = {
    "api": "AWS_API_Call",
    "config": "AWS_Config",
    "securityhub": "AWS_Security_Hub",
}
_NEVER_ASKED = frozenset({"pinned", "run", "scanner", "activity", "governance"})
"""What is put here by people, by scanners, and by Auditkeep itself."""


@dataclass(frozen=True, slots=True, order=True)
class Reason:
    """Who looks: a control of an assessment, or of a framework of the baseline."""

    of: Literal["assessment", "baseline"]
    id: str
    """The assessment, or the framework."""
    control: str
    """The control's ordinal in the assessment, or its id in the framework."""


@dataclass(frozen=True, slots=True)
class Look:
    """One interval that is open, or opens later: match keys × accounts × regions, and its slots."""

    reason: Reason
    match_keys: frozenset[str]
    accounts: frozenset[str]
    regions: frozenset[str] | None
    opens_at: Instant
    every: Every = "DAILY"
    anchor: Instant | None = None
    """From when its slots are counted; None: from its opening."""
    since: Instant | None = None
    """From when on its accounts were looked at without a break, by intervals before this one too:
    a slot that began then is due. None: from its opening."""

    @property
    def rhythm(self) -> "Rhythm":
        since = self.opens_at if self.since is None else self.since
        daily = self.every == "DAILY"
        return Rhythm(self.every, since if daily or self.anchor is None else self.anchor, since)


@dataclass(frozen=True, slots=True, order=True)
class Rhythm:
    """The slots that some looks have: how often, counted from when, and due since when."""

    every: Every
    anchor: Instant
    since: Instant

    def latest(self, day: Day) -> Day | None:
        """The last slot up to a day, if it began when somebody looked."""
        found = slots.latest(self.every, self.anchor, day)
        return None if found is None or slots.start(found) < self.since else found

    def following(self, day: Day | None) -> Day:
        """The first slot after a day, or the first of all, of those that somebody looks at."""
        before = Day(slots.first(self.since) - 1)
        return slots.following(self.every, self.anchor, before if day is None else max(day, before))


@dataclass(frozen=True, slots=True)
class Question:
    """What a source is asked about: an API call's keyword, or "" for all that is looked at."""

    source: SourceType
    what: str

    @property
    def scheduled(self) -> bool:
        """Whether it has slots; if not, it is asked every so often."""
        return self.source not in POLLED


@dataclass(frozen=True)
class Duty:
    """One question, with everything it is asked for."""

    question: Question
    match_keys: frozenset[str]
    rhythms: frozenset[Rhythm]
    reasons: frozenset[Reason]
    opens_at: Instant
    """When the first look at it opened."""
    newest: Instant
    """When the last look at it opened: state that was read before is no evidence for that one."""
    off_until: Instant = NEVER
    """Until when its region was off for the account: nothing was due there before."""
    spare: frozenset[str] = frozenset()
    """Match keys that nobody looks at but as others of theirs (`mapping.config`)."""

    def slots_due(self, done: Day | None, today: Day) -> list[Day]:
        """The slots to ask for now, oldest first.

        Of each rhythm the latest only: what was missed before that cannot be had any more.
        """
        found = {r.latest(today) for r in self.rhythms}
        return sorted(d for d in found if d is not None and (done is None or d > done))

    def first_missed(self, done: Day | None, due: Day) -> Day | None:
        """The first slot after `done` that passed before `due` came, if any did."""
        after = (r.following(done) for r in self.rhythms)
        return min((day for day in after if day < due), default=None)

    @property
    def rounds_a_month(self) -> float:
        """How often a month it is asked on its slots: at most daily."""
        often = sum({slots.calls_a_month(r.every) for r in self.rhythms})
        return min(often, slots.calls_a_month("DAILY"))


@dataclass(frozen=True)
class Territory:
    """Accounts that are asked the same in one region."""

    accounts: tuple[str, ...]
    region: str
    duties: tuple[Duty, ...]

    def of_source(self, source: SourceType) -> tuple[Duty, ...]:
        return tuple(d for d in self.duties if d.question.source == source)

    @property
    def sources(self) -> tuple[SourceType, ...]:
        return tuple(dict.fromkeys(d.question.source for d in self.duties))


@dataclass(frozen=True)
class Plan:
    """All that must be asked for one tenant; `left_out` is what would be, were its region on."""

    territories: tuple[Territory, ...]
    left_out: tuple[Territory, ...] = ()

    @cached_property
    def _places(self) -> Mapping[tuple[str, str], Territory]:
        return {(a, t.region): t for t in self.territories for a in t.accounts}

    def at(self, account: str, region: str) -> Territory | None:
        """What is asked of an account in a region."""
        return self._places.get((account, region))

    def duty(self, account: str, region: str, question: Question) -> Duty | None:
        territory = self.at(account, region)
        if territory is None:
            return None
        return next((d for d in territory.duties if d.question == question), None)

    def questions(self) -> Iterator[tuple[str, str, Duty]]:
        """Each question by account and region."""
        yield from _questions(self.territories)

    def not_asked(self) -> Iterator[tuple[str, str, Duty]]:
        """The same of what is left out."""
        yield from _questions(self.left_out)

    def of_account(self, account: str) -> "Plan":
        """The part of one account."""
        asked, left_out = (
            tuple(Territory((account,), t.region, t.duties) for t in some if account in t.accounts)
            for some in (self.territories, self.left_out)
        )
        return Plan(asked, left_out)

    def regions_off(self) -> Mapping[str, tuple[list[str], int]]:
        """The regions in which something is left out: for which accounts, and how many questions.

        Both in order.
        """
        found: dict[str, tuple[list[str], int]] = {}
        for territory in self.left_out:
            accounts, questions = found.get(territory.region, ([], 0))
            both = sorted({*accounts, *territory.accounts})
            more = len(territory.accounts) * len(territory.duties)
            found[territory.region] = (both, questions + more)
        return dict(sorted(found.items()))

    @property
    def size(self) -> int:
        """How many questions there are."""
        return sum(len(t.accounts) * len(t.duties) for t in self.territories)

    @property
    def accounts(self) -> frozenset[str]:
        return frozenset(a for t in self.territories for a in t.accounts)


def _questions(some: Iterable[Territory]) -> Iterator[tuple[str, str, Duty]]:
    for territory in some:
        for account in territory.accounts:
            for duty in territory.duties:
                yield account, territory.region, duty


@dataclass(frozen=True, slots=True)
class Reach:
    """In which regions accounts are asked, as settings and the tenant's own lists say.

    `elsewhere` are the regions of a look at all regions, of accounts without a list; `lists` those
    of accounts that have one: what is not on it, an opt-in region for one, is never asked.
    `everywhere` tells of a keyword whether its service has no regions; `apart` are accounts and
    regions whose events a trail brings, so that nobody asks for them.
    """

    elsewhere: frozenset[str]
    lists: Mapping[str, frozenset[str]] = field(default_factory=dict)
    everywhere: Callable[[str], bool] = lambda keyword: keyword.partition("_")[0] in GLOBAL_SERVICES
    apart: frozenset[tuple[str, str]] = frozenset()


EVENTS = Question("AWS_Cloudtrail", "")
"""New events of CloudTrail, asked of whoever has them: the account, or an event data store."""
RULES = Question("AWS_Config", "")
"""What the rules of AWS Config judged."""
TRAIL = Question("AWS_Cloudtrail", "trail")
"""What a trail brings: looked at, and asked of nobody."""
_ANY = "*"


def question_of(match_key: str) -> Question | None:
    """The question that brings observations of a match key; None where nobody is asked."""
    prefix, mark, name = match_key.partition(":")
    if not mark or prefix in _NEVER_ASKED:
        return None
    if is_event_of_a_source(match_key):
        return EVENTS
    source = _PREFIXES.get(prefix, "AWS_Cloudtrail")
    return Question(source, name if source == "AWS_API_Call" else "")


def make(looks: Iterable[Look], reach: Reach) -> Plan:
    """What some looks need, asked once each."""
    groups: dict[tuple[frozenset[str], frozenset[str] | None], list[Look]] = {}
    for look in looks:
        groups.setdefault((look.accounts, look.regions), []).append(look)
    members: dict[str, list[int]] = {}
    bundles: list[_Bundle] = []
    for (accounts, regions), some in groups.items():
        for account in accounts:
            members.setdefault(account, []).append(len(bundles))
        bundles.append(_Bundle.of(some, regions, reach.everywhere))
    trails: dict[str, set[str]] = {}
    for account, region in reach.apart:
        trails.setdefault(account, set()).add(region)
    alike: dict[tuple[tuple[int, ...], frozenset[str], frozenset[str]], list[str]] = {}
    for account, numbers in sorted(members.items()):
        listed = reach.lists.get(account)
        allowed = frozenset({_ANY}) if listed is None else listed
        key = (tuple(numbers), allowed, frozenset(trails.get(account, ())))
        alike.setdefault(key, []).append(account)
    territories: list[Territory] = []
    merged: dict[tuple[object, ...], tuple[Duty, ...]] = {}
    for (which, allowed, apart), some_accounts in alike.items():
        places = _regions(which, bundles, allowed, reach.elsewhere)
        for region, asking in sorted(places.items()):
            events = places.get(GLOBAL_REGION, ()) if region == HOME else ()
            by_trail = (HOME if region == GLOBAL_REGION else region) in apart
            at = _At(region == GLOBAL_REGION, HOME in places, events, by_trail)
            part = merged.get((at, asking))
            if part is None:
                part = merged[at, asking] = _duties(bundles, asking, at)
            if part:
                territories.append(Territory(tuple(some_accounts), region, part))
    return Plan(tuple(territories))


@dataclass(frozen=True, slots=True)
class _At:
    """What kind of place a territory is."""

    no_region: bool
    home_asked: bool
    """Whether the accounts are asked in the home region, which has all global events."""
    events: tuple[int, ...]
    """The bundles whose global events are asked for here, because it is the home region."""
    by_trail: bool
    """Whether a trail brings its events."""


@dataclass(slots=True)
class _Asked:
    """One question while its looks are gathered."""

    match_keys: set[str] = field(default_factory=set)
    rhythms: set[Rhythm] = field(default_factory=set)
    reasons: set[Reason] = field(default_factory=set)
    openings: set[Instant] = field(default_factory=set)
    needed: set[str] = field(default_factory=set)

    def merge(self, other: "_Asked") -> None:
        self.match_keys |= other.match_keys
        self.rhythms |= other.rhythms
        self.reasons |= other.reasons
        self.openings |= other.openings
        self.needed |= other.needed


@dataclass(frozen=True, slots=True)
class _Bundle:
    """The questions of looks of the same accounts and regions, those without a region apart."""

    regions: frozenset[str] | None
    regional: Mapping[Question, _Asked]
    everywhere: Mapping[Question, _Asked]

    @classmethod
    def of(
        cls,
        looks: Iterable[Look],
        regions: frozenset[str] | None,
        everywhere: Callable[[str], bool],
    ) -> "_Bundle":
        found: tuple[dict[Question, _Asked], dict[Question, _Asked]] = ({}, {})
        for look in looks:
            spare = config.spare(look.match_keys)
            for key in look.match_keys:
                question = question_of(key)
                if question is None:
                    continue
                asked = found[_has_no_region(question, key, everywhere)]
                one = asked.setdefault(question, _Asked())
                one.match_keys.add(key)
                if key not in spare:
                    one.needed.add(key)
                one.reasons.add(look.reason)
                one.openings.add(look.opens_at)
                if question.scheduled:
                    one.rhythms.add(look.rhythm)
        return cls(regions, *found)


def _has_no_region(question: Question, key: str, everywhere: Callable[[str], bool]) -> bool:
    if question.source == "AWS_API_Call":
        return everywhere(question.what)
    if question.source == "AWS_Cloudtrail":
        return key.partition(":")[0] in GLOBAL_SERVICES
    return False


def _regions(
    numbers: tuple[int, ...],
    bundles: list[_Bundle],
    allowed: frozenset[str],
    elsewhere: frozenset[str],
) -> dict[str, tuple[int, ...]]:
    """Where some bundles ask, each region with those that ask there."""
    found: dict[str, list[int]] = {}
    for number in numbers:
        named = bundles[number].regions
        wide = elsewhere if _ANY in allowed else allowed
        places = wide if named is None else named - {GLOBAL_REGION}
        for region in places if _ANY in allowed else places & allowed:
            found.setdefault(region, []).append(number)
        if named is None or GLOBAL_REGION in named:
            found.setdefault(GLOBAL_REGION, []).append(number)
    return {region: tuple(some) for region, some in found.items()}


def _duties(bundles: list[_Bundle], asking: tuple[int, ...], at: _At) -> tuple[Duty, ...]:
    merged: dict[Question, _Asked] = {}
    for number in asking:
        asked = bundles[number].everywhere if at.no_region else bundles[number].regional
        for question, one in asked.items():
            if not (at.no_region and at.home_asked and question == EVENTS):
                merged.setdefault(question, _Asked()).merge(one)
    for number in at.events:
        if EVENTS in bundles[number].everywhere:
            merged.setdefault(EVENTS, _Asked()).merge(bundles[number].everywhere[EVENTS])
    if at.by_trail and EVENTS in merged:
        merged[TRAIL] = merged.pop(EVENTS)
    return tuple(
        Duty(
            question=question,
            match_keys=frozenset(one.match_keys),
            rhythms=_needed(one.rhythms),
            reasons=frozenset(one.reasons),
            opens_at=min(one.openings),
            newest=max(one.openings),
            spare=frozenset(one.match_keys - one.needed),
        )
        for question, one in sorted(merged.items(), key=lambda p: (p[0].source, p[0].what))
    )


def _needed(rhythms: set[Rhythm]) -> frozenset[Rhythm]:
    """Of those that look daily, or on the same days, the first: it has the others' days too."""
    first: dict[tuple[Every, Instant], Rhythm] = {}
    for r in sorted(rhythms, key=lambda r: r.since):
        first.setdefault((r.every, Instant(0) if r.every == "DAILY" else r.anchor), r)
    return frozenset(first.values())
