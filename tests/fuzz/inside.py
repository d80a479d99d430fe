"""A deployment in this process: the real parts of `app`, asked without a socket.

Only time is a clock that the run moves, and jobs (reports) are run between requests.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.fuzz.requests import Wire
from tests.fuzz.running import HOME
from tests.fuzz.signing import signed
from tests.wire.test_asgi import Exchange

from auditkeep.access.credentials import AccessKey
from auditkeep.accounts import store as accounts
from auditkeep.app.parts import Parts, open_parts
from auditkeep.app.setup import initialise
from auditkeep.clock import DAY, SECOND, FixedClock, parse
from auditkeep.db import schema
from auditkeep.ids import Tenant, new_id
from auditkeep.lake.append import Unit, append
from auditkeep.observations import Observation, Provenance, Resource
from auditkeep.operations.dispatch import Dispatcher
from auditkeep.operations.files import Files
from auditkeep.reports.model import JOB
from auditkeep.settings import Settings
from auditkeep.wire.messages import Request, Response
from auditkeep.work.pump import Pump
from auditkeep.workflows.report import report_handler

NOUNS = (
    schema.controls,
    schema.frameworks,
    schema.framework_shares,
    schema.delegated_administrators,
    schema.assessments,
    schema.assessment_control_sets,
    schema.assessment_controls,
    schema.control_comments,
    schema.delegations,
    schema.change_logs,
    schema.notifications,
    schema.reports,
    schema.lens_intervals,
    schema.selections,
    schema.selection_exceptions,
    schema.tenants,
    schema.tags,
)
"""What a refused request leaves exactly as it was; that it was asked may be recorded elsewhere."""
REPORTS = 200
"""Reports that one run makes at most: each starts a process that draws a PDF."""


class _Complaints(logging.Handler):
    """Whatever the server's own log reports as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(self.format(record))


class InProcess:
    """A `Target` over the parts of a deployment."""

    def __init__(self, parts: Parts, clock: FixedClock) -> None:
        self._parts, self._clock = parts, clock
        self._dispatcher = Dispatcher(db=parts.db, deps=parts.deps, clock=clock)
        self._files = Files(db=parts.db, deps=parts.deps, clock=clock)
        making = report_handler(parts.deps, parts.report_key, clock)
        self._pump = Pump(parts.jobs, {JOB: making}, clock)
        self._reports = 0
        self._heard = _Complaints()
        logging.getLogger("auditkeep").addHandler(self._heard)

    def close(self) -> None:
        logging.getLogger("auditkeep").removeHandler(self._heard)
        self._files.close()

    def key(self, account: str, user: str, policy: str) -> AccessKey:
        return self._parts.create_key(account, user, (policy,))

    def send(self, key: AccessKey, region: str, wire: Wire) -> Response:
        now = self._clock.now()
        proof = signed(
            wire.method, wire.path, wire.query, wire.body, key=key, now=now, region=region
        )
        headers = (*proof, *wire.headers)
        return self._dispatcher.answer(
            Request(wire.method, wire.path, wire.query, headers, wire.body, new_id())
        )

    def complaints(self) -> list[str]:
        found = self._heard.heard[:]
        self._heard.heard.clear()
        return found

    def kept(self) -> list[Any]:
        """Every row of every noun, of every tenant."""
        with self._parts.db.system_read() as tx:
            return [tuple(row) for table in NOUNS for row in tx.all(tx.select(table))]

    def upload(self, link: str, content: bytes) -> None:
        url = urlsplit(link)
        asked = Exchange(
            content,
            method="PUT",
            path=url.path,
            raw_path=url.path.encode(),
            query_string=url.query.encode(),
            headers=[],
        )
        asyncio.run(self._files(asked.scope, asked.receive, asked.send))

    def make_reports(self) -> None:
        """Run every job that waits."""
        self._pump.drain()

    def pass_time(self, chance: float) -> None:
        if chance < 0.0005:
            self._clock.advance(40 * DAY)
        elif chance < 0.005:
            self._clock.advance(DAY // 3)
            self._observe(1 + int(chance * 4_000))
        else:
            self._clock.advance((0, 1, 1_000, SECOND)[int(chance * 4)])
        if chance > 0.995 and self._reports < REPORTS:
            self._reports += self._pump.step()

    def _observe(self, count: int) -> None:
        """Let observations arrive that the first control sees."""
        tenant, now = Tenant(HOME, "us-east-1"), self._clock.now()
        observations = [
            Observation(
                source="AWS_Cloudtrail",
                natural_key=(new_id(),),
                event_time=now,
                match_key="iam:CreateUser",
                account=HOME,
                region="us-east-1",
                raw=b'{"eventID":"%d"}' % number,
                reader="test/1",
                position=str(number),
                resources=(Resource(value=f"arn:aws:iam::{HOME}:user/u{number}", verdict=None),),
                event_name="CreateUser",
                event_source="iam.amazonaws.com",
                actor=f"arn:aws:sts::{HOME}:assumed-role/Admin/jane",
            )
            for number in range(count)
        ]
        with self._parts.db.write(tenant) as tx:
            if accounts.status(tx) != "ACTIVE":
                return  # deregistered by a request, with all its data perhaps: nothing is collected
            append(
                tx,
                self._parts.lake,
                unit=Unit(new_id(), "test"),
                klass="facts",
                observations=observations,
                provenance=Provenance(how="file", collector="test", run="run", software="test"),
                now=now,
            )


@contextmanager
def in_process(data: Path, *, database: str = "") -> Iterator[InProcess]:
    """A fresh deployment in `data`."""
    clock = FixedClock(parse("2026-05-01T12:00:00Z"))
    settings = Settings(data=data, database_url=database)
    initialise(settings, Tenant(HOME, "us-east-1"), clock)
    parts = open_parts(settings, clock)
    target = InProcess(parts, clock)
    try:
        yield target
    finally:
        target.close()
        parts.db.close()
