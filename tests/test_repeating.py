"""Work on a thread of its own: turn after turn, whatever one of them meets, until it is stopped."""

import logging
import threading
import time

import pytest

from auditkeep.errors import InputError
from auditkeep.repeating import Repeating

LOG = logging.getLogger("auditkeep.test")


def test_a_failure_is_told_and_the_next_turn_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()
    turns: list[Exception | None] = [InputError("no answer"), ValueError("a slip"), None]

    def turn() -> None:
        met = turns.pop(0) if turns else None
        if met is not None:
            raise met
        done.set()

    work = Repeating("test", turn, 0.01, log=LOG, put_off="Later")
    work.start()
    assert done.wait(10)
    work.stop()
    assert "Later: no answer" in caplog.messages
    assert "A turn of the thread 'test' met a defect." in caplog.messages


def test_a_pause_ends_when_it_is_stopped() -> None:
    taken = threading.Event()
    work = Repeating("test", taken.set, 600, log=LOG, put_off="Later")
    work.start()
    assert taken.wait(10)
    began = time.monotonic()
    work.stop()
    assert time.monotonic() - began < 60
    assert work.stopping


def test_the_first_turn_may_wait_as_the_others_do() -> None:
    taken = threading.Event()
    work = Repeating("test", taken.set, 600, log=LOG, put_off="Later", at_once=False)
    work.start()
    work.stop()
    assert not taken.is_set()


def test_after_a_failure_the_pause_is_another_one() -> None:
    done = threading.Event()
    failures = [InputError("first")]

    def turn() -> None:
        if failures:
            raise failures.pop()
        done.set()

    work = Repeating("test", turn, 600, log=LOG, put_off="Later", after_failure=0.01)
    work.start()
    assert done.wait(10)
    work.stop()


def test_what_was_never_started_is_stopped_all_the_same() -> None:
    work = Repeating("test", lambda: None, 1, log=LOG, put_off="Later")
    work.stop()
    assert work.stopping
