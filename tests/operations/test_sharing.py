"""Frameworks offered, accepted, refused and taken back, through the operations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.operations.making import at, by, rows_of, shown

from auditkeep.access.grants import ADMINISTRATOR
from auditkeep.access.principals import Principal
from auditkeep.accounts import quotas, tags
from auditkeep.accounts import store as accounts
from auditkeep.clock import DAY, MINUTE, FixedClock, Instant, wire
from auditkeep.db import schema
from auditkeep.db.database import Database
from auditkeep.db.tx import Tx
from auditkeep.errors import InvalidRequest, NotFound, QuotaExceeded
from auditkeep.ids import Tenant, new_id
from auditkeep.operations.auditmanager import controls, frameworks, organisation, sharing
from auditkeep.operations.call import Call, Deps
from auditkeep.wire.models import auditmanager as am

SENDER = "111122223333"
RECIPIENT = "999988887777"
HERE = "us-east-1"


def own_control(call: Call, name: str = "own") -> str:
    source = am.CreateControlMappingSource(source_name="s", source_type="MANUAL")
    ask = am.CreateControlRequest(name=name, control_mapping_sources=(source,), tags={"c": "1"})
    return str(shown(controls.create_control(call, ask))["control"]["id"])


def shipped(call: Call) -> str:
    return next(i for i, c in call.deps.library.controls.items() if c.type == "Standard")


def framework(call: Call, *control_ids: str, **members: Any) -> str:
    """A framework of one custom and one shipped control, unless it is told which."""
    ids = control_ids or (own_control(call), shipped(call))
    group = am.CreateAssessmentFrameworkControlSet(
        name="Access", controls=tuple(am.CreateAssessmentFrameworkControl(id=i) for i in ids)
    )
    asked: dict[str, Any] = {"name": "Ours", "control_sets": (group,), "tags": {"f": "1"}}
    ask = am.CreateAssessmentFrameworkRequest(**asked | members)
    return str(shown(frameworks.create_assessment_framework(call, ask))["framework"]["id"])


def delete_framework(call: Call, framework_id: str) -> None:
    ask = am.DeleteAssessmentFrameworkRequest(framework_id=framework_id)
    frameworks.delete_assessment_framework(call, ask)


def read_framework(call: Call, framework_id: str) -> Any:
    ask = am.GetAssessmentFrameworkRequest(framework_id=framework_id)
    return shown(frameworks.get_assessment_framework(call, ask))["framework"]


def library_of(call: Call) -> list[Any]:
    """The custom frameworks of a tenant, whole."""
    ask = am.ListAssessmentFrameworksRequest(framework_type="Custom")
    found = shown(frameworks.list_assessment_frameworks(call, ask))["frameworkMetadataList"]
    return [read_framework(call, f["id"]) for f in found]


def start(
    call: Call, framework_id: str, to: str = RECIPIENT, region: str = HERE, comment: str = "why"
) -> Any:
    ask = am.StartAssessmentFrameworkShareRequest(
        framework_id=framework_id,
        destination_account=to,
        destination_region=region,
        comment=comment,
    )
    answer = sharing.start_assessment_framework_share(call, ask)
    return shown(answer)["assessmentFrameworkShareRequest"]


def listed(call: Call, side: am.ShareRequestType, **members: Any) -> list[Any]:
    ask = am.ListAssessmentFrameworkShareRequestsRequest(request_type=side, **members)
    answer = sharing.list_assessment_framework_share_requests(call, ask)
    return list(shown(answer)["assessmentFrameworkShareRequests"])


def answer(call: Call, request_id: str, action: am.ShareRequestAction, side: Any = None) -> Any:
    meant: am.ShareRequestType = "SENT" if action == "REVOKE" else "RECEIVED"
    ask = am.UpdateAssessmentFrameworkShareRequest(
        request_id=request_id, request_type=side or meant, action=action
    )
    return shown(sharing.update_assessment_framework_share(call, ask))[
        "assessmentFrameworkShareRequest"
    ]


def delete(call: Call, request_id: str, side: am.ShareRequestType) -> None:
    ask = am.DeleteAssessmentFrameworkShareRequest(request_id=request_id, request_type=side)
    sharing.delete_assessment_framework_share(call, ask)


def days(call: Call, number: int) -> Call:
    return at(call, Instant(call.now + number * DAY))


def test_an_offer_tells_both_sides_the_same(call: Call, elsewhere: Call) -> None:
    framework_id = framework(call, description="d", compliance_type="X")
    sent = start(call, framework_id)
    assert sent == {
        "id": sent["id"],
        "frameworkId": framework_id,
        "frameworkName": "Ours",
        "frameworkDescription": "d",
        "status": "ACTIVE",
        "sourceAccount": SENDER,
        "destinationAccount": RECIPIENT,
        "destinationRegion": HERE,
        "expirationTime": wire(Instant(call.now + 120 * DAY)),
        "creationTime": wire(call.now),
        "lastUpdated": wire(call.now),
        "comment": "why",
        "standardControlsCount": 1,
        "customControlsCount": 1,
        "complianceType": "X",
    }
    assert listed(call, "SENT") == listed(elsewhere, "RECEIVED") == [sent]
    assert listed(call, "RECEIVED") == listed(elsewhere, "SENT") == []


def test_nothing_is_said_that_was_not_sent(call: Call) -> None:
    sent = start(call, framework(call), comment="")
    assert not {"comment", "frameworkDescription", "complianceType"} & sent.keys()


def test_accepting_copies_framework_and_custom_controls(call: Call, elsewhere: Call) -> None:
    own, standard = own_control(call), shipped(call)
    original = framework(call, own, standard, description="d", compliance_type="X")
    sent = start(call, original)
    shared = answer(by(elsewhere, "bob", later=60), sent["id"], "ACCEPT")
    assert shared["status"] == "SHARED"
    assert shared["lastUpdated"] == wire(call.now) + 60
    assert listed(call, "SENT") == listed(elsewhere, "RECEIVED") == [shared]
    (copy,) = library_of(elsewhere)
    assert (
        copy["arn"] == f"arn:aws:auditmanager:{HERE}:{RECIPIENT}:assessmentFramework/{copy['id']}"
    )
    assert copy["id"] != original
    assert (copy["name"], copy["description"], copy["complianceType"]) == ("Ours", "d", "X")
    assert (copy["createdBy"], copy["createdAt"]) == ("bob", wire(call.now) + 60)
    first, second = copy["controlSets"][0]["controls"]
    assert second["id"] == standard
    assert first["id"] != own
    assert (first["name"], first["type"], first["createdBy"]) == ("own", "Custom", "bob")
    assert first["controlMappingSources"][0]["sourceName"] == "s"
    assert "tags" not in copy
    assert "tags" not in first
    assert rows_of(elsewhere, "controls") == 1


def test_the_copy_lives_on_alone_and_may_travel_further(call: Call, call_as: Any) -> None:
    elsewhere, third = call_as(Tenant(RECIPIENT, HERE)), call_as(Tenant("444455556666", HERE))
    own = own_control(call)
    original = framework(call, own)
    answer(elsewhere, start(call, original)["id"], "ACCEPT")
    delete_framework(call, original)
    controls.delete_control(call, am.DeleteControlRequest(control_id=own))
    (copy,) = library_of(elsewhere)
    assert [c["name"] for c in copy["controlSets"][0]["controls"]] == ["own"]
    assert listed(call, "SENT")[0]["status"] == "SHARED"
    further = start(elsewhere, copy["id"], third.tenant.account)
    answer(third, further["id"], "ACCEPT")
    assert len(library_of(third)) == 1


def test_what_is_offered_is_what_was_when_it_was_sent(call: Call, elsewhere: Call) -> None:
    own = own_control(call)
    sent = start(call, framework(call, own, shipped(call)))
    controls.delete_control(call, am.DeleteControlRequest(control_id=own))
    assert listed(elsewhere, "RECEIVED")[0]["customControlsCount"] == 1
    answer(elsewhere, sent["id"], "ACCEPT")
    (copy,) = library_of(elsewhere)
    assert len(copy["controlSets"][0]["controls"]) == 2


def test_a_framework_goes_to_another_region_of_its_own_account(call: Call, call_as: Any) -> None:
    ireland = call_as(Tenant(SENDER, "eu-west-1"))
    answer(ireland, start(call, framework(call), SENDER, "eu-west-1")["id"], "ACCEPT")
    assert library_of(ireland)[0]["arn"].startswith(f"arn:aws:auditmanager:eu-west-1:{SENDER}:")
    with pytest.raises(InvalidRequest, match="that is where it is"):
        start(call, framework(call), SENDER, HERE)


def test_only_frameworks_of_ones_own_can_be_shared(call: Call, elsewhere: Call) -> None:
    with pytest.raises(InvalidRequest, match="Only custom frameworks"):
        start(call, next(iter(call.deps.library.frameworks)))
    with pytest.raises(NotFound):
        start(call, new_id())
    with pytest.raises(NotFound):
        start(call, framework(elsewhere), "444455556666")


def test_nobody_there_means_failed_for_the_sender_alone(call: Call, unregistered: Call) -> None:
    framework_id = framework(call)
    failed = start(call, framework_id, unregistered.tenant.account)
    assert failed["status"] == "FAILED"
    assert listed(call, "SENT") == [failed]
    assert listed(unregistered, "RECEIVED") == []
    with pytest.raises(InvalidRequest, match="is FAILED"):
        answer(call, failed["id"], "REVOKE")
    accounts.register(unregistered.tx, None, call.now)
    again = start(call, framework_id, unregistered.tenant.account)
    assert (again["status"], again["id"] != failed["id"]) == ("ACTIVE", True)
    delete(call, failed["id"], "SENT")
    assert listed(call, "SENT") == [again]


def test_the_account_that_handed_its_organisation_over_receives_nothing(
    call: Call, elsewhere: Call
) -> None:
    call.tx.system().insert(
        schema.meta, {"key": "account", "value": SENDER}, {"key": "log_origin", "value": "o"}
    )
    assert start(elsewhere, framework(elsewhere), SENDER)["status"] == "ACTIVE"
    organisation.hand_over(call, RECIPIENT)
    assert start(elsewhere, framework(elsewhere), SENDER)["status"] == "FAILED"


@pytest.mark.parametrize(
    ("after", "status"), [(89, "ACTIVE"), (90, "EXPIRING"), (119, "EXPIRING"), (120, "EXPIRED")]
)
def test_time_alone_moves_an_offer(call: Call, elsewhere: Call, after: int, status: str) -> None:
    sent = start(call, framework(call))
    assert listed(days(call, after), "SENT")[0]["status"] == status
    received = listed(days(elsewhere, after), "RECEIVED")[0]
    assert received == {**sent, "status": status}
    if status == "EXPIRED":
        with pytest.raises(InvalidRequest, match="is EXPIRED"):
            answer(days(elsewhere, after), sent["id"], "ACCEPT")
        delete(days(call, after), sent["id"], "SENT")
    else:
        with pytest.raises(InvalidRequest, match=f"is {status} and cannot be deleted"):
            delete(days(call, after), sent["id"], "SENT")
        assert answer(days(elsewhere, after), sent["id"], "ACCEPT")["status"] == "SHARED"


@pytest.mark.parametrize("before", ["ACTIVE", "EXPIRING", "SHARED"])
def test_sending_again_renews_the_request(call: Call, elsewhere: Call, before: str) -> None:
    framework_id = framework(call)
    sent = start(call, framework_id)
    if before == "SHARED":
        answer(elsewhere, sent["id"], "ACCEPT")
    frameworks.update_assessment_framework(
        call,
        am.UpdateAssessmentFrameworkRequest(
            framework_id=framework_id,
            name="Better",
            control_sets=(
                am.UpdateAssessmentFrameworkControlSet(
                    name="New", controls=(am.CreateAssessmentFrameworkControl(id=shipped(call)),)
                ),
            ),
        ),
    )
    later = days(call, 100 if before == "EXPIRING" else 10)
    renewed = start(later, framework_id, comment="better")
    assert renewed == {
        **sent,
        "status": "ACTIVE",
        "frameworkName": "Better",
        "comment": "better",
        "customControlsCount": 0,
        "lastUpdated": wire(later.now),
        "expirationTime": wire(Instant(later.now + 120 * DAY)),
    }
    assert listed(later, "SENT") == listed(at(elsewhere, later.now), "RECEIVED") == [renewed]
    answer(at(elsewhere, later.now), sent["id"], "ACCEPT")
    names = {f["name"] for f in library_of(elsewhere)}
    assert names == ({"Ours", "Better"} if before == "SHARED" else {"Better"})


@pytest.mark.parametrize("end", ["DECLINE", "REVOKE", "EXPIRED"])
def test_sending_again_after_the_end_makes_a_new_request(
    call: Call, elsewhere: Call, end: Any
) -> None:
    framework_id = framework(call)
    sent = start(call, framework_id)
    later = days(call, 121) if end == "EXPIRED" else call
    if end == "DECLINE":
        answer(elsewhere, sent["id"], end)
    if end == "REVOKE":
        answer(call, sent["id"], end)
    again = start(later, framework_id)
    assert again["id"] != sent["id"]
    assert {r["status"] for r in listed(later, "SENT")} == {
        "ACTIVE",
        end + "D" * (end != "EXPIRED"),
    }


def test_a_renewal_that_cannot_be_delivered_ends_the_offer(call: Call, elsewhere: Call) -> None:
    framework_id = framework(call)
    sent = start(call, framework_id)
    accounts.deregister(elsewhere.tx)
    assert start(call, framework_id)["status"] == "FAILED"
    assert [r["id"] for r in listed(call, "SENT")] == [sent["id"]]
    accounts.register(elsewhere.tx, None, call.now)
    with pytest.raises(InvalidRequest, match="is FAILED"):
        answer(elsewhere, sent["id"], "ACCEPT")


@pytest.mark.parametrize(
    ("action", "side"), [("ACCEPT", "SENT"), ("DECLINE", "SENT"), ("REVOKE", "RECEIVED")]
)
def test_each_side_has_its_own_answers(
    call: Call, elsewhere: Call, action: am.ShareRequestAction, side: str
) -> None:
    sent = start(call, framework(call))
    for one in (call, elsewhere):
        with pytest.raises(InvalidRequest, match="action"):
            answer(one, sent["id"], action, side)
    assert listed(call, "SENT") == [sent]


def test_others_cannot_tell_that_there_is_a_request(call: Call, elsewhere: Call) -> None:
    sent = start(call, framework(call))
    stranger = at(elsewhere, call.now)
    attempts: list[Callable[[], object]] = [
        lambda: answer(stranger, sent["id"], "REVOKE"),
        lambda: answer(call, sent["id"], "ACCEPT"),
        lambda: delete(stranger, sent["id"], "SENT"),
        lambda: delete(call, sent["id"], "RECEIVED"),
        lambda: delete(call, new_id(), "SENT"),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()


def test_an_answer_is_final(call: Call, elsewhere: Call) -> None:
    for action, status in (("DECLINE", "DECLINED"), ("REVOKE", "REVOKED"), ("ACCEPT", "SHARED")):
        sent = start(call, framework(call))
        side = call if action == "REVOKE" else elsewhere
        assert answer(side, sent["id"], action)["status"] == status  # type: ignore[arg-type]
        for other, again in ((elsewhere, "ACCEPT"), (elsewhere, "DECLINE"), (call, "REVOKE")):
            with pytest.raises(InvalidRequest, match=f"is {status}"):
                answer(other, sent["id"], again)  # type: ignore[arg-type]


def test_deleting_a_record_leaves_the_other_side_and_every_framework(
    call: Call, elsewhere: Call
) -> None:
    sent = start(call, framework(call))
    for side, one in (("SENT", call), ("RECEIVED", elsewhere)):
        with pytest.raises(InvalidRequest, match="is ACTIVE and cannot be deleted"):
            delete(one, sent["id"], side)  # type: ignore[arg-type]
    answer(elsewhere, sent["id"], "ACCEPT")
    delete(call, sent["id"], "SENT")
    assert listed(call, "SENT") == []
    assert len(listed(elsewhere, "RECEIVED")) == 1
    delete(elsewhere, sent["id"], "RECEIVED")
    assert listed(elsewhere, "RECEIVED") == []
    assert len(library_of(call)) == len(library_of(elsewhere)) == 1


def test_deleting_a_framework_revokes_its_open_requests(call: Call, call_as: Any) -> None:
    elsewhere, ireland = call_as(Tenant(RECIPIENT, HERE)), call_as(Tenant(SENDER, "eu-west-1"))
    framework_id, other = framework(call), framework(call)
    accepted = start(call, framework_id, SENDER, "eu-west-1")
    answer(ireland, accepted["id"], "ACCEPT")
    kept, open_one = start(call, other), start(call, framework_id)
    delete_framework(at(call, Instant(call.now + MINUTE)), framework_id)
    status = {r["id"]: r["status"] for r in listed(call, "SENT")}
    assert status == {accepted["id"]: "SHARED", kept["id"]: "ACTIVE", open_one["id"]: "REVOKED"}
    received = {r["id"]: r for r in listed(elsewhere, "RECEIVED")}
    assert received[open_one["id"]]["status"] == "REVOKED"
    assert received[open_one["id"]]["lastUpdated"] == wire(call.now) + 60
    with pytest.raises(InvalidRequest, match="is REVOKED"):
        answer(elsewhere, open_one["id"], "ACCEPT")


def test_the_recipients_quotas_hold_and_leave_the_offer_open(call: Call, elsewhere: Call) -> None:
    sent = start(call, framework(call, own_control(call, "a"), own_control(call, "b")))
    own_control(elsewhere)
    quotas.save(elsewhere.tx, "custom-controls", 2)
    with pytest.raises(QuotaExceeded, match=r"1 custom controls .* would get 2 more"):
        answer(elsewhere, sent["id"], "ACCEPT")
    quotas.save(elsewhere.tx, "custom-controls", 3)
    quotas.save(elsewhere.tx, "custom-frameworks", 0)
    with pytest.raises(QuotaExceeded, match="custom frameworks"):
        answer(elsewhere, sent["id"], "ACCEPT")
    assert (rows_of(elsewhere, "controls"), rows_of(elsewhere, "frameworks")) == (1, 0)
    quotas.save(elsewhere.tx, "custom-frameworks", 1)
    assert answer(elsewhere, sent["id"], "ACCEPT")["status"] == "SHARED"


def test_the_quota_of_recipients_counts_accounts_with_open_requests(
    call: Call, call_as: Any
) -> None:
    elsewhere, third = call_as(Tenant(RECIPIENT, HERE)), call_as(Tenant("444455556666", HERE))
    quotas.save(call.tx, "share-recipients", 1)
    sent = start(call, framework(call))
    start(call, framework(call))
    with pytest.raises(InvalidRequest, match="quota is 1"):
        start(call, framework(call), third.tenant.account)
    answer(elsewhere, sent["id"], "DECLINE")
    for one in listed(elsewhere, "RECEIVED"):
        if one["status"] == "ACTIVE":
            answer(elsewhere, one["id"], "ACCEPT")
    assert start(call, framework(call), third.tenant.account)["status"] == "ACTIVE"


def test_lists_run_newest_first_in_pages(call: Call) -> None:
    ids = [start(by(call, "alice", later=n), framework(call))["id"] for n in range(3)]
    ask = am.ListAssessmentFrameworkShareRequestsRequest(request_type="SENT", max_results=2)
    first = shown(sharing.list_assessment_framework_share_requests(call, ask))
    token = first["nextToken"]
    rest = listed(call, "SENT", max_results=2, next_token=token)
    assert [r["id"] for r in first["assessmentFrameworkShareRequests"] + rest] == ids[::-1]
    with pytest.raises(InvalidRequest, match="nextToken"):
        listed(call, "RECEIVED", next_token=token)


def test_revoking_what_was_accepted_may_be_let_pass(call: Call, elsewhere: Call) -> None:
    sent = start(call, framework(call))
    shared = answer(elsewhere, sent["id"], "ACCEPT")
    settings = call.deps.settings.model_copy(update={"lenient_share_revoke": True})
    lenient = dataclasses.replace(call, deps=dataclasses.replace(call.deps, settings=settings))
    assert answer(lenient, sent["id"], "REVOKE") == shared
    assert listed(call, "SENT") == [shared]


def test_tags_stay_where_they_are(call: Call, elsewhere: Call) -> None:
    original = framework(call)
    answer(elsewhere, start(call, original)["id"], "ACCEPT")
    arn = call.tenant.arn("assessmentFramework", original)
    assert tags.of(call.tx, arn) == {"f": "1"}
    assert rows_of(elsewhere, "tags") == 0


@pytest.fixture
def call_in(deps: Deps, clock: FixedClock) -> Callable[[Tx], Call]:
    """Calls in transactions of their own, each of an administrator of its tenant."""

    def make(tx: Tx) -> Call:
        account = tx.tenant.account
        return Call(
            tx=tx,
            tenant=tx.tenant,
            principal=Principal(
                account=account,
                user="alice",
                arn=f"arn:aws:iam::{account}:user/alice",
                policies=(ADMINISTRATOR,),
                access_key_id="AKIATEST",
            ),
            now=clock.now(),
            request_id=new_id(),
            base_url="http://127.0.0.1:8080",
            deps=deps,
        )

    return make


@pytest.mark.both_databases
def test_two_answers_at_once_are_one(db: Database, call_in: Any) -> None:
    sender, recipient = Tenant(SENDER, HERE), Tenant(RECIPIENT, HERE)
    ids = []
    with db.write(recipient) as tx:
        accounts.register(tx, None, call_in(tx).now)
    with db.write(sender) as tx:
        one = call_in(tx)
        ids = [start(one, framework(one))["id"] for _ in range(8)]

    def attempt(tenant: Tenant, request_id: str, action: am.ShareRequestAction) -> bool:
        try:
            with db.write(tenant) as tx:
                answer(call_in(tx), request_id, action)
        except InvalidRequest:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        accepted = [pool.submit(attempt, recipient, i, "ACCEPT") for i in ids]
        revoked = [pool.submit(attempt, sender, i, "REVOKE") for i in ids]
        copies = sum(f.result() for f in accepted)
        assert all(a.result() != r.result() for a, r in zip(accepted, revoked, strict=True))
    with db.read(recipient) as tx:
        assert rows_of(call_in(tx), "frameworks") == copies
        received = {r["id"]: r["status"] for r in listed(call_in(tx), "RECEIVED")}
    with db.read(sender) as tx:
        assert {r["id"]: r["status"] for r in listed(call_in(tx), "SENT")} == received
