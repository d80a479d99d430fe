"""A bounded run of the generator; `make fuzz` is the long one."""

from pathlib import Path

import pytest
from tests.fuzz.inside import in_process
from tests.fuzz.running import OPERATIONS, Fuzz, Tally
from tests.fuzz.served import served

from auditkeep.wire import codec

SEED = 20260501


def after(fuzz: Fuzz, count: int) -> Tally:
    fuzz.prepare()
    for _ in fuzz.run(count):
        continue
    return fuzz.tally


def found(tally: Tally) -> str:
    return "\n".join(str(finding) for finding in tally.findings)


@pytest.mark.slow
def test_whatever_is_asked_is_answered_in_shape(tmp_path: Path) -> None:
    with in_process(tmp_path / "data") as target:
        tally = after(Fuzz(target, SEED), 4_000)
    assert not tally.findings, found(tally)
    assert tally.requests == 4_000
    assert tally.statuses[200] > 1_000, "too few get past the gate"
    assert len(tally.answered) > len(OPERATIONS) * 0.85


@pytest.mark.slow
@pytest.mark.postgres
def test_whatever_is_asked_is_answered_in_shape_on_postgresql(
    tmp_path: Path, postgres_url: str
) -> None:
    from tests.postgres import fresh_database

    with in_process(tmp_path / "data", database=fresh_database(postgres_url)) as target:
        tally = after(Fuzz(target, SEED + 1), 600)
    assert not tally.findings, found(tally)


@pytest.mark.slow
@pytest.mark.server
def test_whatever_bytes_arrive_are_answered_in_shape(tmp_path: Path) -> None:
    with served(tmp_path) as target:
        tally = after(Fuzz(target, SEED + 2), 500)
    assert not tally.findings, found(tally)


def test_the_same_seed_asks_the_same(tmp_path: Path) -> None:
    runs = []
    for name in ("one", "two"):
        with in_process(tmp_path / name) as target:
            tally = after(Fuzz(target, 7), 60)
            runs.append((dict(tally.statuses), dict(tally.answered)))
    assert runs[0] == runs[1]


def test_a_server_that_fails_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with in_process(tmp_path / "data") as target:
        fuzz = Fuzz(target, SEED)
        fuzz.prepare()
        monkeypatch.setattr(codec, "encode", lambda _: b"null")
        for _ in fuzz.run(20):
            continue
    assert fuzz.tally.findings
