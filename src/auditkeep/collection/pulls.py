"""The run of a collection as a fact: who asked whom for what, and what came of it.

A run is one job: one source of one account and region, for a slot or a round. While it goes on,
what was asked is kept beside the pages it brought, in their transactions, so that a run that
another process finishes tells all of it. At its end it becomes an observation, like the runs over
files (`collection.runs`): appended, logged, proven, and cited by reports as what was asked.
"""

from collections.abc import Iterable, Sequence

import msgspec

from auditkeep.clock import Day, Instant, day_name, iso
from auditkeep.collection.runs import SOFTWARE
from auditkeep.collection.targets import Place, Todo
from auditkeep.db.schema import collection_runs
from auditkeep.db.tx import Tx
from auditkeep.ids import Tenant, named_id
from auditkeep.lake.append import Appended, Unit
from auditkeep.observations import Observation, Provenance
from auditkeep.sources.pull import Page, Request

READER = "pull/1"
MATCH_KEY = "run:collect"
REFUSED_TOLD = 20
"""Records of one question that are named because they could not be kept; all are counted."""

_SECRET = ("token", "marker")
"""Parameters that only say where a list goes on: long, and nobody's business."""


class Asked(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One question of a run; `outcome` is empty while it is under way."""

    what: str
    slot: Day | None = None
    since: Instant | None = None
    look: bool = False
    began: Instant
    ended: Instant | None = None
    operations: dict[str, int] = msgspec.field(default_factory=dict)
    parameters: dict[str, dict[str, object]] = msgspec.field(default_factory=dict)
    pages: int = 0
    records: int = 0
    observations: int = 0
    duplicates: int = 0
    conflicts: int = 0
    unmatched: int = 0
    rejected: int = 0
    rejections: list[tuple[str, str]] = msgspec.field(default_factory=list)
    cuts: int = 0
    counted: int | None = None
    faults: list[tuple[str, str, str]] = msgspec.field(default_factory=list)
    outcome: str = ""
    message: str = ""

    def took(self, page: Page) -> None:
        """Count the calls that a page took, and what they were given."""
        self.pages += 1
        for request in page.requests:
            name = f"{request.service}:{request.operation}"
            self.operations[name] = self.operations.get(name, 0) + 1
            self.parameters.setdefault(name, _shown(request))
        self.faults += [(f.resource, f.reason, f.sentence) for f in page.faults]
        if page.counted is not None:
            self.counted = page.counted

    def kept(self, result: Appended, observations: Sequence[Observation]) -> None:
        """Count what became of observations that were appended."""
        self.observations += result.new
        self.duplicates += len(observations) if result.repeated else result.duplicates
        self.conflicts += result.conflicts
        self.unmatched += result.unkept
        self.refuse(result.refused)
        if not result.repeated:
            self.cuts += sum(len(o.cuts) for o in observations)

    @property
    def lack(self) -> str:
        """In a sentence, why it was not answered, or the first thing that its answer lacks."""
        return self.message or next((sentence for _, _, sentence in self.faults), "")

    def refuse(self, refused: Iterable[tuple[str, str]]) -> None:
        for one in refused:
            self.rejected += 1
            if len(self.rejections) < REFUSED_TOLD:
                self.rejections.append(one)


class Pulling(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A run while it goes on."""

    id: str
    key: str
    caller: str
    role: str = ""
    """Its ARN; empty where the server's own credentials asked."""
    started: Instant
    asked: list[Asked] = msgspec.field(default_factory=list)
    trouble: tuple[str, str, str] | None = None
    """Why it could not go on when it was last tried."""

    @property
    def unit(self) -> Unit:
        return Unit(f"run/{self.id}", "run", "collect")

    def of(self, todo: Todo) -> Asked:
        """The line of a question, made when it is put first."""
        for one in self.asked:
            if (one.what, one.slot, one.began) == (todo.question.what, todo.slot, todo.began):
                return one
        line = Asked(
            what=todo.question.what,
            slot=todo.slot,
            since=todo.since,
            look=todo.at is not None,
            began=todo.began,
        )
        self.asked.append(line)
        return line

    def provenance(self, place: Place) -> Provenance:
        return Provenance(how="pulled", collector=place.source, run=self.id, software=SOFTWARE)

    def observation(
        self, tenant: Tenant, place: Place, *, outcome: str, ended: Instant, cut_key: bytes
    ) -> Observation:
        """The record of the run, to be appended at its end."""
        body: dict[str, object] = {
            "account": place.account,
            "asked": [_told(one) for one in self.asked],
            "caller": self.caller,
            "ended": iso(ended),
            "outcome": outcome,
            "region": place.region,
            "role": self.role,
            "run": self.id,
            "software": SOFTWARE,
            "source": place.source,
            "started": iso(self.started),
        }
        if any(one.cuts for one in self.asked):
            body["cutKey"] = cut_key.hex()
        return Observation(
            source="RUN",
            natural_key=(self.id,),
            event_time=self.started,
            match_key=MATCH_KEY,
            account=tenant.account,
            region=tenant.region,
            raw=msgspec.json.encode(body, order="sorted"),
            reader=READER,
            position="",
            actor=self.caller,
            event_name="Collect",
            event_source="auditkeep",
        )


def run_id(tenant: Tenant, key: str) -> str:
    """The id of a job's run: the same whoever runs it, and however often."""
    return named_id("collect", tenant.account, tenant.region, key)


def find(tx: Tx, id_: str) -> Pulling | None:
    t = collection_runs.c
    row = tx.first(tx.select(t.document).where(t.id == id_))
    return None if row is None else msgspec.json.decode(row.document, type=Pulling)


def keep(tx: Tx, pulling: Pulling) -> None:
    document = msgspec.json.encode(pulling).decode()
    row = {"id": pulling.id, "document": document, "created_at": pulling.started}
    tx.upsert(collection_runs, [row], replace=["document"])


def forget(tx: Tx, pulling: Pulling) -> None:
    tx.run(tx.delete(collection_runs).where(collection_runs.c.id == pulling.id))


def _told(one: Asked) -> dict[str, object]:
    told: dict[str, object] = {
        "began": iso(one.began),
        "calls": dict(sorted(one.operations.items())),
        "counts": {
            "conflicts": one.conflicts,
            "cuts": one.cuts,
            "duplicates": one.duplicates,
            "observations": one.observations,
            "pages": one.pages,
            "records": one.records,
            "rejected": one.rejected,
            "unmatched": one.unmatched,
        },
        "look": one.look,
        "outcome": one.outcome,
        "parameters": one.parameters,
        "what": one.what,
    }
    if one.slot is not None:
        told["slot"] = day_name(one.slot)
    if one.since is not None:
        told["since"] = iso(one.since)
    if one.ended is not None:
        told["ended"] = iso(one.ended)
    if one.counted is not None:
        told["countedBySource"] = one.counted
    if one.message:
        told["message"] = one.message
    if one.faults:
        told["faults"] = [{"resource": r, "reason": w, "message": m} for r, w, m in one.faults]
    if one.rejections:
        told["rejected"] = [{"position": p, "reason": r} for p, r in one.rejections]
    return told


def _shown(request: Request) -> dict[str, object]:
    return {
        name: value
        for name, value in request.parameters.items()
        if not any(word in name.lower() for word in _SECRET)
    }
