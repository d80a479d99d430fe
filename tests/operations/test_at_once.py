"""What is answered at once: GetAssessment's last answer, while nothing it depends on has moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.operations.world import HOME, Made, World
from tests.wire.model_cases import Sent

from auditkeep.access import credentials
from auditkeep.access.credentials import AccessKey
from auditkeep.clock import SECOND
from auditkeep.errors import StorageError
from auditkeep.wire.messages import Request, Response

PATIENT = 10 * SECOND
"""Longer than a key is remembered."""


def get(world: World, made: Made, key: AccessKey | None = None) -> Request:
    return world.api.signed(Sent("GET", f"/assessments/{made.id}".encode(), b"", b""), key)


def at_once(world: World, request: Request) -> Response | None:
    return world.api.dispatcher.at_once(request)


@pytest.fixture
def fresh(world_with: Callable[..., World]) -> World:
    return world_with()


def test_the_last_answer_comes_again_while_it_holds(fresh: World) -> None:
    made = fresh.assessment()
    request = get(fresh, made)
    assert at_once(fresh, request) is None
    answered = fresh.api.dispatcher.answer(request)
    assert answered.status == 200
    assert at_once(fresh, request) == answered
    fresh.ask("tag_resource", resourceArn=made.arn, tags={"team": "platform"})
    assert at_once(fresh, request) is None
    changed = fresh.api.dispatcher.answer(request)
    assert b"platform" in changed.body
    assert at_once(fresh, request) == changed
    fresh.ask("delete_assessment", assessmentId=made.id)
    assert at_once(fresh, request) is None
    assert fresh.api.dispatcher.answer(request).status == 404


def test_each_caller_gets_the_answer_that_is_theirs(fresh: World) -> None:
    made = fresh.assessment()
    root = get(fresh, made)
    reader = fresh.api.key("reader", "AuditkeepReadOnly")
    fresh.api.dispatcher.answer(root)
    assert at_once(fresh, root) is not None
    asked = get(fresh, made, reader)
    assert fresh.api.dispatcher.answer(asked).status == 403
    assert at_once(fresh, asked) is None


def test_who_lost_a_policy_or_a_key_is_not_answered(fresh: World) -> None:
    made = fresh.assessment()
    key = fresh.api.key("second", "AWSAuditManagerAdministratorAccess")
    assert fresh.api.dispatcher.answer(get(fresh, made, key)).status == 200
    assert at_once(fresh, get(fresh, made, key)) is not None
    with fresh.db.system_write() as tx:
        credentials.disable(tx, key.access_key_id, fresh.clock.now())
    fresh.clock.advance(PATIENT)
    assert at_once(fresh, get(fresh, made, key)) is None
    assert fresh.api.dispatcher.answer(get(fresh, made, key)).status == 403


def test_a_wrong_signature_and_an_unknown_path_go_the_long_way(fresh: World) -> None:
    made = fresh.assessment()
    request = get(fresh, made)
    fresh.api.dispatcher.answer(request)
    forged = tuple(
        (k, v[:-1] + (b"0" if v[-1:] != b"0" else b"1")) if k == b"authorization" else (k, v)
        for k, v in request.headers
    )
    assert at_once(fresh, replace(request, headers=forged)) is None
    assert fresh.api.dispatcher.answer(replace(request, headers=forged)).status == 403
    assert at_once(fresh, replace(request, path=b"/nothing")) is None


def test_an_account_that_left_is_not_answered(fresh: World) -> None:
    made = fresh.assessment()
    request = get(fresh, made)
    fresh.api.dispatcher.answer(request)
    assert at_once(fresh, request) is not None
    fresh.ask("deregister_account")
    assert at_once(fresh, request) is None
    assert fresh.api.dispatcher.answer(request).status == 403


def test_where_requests_are_counted_none_passes_by(world_with: Callable[..., World]) -> None:
    world = world_with(throttle_rate=1_000.0)
    made = world.assessment()
    request = get(world, made)
    assert world.api.dispatcher.answer(request).status == 200
    assert at_once(world, request) is None


def test_a_glance_that_fails_leaves_the_request_to_the_long_way(
    fresh: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fresh.assessment()
    request = get(fresh, made)
    answered = fresh.api.dispatcher.answer(request)

    def fails(*_: object) -> None:
        raise StorageError("The disk gave no answer.")

    monkeypatch.setattr("auditkeep.assessments.store.glance", fails)
    assert at_once(fresh, request) is None
    assert fresh.api.answer(request) == answered


def test_an_answer_at_once_is_a_call_of_the_activity_log(fresh: World) -> None:
    made = fresh.assessment()
    request = get(fresh, made)
    fresh.api.dispatcher.answer(request)
    heard = fresh.api.deps.heard
    heard.take(fresh.clock.now())
    assert at_once(fresh, request) is not None
    (call,) = heard.take(fresh.clock.now()).calls
    assert call.operation is not None
    assert (call.operation.name, call.reads, call.code) == ("GetAssessment", True, "")
    assert call.principal is not None
    assert call.principal.account == HOME
