"""Telling owners of gaps: what an assessment does not get, and gets again, gathered (ADR 0032).

Where a gap opens or closes, a job is queued in the same transaction; the job tells all that owners
do not know yet, one notice for each assessment, and notes in the ledger what they know by then, in
one transaction: what is told is told once, whatever dies.

- The first news of a UTC day waits a quarter of an hour for others of the same cause; what follows
  that day is told together after midnight. So an owner has at most two notices a day of each.
- A gap that was over and filled before anybody was told is told to nobody: nothing is missing.
- Told are the audit owners of ACTIVE assessments with a control that looked at what is missing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from auditkeep.accounts import store as accounts
from auditkeep.assessments import store as assessments
from auditkeep.assessments.model import Assessment
from auditkeep.clock import MINUTE, Clock, Day, Instant, day_name, day_of, day_start, to_datetime
from auditkeep.collection import gaps
from auditkeep.collection.gaps import Gap
from auditkeep.collection.looks import Plans
from auditkeep.collection.touching import Touching, looks
from auditkeep.db.database import Database
from auditkeep.db.tx import Tx
from auditkeep.evidence import lens
from auditkeep.ids import Tenant, new_id
from auditkeep.notifications import outgoing, store, webhooks
from auditkeep.notifications.model import (
    OWN_SOURCE,
    About,
    Event,
    Gaps,
    Telling,
    deliveries,
)
from auditkeep.settings import Settings
from auditkeep.work.jobs import enqueue
from auditkeep.work.pump import Handler
from auditkeep.workflows.collect import SHORT

KIND = "gap-notice"
"""Jobs that tell owners; their keys are DAY/first and DAY/rest."""

GATHERED = 15 * MINUTE
"""How long the first news of a day waits for others."""
SHOWN = 10
"""Kinds of gaps that a notice names; it counts all."""


@dataclass(frozen=True, slots=True)
class GapNotices:
    """Hears of gaps and tells of them. Safe to share between threads."""

    db: Database
    settings: Settings
    clock: Clock
    plans: Plans
    wake: Callable[[], None] = lambda: None

    def hear(self, tx: Tx, gap: Gap, opened: bool) -> None:
        """Queue the telling, in the transaction that notes the gap; see `Collector.told`."""
        del gap, opened  # the ledger says what there is to tell when it is told
        now = self.clock.now()
        today = day_of(now)
        after = Instant(day_start(Day(today + 1)) + GATHERED)
        enqueue(tx, KIND, f"{day_name(today)}/first", Instant(now + GATHERED))
        enqueue(tx, KIND, f"{day_name(today)}/rest", after)

    def handler(self) -> Handler:
        return Handler(self.tell)

    def tell(self, tenant: Tenant, key: str) -> None:
        """Tell owners what they do not know yet."""
        del key
        now = self.clock.now()
        with self.db.write(tenant) as tx:
            tx.lock_tenant()
            news = gaps.untold(tx)
            lasting = gaps.listed(tx, only_open=True) if news else []
            fresh = [(gap, known) for gap, known in news if known or not gap.filled]
            for assessment in assessments.active(tx) if fresh else ():
                self._tell(tx, assessment, fresh, lasting, now)
            gaps.told(tx, (gap for gap, _ in news))
            tx.after_commit(self.wake)

    def _tell(
        self,
        tx: Tx,
        assessment: Assessment,
        news: Iterable[tuple[Gap, bool]],
        lasting: Iterable[Gap],
        now: Instant,
    ) -> None:
        ordinals = [c.ordinal for c in assessments.controls(tx, assessment.id) if not c.removed]
        lenses = lens.load(tx, assessment.id, ordinals, assessment.frozen_at_batch)
        plan = self.plans.ever(tx, looks(lenses, now))
        touching = Touching(plan, {one.ordinal: one for one in lenses})
        mine = [(gap, touching.ordinals(gap)) for gap, _ in news]
        opened = [(gap, some) for gap, some in mine if some and gap.closes_at is None]
        closed = [(gap, some) for gap, some in mine if some and gap.closes_at is not None]
        if not opened and not closed:
            return
        remaining = sum(bool(touching.ordinals(gap)) for gap in lasting)
        about = About(assessment.id, assessment.name, "")
        telling = Telling(
            id=new_id(),
            kind="COLLECTION_GAPS",
            about=about,
            description=words(opened, closed, remaining),
            source=OWN_SOURCE,
            at=now,
        )
        event = Event(
            id=new_id(),
            detail_type="Assessment Collection Gaps",
            account=tx.tenant.account,
            region=tx.tenant.region,
            author=OWN_SOURCE,
            assessment_id=assessment.id,
            assessment_name=assessment.name,
            at=now,
            gaps=Gaps(len(opened), len(closed), remaining),
        )
        self._send(tx, assessment, telling, event)

    def _send(self, tx: Tx, assessment: Assessment, telling: Telling, event: Event) -> None:
        """To the owners, the tenant's topic, mailboxes and webhooks, and the bus."""
        notices = store.tell(tx, assessment.document.owners, telling)
        account = accounts.find(tx)
        topic = account is not None and bool(account.settings.sns_topic)
        mails = notices if self.settings.smtp_host else ()
        chat, systems = webhooks.names(tx, "notices"), webhooks.names(tx, "events")
        bus = bool(self.settings.event_bus)
        if topic or chat:
            outgoing.put(tx, telling)
        if systems or bus:
            outgoing.put(tx, event)
        jobs = deliveries(telling.id, topic=topic, hooks=chat, mails=mails)
        jobs += deliveries(event.id, hooks=systems, bus=bus)
        for kind, key, lane in jobs:
            enqueue(tx, kind, key, telling.at, lane=lane)


