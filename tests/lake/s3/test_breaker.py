import threading
import time

import pytest

from auditkeep.errors import ObjectMissing, StoreAway
from auditkeep.lake.s3.breaker import Breaker


def silence() -> None:
    raise StoreAway("nobody there", silent=True)


def test_after_silence_nobody_waits_until_it_is_time_to_try() -> None:
    breaker, asked = Breaker(pause=0.2), []
    with pytest.raises(StoreAway):
        breaker.through(silence)
    with pytest.raises(StoreAway, match="nobody there"):
        breaker.through(lambda: asked.append("too soon"))
    time.sleep(0.25)
    assert breaker.through(lambda: "answer") == "answer"
    assert breaker.through(lambda: "another") == "another"
    assert asked == []


def test_one_tries_and_the_others_do_not_wait_for_it() -> None:
    breaker, begun, end = Breaker(pause=0.0), threading.Event(), threading.Event()
    with pytest.raises(StoreAway):
        breaker.through(silence)

    def slow() -> None:
        begun.set()
        assert end.wait(10)

    trying = threading.Thread(target=breaker.through, args=(slow,))
    trying.start()
    assert begun.wait(10)
    with pytest.raises(StoreAway, match="nobody there"):
        breaker.through(lambda: "beside")
    end.set()
    trying.join()
    assert breaker.through(lambda: "again") == "again"


def refusal() -> None:
    raise StoreAway("denied")


def missing() -> None:
    raise ObjectMissing("no such object")


def defect() -> None:
    raise ValueError


@pytest.mark.parametrize("answer", [refusal, missing, defect])
def test_any_end_but_silence_ends_it(answer: object) -> None:
    breaker = Breaker(pause=0.0)
    with pytest.raises(StoreAway):
        breaker.through(silence)
    with pytest.raises((StoreAway, ObjectMissing, ValueError)):
        breaker.through(answer)  # type: ignore[arg-type]
    assert breaker.through(lambda: "answer") == "answer"
    with pytest.raises((StoreAway, ObjectMissing, ValueError)):
        breaker.through(answer)  # type: ignore[arg-type]
    assert breaker.through(lambda: "answer") == "answer"
