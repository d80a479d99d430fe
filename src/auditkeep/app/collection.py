"""What an operator is shown of collecting, and does: plan, coverage, gaps, runs by hand."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditkeep.app.collecting import collector_of, event_store, handlers_of, notices_of, pullers
from auditkeep.app.keeping import kept
from auditkeep.app.parts import Parts
from auditkeep.assessments import store
from auditkeep.clock import iso
from auditkeep.collection import (
    accounts,
    baseline,
    gaps,
    missing_rules,
    naming,
    regions,
    targets,
)
from auditkeep.collection.accounts import Asked
from auditkeep.collection.coverage import OFF, Coverage
from auditkeep.collection.gaps import Gap
from auditkeep.collection.knowing import Knowing
from auditkeep.collection.looks import Plans
from auditkeep.collection.missing_rules import Missing
from auditkeep.collection.naming import Named
from auditkeep.collection.plan import TRAIL, Plan, Question, Reason
from auditkeep.collection.policy import actions, conformance_packs, policy, rules_of, stackset
from auditkeep.collection.regions import Known
from auditkeep.collection.targets import Place
from auditkeep.crypto.asking import begun_again
from auditkeep.errors import NotFound, SetupError
from auditkeep.frameworks import keys
from auditkeep.frameworks import store as frameworks
from auditkeep.frameworks.model import Framework
from auditkeep.ids import Tenant
from auditkeep.operations.auditkeep.keeping import kept as kept_of
from auditkeep.sources import aggregator
from auditkeep.sources.refusals import always_on
from auditkeep.sources.regions import ACTIONS as OF_REGIONS
from auditkeep.work.pump import Pump
from auditkeep.workflows.collect import SHORT
from auditkeep.workflows.rounds import Rounds

_SHOWN = 3
"""Accounts that a line of what is left out names; it counts all."""

_REASONS = 5
"""Reasons that a line of the plan names; it counts all."""

_NAME = 80
"""Characters of a framework's name in that of its packs: AWS allows 256 in all."""

POLLED_A_MONTH = 365.25 / 12 * 24 * 60
"""Minutes of a month."""


def plan_of(parts: Parts, tenant: Tenant) -> dict[str, Any]:
    """What must be asked, how often, and why; calls are those of the last answers, or one each."""
    now = parts.clock.now()
    with parts.db.read(tenant) as tx:
        plan = Plans(parts.deps.library, parts.settings).of(tx, now)
        known = targets.every(tx)
        looking = {r for t in plan.territories for d in t.duties for r in d.reasons}
        names = naming.of(tx, parts.deps.library, looking)
        keeping = kept(kept_of(parts.operator(tx, tenant)))
        said = regions.listed(tx)
    rows: dict[Question, dict[str, Any]] = {}
    total = 0.0
    for territory in plan.territories:
        for duty in territory.duties:
            question = duty.question
            row = rows.setdefault(
                question,
                {
                    "accounts": set(),
                    "regions": set(),
                    "reasons": set(),
                    "calls": 0.0,
                    "often": set(),
                },
            )
            row["accounts"].update(territory.accounts)
            row["regions"].add(territory.region)
            row["reasons"] |= duty.reasons
            row["often"] |= {r.every for r in duty.rhythms}
            if question == TRAIL:
                continue
            rounds = (
                duty.rounds_a_month
                if question.scheduled
                else POLLED_A_MONTH / parts.settings.collect_minutes
            )
            for account in territory.accounts:
                place = Place(account, territory.region, question.source)
                state = known.get((place, question.what), targets.NEVER_ASKED)
                calls = max(1, state.calls) * rounds
                row["calls"] += calls
                total += calls
    return {
        "asks": parts.settings.collects,
        "questions": plan.size,
        "accounts": len(plan.accounts),
        "callsPerMonth": round(total),
        "keeping": keeping,
        "plan": [_planned(q, row, names, parts) for q, row in sorted(rows.items(), key=_by_name)],
        "leftOut": _left_out(plan, said),
    }


