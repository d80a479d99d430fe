"""What is heard waits in memory: bounded, counted where it is lost."""

from auditkeep.activity.heard import CLAIMS, NAMED, Buffer, Heard
from auditkeep.clock import MINUTE, Instant

NOW = Instant(100 * MINUTE)


def heard(number: int) -> Heard:
    return Heard(f"r{number}", "192.0.2.1", None)


def test_calls_come_out_in_the_order_they_were_heard() -> None:
    buffer = Buffer()
    for number in range(5):
        buffer.put(heard(number))
    assert [c.request_id for c in buffer.take(NOW, 3).calls] == ["r0", "r1", "r2"]
    assert [c.request_id for c in buffer.take(NOW).calls] == ["r3", "r4"]
    assert buffer.take(NOW).calls == []


def test_what_finds_no_room_is_counted_once() -> None:
    buffer = Buffer(most=2)
    for number in range(5):
        buffer.put(heard(number))
    taken = buffer.take(NOW)
    assert (len(taken.calls), taken.lost) == (2, 3)
    assert buffer.take(NOW).lost == 0


def test_strangers_are_told_when_their_minute_is_over_or_at_the_end() -> None:
    buffer = Buffer()
    buffer.count(NOW, "Code", "KEY", "192.0.2.1")
    assert buffer.take(NOW).strangers == []
    (minute,) = buffer.take(Instant(NOW + MINUTE)).strangers
    assert (minute.minute, minute.count) == (100, 1)
    buffer.count(NOW, "Code", "", "")
    (minute,) = buffer.take(NOW, end=True).strangers
    assert (minute.count, dict(minute.keys), dict(minute.peers)) == (1, {}, {})


def test_a_minute_names_only_so_many_and_counts_all() -> None:
    buffer = Buffer()
    for number in range(1000):
        buffer.count(NOW, "Code", f"KEY{number}", f"192.0.2.{number}")
    (minute,) = buffer.take(NOW, end=True).strangers
    assert minute.count == 1000
    assert len(minute.keys) == len(minute.peers) == NAMED


def test_claims_to_a_key_are_limited_each_minute() -> None:
    buffer = Buffer()
    assert [buffer.admits("K", NOW) for _ in range(CLAIMS + 2)].count(False) == 2
    assert buffer.admits("L", NOW)
    assert buffer.admits("K", Instant(NOW + MINUTE))
