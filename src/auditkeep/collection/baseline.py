"""The baseline: frameworks that are collected for where no assessment looks (design section 1).

What it brings is kept as facts, so that an assessment that is opened later, and reaches back, finds
them. It is what makes calls without an open lens, so it is a tenant's own choice, and shown with
its calls in `auditkeep collect plan`.

Where it names no accounts it looks at the tenant's own and, for the delegated administrator of the
organisation, at every member: at one that joins, from then on.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import msgspec

from auditkeep.accounts import members, organisation
from auditkeep.clock import Instant
from auditkeep.collection.plan import Look, Reason
from auditkeep.db.schema import baselines
from auditkeep.db.tx import Tx
from auditkeep.errors import InvalidRequest, NotFound
from auditkeep.evidence import lens
from auditkeep.evidence.lens import BEGINNING
from auditkeep.evidence.slots import Every
from auditkeep.frameworks import keys, store
from auditkeep.frameworks.model import Control, Framework, Shelf
from auditkeep.ids import is_account
from auditkeep.settings import Settings

MOST_ACCOUNTS = 10_000


@dataclass(frozen=True, slots=True)
class Baseline:
    """`accounts`: those it looks at; none: the tenant's own and, if it may, all members."""

    frameworks: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    since: Instant = BEGINNING


def find(tx: Tx) -> Baseline:
    row = tx.first(tx.select(baselines))
    if row is None:
        return Baseline()
    read = msgspec.json.decode
    return Baseline(
        read(row.frameworks, type=tuple[str, ...]),
        read(row.accounts, type=tuple[str, ...]),
        Instant(row.since),
    )


def put(
    tx: Tx, library: Shelf, frameworks: Collection[str], accounts: Collection[str], now: Instant
) -> Baseline:
    """Collect for these frameworks from now on, and for no others; NotFound for one there is not.

    InvalidRequest for what is no account.
    """
    for framework_id in frameworks:
        store.get_framework(tx, library, framework_id)
    wrong = next((a for a in accounts if not is_account(a)), None)
    if wrong is not None:
        raise InvalidRequest.of_field("accounts", f"hold '{wrong}', which is not twelve digits.")
    if len(accounts) > MOST_ACCOUNTS:
        raise InvalidRequest.of_field("accounts", f"are more than {MOST_ACCOUNTS}.")
    kept = Baseline(tuple(sorted(set(frameworks))), tuple(sorted(set(accounts))), now)
    before = find(tx)
    if (kept.frameworks, kept.accounts) == (before.frameworks, before.accounts):
        return before
    row = {
        "frameworks": msgspec.json.encode(kept.frameworks).decode(),
        "accounts": msgspec.json.encode(kept.accounts).decode(),
        "since": now,
    }
    tx.upsert(baselines, [row], replace=["frameworks", "accounts", "since"])
    lens.widened(tx)
    return kept


def framework_of(tx: Tx, library: Shelf, framework_id: str) -> Framework:
    """A framework of the baseline; NotFound for any other, and for one that was deleted."""
    if framework_id not in find(tx).frameworks:
        raise NotFound("framework of the baseline", framework_id)
    return store.get_framework(tx, library, framework_id)


def library_changed(tx: Tx) -> None:
    """A custom control or framework is another now: what the baseline asks for may be, too."""
    if find(tx).frameworks:
        lens.widened(tx)


def members_changed(tx: Tx) -> None:
    """The organisation is another now, or somebody else's: so may be whom the baseline looks at."""
    base = find(tx)
    if base.frameworks and not base.accounts:
        tx.lock_tenant()
        lens.widened(tx)


def looks(tx: Tx, library: Shelf, settings: Settings) -> Iterator[Look]:
    """What the baseline looks at; a framework that was deleted looks at nothing."""
    base = find(tx)
    parts = [
        (since, lens.Reach.of(tx.tenant, some, settings.assessment_regions))
        for since, some in sorted(_accounts(tx, base).items())
    ]
    for framework in frameworks(tx, library):
        for control in store.get_controls(tx, library, framework.control_ids()).values():
            for every, match_keys in _by_rhythm(control, library).items():
                for since, reach in parts:
                    yield Look(
                        reason=Reason("baseline", framework.id, control.id),
                        match_keys=match_keys,
                        accounts=reach.accounts,
                        regions=reach.regions,
                        opens_at=since,
                        every=every,
                    )


def frameworks(tx: Tx, library: Shelf) -> Iterator[Framework]:
    """Those of the baseline that were not deleted."""
    for framework_id in find(tx).frameworks:
        try:
            framework = store.get_framework(tx, library, framework_id)
        except NotFound:
            continue
        yield framework


def _accounts(tx: Tx, base: Baseline) -> dict[Instant, set[str]]:
    """The accounts it looks at, by since when."""
    own = tx.tenant.account
    if not base.frameworks or base.accounts:
        return {base.since: set(base.accounts)}
    found = {base.since: {own}}
    if organisation.administrator(tx) == own:
        for account, at in members.joined(tx).items():
            found.setdefault(base.since if account == own else max(base.since, at), set()).add(
                account
            )
    return found


def _by_rhythm(control: Control, library: Shelf) -> dict[Every, frozenset[str]]:
    rhythms = keys.rhythms_of(control, library.group)
    found: dict[Every, set[str]] = {}
    for key in keys.match_keys_of(control, library.group):
        for every in rhythms.get(key, ("DAILY",)):
            found.setdefault(every, set()).add(key)
    return {every: frozenset(some) for every, some in found.items()}