def _left_out(plan: Plan, said: Mapping[str, Known]) -> list[dict[str, Any]]:
    """What is not asked because its region is off, by region; `said` is the oldest answer."""
    reason, _, message = OFF
    found = []
    for region, (off, questions) in plan.regions_off().items():
        times = [at for a in off if (at := said[a].said_at) is not None]
        found.append(
            {
                "reason": reason,
                "message": message,
                "region": region,
                "accounts": len(off),
                "for": off[:_SHOWN],
                "questions": questions,
                "said": iso(min(times)),
            }
        )
    return found


def _by_name(item: tuple[Question, Any]) -> tuple[str, str]:
    return item[0].source, item[0].what


def _planned(
    question: Question, row: dict[str, Any], names: Mapping[Reason, Named], parts: Parts
) -> dict[str, Any]:
    often = "with its trail" if question == TRAIL else "/".join(sorted(row["often"]))
    often = often or f"every {parts.settings.collect_minutes} min"
    reasons = sorted(row["reasons"])
    return {
        "source": SHORT[question.source],
        "what": question.what or "all that is looked at",
        "often": often,
        "accounts": len(row["accounts"]),
        "regions": sorted(row["regions"]),
        "callsPerMonth": round(row["calls"]),
        "controls": len(reasons),
        "why": [_why(r, names) for r in reasons[:_REASONS]],
    }


def _why(reason: Reason, names: Mapping[Reason, Named]) -> str:
    named = names[reason]
    return f"{reason.of} '{named.whole}', control {named.control}"


def status_of(
    parts: Parts, tenant: Tenant, assessment_id: str | None = None
) -> list[dict[str, Any]]:
    """The coverage of one assessment, or of all that are ACTIVE and of the baseline."""
    now = parts.clock.now()
    library = parts.deps.library
    found: list[dict[str, Any]] = []
    with parts.db.read(tenant) as tx:
        knowing = Knowing(tx, Plans(library, parts.settings), now)
        chosen = store.active(tx) if assessment_id is None else [store.get(tx, assessment_id)]
        for assessment in chosen:
            covered = knowing.of_assessment(assessment)
            named = {"assessment": assessment.name, "assessmentId": assessment.id}
            found += [{**named, **covered_row(c)} for c in covered]
        for framework in baseline.frameworks(tx, library) if assessment_id is None else ():
            covered = knowing.of_framework(framework)
            named = {"baseline": framework.name, "frameworkId": framework.id}
            found += [{**named, **covered_row(c)} for c in covered]
    return found


def covered_row(one: Coverage) -> dict[str, Any]:
    return {
        "control": one.name,
        "state": one.state,
        "expected": one.expected,
        "answered": one.answered,
        "lastAnswer": None if one.last_answer is None else iso(one.last_answer),
        "lastEvidence": None if one.last_evidence is None else iso(one.last_evidence),
        "lacks": [
            {
                "reason": lack.reason,
                "detail": lack.detail,
                "message": lack.message,
                "what": lack.what,
                "places": lack.count,
                "for": [f"{p.account} {p.region}" for p in lack.places],
            }
            for lack in one.lacks
        ],
        "doubts": [
            {"keyword": d.keyword, "message": d.message, "didYouMean": list(d.suggestions)}
            for d in one.doubts
        ],
    }


def gaps_of(parts: Parts, tenant: Tenant, *, only_open: bool) -> list[dict[str, Any]]:
    with parts.db.read(tenant) as tx:
        return [gap_row(g) for g in gaps.listed(tx, only_open=only_open)]


def gap_row(gap: Gap) -> dict[str, Any]:
    return {
        "id": gap.id,
        "account": gap.place.account,
        "region": gap.place.region,
        "source": SHORT[gap.place.source],
        "what": gap.what,
        "from": iso(gap.opens_at),
        "to": None if gap.closes_at is None else iso(gap.closes_at),
        "reason": gap.reason,
        "detail": gap.detail,
        "message": gap.message,
        "filled": gap.filled,
    }


