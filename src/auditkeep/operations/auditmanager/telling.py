"""Telling people and systems what an operation did (spec sections 8.1, 8.2 and 10.4).

| operation | when | notice to | event |
|---|---|---|---|
| CreateAssessment | always | – | Assessment Created |
| UpdateAssessment | always | – | Assessment Updated |
| DeleteAssessment | always | – | Assessment Deleted |
| BatchCreateDelegationByAssessment | each one made | the delegate | … Delegation Created |
| UpdateAssessmentControlSetStatus | to UNDER_REVIEW | the owners | – |
| UpdateAssessmentControlSetStatus | to REVIEWED | its delegates | … ControlSet Reviewed |
| UpdateAssessmentControl | to REVIEWED | – | … Control Reviewed |

A status that does not change tells nothing. Ending an assessment (INACTIVE) reviews its sets and
controls as a consequence, which is no review: it tells nothing either, as the specification has it.

Rows and jobs are written in the operation's own transaction, jobs only for channels that are set
up now; nothing is sent before the commit, and nothing that is sent delays an answer.
"""

from collections.abc import Iterable

from auditkeep.accounts import store as accounts
from auditkeep.assessments.model import Assessment
from auditkeep.ids import new_id
from auditkeep.notifications import outgoing, store, webhooks
from auditkeep.notifications.model import (
    About,
    DetailType,
    Event,
    NoticeKind,
    Telling,
    deliveries,
    sentence,
)
from auditkeep.operations.call import Call
from auditkeep.work.jobs import enqueue


def tell(
    call: Call,
    assessment: Assessment,
    set_id: str,
    kind: NoticeKind,
    recipients: Iterable[str],
    words: str | None,
) -> None:
    """A notice to each recipient, by ARN, and to the tenant's topic, mailboxes and webhooks.

    The topic hears of it also when nobody else is there to be told.
    """
    telling = Telling(
        id=new_id(),
        kind=kind,
        about=About(assessment.id, assessment.name, set_id),
        description=words if words and words.strip() else sentence(kind, set_id),
        source=call.principal.arn,
        at=call.now,
    )
    told = store.tell(call.tx, recipients, telling)
    account = accounts.find(call.tx)
    topic = account is not None and bool(account.settings.sns_topic)
    hooks = webhooks.names(call.tx, "notices")
    if topic or hooks:
        outgoing.put(call.tx, telling)
    mails = told if call.deps.settings.smtp_host else ()
    _queue(call, deliveries(telling.id, topic=topic, hooks=hooks, mails=mails))


def emit(call: Call, assessment: Assessment, detail_type: DetailType) -> None:
    """An event about an assessment, to the deployment's bus and the tenant's webhooks."""
    event = Event(
        id=new_id(),
        detail_type=detail_type,
        account=call.tenant.account,
        region=call.tenant.region,
        author=call.principal.arn,
        assessment_id=assessment.id,
        assessment_name=assessment.name,
        at=call.now,
    )
    bus = bool(call.deps.settings.event_bus)
    queued = deliveries(event.id, hooks=webhooks.names(call.tx, "events"), bus=bus)
    if queued:
        outgoing.put(call.tx, event)
    _queue(call, queued)


def _queue(call: Call, jobs: Iterable[tuple[str, str, str]]) -> None:
    """One job a channel: kind, key and lane; whoever runs them is woken when they are durable."""
    waiting = list(jobs)
    for kind, key, lane in waiting:
        enqueue(call.tx, kind, key, call.now, lane=lane)
    if waiting:
        call.tx.after_commit(call.deps.wake)
