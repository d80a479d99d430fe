"""Quotas: how much one account may have in one region (spec 9.3, and 1.3 for controls).

Every quota has AWS's value as its default. The setting `quotas` moves it for the whole deployment,
and `auditkeep quotas set` for one tenant; the narrower word counts. Where the API's model itself
allows no more, a quota can only be lowered. Numbers that the model alone decides (list sizes, the
lengths of comments) are no quotas.

    quota                    who answers when it is full                  with
    active-assessments       CreateAssessment                             402
    member-accounts          CreateAssessment, UpdateAssessment           402
    accounts-per-assessment  CreateAssessment, UpdateAssessment           400, field scope
    custom-controls          CreateControl, accepting a share             402
    custom-frameworks        CreateAssessmentFramework, accepting         402
    share-recipients         StartAssessmentFrameworkShare                400: it models no 402
    share-days               (how long a share request stays open)
    sources-per-control      CreateControl, UpdateControl                 400, controlMappingSources
    core-controls, common-controls                                        the same
    manual-items-per-day     BatchImportEvidenceToAssessmentControl       item error 429
    manual-file-bytes        the same, and the upload                     item error 400; 400
    report-items             CreateAssessmentReport                       400
    tags                     TagResource, and whatever creates with tags  400
    api-rate                 every operation                              429

Invariant: who checks a quota holds the tenant's lock, in the transaction that uses it up; so of two
requests for the last free place exactly one wins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam

from auditkeep.db.prepared import Prepared
from auditkeep.db.schema import quotas
from auditkeep.db.tx import Tx
from auditkeep.errors import SetupError
from auditkeep.settings import QuotaName, Settings

RATE: Final = "api-rate"
"""Set for one tenant; the rate of the deployment has settings of its own."""


@dataclass(frozen=True, slots=True)
class Quota:
    """AWS's value, what it counts, and the most that the API's model can carry."""

    default: int
    about: str
    most: int | None = None


QUOTAS: Final[Mapping[QuotaName, Quota]] = {
    "active-assessments": Quota(100, "ACTIVE assessments"),
    "member-accounts": Quota(250, "different accounts over all ACTIVE assessments"),
    "accounts-per-assessment": Quota(200, "accounts in the scope of one assessment", most=200),
    "custom-controls": Quota(500, "custom controls"),
    "custom-frameworks": Quota(100, "custom frameworks, received ones included"),
    "share-recipients": Quota(100, "accounts with an open share request"),
    "share-days": Quota(120, "days that a share request stays open"),
    "sources-per-control": Quota(100, "data sources of one custom control"),
    "core-controls": Quota(50, "core controls that one custom control names"),
    "common-controls": Quota(5, "common controls that one custom control names"),
    "manual-items-per-day": Quota(100, "manual evidence items of one control in one day"),
    "manual-file-bytes": Quota(100 * 1024 * 1024, "bytes of one manual evidence file"),
    "report-items": Quota(22_000, "evidence items of one report"),
    "tags": Quota(50, "tags of one resource", most=50),
}
NAMES: Final[tuple[str, ...]] = (*QUOTAS, RATE)

_OF_ONE = Prepared(quotas.c.value, where=[quotas.c.name == bindparam("name")])
_OF_ALL = Prepared(quotas.c.name, quotas.c.value)


def limit(tx: Tx, settings: Settings, name: QuotaName) -> int:
    """How much the tenant may have."""
    rows = tx.fetch(_OF_ONE, name=name)
    return _held(name, rows[0].value if rows else wide(settings, name))


def wide(settings: Settings, name: QuotaName) -> int:
    """The deployment's value: what counts for a tenant without its own."""
    return _held(name, settings.quotas.get(name, QUOTAS[name].default))


def own(tx: Tx) -> dict[str, int]:
    """What was set for this tenant alone."""
    return {row.name: row.value for row in tx.fetch(_OF_ALL)}


def rate(tx: Tx) -> int | None:
    """Requests a second that were set for this tenant alone."""
    rows = tx.fetch(_OF_ONE, name=RATE)
    return rows[0].value if rows else None


def save(tx: Tx, name: str, value: int) -> None:
    """Give the tenant a quota of its own; SetupError for a name or number that is none."""
    _require(name)
    most = next((q.most for n, q in QUOTAS.items() if n == name), None)
    if value < 0 or (name == RATE and value == 0):
        raise SetupError(f"The quota {name} cannot be {value}.")
    if most is not None and value > most:
        raise SetupError(f"The API's model allows no more than {most} for {name}.")
    tx.upsert(quotas, [{"name": name, "value": value}], replace=["value"])


def reset(tx: Tx, name: str) -> None:
    """Let the deployment's value count again."""
    _require(name)
    tx.run(tx.delete(quotas).where(quotas.c.name == name))


def _held(name: QuotaName, value: int) -> int:
    most = QUOTAS[name].most
    return value if most is None else min(value, most)


def _require(name: str) -> None:
    if name not in NAMES:
        raise SetupError(f"There is no quota '{name}'. There are: {', '.join(NAMES)}.")