def run_now(parts: Parts, tenant: Tenant) -> dict[str, Any]:
    """Ask what is due for one tenant, and wait for it; a server beside it takes its share."""
    if parts.settings.collect != "aws":
        raise SetupError("This deployment asks nobody: set AUDITKEEP_COLLECT=aws.")
    collector = collector_of(parts)
    queued = Rounds(collector, parts.jobs.wake).queue_for(tenant)
    pump = Pump(parts.jobs, handlers_of(collector, notices_of(parts)), parts.clock, threads=1)
    runs = pump.drain()
    lasting = gaps_of(parts, tenant, only_open=True)
    return {"jobs": queued, "runs": runs, "openGaps": len(lasting)}


@begun_again
def put_baseline(
    parts: Parts, tenant: Tenant, chosen: Sequence[str], of: Sequence[str]
) -> dict[str, Any]:
    with parts.db.write(tenant) as tx:
        tx.lock_tenant()
        kept = baseline.put(tx, parts.deps.library, chosen, of, parts.clock.now())
        told = {"frameworks": list(kept.frameworks), "accounts": list(kept.accounts)}
        parts.note(tx.system(), "PutBaseline", told, tenant.account, tenant.region)
    return told


def baseline_of(parts: Parts, tenant: Tenant) -> dict[str, Any]:
    with parts.db.read(tenant) as tx:
        kept = baseline.find(tx)
    return {"frameworks": list(kept.frameworks), "accounts": list(kept.accounts)}


def accounts_of(parts: Parts, tenant: Tenant) -> list[dict[str, Any]]:
    with parts.db.read(tenant) as tx:
        return [_account_row(a) for a in accounts.listed(tx)]


@begun_again
def put_account(parts: Parts, tenant: Tenant, asked: Asked) -> dict[str, Any]:
    with parts.db.write(tenant) as tx:
        tx.lock_tenant()
        accounts.put(tx, asked)
        row = _account_row(asked)
        told = {**row, "externalId": "set" if asked.external_id else None}
        parts.note(tx.system(), "PutCollectionAccount", told, tenant.account, tenant.region)
    return row


def _account_row(asked: Asked) -> dict[str, Any]:
    return {
        "account": asked.account,
        "regions": None if asked.regions is None else list(asked.regions),
        "role": asked.role,
        "externalId": asked.external_id,
        "paused": asked.paused,
    }


def needs_of(parts: Parts, tenant: Tenant, account: str | None) -> list[str]:
    """The IAM actions that the plan needs, in one account or in any."""
    own, central = _needs(parts, tenant, account)
    others = [a for where, some in central.items() if account in (None, where) for a in some]
    found = sorted({*own, *others})
    if not found:
        raise SetupError("Nothing looks, so nothing is asked: there is nothing to allow.")
    return found


def _needs(
    parts: Parts, tenant: Tenant, account: str | None = None
) -> tuple[list[str], dict[str, frozenset[str]]]:
    """What each account is asked (or the one), and what some account is asked about all of them."""
    settings = parts.settings
    with parts.db.read(tenant) as tx:
        whole = Plans(parts.deps.library, settings).of(tx, parts.clock.now())
    plan = whole
    if account is not None:
        plan = whole.of_account(account)
    asking, store = pullers(settings, parts.clock), event_store(settings)

    def needs(question: Question) -> frozenset[str]:
        puller = asking.get(question.source)
        if puller is None or question == TRAIL:
            return frozenset()
        if store is not None and question.source == "AWS_Cloudtrail":
            return frozenset()
        return puller.actions(question.what)

    sources = {d.question.source for _, _, d in whole.questions() if d.question != TRAIL}
    central: dict[str, frozenset[str]] = {}
    if store is not None and "AWS_Cloudtrail" in sources:
        central[store.account] = asking["AWS_Cloudtrail"].actions("")
    if settings.collect_aggregator and "AWS_Config" in sources:
        where = aggregator.Where.of(settings.collect_aggregator).account
        central[where] = central.get(where, frozenset()) | aggregator.ACTIONS
    own = actions(plan, needs)
    if own and not all(always_on(t.region) for t in (*plan.territories, *plan.left_out)):
        own = sorted({*own, *OF_REGIONS})
    return own, central


