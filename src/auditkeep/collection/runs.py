"""A run as a fact: who had what read, by which version, and what came of it.

Auditors ask for it, so it is an observation like any other: appended, logged, proven. Its match key
is `run:<source>`, which no control's lens looks for.
"""

from dataclasses import dataclass

import msgspec

from auditkeep import __version__
from auditkeep.clock import Instant, iso
from auditkeep.collection.counts import Counts
from auditkeep.ids import Tenant
from auditkeep.observations import Observation, Provenance

SOFTWARE = f"auditkeep/{__version__}"
READER = "run/1"


@dataclass(frozen=True, slots=True)
class Run:
    """One ingest by one caller."""

    id: str
    source: str
    caller: str
    """An ARN, or the command line that ran it."""
    started: Instant

    def provenance(self) -> Provenance:
        return Provenance(
            how="file", collector=f"{self.source}-files", run=self.id, software=SOFTWARE
        )

    def observation(
        self, tenant: Tenant, paths: list[str], counts: Counts, ended: Instant
    ) -> Observation:
        """The record of the run, to be appended at its end."""
        body = {
            "caller": self.caller,
            "counts": {
                "conflicts": counts.conflicts,
                "duplicates": counts.duplicates,
                "files": counts.files,
                "observations": counts.observations,
                "records": counts.records,
                "rejected": counts.rejections,
                "repeatedFiles": counts.repeated_files,
                "unmatched": counts.unmatched,
            },
            "ended": iso(ended),
            "paths": paths,
            "run": self.id,
            "software": SOFTWARE,
            "source": self.source,
            "started": iso(self.started),
            "unmatchedBecause": dict(sorted(counts.reasons.items())),
        }
        return Observation(
            source="RUN",
            natural_key=(self.id,),
            event_time=self.started,
            match_key=f"run:{self.source}",
            account=tenant.account,
            region=tenant.region,
            raw=msgspec.json.encode(body, order="deterministic"),
            reader=READER,
            position="",
            actor=self.caller,
            event_name="Ingest",
            event_source="auditkeep",
        )
