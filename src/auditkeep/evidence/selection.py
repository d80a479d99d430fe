"""Which evidence a report will hold: folders up to a batch, plus or minus exceptions.

Selecting a folder selects what is in it now: "this folder up to batch N". Evidence that arrives
later has a later batch and stays unselected, so that a selection never grows by itself. Single
items are exceptions, and only ever kept where they differ from what the folder's own line says:
an item is selected exactly if

    (its batch ≤ N and it is not taken out)  or  it is added

so that the number selected is (seen up to N) − (taken out) + (added). Spec sections 5.1 and 10.5.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from auditkeep.clock import Day
from auditkeep.db.schema import selection_exceptions, selections
from auditkeep.db.tx import Tx
from auditkeep.evidence.counts import Place, count
from auditkeep.evidence.lens import Lens
from auditkeep.lake.lake import Lake
from auditkeep.lake.read import observations, rollups

_TABLES = (selections, selection_exceptions)


@dataclass(frozen=True, slots=True)
class Selection:
    """What is selected of one folder."""

    up_to_batch: int | None = None
    """Everything up to here; None: nothing but what is added."""
    added: frozenset[bytes] = frozenset()
    taken_out: frozenset[bytes] = frozenset()

    def holds(self, observation_id: bytes, batch_no: int) -> bool:
        if observation_id in self.added:
            return True
        within = self.up_to_batch is not None and batch_no <= self.up_to_batch
        return within and observation_id not in self.taken_out


NOTHING = Selection()


def of_assessment(tx: Tx, assessment_id: str) -> dict[Place, Selection]:
    """The folders of an assessment that something was selected of."""
    return _load(tx, assessment_id, None)


def of_folder(tx: Tx, assessment_id: str, place: Place) -> Selection:
    return _load(tx, assessment_id, place).get(place, NOTHING)


def select_folder(tx: Tx, assessment_id: str, place: Place, up_to_batch: int) -> None:
    """Select all that is in a folder now."""
    clear_folder(tx, assessment_id, place)
    tx.insert(selections, {**_key(assessment_id, place), "up_to_batch": up_to_batch})


def clear_folder(tx: Tx, assessment_id: str, place: Place) -> None:
    """Select nothing of a folder."""
    for table in _TABLES:
        tx.run(
            tx.delete(table).where(
                table.c.assessment_id == assessment_id,
                table.c.ordinal == place[0],
                table.c.day == place[1],
            )
        )


def choose(
    tx: Tx, assessment_id: str, place: Place, batches: Mapping[bytes, int], *, chosen: bool
) -> None:
    """Select single items of a folder, or take them out; given with the batch of each."""
    current = of_folder(tx, assessment_id, place)
    for observation_id, batch_no in batches.items():
        if current.holds(observation_id, batch_no) == chosen:
            continue
        opposite = current.taken_out if chosen else current.added
        if observation_id in opposite:
            table = selection_exceptions
            tx.run(
                tx.delete(table).where(
                    table.c.assessment_id == assessment_id,
                    table.c.ordinal == place[0],
                    table.c.day == place[1],
                    table.c.observation_id == observation_id,
                )
            )
        else:
            exception = {"observation_id": observation_id, "chosen": chosen}
            tx.insert(selection_exceptions, {**_key(assessment_id, place), **exception})


def delete(tx: Tx, assessment_id: str) -> None:
    """Forget what an assessment has selected."""
    for table in _TABLES:
        tx.run(tx.delete(table).where(table.c.assessment_id == assessment_id))


def spell_out(tx: Tx, lake: Lake, assessment_id: str, lenses: Sequence[Lens]) -> None:
    """Turn what some controls of an assessment have selected by folder into single items.

    Called before a lens reaches into the past: what it will see more of a folder is older than
    the batch the folder was selected up to, and must not become selected by that.
    """
    by_ordinal = {lens.ordinal: lens for lens in lenses}
    for place, selection in of_assessment(tx, assessment_id).items():
        lens = by_ordinal.get(place[0])
        if lens is None or selection.up_to_batch is None:
            continue
        ids = set(_seen(tx, lake, lens.on(place[1]).up_to(selection.up_to_batch)))
        kept = (ids - selection.taken_out) | selection.added
        clear_folder(tx, assessment_id, place)
        key = _key(assessment_id, place)
        rows = [{**key, "observation_id": i, "chosen": True} for i in sorted(kept)]
        tx.insert(selection_exceptions, *rows)


def selected_counts(
    tx: Tx, lake: Lake, lenses: Sequence[Lens], selected: Mapping[Place, Selection]
) -> dict[Place, int]:
    """How many items are selected of each folder that something is selected of."""
    found = {p: len(s.added) - len(s.taken_out) for p, s in selected.items()}
    by_batch: dict[int, set[Place]] = {}
    for place, selection in selected.items():
        if selection.up_to_batch is not None:
            by_batch.setdefault(selection.up_to_batch, set()).add(place)
    for batch_no, places in by_batch.items():
        ordinals = {ordinal for ordinal, _ in places}
        days = {day for _, day in places}
        seeing = [lens.up_to(batch_no) for lens in lenses if lens.ordinal in ordinals]
        keys = frozenset[str]().union(*(lens.match_keys for lens in seeing))
        rows = rollups(tx, match_keys=keys, first_day=min(days), last_day=max(days))
        counted = count(tx, lake, seeing, (r for r in rows if r.day in days))
        for place in places & counted.keys():
            found[place] += counted[place].total
    return found


def _seen(tx: Tx, lake: Lake, lens: Lens) -> Iterable[bytes]:
    after = None
    while page := observations(tx, lake, lens.views(), after=after, limit=1000):
        yield from (o.id for o in page)
        after = page[-1].event_time, page[-1].id


def _key(assessment_id: str, place: Place) -> dict[str, object]:
    return {"assessment_id": assessment_id, "ordinal": place[0], "day": place[1]}


def _load(tx: Tx, assessment_id: str, place: Place | None) -> dict[Place, Selection]:
    one = selections.c
    whole = tx.select(one.ordinal, one.day, one.up_to_batch).where(
        one.assessment_id == assessment_id
    )
    other = selection_exceptions.c
    single = tx.select(other.ordinal, other.day, other.observation_id, other.chosen).where(
        other.assessment_id == assessment_id
    )
    if place is not None:
        whole = whole.where(one.ordinal == place[0], one.day == place[1])
        single = single.where(other.ordinal == place[0], other.day == place[1])
    batches = {(r.ordinal, Day(r.day)): r.up_to_batch for r in tx.all(whole)}
    added: dict[Place, set[bytes]] = {}
    taken_out: dict[Place, set[bytes]] = {}
    for row in tx.all(single):
        side = added if row.chosen else taken_out
        side.setdefault((row.ordinal, Day(row.day)), set()).add(bytes(row.observation_id))
    return {
        p: Selection(batches.get(p), frozenset(added.get(p, ())), frozenset(taken_out.get(p, ())))
        for p in {*batches, *added, *taken_out}
    }
