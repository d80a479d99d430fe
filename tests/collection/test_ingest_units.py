"""Units: what is the same file, when it is read again, how a large one is cut."""

import gzip
import json
from pathlib import Path

import pytest

from auditkeep.collection import ingest
from auditkeep.collection.counts import MOST_REJECTIONS, Counts
from auditkeep.collection.ingest import Part, collect_rules, question, read_opened, unit_id, walk
from auditkeep.errors import InputError
from auditkeep.ids import Tenant
from auditkeep.mapping.interest import Interest
from auditkeep.sources import files
from auditkeep.sources.records import Context, Rejected, Tally
from auditkeep.sources.rules import Rule, Rules, Source
from auditkeep.sources.secrets import Cutter

TENANT = Tenant("111122223333", "us-east-1")
CONTEXT = Context(TENANT, Interest.everything(), Cutter(b"k"))


class Watching:
    """Notes what it hears."""

    def __init__(self, known: set[str] | None = None) -> None:
        self.known = known or set()
        self.rejections: list[Rejected] = []
        self.records = 0

    def committed(self, unit: str) -> bool:
        return unit in self.known

    def seen(self, tally: Tally) -> None:
        self.records = tally.records

    def rejected(self, rejected: Rejected) -> None:
        self.rejections.append(rejected)


def events(path: Path, count: int, size: int = 10) -> Path:
    records = [
        {
            "eventID": f"id-{n}",
            "eventName": "CreateUser",
            "eventSource": "iam.amazonaws.com",
            "eventTime": "2026-04-01T00:00:00Z",
            "requestParameters": {"filling": "x" * size},
        }
        for n in range(count)
    ]
    path.write_text(json.dumps({"Records": records}))
    return path


def parts(path: Path, watching: Watching | None = None, context: Context = CONTEXT) -> list[Part]:
    asked = question("cloudtrail", context)
    watcher = watching or Watching()
    with files.opened(path) as (file, content):
        return list(read_opened(str(path), file, content, "cloudtrail", context, asked, watcher))


def test_a_small_file_is_one_unit_named_by_its_content(tmp_path: Path) -> None:
    (first,) = parts(events(tmp_path / "a", 3))
    (second,) = parts(events(tmp_path / "b", 3))
    (other,) = parts(events(tmp_path / "c", 4))
    assert first.last
    assert [o.position for o in first.observations] == ["Records[0]", "Records[1]", "Records[2]"]
    assert first.unit.id == second.unit.id != other.unit.id
    assert (first.unit.name, second.unit.name) == (str(tmp_path / "a"), str(tmp_path / "b"))


def test_a_file_without_observations_is_a_unit_too(tmp_path: Path) -> None:
    (part,) = parts(events(tmp_path / "a", 0))
    assert part.last
    assert part.observations == []


def test_a_committed_file_is_not_read(tmp_path: Path) -> None:
    path = events(tmp_path / "a", 3)
    (part,) = parts(path)
    assert parts(path, Watching({part.unit.id})) == []


@pytest.mark.parametrize(("rows", "size"), [(10, 1 << 30), (1 << 30, 2_000)])
def test_a_large_file_is_cut_into_parts_of_which_the_last_stands_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, size: int
) -> None:
    monkeypatch.setattr(ingest, "MAX_ROWS", rows)
    monkeypatch.setattr(ingest, "MAX_BYTES", size)
    watching = Watching()
    found = parts(events(tmp_path / "a", 95), watching)
    assert sum(len(p.observations) for p in found) == watching.records == 95
    assert len(found) >= 8
    assert [p.last for p in found] == [False] * (len(found) - 1) + [True]
    assert [p.full for p in found[:-1]] == [True] * (len(found) - 1)
    whole = found[-1].unit.id
    assert [p.unit.id for p in found[:-1]] == [f"{whole}/part-{n}" for n in range(1, len(found))]
    assert [p.unit.id for p in parts(tmp_path / "a")] == [p.unit.id for p in found]


def test_the_same_file_is_another_unit_when_more_is_wanted_of_it() -> None:
    cutter = Cutter(b"other")
    rules = Rules([Rule("r", "", Source("AWS", "X"))])
    contexts = [
        CONTEXT,
        Context(TENANT, Interest.of(["iam:CreateUser"]), cutter),
        Context(TENANT, Interest.of(["iam:CreateUser", "iam:DeleteUser"]), cutter),
        Context(TENANT, Interest.everything(), cutter, reads=True),
        Context(TENANT, Interest.everything(), cutter, rules=rules),
    ]
    asked = [question("cloudtrail", c) for c in contexts] + [question("config", CONTEXT)]
    assert len({unit_id(a, b"content") for a in asked}) == len(asked)
    same = Context(TENANT, Interest.everything(), cutter)
    assert question("cloudtrail", same) == question("cloudtrail", CONTEXT)


def test_rejections_are_heard_with_their_position(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"Records":[{"eventName":"x"},5]}')
    watching = Watching()
    parts(tmp_path / "a", watching)
    assert [r.position for r in watching.rejections] == ["Records[0]", "Records[1]"]


def test_a_file_that_cannot_be_read_raises_and_one_cut_off_gives_its_beginning(
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError):
        parts(tmp_path / "missing")
    whole = events(tmp_path / "a", 2_000, 1_000).read_bytes()
    (tmp_path / "cut.gz").write_bytes(gzip.compress(whole)[:-500])
    watching = Watching()
    (part,) = parts(tmp_path / "cut.gz", watching)
    assert len(part.observations) > 1_000
    assert watching.rejections[-1].reason.startswith("Its gzip data ends early")


def test_folders_are_walked_in_order_and_links_to_folders_are_not(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a/z/1", "c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "d").symlink_to(tmp_path / "missing")
    found = list(walk([tmp_path, tmp_path / "nothing"]))
    assert found == [
        tmp_path / "a/z/1",
        tmp_path / "b/1",
        tmp_path / "b/2",
        tmp_path / "c",
        (tmp_path / "d", "There is no such file or folder."),
        (tmp_path / "nothing", "There is no such file or folder."),
    ]


def test_rules_are_collected_from_whatever_defines_them(tmp_path: Path) -> None:
    rule = {"ConfigRuleName": "r", "Source": {"Owner": "AWS", "SourceIdentifier": "X"}}
    (tmp_path / "a.json").write_text(json.dumps({"ConfigRules": [rule]}))
    (tmp_path / "b.json").write_text("no JSON")
    (tmp_path / "c.gz").write_bytes(gzip.compress(b"[]")[:-4])
    rules = Rules()
    collect_rules([tmp_path], rules)
    found = rules.find("r")
    assert found is not None
    assert found.source.identifier == "X"
    assert len(rules) == 1


def test_rejections_of_one_file_are_told_up_to_a_number() -> None:
    counts = Counts()
    for told in range(MOST_REJECTIONS + 50):
        counts.reject("a", f"Records[{told}]", "it is bad", told)
    assert counts.rejections == MOST_REJECTIONS + 50
    assert len(counts.rejected) == MOST_REJECTIONS + 1
