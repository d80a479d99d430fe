"""An organisation of 20 accounts in 3 regions whose resources drift for 30 days.

Everything that happens is drawn from one seed, at times between 06:00 and 20:00 UTC, so that what
is read a little after midnight is what held at midnight. Names say where a thing lies, and no two
are alike. The assessment begins at noon on 30 January: the first midnight after it is the 31st, a
day that February lacks.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.simulator.estate import Estate

from auditkeep.clock import DAY, MINUTE, SECOND, Instant, parse

MANAGER: Final = "111122223333"
ACCOUNTS: Final = (MANAGER, *(f"2000000000{n:02}" for n in range(1, 20)))
"""The first one manages the organisation, and audits it."""
EXTERNAL_ID: Final = "shared-word"
HOME: Final = "us-east-1"
REGIONS: Final = ("us-east-1", "eu-west-1", "eu-central-1")
BEGINS: Final = parse("2026-01-30T12:00:00Z")
DAYS: Final = 30
"""Midnights after the beginning."""
SECOND_BEGINS: Final = parse("2026-02-06T12:00:00Z")
"""When a second assessment begins: its first midnight is of the same weekday as the first one's."""

VPCS, KEYS, USERS = "ec2:DescribeVpcs", "kms:ListKeys", "iam:ListUsers"
RULE, IDENTIFIER = "buckets-private", "S3_BUCKET_ACL_PROHIBITED"
CONTROL = "S3.8"
SOURCE, EVENT = "ec2", "RunInstances"

_FIRST: Final = parse("2026-01-31T00:00:00Z")


def midnight(day: int) -> Instant:
    """The beginning of the n-th day, counted from 0."""
    return Instant(_FIRST + day * DAY)


def noon(day: int) -> Instant:
    return Instant(midnight(day) + 12 * 60 * MINUTE)


@dataclass(frozen=True, slots=True)
class Place:
    account: str
    region: str

    def name(self, what: str, number: int) -> str:
        return f"{what}-{self.account}-{self.region}-{number}"


def places(accounts: Iterable[str]) -> Iterator[Place]:
    return (Place(account, region) for account in accounts for region in REGIONS)


MOMENTS: Final = (
    Instant(BEGINS + MINUTE),
    *(Instant(midnight(day) + 5 * MINUTE) for day in range(DAYS)),
)
"""When the collector is let run: soon after the beginning, and after each midnight."""

NEVER: Final = ACCOUNTS[3]
"""May never describe VPCs."""
SHUT: Final = ACCOUNTS[7]
"""Its role cannot be assumed for some days."""
SHUT_FROM: Final = noon(12)
SHUT_UNTIL: Final = noon(16)
THROTTLED: Final = ACCOUNTS[11]
"""Every tenth of its calls for VPCs is one too many, and for some seconds of one day each is."""
THROTTLED_FROM: Final = midnight(9)
THROTTLED_UNTIL: Final = Instant(midnight(9) + 5 * MINUTE + 2 * SECOND)
BUSY: Final = "eu-west-1"
"""Where it throttles longer than anybody has patience for, so that a slot is lost."""
BUSY_FROM: Final = midnight(24)
BUSY_UNTIL: Final = Instant(midnight(24) + 300 * MINUTE)
LEAVING: Final = ACCOUNTS[17]
LEAVES: Final = Instant(midnight(20) + MINUTE)
NOTICED: Final = Instant(LEAVES + MINUTE)
"""When the members are read again, and its scopes change: everyone in them is looked at anew. The
day has begun by then, and its slots are still to be asked for: they are the others' all the same."""


WATCHED: Final = (MANAGER, SHUT, THROTTLED, LEAVING)
"""Accounts whose rules, findings and events are looked at; all are asked for API calls."""
SOME: Final = (MANAGER, NEVER, THROTTLED, LEAVING)
"""For stories that need not be told of all: somebody of each kind."""


def make(seed: int = 20260130) -> Estate:
    """The estate with all that will ever happen in it; only the clock makes it happen."""
    chance = random.Random(seed)
    estate = Estate(REGIONS)
    for number, account in enumerate(ACCOUNTS):
        estate.account(account, f"team-{number:02}", external_id=EXTERNAL_ID)
    estate.accounts[SHUT].shut = (SHUT_FROM, SHUT_UNTIL)
    estate.leave(LEAVING, LEAVES)
    for account in ACCOUNTS:
        for number in range(2):
            _drift(estate, chance, Place(account, "us-east-1"), USERS, "user", number, 0.1)
    for place in places(ACCOUNTS):
        for number in range(2):
            _drift(estate, chance, place, VPCS, "vpc", number, 0.15)
        _drift(estate, chance, place, KEYS, "key", 0, 0.05)
        _judged(estate, chance, place)
    return estate


def _hours(chance: random.Random) -> int:
    """A moment of a day, from 06:00 to 20:00."""
    return chance.randrange(6 * 60, 20 * 60) * MINUTE


def _drift(
    estate: Estate,
    chance: random.Random,
    place: Place,
    kind: str,
    what: str,
    number: int,
    often: float,
) -> None:
    """A resource is there from the beginning or later, changes, goes and comes back."""
    name, there = place.name(what, number), chance.random() < 0.8
    if there:
        estate.put(place.account, place.region, kind, name, Instant(BEGINS - 10 * DAY))
    for day in range(DAYS):
        if chance.random() >= often:
            continue
        at = Instant(midnight(day) + _hours(chance))
        if there and chance.random() < 0.3:
            estate.remove(place.account, place.region, kind, name, at)
            there = False
        else:
            estate.put(place.account, place.region, kind, name, at)
            there = True


def _judged(estate: Estate, chance: random.Random, place: Place) -> None:
    """A rule and a control judge resources anew now and then, and somebody starts instances."""
    account, region = place.account, place.region
    estate.rule(account, region, RULE, Instant(BEGINS - 20 * DAY), identifier=IDENTIFIER)
    for number in range(2):
        bucket = place.name("bucket", number)
        arn = f"arn:aws:s3:::{bucket}"
        for at in _times(chance):
            verdict = chance.choice(("COMPLIANT", "NON_COMPLIANT"))
            estate.evaluate(account, region, RULE, "AWS::S3::Bucket", bucket, verdict, at)
        for at in _times(chance):
            status = chance.choice(("PASSED", "FAILED", "WARNING", "NOT_AVAILABLE"))
            workflow = "SUPPRESSED" if chance.random() < 0.1 else "NEW"
            state = "ARCHIVED" if chance.random() < 0.1 else "ACTIVE"
            estate.finding(
                account, region, CONTROL, arn, status, at, workflow=workflow, record_state=state
            )
    for day in range(DAYS):
        if chance.random() < 0.2:
            estate.event(account, region, SOURCE, EVENT, Instant(midnight(day) + _hours(chance)))


def _times(chance: random.Random) -> list[Instant]:
    """When something is judged: once before the beginning, and on some days after."""
    days = [day for day in range(DAYS) if chance.random() < 0.15]
    found = [Instant(BEGINS - chance.randrange(1, 9) * DAY)]
    return found + [Instant(midnight(day) + _hours(chance)) for day in days]
