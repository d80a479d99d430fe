"""The life of a share request, move by move and day by day."""

from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.clock import DAY, Instant
from auditkeep.errors import InvalidRequest
from auditkeep.frameworks import sharing_rules as rules
from auditkeep.frameworks.sharing_model import KeptStatus, ShareAction, ShareStatus, Side

SENT = Instant(1_700_000_000_000_000)
END = rules.expiry(SENT, 120)
STATUSES: tuple[ShareStatus, ...] = get_args(ShareStatus)
KEPT: tuple[KeptStatus, ...] = get_args(KeptStatus)
ACTIONS: tuple[ShareAction, ...] = get_args(ShareAction)

LEGAL: dict[tuple[str, str], str] = {
    ("ACTIVE", "ACCEPT"): "SHARED",
    ("ACTIVE", "DECLINE"): "DECLINED",
    ("ACTIVE", "REVOKE"): "REVOKED",
    ("EXPIRING", "ACCEPT"): "SHARED",
    ("EXPIRING", "DECLINE"): "DECLINED",
    ("EXPIRING", "REVOKE"): "REVOKED",
}


@pytest.mark.parametrize(("status", "action"), list(product(STATUSES, ACTIONS)))
def test_only_an_open_request_can_be_answered(status: ShareStatus, action: ShareAction) -> None:
    if (status, action) in LEGAL:
        assert rules.after(action, status) == LEGAL[status, action]
    else:
        with pytest.raises(InvalidRequest, match=f"is {status}; only one"):
            rules.after(action, status)


@pytest.mark.parametrize(
    ("action", "side"), [("ACCEPT", "RECEIVED"), ("DECLINE", "RECEIVED"), ("REVOKE", "SENT")]
)
def test_each_answer_belongs_to_one_side(action: ShareAction, side: Side) -> None:
    rules.check_side(action, side)
    other: Side = "SENT" if side == "RECEIVED" else "RECEIVED"
    with pytest.raises(InvalidRequest, match="action"):
        rules.check_side(action, other)


@pytest.mark.parametrize("status", STATUSES)
def test_a_record_is_deleted_only_when_nothing_is_under_way(status: ShareStatus) -> None:
    if status in {"ACTIVE", "EXPIRING", "REPLICATING"}:
        with pytest.raises(InvalidRequest, match=status):
            rules.check_delete(status)
    else:
        rules.check_delete(status)


@pytest.mark.parametrize(
    ("at", "status"),
    [
        (0, "ACTIVE"),
        (90 * DAY - 1, "ACTIVE"),
        (90 * DAY, "EXPIRING"),
        (120 * DAY - 1, "EXPIRING"),
        (120 * DAY, "EXPIRED"),
        (1000 * DAY, "EXPIRED"),
    ],
)
def test_an_unanswered_request_ages(at: int, status: ShareStatus) -> None:
    assert rules.status_at("ACTIVE", END, Instant(SENT + at)) == status


@given(st.sampled_from(KEPT), st.integers(0, 400 * DAY), st.integers(0, 400 * DAY))
def test_time_runs_one_way_and_touches_no_answer(kept: KeptStatus, one: int, two: int) -> None:
    first, second = sorted((one, two))
    before = rules.status_at(kept, END, Instant(SENT + first))
    after = rules.status_at(kept, END, Instant(SENT + second))
    if kept == "ACTIVE":
        ages = ["ACTIVE", "EXPIRING", "EXPIRED"]
        assert ages.index(before) <= ages.index(after)
    else:
        assert before == after == kept
