"""What of a tenant was allowed to go: its governance records, read and held to their rules.

A record counts only from a batch that is itself proven; whoever reads them here has checked that.
What came before what is told by the order of the log, which nobody can choose, and not by the times
that records give: those are when somebody asked, who may have waited for another. Of two records of
one id the first counts. A time is believed as far as its own batch, those behind it and the
auditor's clock bear it out.

Openings, of which there is one for each destroyed batch, stay where they are until a batch asks.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass

import msgspec

from auditkeep.clock import DAY, MINUTE, Instant, day_of, iso, parse
from auditkeep.lake.encoding import log_entry
from auditkeep.lake.governance import (
    MATCHED,
    PUT_KEEP_POLICY,
    PUT_RETENTION,
    Authority,
    Destruction,
    Hold,
    Openings,
    Recovery,
    Release,
    Unseen,
    allows,
    decode,
    forbids,
    may_be_unseen,
    policy_of,
    too_early,
)
from auditkeep.lake.keeping import Sight
from auditkeep.lake.model import size_of

CLOCKS_DIFFER = DAY
"""How far a destruction may be dated ahead of an audit, which may last for hours."""

SLACK = 60 * MINUTE
"""How much the clocks of machines that write one log may differ."""

_PARTS = 8
"""Parts of openings in memory, each of at most a thousand."""


class Told(msgspec.Struct, frozen=True):
    """What is read of a batch's record."""

    batch_no: int
    bucket: str
    committed_at: str
    klass: str = msgspec.field(name="class")
    root: str
    rows: int


@dataclass(frozen=True, slots=True)
class Part:
    """Openings of one destruction: between which batches, and the observation that holds them."""

    destruction: str
    first: int
    last: int
    id: bytes


