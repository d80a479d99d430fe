"""Which regions accounts have switched on: what they said last, and what follows for the plan.

    state            it names its regions                    it does not say
    never asked      known                                   unknown: every region is taken for on
    known            known; of what it names newly, it is    known for a day; then doubted: what was
                     remembered until when it was off        off is asked, and refuses by itself
    doubted          the same                                doubted
    unknown          known                                   unknown

An account is asked again with each round, at most once an hour, and only where a region that may be
off is looked at and asked of the account itself. The plan is made anew where the answer changed.
"""

from collections.abc import Container, Iterator, Mapping

import msgspec

from auditkeep.clock import DAY, MINUTE, Instant
from auditkeep.collection.plan import TRAIL, Plan, Switched
from auditkeep.collection.targets import round_of
from auditkeep.db.schema import collection_regions
from auditkeep.db.tx import Tx
from auditkeep.evidence import lens
from auditkeep.observations import SourceType
from auditkeep.sources.refusals import always_on

JOB = "regions"
"""Jobs that ask an account for its regions; their keys are ACCOUNT/ROUND."""

OFTEN = 60 * MINUTE
"""How often an account is asked, at most."""

TRUSTED = DAY
"""For how long it is taken as true what an account said that says nothing any more."""

REMEMBERED = 45 * DAY
"""For how long it matters until when a region was off: longer than from one slot to the next."""


class Regions(msgspec.Struct, frozen=True, kw_only=True):
    """What an account said: the regions that are on, and until when some of them were off."""

    on: frozenset[str]
    off_until: dict[str, Instant] = {}


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one account; see the columns of `collection_regions`."""

    asked_at: Instant
    said_at: Instant | None = None
    said: Regions | None = None
    sure: bool = False
    """Whether that is taken as true."""

    @property
    def switched(self) -> Switched | None:
        """What a plan needs to know of it."""
        if self.said is None:
            return None
        doubted = None if self.sure else self.said_at
        return Switched(self.said.on, frozenset(self.said.off_until.items()), doubted)


def became(before: Known | None, on: frozenset[str] | None, now: Instant) -> Known:
    """What is known after an account was asked; `on` is None where it did not say."""
    if on is None:
        if before is None or before.said_at is None:
            return Known(asked_at=now)
        sure = before.sure and before.said_at > now - TRUSTED
        return msgspec.structs.replace(before, asked_at=now, sure=sure)
    off_until: dict[str, Instant] = {}
    if before is not None and before.said is not None and before.said_at is not None:
        known = {**before.said.off_until, **dict.fromkeys(on - before.said.on, before.said_at)}
        off_until = {r: at for r, at in known.items() if r in on and at >= now - REMEMBERED}
    said = Regions(on=on, off_until=off_until)
    return Known(asked_at=now, said_at=now, said=said, sure=True)


def to_ask(
    plan: Plan,
    known: Mapping[str, Known],
    elsewhere: Container[SourceType],
    now: Instant,
    every: int,
) -> list[str]:
    """The accounts that are to be asked for their regions now.

    `elsewhere` are sources that another account tells of; `every` is how long a round is.
    """
    begun = round_of(now, max(every, OFTEN))
    return sorted(
        account
        for account in set(_concerned(plan, elsewhere))
        if account not in known or known[account].asked_at < begun
    )


def _concerned(plan: Plan, elsewhere: Container[SourceType]) -> Iterator[str]:
    """Accounts that are asked, or would be, where a region may be off."""
    for territory in (*plan.territories, *plan.left_out):
        if not always_on(territory.region) and any(
            duty.question != TRAIL and duty.question.source not in elsewhere
            for duty in territory.duties
        ):
            yield from territory.accounts


# --- queries ----------------------------------------------------------------------------------


def listed(tx: Tx) -> dict[str, Known]:
    """All that is known, by account."""
    return {
        row.origin_account: Known(
            asked_at=Instant(row.asked_at),
            said_at=None if row.said_at is None else Instant(row.said_at),
            said=None if row.regions is None else msgspec.json.decode(row.regions, type=Regions),
            sure=bool(row.sure),
        )
        for row in tx.all(tx.select(collection_regions))
    }


def switched(tx: Tx) -> dict[str, Switched]:
    """What accounts have switched on, of those that have ever said."""
    found = ((account, known.switched) for account, known in listed(tx).items())
    return {account: one for account, one in found if one is not None}


def save(tx: Tx, account: str, before: Known | None, known: Known) -> bool:
    """Keep what is known of an account now; whether the plan is another by it."""
    said = None if known.said is None else msgspec.json.encode(known.said, order="sorted").decode()
    row = {
        "origin_account": account,
        "regions": said,
        "said_at": known.said_at,
        "asked_at": known.asked_at,
        "sure": known.sure,
    }
    replaced = ["regions", "said_at", "asked_at", "sure"]
    tx.upsert(collection_regions, [row], replace=replaced)
    changed = known.switched != (None if before is None else before.switched)
    if changed:
        lens.changed(tx)
    return changed
