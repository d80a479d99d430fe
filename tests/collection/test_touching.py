"""A gap touches the controls that looked while it lasted, whoever was to bring what is missing."""

from __future__ import annotations

import pytest

from auditkeep.clock import DAY, Instant, parse
from auditkeep.collection.gaps import Gap
from auditkeep.collection.plan import EVENTS, TRAIL, Reach, make
from auditkeep.collection.targets import Place
from auditkeep.collection.touching import Touching, looks
from auditkeep.evidence.lens import FOREVER, Interval, Lens

ONE, HERE = "111111111111", "eu-west-1"
OPENED = parse("2026-05-01T10:00:00Z")
NOW = Instant(OPENED + 9 * DAY)
TRAILS = Reach(frozenset({HERE}), apart=frozenset({(ONE, HERE)}))
NO_TRAIL = Reach(frozenset({HERE}))


def touching(reach: Reach) -> Touching:
    """Of a first control that looks at events, and a second that looks at a rule."""
    lenses = {}
    for ordinal, key in ((1, "ec2:RunInstances"), (2, "config:RULE")):
        regions, accounts = frozenset({HERE}), frozenset({ONE})
        interval = Interval(frozenset({key}), accounts, regions, OPENED, Instant(FOREVER))
        lenses[ordinal] = Lens("a", ordinal, (interval,))
    return Touching(make(looks(lenses.values(), NOW), reach), lenses)


def gap(what: str, first_day: int, last_day: int | None, *, source: str = "AWS_Cloudtrail") -> Gap:
    closes = None if last_day is None else Instant(OPENED + last_day * DAY)
    place = Place(ONE, HERE, "AWS_Config" if source == "AWS_Config" else "AWS_Cloudtrail")
    opens = Instant(OPENED + first_day * DAY)
    return Gap("g", place, what, opens, closes, "denied", "", "No.", filled=False, noted_at=opens)


@pytest.mark.parametrize("reach", [TRAILS, NO_TRAIL], ids=["a trail now", "no trail now"])
@pytest.mark.parametrize("what", [EVENTS.what, TRAIL.what], ids=["asked then", "a trail then"])
def test_events_that_are_missing_stay_missing_whoever_brings_them_later(
    reach: Reach, what: str
) -> None:
    found = touching(reach)
    assert found.ordinals(gap(what, 1, 2)) == {1}
    assert found.ordinals(gap(what, 3, None)) == {1}
    assert found.ordinals(gap(what, -3, -2)) == set()


def test_a_gap_of_another_source_touches_who_looks_at_that() -> None:
    found = touching(TRAILS)
    assert found.ordinals(gap("", 1, 2, source="AWS_Config")) == {2}
    assert found.ordinals(gap("config:RULE", 1, 2, source="AWS_Config")) == {2}
    assert found.ordinals(gap("config:OTHER", 1, 2, source="AWS_Config")) == set()
