"""The central promise: observe once, look through many lenses.

Thirty assessments over the same input store what one does, to the row and to the byte; and an
assessment made after everything was kept, with a backfill, sees what one made before it sees.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import LargeBinary, func
from tests.databases import opened
from tests.evidence.making import NOW
from tests.lakes import new_lake
from tests.operations.making import ask_for, framework_of, items_of, shown

from auditkeep import settings
from auditkeep.access.principals import Principal
from auditkeep.accounts import store as accounts
from auditkeep.clock import DAY, MINUTE, Instant
from auditkeep.db import schema
from auditkeep.ids import Tenant
from auditkeep.lake.append import Unit, append
from auditkeep.lake.seal import seal
from auditkeep.library.library import Library
from auditkeep.observations import Observation, Provenance, Resource
from auditkeep.operations.auditkeep.backfill import start_backfill
from auditkeep.operations.auditmanager import assessments, evidence, insights
from auditkeep.operations.call import Call, Deps
from auditkeep.wire.links import Links
from auditkeep.wire.models import auditmanager as am

TENANT = Tenant("111122223333", "us-east-1")
LAKE_TABLES = (
    "batches",
    "buckets",
    "conflicts",
    "log_entries",
    "observation_ids",
    "rollups",
    "segments",
    "tail",
    "units",
)
KEYS = ("iam:CreateUser", "s3:CreateBucket", "kms:DisableKey", "iam:DeleteUser")
START = Instant(NOW - 4 * DAY)


class House:
    """A deployment of its own, with one tenant."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = opened(f"sqlite:///{folder / 'audit.db'}")
        self.lake = new_lake(self.db, folder)
        self.deps = Deps(
            settings=settings.load(folder),
            library=Library.load(),
            lake=self.lake,
            links=Links(b"l" * 32, 15 * MINUTE),
            id_secret=b"i" * 32,
        )
        with self.db.write(TENANT) as tx:
            accounts.register(tx, None, START)

    @contextmanager
    def call(self, now: Instant) -> Iterator[Call]:
        arn = "arn:aws:iam::111122223333:user/alice"
        policies = ("AWSAuditManagerAdministratorAccess",)
        with self.db.write(TENANT) as tx:
            yield Call(
                tx=tx,
                tenant=TENANT,
                principal=Principal("111122223333", "alice", arn, policies, "AKIATEST"),
                now=now,
                request_id="r",
                base_url="http://127.0.0.1",
                deps=self.deps,
            )

    def assess(self, now: Instant) -> str:
        with self.call(now) as call:
            framework = framework_of(call, {"Access": ["a", "b"], "Keys": ["c", "a"]})
            answer = shown(assessments.create_assessment(call, ask_for(framework)))
            return str(answer["assessment"]["metadata"]["id"])

    def observe(self) -> None:
        """Four days of the same observations, in eight batches; half of them sealed."""
        for number in range(8):
            with self.db.write(TENANT) as tx:
                append(
                    tx,
                    self.lake,
                    unit=Unit(f"unit-{number}", "file", f"{number}.json"),
                    klass="facts",
                    observations=list(_batch(number)),
                    provenance=Provenance(how="file", collector="test", run="run", software="test"),
                    now=Instant(START + (number + 1) * DAY // 2),
                )
            if number == 3:
                assert seal(self.lake, TENANT, now=NOW, min_rows=1) is not None

    def stored(self) -> dict[str, tuple[int, int]]:
        """Rows and bytes of every table of the lake, and of its objects."""
        found = {}
        with self.db.system_read() as tx:
            for name in LAKE_TABLES:
                table = schema.metadata.tables[name]
                blobs = [c for c in table.c if isinstance(c.type, LargeBinary)]
                sizes = [func.coalesce(func.sum(func.length(c)), 0) for c in blobs]
                row = tx.first(tx.select(func.count(), *sizes).select_from(table))
                assert row is not None
                found[name] = (row[0], sum(row[1:]))
        objects = [p for p in (self.folder / "objects").rglob("*") if p.is_file()]
        found["objects"] = (len(objects), sum(p.stat().st_size for p in objects))
        return found

    def seen(self, assessment_id: str) -> Any:
        """Everything an assessment shows, without the ids that are its own."""
        with self.call(NOW) as call:
            ask = am.GetEvidenceFoldersByAssessmentRequest(assessment_id=assessment_id)
            folders = shown(evidence.get_evidence_folders_by_assessment(call, ask))
            return [
                (_without_ids(f), [_without_ids(i) for i in items_of(call, f)])
                for f in folders["evidenceFolders"]
            ]


def _without_ids(told: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in told.items() if k not in _OWN}


class _Chance:
    """Random bytes that come in the same order in every house: for each size from a source of its
    own, because encryption's nonces are drawn many at once, and for all houses of the process.
    """

    def __init__(self) -> None:
        self._sources: dict[int, random.Random] = {}

    def bytes(self, size: int) -> bytes:
        return self._sources.setdefault(size, random.Random(size)).randbytes(size)


_OWN = frozenset({"id", "assessmentId", "evidenceFolderId", "controlId"})


@pytest.fixture
def houses(tmp_path: Path) -> Iterator[tuple[House, House]]:
    """Two deployments."""
    made = []
    for name in ("one", "thirty"):
        (tmp_path / name).mkdir()
        made.append(House(tmp_path / name))
    yield made[0], made[1]
    for house in made:
        house.db.close()


def test_thirty_assessments_store_what_one_does(
    houses: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, thirty = houses
    one.assess(START)
    ids = [thirty.assess(START) for _ in range(30)]
    for house in houses:
        with monkeypatch.context() as patched:
            patched.setattr(os, "urandom", _Chance().bytes)
            house.observe()
    assert thirty.stored() == one.stored()
    seen = [thirty.seen(i) for i in ids]
    assert seen[0]
    assert all(s == seen[0] for s in seen)
    with thirty.call(NOW) as call:
        shown(insights.get_insights(call, am.GetInsightsRequest()))
    assert thirty.stored() == one.stored()  # looking stores nothing either


def test_an_assessment_made_afterwards_sees_the_same_after_a_backfill(
    houses: tuple[House, House],
) -> None:
    house, _ = houses
    before = house.assess(START)
    house.observe()
    stored = house.stored()
    after = house.assess(NOW)
    assert house.seen(after) == []
    with house.call(NOW) as call:
        assert start_backfill(call, after, START) == 4
    assert house.seen(after) == house.seen(before) != []
    assert house.stored() == stored


def _batch(number: int) -> Iterator[Observation]:
    for row in range(25):
        key = KEYS[row % 4]
        yield Observation(
            source="AWS_Cloudtrail",
            natural_key=(f"{number}-{row}",),
            event_time=Instant(START + number * DAY // 2 + row * 7 * MINUTE + 1),
            match_key=key,
            account="111122223333",
            region="us-east-1" if row % 3 else "aws-global",
            raw=b'{"eventID":"%d-%d"}' % (number, row),
            reader="test/1",
            position=str(row),
            resources=(Resource(value=f"bucket-{row % 5}"),),
            event_name=key.partition(":")[2],
            event_source="iam.amazonaws.com",
        )
