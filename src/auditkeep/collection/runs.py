"""A run as a fact: who had what read, by which version, and what came of it.

Auditors ask for it, so it is an observation like any other: appended, logged, proven. Its match key
is `run:<source>`, which no control's lens looks for. If secrets were cut out of records, the key of
their HMACs is part of it: whoever may read the run may prove what was cut, and when the run is
destroyed, nobody can.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from auditkeep import __version__
from auditkeep.clock import Instant, iso
from auditkeep.collection.counts import Counts
from auditkeep.ids import Tenant
from auditkeep.lake.append import Unit
from auditkeep.observations import How, Observation, Provenance

SOFTWARE = f"auditkeep/{__version__}"
READER = "run/1"

TOLD = 100
"""Rejections that a run names; it counts all."""


@dataclass(frozen=True, slots=True)
class Run:
    """One reading of files by one caller."""

    id: str
    source: str
    caller: str
    """An ARN, or the command line that ran it."""
    started: Instant
    cut_key: bytes
    collector: str = ""
    """Of what kind the files' place is; empty for files of this machine."""

    @property
    def unit(self) -> Unit:
        return Unit(f"run/{self.id}", "run")

    def provenance(self, how: How = "file") -> Provenance:
        collector = self.collector or f"{self.source}-files"
        return Provenance(how=how, collector=collector, run=self.id, software=SOFTWARE)

    def observation(
        self,
        tenant: Tenant,
        parameters: Mapping[str, object],
        counts: Counts,
        *,
        outcome: str,
        ended: Instant,
    ) -> Observation:
        """The record of the run, to be appended at its end."""
        body: dict[str, object] = {
            "caller": self.caller,
            "counts": {
                "conflicts": counts.conflicts,
                "cuts": counts.cuts,
                "duplicates": counts.duplicates,
                "files": counts.files,
                "observations": counts.observations,
                "records": counts.records,
                "rejected": counts.rejections,
                "repeatedFiles": counts.repeated_files,
                "unmatched": counts.unmatched,
                "verifiedFiles": counts.verified_files,
            },
            "ended": iso(ended),
            "findings": counts.findings,
            "outcome": outcome,
            "parameters": parameters,
            "rejected": [
                {"file": r.file, "position": r.position, "reason": r.reason}
                for r in counts.rejected[:TOLD]
            ],
            "run": self.id,
            "software": SOFTWARE,
            "source": self.source,
            "started": iso(self.started),
            "unmatchedBecause": counts.reasons,
        }
        if counts.cuts:
            body["cutKey"] = self.cut_key.hex()
        return Observation(
            source="RUN",
            natural_key=(self.id,),
            event_time=self.started,
            match_key=f"run:{self.source}",
            account=tenant.account,
            region=tenant.region,
            raw=msgspec.json.encode(body, order="sorted"),
            reader=READER,
            position="",
            actor=self.caller,
            event_name="Ingest",
            event_source="auditkeep",
        )
