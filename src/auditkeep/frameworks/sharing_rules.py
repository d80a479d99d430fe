"""The life of a share request (spec sections 2.6, 8.3 and 10.7), as tables. Pure.

    status       becomes                           by
    (none)       ACTIVE                            sender: start, the recipient is registered there
                 FAILED                            sender: start, it cannot be delivered
    ACTIVE       EXPIRING                          time: 30 days are left (day 90)
                 SHARED   DECLINED                 recipient: ACCEPT, DECLINE
                 REVOKED                           sender: REVOKE, or deleting the framework
                 ACTIVE   FAILED                   sender: start again
    EXPIRING     EXPIRED                           time: none is left (day 120)
                 otherwise as ACTIVE
    SHARED       ACTIVE   FAILED                   sender: start again
    FAILED       (nothing)                         starting again makes a new request
    EXPIRED      (nothing)                         the same
    DECLINED     (nothing)                         the same
    REVOKED      (nothing)                         the same

Starting again renews the request that is there: a new snapshot, a new comment, 120 days from now.
A record may be deleted, by its own side only, once it is no longer ACTIVE or EXPIRING. ACCEPT
copies within its transaction, so that REPLICATING, which the API also knows, is never seen.

ACTIVE, EXPIRING and EXPIRED are one status that is kept and three that are shown: which one
follows from the present, whenever somebody looks. Nothing runs at day 90 or 120.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from auditkeep.clock import DAY, Instant
from auditkeep.errors import InvalidRequest
from auditkeep.frameworks.sharing_model import KeptStatus, ShareAction, ShareStatus, Side

LAST_DAYS: Final = 30 * DAY
"""How long before its end a request is EXPIRING."""

OPEN: Final = frozenset[ShareStatus]({"ACTIVE", "EXPIRING"})
"""A request that awaits its answer."""

RENEWED: Final = OPEN | {"SHARED"}
"""Starting again renews these; beside any other it makes a new request."""

DELETABLE: Final = frozenset[ShareStatus]({"SHARED", "FAILED", "EXPIRED", "DECLINED", "REVOKED"})


@dataclass(frozen=True, slots=True)
class Answer:
    """Something a side may do to an open request, and what the request becomes."""

    side: Side
    to: KeptStatus


ANSWERS: Final[Mapping[ShareAction, Answer]] = {
    "ACCEPT": Answer("RECEIVED", "SHARED"),
    "DECLINE": Answer("RECEIVED", "DECLINED"),
    "REVOKE": Answer("SENT", "REVOKED"),
}


def expiry(sent_at: Instant, days: int) -> Instant:
    """When a request ends that nobody answers: with AWS, 120 days after it was sent."""
    return Instant(sent_at + days * DAY)


def status_at(kept: KeptStatus, expires_at: Instant, now: Instant) -> ShareStatus:
    """The status to show at `now`; only a request that nobody has answered ages."""
    if kept != "ACTIVE" or now < expires_at - LAST_DAYS:
        return kept
    return "EXPIRING" if now < expires_at else "EXPIRED"


def check_side(action: ShareAction, side: Side) -> None:
    """ACCEPT and DECLINE are the recipient's, REVOKE is the sender's."""
    meant = ANSWERS[action].side
    if side != meant:
        raise InvalidRequest.of_field(
            "action", f"{action} is for requests of the type {meant}, not {side}."
        )


def after(action: ShareAction, status: ShareStatus) -> KeptStatus:
    """What an answer makes of a request; InvalidRequest where it comes too late."""
    if status not in OPEN:
        raise InvalidRequest(
            f"This share request is {status}; only one that is ACTIVE or EXPIRING can be "
            f"answered with {action}."
        )
    return ANSWERS[action].to


def check_delete(status: ShareStatus) -> None:
    if status not in DELETABLE:
        raise InvalidRequest(
            f"This share request is {status} and cannot be deleted. Wait for the recipient's "
            "answer, or end it first: the sender with REVOKE, the recipient with DECLINE."
        )
