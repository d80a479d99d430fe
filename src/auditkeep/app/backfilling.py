"""A backfill as an operator starts it and watches it; `operations.auditkeep.backfill` does it."""

from typing import Any

from auditkeep.app.parts import Parts
from auditkeep.assessments import store
from auditkeep.clock import Instant, day_name, iso
from auditkeep.collection import backfills
from auditkeep.errors import NotFound, SetupError
from auditkeep.ids import Tenant
from auditkeep.operations.auditkeep.backfill import missing_of
from auditkeep.workflows.collect import SHORT


def start(parts: Parts, tenant: Tenant, assessment_id: str, begin: Instant) -> dict[str, Any]:
    """Begin one: how many controls see further back now, and how many fetches that has queued."""
    controls, fetches = parts.backfill(tenant, assessment_id, begin)
    return {
        "assessment": assessment_id,
        "from": iso(begin),
        "controls": controls,
        "fetches": fetches,
    }


def shown(parts: Parts, tenant: Tenant, assessment_id: str) -> dict[str, Any]:
    """How far each fetch of an assessment's past is, and what of it was passed over for good."""
    with parts.db.read(tenant) as tx:
        try:
            assessment = store.get(tx, assessment_id)
        except NotFound as error:
            raise SetupError(str(error)) from error
        fetches = backfills.listed(tx, assessment_id)
        missing = missing_of(tx, assessment)
    return {
        "fetches": [
            {
                "state": f.state,
                "account": f.place.account,
                "region": f.place.region,
                "source": SHORT[f.place.source],
                "from": iso(f.start),
                "to": iso(f.end),
                "observations": f.observations,
                "message": f.message,
            }
            for f in fetches
        ],
        "notKept": [
            {
                "account": m.origin_account,
                "region": m.origin_region,
                "source": m.source,
                "firstDay": day_name(m.first_day),
                "lastDay": day_name(m.last_day),
                "keywords": m.match_keys,
                "readAgain": m.read_again,
            }
            for m in missing
        ],
    }
