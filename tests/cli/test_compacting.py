"""Who merges small segments: the thread's turn, one process at a time, and the command."""

import json
from pathlib import Path

from tests.cli.conftest import ACCOUNT, Run
from tests.lake.making import add, observation

from auditkeep import app
from auditkeep.app.compacting import Compacting
from auditkeep.app.parts import Parts
from auditkeep.app.places import Places
from auditkeep.clock import DAY, FixedClock, Instant, parse
from auditkeep.db.schema import segments
from auditkeep.ids import Tenant
from auditkeep.lake.seal import seal
from auditkeep.settings import load

HERE = Tenant(ACCOUNT, "us-east-1")
AT = parse("2026-05-01T12:00:00Z")


def lived(folder: Path) -> FixedClock:
    """A deployment with three small segments of a month that is over."""
    clock = FixedClock(AT)
    app.initialise(load(folder), HERE, clock)
    with app.opened(load(folder), clock) as parts:
        for number in range(3):
            add(parts.lake, f"unit-{number}", [observation(number)], tenant=HERE, now=AT)
            assert seal(parts.lake, HERE, now=AT, min_rows=1) is not None
    clock.at = Instant(AT + 60 * DAY)
    return clock


def facts(parts: Parts) -> list[int]:
    with parts.db.read(HERE) as tx:
        return [row.rows for row in tx.all(tx.select(segments.c.rows))]


def test_a_turn_merges_what_should_be(tmp_path: Path) -> None:
    with app.opened(load(tmp_path / "data"), lived(tmp_path / "data")) as parts:
        Compacting(parts).turn()
        assert facts(parts) == [3]


def test_one_process_at_a_time_has_the_turn(tmp_path: Path) -> None:
    with app.opened(load(tmp_path / "data"), lived(tmp_path / "data")) as parts:
        hold = parts.db.hold("compactor", Places.of(parts.settings).compact_lock)
        Compacting(parts).turn()
        assert facts(parts) == [1, 1, 1]
        hold.release()
        Compacting(parts).turn()
        assert facts(parts) == [3]


def test_what_fails_with_one_account_holds_no_other(tmp_path: Path) -> None:
    clock = lived(tmp_path / "data")
    with app.opened(load(tmp_path / "data"), clock) as parts:
        for name in parts.lake.objects.list(f"segments/{ACCOUNT}/"):
            parts.lake.objects.delete(name)
        Compacting(parts).turn()  # told, and no error
        assert facts(parts) == [1, 1, 1]


def test_the_command_says_what_it_did_and_what_is_left(tmp_path: Path, run: Run) -> None:
    lived(tmp_path / "data")
    words = ("compact", "--data", str(tmp_path / "data"), "--json")
    code, out, _ = run(*words, "--account", ACCOUNT, "--everything")
    assert code == 0
    done = json.loads(out)
    assert done == {"merged": 1, "replaced": 3, "observations": 3, "left": 0}
    assert json.loads(run(*words)[1])["merged"] == 0