def words(
    opened: list[tuple[Gap, set[int]]], closed: list[tuple[Gap, set[int]]], lasting: int
) -> str:
    """What a notice says: no words of sources, only which, where, why, since when, for how many."""
    parts = []
    if opened:
        parts.append(_listed("Evidence is not being collected:", opened))
    if closed:
        parts.append(_listed("Collected again, or not needed any more:", closed))
    parts.append(
        f"{_count(lasting, 'gap lasts', 'gaps last')} for this assessment. ListGaps and "
        "GetCoverage of the auditkeep service, or auditkeep collect gaps and status, show all."
    )
    return "\n".join(parts)


def _listed(head: str, some: list[tuple[Gap, set[int]]]) -> str:
    """Gaps of one cause as one line, those that touch most first."""
    causes: dict[tuple[str, str, str, str], list[tuple[Gap, set[int]]]] = {}
    for gap, ordinals in some:
        key = (gap.place.source, gap.what, gap.reason, gap.detail)
        causes.setdefault(key, []).append((gap, ordinals))
    ordered = sorted(causes.items(), key=lambda one: (-len(one[1]), one[0]))
    lines = [head, *(f"- {_line(key, found)}" for key, found in ordered[:SHOWN])]
    if len(ordered) > SHOWN:
        lines.append(f"- and {len(ordered) - SHOWN} more")
    return "\n".join(lines)


def _line(key: tuple[str, str, str, str], found: list[tuple[Gap, set[int]]]) -> str:
    source, what, reason, detail = key
    gaps_of = [gap for gap, _ in found]
    first = min(gaps_of, key=lambda g: (g.opens_at, g.place.account, g.place.region))
    controls = len(set[int]().union(*(ordinals for _, ordinals in found)))
    more = f" and {_count(len(found) - 1, 'more place', 'more places')}" if len(found) > 1 else ""
    why = f"{reason} ({detail})" if detail else reason
    short = next((name for kind, name in SHORT.items() if kind == source), source)
    asked = f"{short} {what}" if what else short
    return (
        f"{asked} in {first.place.account} {first.place.region}{more}: {why}, {_span(first)}, for "
        f"{_count(controls, 'control', 'controls')}"
    )


def _span(gap: Gap) -> str:
    since = f"{to_datetime(gap.opens_at):%Y-%m-%d %H:%M}"
    if gap.closes_at is None:
        return f"since {since} UTC"
    until = f"{to_datetime(gap.closes_at):%Y-%m-%d %H:%M}"
    return f"{since} to {until} UTC, {'filled afterwards' if gap.filled else 'not filled'}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
