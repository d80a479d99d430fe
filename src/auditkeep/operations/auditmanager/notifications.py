"""The caller's own notices (spec section 8.1)."""

from auditkeep import clock
from auditkeep.ids import principal_of
from auditkeep.notifications import store
from auditkeep.operations.auditmanager.pages import time_key
from auditkeep.operations.call import Call, pair
from auditkeep.wire import paging
from auditkeep.wire.models import auditmanager as am


def list_notifications(
    call: Call, ask: am.ListNotificationsRequest
) -> am.ListNotificationsResponse:
    secret = call.deps.id_secret
    me = principal_of(call.principal.arn)
    scope = paging.scope("ListNotifications", call.tenant, me)
    after = time_key(paging.read(ask.next_token, secret, scope))
    found = store.page(call.tx, me, after, paging.size(ask.max_results) + 1)
    shown, token = paging.page(
        found, ask.max_results, lambda n: (n.created_at, n.id), secret, scope
    )
    return am.ListNotificationsResponse(
        notifications=tuple(
            am.Notification(
                id=n.id,
                assessment_id=n.about.assessment_id,
                assessment_name=n.about.assessment_name,
                control_set_id=n.about.set_id or None,
                control_set_name=n.about.set_id or None,
                description=n.description,
                event_time=clock.wire(n.created_at),
                source=n.source,
            )
            for n in shown
        ),
        next_token=token,
    )


OPERATIONS = (pair(am.LIST_NOTIFICATIONS, list_notifications),)