def policy_of(parts: Parts, tenant: Tenant, account: str | None) -> dict[str, Any]:
    return policy(needs_of(parts, tenant, account))


def stackset_of(parts: Parts, tenant: Tenant, principal: str) -> dict[str, Any]:
    settings = parts.settings
    if not settings.collect_role:
        raise SetupError("No role is taken in accounts: set AUDITKEEP_COLLECT_ROLE.")
    own, central = _needs(parts, tenant)
    if not own and not central:
        raise SetupError("Nothing looks, so nothing is asked: there is nothing to allow.")
    return stackset(
        own,
        central,
        role=settings.collect_role,
        principal=principal,
        external_id=settings.collect_external_id.replace("{tenant}", tenant.account),
        session_name=settings.collect_session_name,
    )


@dataclass(frozen=True, slots=True)
class Packs:
    """Templates of conformance packs, what to call them, and what is to be known beside them."""

    name: str
    templates: list[dict[str, Any]]
    notes: tuple[str, ...]


def packs_of(parts: Parts, tenant: Tenant, framework_id: str, *, missing: bool) -> Packs:
    """The Config rules of a framework; with `missing`, those that Config said are not there."""
    library = parts.deps.library
    with parts.db.read(tenant) as tx:
        try:
            framework = frameworks.get_framework(tx, library, framework_id)
        except NotFound as error:
            raise SetupError(str(error)) from error
        controls = frameworks.get_controls(tx, library, framework.control_ids())
        wanted = rules_of(
            frozenset[str]().union(
                *(keys.match_keys_of(c, library.group) for c in controls.values())
            )
        )
        said = None
        if missing and wanted:
            plan = Plans(library, parts.settings).of(tx, parts.clock.now())
            said = missing_rules.of(wanted, plan, targets.every(tx))
    name = _pack_name(framework)
    if said is None:
        return Packs(name, conformance_packs(framework, wanted), ())
    notes = tuple(_unsaid(said))
    if said.keys:
        return Packs(name, conformance_packs(framework, said.keys), notes)
    if not said.answered:
        raise SetupError(
            f"Which rules of '{framework.name}' are missing is not known, because AWS Config was "
            f"not asked yet or did not answer. {' '.join(notes)} Without --missing the pack has "
            "every rule."
        )
    known = " as far as AWS Config has answered" if notes else ""
    found = f"'{framework.name}' needs no Config rule that is not there already{known}."
    raise SetupError(" ".join((found, *notes)))


def _pack_name(framework: Framework) -> str:
    """A framework's name as a conformance pack may bear it, or else its id."""
    plain = re.sub("[^a-z0-9]+", "-", framework.name.lower()).strip("-")[:_NAME]
    return plain.strip("-") if plain[:1].isalpha() else f"framework-{framework.id}"


def _unsaid(said: Missing) -> Iterator[str]:
    """What is not known of the rules that are missing, in sentences."""
    if said.silent:
        named = (f"{p.account} {p.region} ({why})" for p, why in said.silent[:_SHOWN])
        more = len(said.silent) - _SHOWN
        others = f", and {more:,} more" if more > 0 else ""
        yield f"Nothing is known of {', '.join(named)}{others}."
    if said.unasked:
        yield (
            f"{len(said.unasked):,} of its rules were never asked for, because nobody looks at "
            "them: make an assessment, or name the framework with 'auditkeep collect baseline'."
        )


def summary(rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    """How many controls are in which state."""
    return dict(Counter(str(r["state"]) for r in rows))