class Allowed:
    """The destructions of one tenant, and whether a missing batch is named by one."""

    def __init__(self, now: Instant) -> None:
        self._not_after = iso(Instant(now + CLOCKS_DIFFER))
        self._authorities: dict[str, Authority] = {}
        self._destructions: dict[str, Destruction] = {}
        self._holds: dict[str, Hold] = {}
        self._released: dict[str, int] = {}
        self._logged: dict[str, int] = {}
        self._latest: list[tuple[int, str, str]] = []
        """From the batch of each expiry on: the latest time that one has given, and which did."""
        self._unseen: dict[str, list[Unseen]] = {}
        """What destructions of what nobody sees say of what they took."""
        self._seen: dict[str, str] = {}
        """Of those that were looked at: what is wrong with it, "" for nothing."""
        self._parts: list[Part] = []
        self._opened: OrderedDict[bytes, dict[int, tuple[str, str]]] = OrderedDict()
        self.recoveries: list[Recovery] = []

    def add(self, batch_no: int, committed_at: Instant, id_: bytes, raw: bytes) -> str | None:
        """Take in a record of a batch, in their order; a sentence if it cannot be read, or gives
        a time to come.
        """
        try:
            record = decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return f"A governance record ({id_.hex()}) cannot be read: {error}."
        match record:
            case Authority():
                self._authorities.setdefault(record.id, record)
                self._logged.setdefault(record.id, batch_no)
            case Destruction():
                self._destructions.setdefault(record.id, record)
                self._logged.setdefault(record.id, batch_no)
                given = self._authorities.get(record.authority)
                if given is not None and given.action == PUT_RETENTION:
                    self._expired(record, batch_no)
            case Openings():
                numbers = self._open(id_, raw)
                self._parts.append(Part(record.destruction, min(numbers), max(numbers), id_))
                return None
            case Unseen():
                self._unseen.setdefault(record.destruction, []).append(record)
                return None
            case Hold():
                self._holds.setdefault(record.id, record)
                self._logged.setdefault(record.id, batch_no)
            case Release():
                self._released.setdefault(record.hold, batch_no)
            case Recovery():
                self.recoveries.append(record)
        if record.at <= iso(Instant(committed_at + SLACK)):
            return None
        return (
            f"a governance record ({id_.hex()}) gives {record.at} as its time, and was committed "
            f"at {iso(committed_at)}."
        )

    def overtaken(self, batch_no: int, committed_at: Instant) -> str | None:
        """What a batch says of the expiries before it, if one gave a time to come."""
        before = bisect_left(self._latest, (batch_no,)) - 1
        if before < 0:
            return None
        _, at, id_ = self._latest[before]
        if at <= iso(Instant(committed_at + SLACK)):
            return None
        return (
            f"committed at {iso(committed_at)}, it follows the destruction {id_}, which gives a "
            f"later time, {at}"
        )

    def look(self, lenses: Callable[[int], Sight], rows_in: Callable[[int, int], int]) -> None:
        """Hold what went because nobody sees it against the lenses that had opened by then, which
        `lenses` gives by the version of what was wanted, and its number against what was kept:
        `rows_in` tells that of the batches between two numbers, both included.
        """
        for id_, said in self._unseen.items():
            done = self._destructions.get(id_)
            if id_ in self._seen or done is None:
                continue
            if sum(span[-1] for one in said for span in one.spans) != self._took(done, rows_in):
                self._seen[id_] = "does not say of all that it took what that was"
                continue
            sights = {one.version: lenses(one.version) for one in said}
            spans = ((sights[one.version], span) for one in said for span in one.spans)
            seen = next((s for sight, s in spans if not _is_unseen(sight, s)), None)
            self._seen[id_] = (
                ""
                if seen is None
                else "was earlier than policy allowed: it took what a lens sees, "
                f"{seen[0]} of account {seen[1]} in {seen[2]} at {seen[3]}"
            )

    def _took(self, done: Destruction, rows_in: Callable[[int, int], int]) -> int:
        """How many observations a destruction names that were there until then."""
        took = sum(size_of(spans) for _, spans in done.parts)
        took += sum(rows_in(low, high) for low, high in done.batches)
        earlier = (
            (batch_no, spans)
            for one in self._destructions.values()
            if self._logged[one.id] < self._logged[done.id]
            for batch_no, spans in one.parts
        )
        return took - sum(
            size_of(spans)
            for batch_no, spans in earlier
            if any(low <= batch_no <= high for low, high in done.batches)
        )

    def places(self, batch_no: int) -> list[bytes]:
        """The observations in which a destroyed batch's opening may lie."""
        return [part.id for part in self._parts if part.first <= batch_no <= part.last]

    def opened(self, id_: bytes) -> bool:
        return id_ in self._opened

    def open(self, id_: bytes, raw: bytes) -> None:
        """Give back the raw bytes of a part that `places` named."""
        self._open(id_, raw)

    def fault(self, batch_no: int, rows: int, root: bytes, entry: bytes) -> str | None:
        """Why the absence of a batch is not allowed; None if it is."""
        naming = [
            d
            for d in self._destructions.values()
            if any(low <= batch_no <= high for low, high in d.batches)
        ]
        if not naming:
            return "its observations are gone, and no destruction record names it"
        reasons = [self._refused(d, batch_no, rows, root, entry) for d in naming]
        return None if None in reasons else reasons[0]

    def _refused(
        self, destruction: Destruction, batch_no: int, rows: int, root: bytes, entry: bytes
    ) -> str | None:
        opening = next(
            (
                found
                for part in self._parts
                if part.destruction == destruction.id
                and (found := self._opened.get(part.id, {}).get(batch_no)) is not None
            ),
            None,
        )
        if opening is None:
            return f"the destruction {destruction.id} names it without its opening"
        salt, text = opening
        if log_entry(bytes.fromhex(salt), text.encode()) != entry:
            return f"the destruction {destruction.id} opens it to something that was never logged"
        told = msgspec.json.decode(text, type=Told)
        if (told.batch_no, told.rows, told.root) != (batch_no, rows, root.hex()):
            return "its row in the database is not what was logged"
        return self._judged(destruction, told)

    def part_fault(self, told: Told, missing: Collection[int]) -> str | None:
        """Why the absence of single observations of a batch is not allowed; None if it is."""
        left = set(missing)
        reasons = []
        for destruction in self._destructions.values():
            for batch_no, spans in destruction.parts:
                if batch_no != told.batch_no:
                    continue
                named = {i for i in left if any(low <= i <= high for low, high in spans)}
                if not named:
                    continue
                reason = self._judged(destruction, told)
                if reason is None:
                    left -= named
                else:
                    reasons.append(reason)
        if not left:
            return None
        return reasons[0] if reasons else "no destruction record names them"

    def _judged(self, destruction: Destruction, told: Told) -> str | None:
        """Why a destruction was not allowed to take anything of a batch; None if it was."""
        given = self._authorities.get(destruction.authority)
        if given is None:
            return f"the destruction {destruction.id} cites an authority that was never logged"
        if may_be_unseen(given, told.klass) and destruction.id in self._unseen:
            fault = self._of_unseen(destruction, given, told)
            if fault is not None:
                return fault
        elif not allows(given, told.klass):
            return (
                f"the destruction {destruction.id} was done for {given.action} "
                f"{given.subject}".rstrip()
                + f", which may not destroy what is kept as '{told.klass}'"
            )
        if destruction.at > self._not_after:
            return f"the destruction {destruction.id} is dated {destruction.at}, in the future"
        if given.at > destruction.at or self._logged[given.id] > self._logged[destruction.id]:
            return f"the destruction {destruction.id} is older than the authority it cites"
        if told.committed_at > destruction.at:
            return f"the destruction {destruction.id} is older than the batch itself"
        return self._not_yet(destruction, given, told) or self._held(destruction, told)

    def _not_yet(self, destruction: Destruction, given: Authority, told: Told) -> str | None:
        """Whether a retention policy was in force and had let the time come."""
        if given.action != PUT_RETENTION:
            return None
        kept = too_early(given, told.committed_at, destruction.at)
        if kept is not None:
            return (
                f"the destruction {destruction.id} was earlier than the retention policy it cites "
                f"allowed: the batch was to be kept until {kept}"
            )
        later = any(
            one.action == PUT_RETENTION
            and policy_of(one)[0] == policy_of(given)[0]
            and self._logged[given.id] < self._logged[one.id] < self._logged[destruction.id]
            for one in self._authorities.values()
        )
        if later:
            return (
                f"the destruction {destruction.id} cites a retention policy that was no longer in "
                "force"
            )
        return None

    def _of_unseen(self, destruction: Destruction, given: Authority, told: Told) -> str | None:
        """Why it may not have taken facts of a batch because nobody sees them; None if it may."""
        said = self._unseen[destruction.id]
        named = f"the destruction {destruction.id}"
        policy = self._authorities.get(said[0].policy)
        if (
            policy is None
            or (policy.action, policy.subject) != (PUT_KEEP_POLICY, MATCHED)
            or self._logged[policy.id] > self._logged[given.id]
            or any(one.policy != policy.id for one in said)
        ):
            return (
                f"{named} cites no policy that kept only what is seen when the assessment "
                f"{given.subject} was deleted"
            )
        since, at = self._logged[policy.id], self._logged[destruction.id]
        if any(
            one.action == PUT_KEEP_POLICY and since < self._logged[one.id] < at
            for one in self._authorities.values()
        ):
            return f"{named} cites a policy of what is kept that was no longer in force"
        if told.batch_no <= since:
            return (
                f"{named} was earlier than policy allowed: the batch was kept before the policy "
                f"'{MATCHED}', which it cites, came into force"
            )
        wrong = self._seen.get(destruction.id, "")
        return f"{named} {wrong}" if wrong else None

    def _held(self, destruction: Destruction, told: Told) -> str | None:
        at = self._logged[destruction.id]
        for hold in self._holds.values():
            ended = self._released.get(hold.id)
            in_force = self._logged[hold.id] < at and (ended is None or at < ended)
            if in_force and forbids(hold, told.klass, told.committed_at):
                return (
                    f"the destruction {destruction.id} was done under the legal hold {hold.id}, "
                    f"which {hold.principal} had placed at {hold.at}"
                )
        return None

    def _expired(self, destruction: Destruction, batch_no: int) -> None:
        told = (destruction.at, destruction.id)
        if self._latest:
            told = max(told, self._latest[-1][1:])
        self._latest.append((batch_no, *told))

    def _open(self, id_: bytes, raw: bytes) -> dict[int, tuple[str, str]]:
        found = self._opened.get(id_)
        if found is None:
            record = msgspec.json.decode(raw, type=Openings)
            found = {_number(text): (salt, text) for salt, text in record.openings}
            self._opened[id_] = found
            if len(self._opened) > _PARTS:
                self._opened.popitem(last=False)
        return found


def _is_unseen(sight: Sight, span: tuple[str, str, str, str, str, int]) -> bool:
    """Whether no lens looks into a span; what is none of one day, nobody can tell of."""
    match_key, account, region, *times, count = span
    try:
        first, last = parse(times[0]), parse(times[1])
    except ValueError:
        return False
    alike = first <= last and day_of(first) == day_of(last) and count > 0
    return alike and not sight.touches(match_key, account, region, first, last)


def _number(text: str) -> int:
    return msgspec.json.decode(text, type=Told).batch_no
