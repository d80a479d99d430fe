"""Requests that meet at the same moment: none undoes what the other did."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.operations.making import assessment, shown

from auditkeep.access.grants import ADMINISTRATOR
from auditkeep.access.principals import Principal
from auditkeep.accounts import store as accounts
from auditkeep.clock import FixedClock
from auditkeep.db.database import Database
from auditkeep.errors import AuditkeepError, InvalidRequest, NotFound
from auditkeep.ids import Tenant, new_id
from auditkeep.operations.auditmanager import assessments, manual
from auditkeep.operations.call import Call, Deps
from auditkeep.wire.models import auditmanager as am

SCOPE = am.Scope(aws_accounts=(am.AWSAccount(id="111122223333"),))


class Requests:
    """Calls of an administrator, each in a transaction of its own."""

    def __init__(self, db: Database, deps: Deps, clock: FixedClock, tenant: Tenant) -> None:
        self._db, self._deps, self._clock, self._tenant = db, deps, clock, tenant

    @contextmanager
    def call(self) -> Iterator[Call]:
        account = self._tenant.account
        arn = f"arn:aws:iam::{account}:user/alice"
        principal = Principal(account, "alice", arn, (ADMINISTRATOR,), "AKIATEST")
        with self._db.write(self._tenant) as tx:
            yield Call(
                tx, self._tenant, principal, self._clock.now(), new_id(), "http://x", self._deps
            )

    def meet(
        self, first: Callable[[Call], object], second: Callable[[Call], object]
    ) -> AuditkeepError | None:
        """Begin the second while the first has not committed; what becomes of the second."""
        refused: list[AuditkeepError] = []

        def follow() -> None:
            try:
                with self.call() as call:
                    second(call)
            except AuditkeepError as error:
                refused.append(error)

        thread = threading.Thread(target=follow)
        with self.call() as call:
            first(call)
            thread.start()
            thread.join(0.3)
        thread.join()
        return refused[0] if refused else None


@pytest.fixture
def requests(db: Database, deps: Deps, clock: FixedClock, tenant: Tenant) -> Requests:
    return Requests(db, deps, clock, tenant)


@pytest.fixture
def made(requests: Requests) -> Any:
    with requests.call() as call:
        accounts.register(call.tx, None, call.now)
        return assessment(call)


def end(made: Any) -> Callable[[Call], object]:
    ask = am.UpdateAssessmentStatusRequest(assessment_id=made["metadata"]["id"], status="INACTIVE")
    return lambda call: assessments.update_assessment_status(call, ask)


def import_text(made: Any) -> Callable[[Call], object]:
    one = made["framework"]["controlSets"][0]
    ask = am.BatchImportEvidenceToAssessmentControlRequest(
        assessment_id=made["metadata"]["id"],
        control_set_id=one["id"],
        control_id=one["controls"][0]["id"],
        manual_evidence=(am.ManualEvidence(text_response="seen"),),
    )
    return lambda call: manual.batch_import_evidence(call, ask)


@pytest.mark.both_databases
def test_an_update_does_not_revive_what_ended_meanwhile(requests: Requests, made: Any) -> None:
    ask = am.UpdateAssessmentRequest(
        assessment_id=made["metadata"]["id"], scope=SCOPE, assessment_name="renamed"
    )
    refused = requests.meet(end(made), lambda call: assessments.update_assessment(call, ask))
    assert isinstance(refused, InvalidRequest)
    with requests.call() as call:
        found = shown(
            assessments.get_assessment(
                call, am.GetAssessmentRequest(assessment_id=made["metadata"]["id"])
            )
        )
    assert found["assessment"]["metadata"]["status"] == "INACTIVE"


@pytest.mark.both_databases
def test_nothing_is_imported_into_what_ended_or_went_meanwhile(
    requests: Requests, made: Any
) -> None:
    assert isinstance(requests.meet(end(made), import_text(made)), InvalidRequest)
    gone = am.DeleteAssessmentRequest(assessment_id=made["metadata"]["id"])
    refused = requests.meet(
        lambda call: assessments.delete_assessment(call, gone), import_text(made)
    )
    assert isinstance(refused, NotFound)
