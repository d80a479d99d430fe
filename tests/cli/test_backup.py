"""`auditkeep backup` from end to end: a deployment that has lived, its backups, and what comes back."""

import base64
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.deployment import TENANT, Deployment
from tests.cli.conftest import ACCOUNT, Run
from tests.cli.killing import killing
from tests.databases import BOTH
from tests.lake.destroyer import asked
from tests.lake.making import add, observation
from tests.s3 import BUCKET, REGION, S3Server

from auditkeep import app
from auditkeep.accounts import erasure
from auditkeep.app import Parts, backups
from auditkeep.app.erasures import certificate
from auditkeep.clock import DAY, FixedClock, Instant, parse
from auditkeep.db.schema import buckets, tenants
from auditkeep.errors import KeyUnusable
from auditkeep.ids import Tenant, new_id
from auditkeep.lake import governance
from auditkeep.lake.blobs import put_blob
from auditkeep.lake.destruction import destroy_class
from auditkeep.lake.seal import seal
from auditkeep.settings import load
from auditkeep.workflows.erase import erase_handler

AT = parse("2026-05-01T02:00:00Z")
LEAVING = Tenant("999988887777", "us-east-1")
WORD = "canaryinthebackup"


def build(folder: Path) -> Deployment:
    """A deployment that has lived: a segment, a tail, a file, what is private to an assessment."""
    clock = FixedClock(AT)
    made = Deployment(folder / "audit", clock)
    made.key = app.initialise(load(made.data), TENANT, clock).log_key
    with made.parts() as parts:
        for count in (6, 5):
            made.observe(parts, count)
        assert seal(parts.lake, TENANT, now=clock.now(), min_rows=11) is not None
        made.observe(parts, 4)
        with parts.db.write(TENANT) as tx:
            put_blob(tx, parts.lake, "manual/a", "manual/a/f", WORD.encode(), clock.now())
        raw = json.dumps({"userName": WORD}).encode()
        pinned = [observation(1, source="MANUAL", match_key="pinned:a/1", raw=raw)]
        add(parts.lake, "pinned", pinned, klass="manual/a", now=clock.now())
        parts.log_now()
    return made


class House:
    """Such a deployment, and the two places of its backups."""

    def __init__(self, made: Deployment, run: Run) -> None:
        self.run = run
        self.made = made
        self.clock = made.clock
        self.data = made.data
        self.folder = made.data.parent
        self.to, self.keys = self.folder / "backups", self.folder / "key-backups"

    @property
    def parts(self) -> Callable[[], Any]:
        return self.made.parts

    def ok(self, *words: str) -> Any:
        code, out, errors = self.run(*words, "--json")
        assert code == 0, out + errors
        return json.loads(out)

    def refused(self, *words: str) -> str:
        code, out, errors = self.run(*words)
        assert code == 1, out + errors
        return errors

    def create(self, *words: str) -> Any:
        where = ("--data", str(self.data), "--to", str(self.to), "--keys", str(self.keys))
        return self.ok("backup", "create", *where, *words)

    def verify(self, *words: str) -> tuple[int, Any]:
        code, out, errors = self.run(
            *("backup", "verify", "--from", str(self.to), "--keys", str(self.keys), "--json"),
            *words,
        )
        return code, json.loads(out) if out else errors

    def restoring(self, name: str, *words: str, keys: bool = True) -> tuple[str, ...]:
        """The command that restores into a new directory with nothing but the master key in it."""
        there = self.folder / name
        if not there.exists():
            (there / "keys").mkdir(parents=True, mode=0o700)
            shutil.copy(self.data / "keys" / "master.key", there / "keys" / "master.key")
        at = ("--keys", str(self.keys)) if keys else ()
        return ("backup", "restore", "--from", str(self.to), "--data", str(there), *at, *words)

    def restore(self, name: str, *words: str) -> Any:
        return self.ok(*self.restoring(name, *words))

    def audit(self, name: str) -> Any:
        return self.ok("log", "audit", "--data", str(self.folder / name))


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return build(tmp_path_factory.mktemp("backed-up"))


@pytest.fixture
def house(lived: Deployment, tmp_path: Path, run: Run) -> House:
    shutil.copytree(lived.data, tmp_path / "audit")
    return House(Deployment(tmp_path / "audit", FixedClock(lived.clock.now()), lived.key), run)


@pytest.fixture(params=BOTH)
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have whatever is opened from now on lie in another database."""
    url = ""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")

    def another() -> None:
        if url:
            from tests.postgres import fresh_database

            monkeypatch.setenv("AUDITKEEP_DATABASE_URL", fresh_database(url))

    return another


def test_a_backup_is_restored_into_an_empty_directory_and_is_sound(
    target: Callable[[], None], tmp_path: Path, run: Run
) -> None:
    target()
    house = House(build(tmp_path), run)
    made = house.create()
    assert made["objects"] == made["copied"] == 2
    assert house.verify("--key", house.made.key) == (0, house.verify("--data", str(house.data))[1])
    if "AUDITKEEP_DATABASE_URL" in os.environ:
        assert "it holds a deployment" in house.refused(*house.restoring("back"))
        assert [p.name for p in (house.folder / "back").iterdir()] == ["keys"], "nothing was put"
    target()
    told = house.restore("back")
    assert (told["restored"], told["stayDestroyed"]) == (made["id"], [])
    assert told["log"].endswith("/epoch-2"), "nobody knows what was published since"
    found = house.audit("back")
    assert found["state"] == "sound"
    assert "went back to the backup" in found["notices"][0]
    with Deployment(tmp_path / "back", house.clock).parts() as parts:
        house.made.observe(parts, 3)
        assert parts.list_keys(), "whoever could sign in can still"
    assert house.audit("back")["observations"] == found["observations"] + 3


def test_a_move_goes_on_with_the_same_log(house: House) -> None:
    house.create()
    newest = house.folder / "newest.txt"
    newest.write_text(house.run("log", "checkpoint", "--data", str(house.data))[1])
    told = house.restore("back", "--checkpoint", str(newest))
    assert "/epoch-" not in told["log"]
    assert house.audit("back")["notices"] == []


def test_a_drill_leaves_the_log_alone(house: House) -> None:
    house.create()
    assert house.restore("back", "--drill")["log"].startswith("held")
    found = house.audit("back")
    assert (found["state"], len(found["notices"])) == ("sound", 1)
    told = house.refused("stock", __file__, "s3://bucket/k", "--data",
                         str(house.folder / "back"), "--account", ACCOUNT)  # fmt: skip
    assert "was restored from the backup" in told
    assert house.ok("log", "recover", "--data", str(house.folder / "back"))["how"] == "epoch"


def test_objects_that_survived_go_on_with_the_log_they_have(house: House) -> None:
    house.create()
    with house.parts() as parts:
        house.made.observe(parts, 2)
    (house.data / "audit.db").unlink()
    back = house.folder / "back"
    back.mkdir()
    shutil.move(house.data / "objects", back / "objects")
    shutil.copytree(house.data / "keys", back / "keys")
    told = house.ok(*house.restoring("back", "--keep-objects", keys=False))
    assert "/epoch-" not in told["log"]
    assert len(told["lost"]) == 1, "what was logged after the backup is declared"
    assert house.audit("back")["state"] == "sound"


@pytest.mark.server
def test_objects_in_a_bucket_are_backed_up_and_survive(
    tmp_path: Path, run: Run, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at(prefix: str) -> None:
        monkeypatch.setenv("AUDITKEEP_OBJECTS", f"s3://{BUCKET}/{prefix}")

    at("one")
    monkeypatch.setenv("AUDITKEEP_OBJECTS_ENDPOINT_URL", s3.url)
    monkeypatch.setenv("AUDITKEEP_OBJECTS_REGION", REGION)
    house = House(build(tmp_path), run)
    assert house.create()["copied"] == 2
    with house.parts() as parts:
        house.made.observe(parts, 2)
    assert "There are objects at s3://" in house.refused(*house.restoring("back"))
    survived = house.restore("back", "--keep-objects")
    assert ("/epoch-" not in survived["log"], len(survived["lost"])) == (True, 1)
    assert house.audit("back")["state"] == "sound"
    at("two")
    assert house.restore("elsewhere")["log"].endswith("/epoch-2")
    assert house.audit("elsewhere")["state"] == "sound"


def test_one_flipped_bit_is_named_wherever_it_is(house: House) -> None:
    house.create()
    key = ("--key", house.made.key)
    assert house.verify(*key)[0] == 0
    files = [p for at in (house.to, house.keys) for p in at.rglob("*") if p.is_file()]
    files = [p for p in files if p.name != "auditkeep-backup"]  # says whose place it is, no more
    assert len(files) == 7
    for file in files:
        good = file.read_bytes()
        for at in (0, len(good) // 2, len(good) - 1):
            file.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            code, told = house.verify(*key)
            assert code == 1, (file, at, told)
            about = file.parent.name if file.name == "manifest" else file.name
            assert about in str(told["problems"]), (file, told)
        file.unlink()
        code, told = house.verify(*key)
        if file.name == "manifest":
            assert code == 1
            assert "no whole backup" in str(told)
        else:
            assert (code, file.name in str(told)) == (1, True)
        file.write_bytes(good)
    assert house.verify(*key)[0] == 0


def test_who_made_a_backup_is_told_by_a_key_that_was_known_before(house: House) -> None:
    house.create()
    code, told = house.verify()
    assert (code, told["state"]) == (2, "cannot tell")
    other = app.initialise(load(house.folder / "other"), TENANT, house.clock).log_key
    code, told = house.verify("--key", other)
    assert (code, "of another deployment" in str(told["problems"])) == (1, True)
    assert house.run("pin", other)[0] == 0
    assert house.verify()[0] == 2, "a pinned key of another log says nothing"
    assert house.run("pin", house.made.key)[0] == 0
    assert house.verify()[0] == 0


def test_nothing_of_a_customer_and_no_key_lies_in_clear_in_a_backup(house: House) -> None:
    house.create()
    stored = [p.read_bytes() for p in (house.data / "keys" / "buckets").iterdir()]
    master = (house.data / "keys" / "master.key").read_bytes().split()[1]
    log_key = b"PRIVATE KEY"
    import zstandard

    for place in (house.to, house.keys):
        for file in [p for p in place.rglob("*") if p.is_file()]:
            content = file.read_bytes()
            if file.parent.name == "database" or file.name == "objects":
                content += zstandard.decompress(content)
            assert WORD.encode() not in content + str(file).encode(), file
            assert master not in content
            assert log_key not in content
            if place == house.to:
                assert not [key for key in stored if key in content], "no key with the data"


@pytest.mark.slow
def test_killed_anywhere_a_backup_is_whole_or_none_and_goes_on(house: House) -> None:
    where = ("--data", str(house.data), "--to", str(house.to), "--keys", str(house.keys))
    with killing() as kill:
        for at in ("backup.object-copied", "backup.snapshot", "backup.before-manifest"):
            kill(at, "backup", "create", *where)
            assert backups.listed(house.to, None)["backups"] == []
        kill("backup.keys-kept", "backup", "create", *where)
        assert backups.listed(None, house.keys)["keys"] == []
        made = house.create()
        assert (made["copied"], made["objects"]) == (0, 2), "what was copied is not copied again"
        assert len(list((house.to / "points").iterdir())) == 2, "what was cut off is cleared away"
        assert house.verify("--key", house.made.key)[0] == 0
        places = ("restore.some-objects", "restore.before-commit", "restore.committed")
        for at in (*places, "recover.before-declared"):
            kill(at, *house.restoring("back"))
    assert house.restore("back")["restored"] == made["id"]
    assert house.audit("back")["state"] == "sound"


# --- keys ----------------------------------------------------------------------------------------


def copies_of(key: bytes, *places: Path) -> list[Path]:
    """Files in whose bytes a key is found, whatever they are, and however it is written."""
    forms = (key, key.hex().encode(), base64.b64encode(key))

    def holds(file: Path) -> bool:
        try:
            content = file.read_bytes()
        except FileNotFoundError:  # a database tidies up whenever it likes
            return False
        return any(form in content for form in forms)

    inside = (p for place in places for p in (place, *place.rglob("*")) if p.is_file())
    return [p for p in inside if holds(p)]


def destroy(house: House, parts: Parts) -> tuple[str, bytes, bytes]:
    """Destroy what is private to the assessment `a`: its bucket, what its key was, and wrapped."""
    with parts.db.read(TENANT) as tx:
        bucket = tx.scalar(tx.select(buckets.c.id).where(buckets.c["class"] == "manual/a"))
    key, wrapped = parts.lake.keys.key(TENANT, bucket), parts.lake.keystore.get(bucket)
    with parts.db.write(TENANT) as tx2:
        destroy_class(tx2, parts.lake, "manual/a", asked("a"), house.clock.now())
    parts.log_now()
    return str(bucket), key, wrapped


def database_files(parts: Parts, since: float) -> list[Path]:
    """Where the database keeps its pages, free ones too, and what it has written ahead."""
    if parts.db.embedded:
        return [parts.settings.data]
    with parts.db.system_read() as tx:
        told = tx.driver().exec_driver_sql("SHOW data_directory").scalar()
        oid = tx.driver().exec_driver_sql(
            "SELECT oid FROM pg_database WHERE datname = current_database()"
        )
        base = Path(str(told), "base", str(oid.scalar()))
    ahead = [p for p in Path(str(told), "pg_wal").iterdir() if p.is_file()]
    return [base, *(p for p in ahead if p.stat().st_mtime >= since)]


def create_at(house: House, days: int) -> Any:
    """A backup by the clock of the house, some days later."""
    house.clock.advance(days * DAY)
    with house.parts() as parts:
        return backups.create(parts, house.to, house.keys, None, lambda *_: None)


def test_a_destroyed_key_is_nowhere_but_in_backups_that_are_younger_than_certificates_say(
    target: Callable[[], None], tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    days, began = 2, time.time()
    monkeypatch.setenv("AUDITKEEP_KEY_BACKUP_DAYS", str(days))
    target()
    house = House(build(tmp_path), run)
    first = create_at(house, 0)
    shutil.copytree(house.keys, house.folder / "forgotten")
    with house.parts() as parts:
        key_store = parts.settings.keys_dir / "buckets"
        bucket, key, wrapped = destroy(house, parts)
        live = [*database_files(parts, began), house.data, house.to]
        found = copies_of(bucket.encode(), *live)
        assert any("wal" in f"{p.parent.name}/{p.name}" for p in found), "what is searched is used"
        assert copies_of(key, *live, house.keys) == [], "nor in WAL or free pages"
        assert copies_of(wrapped, *live, key_store) == []
    destroyed_at = house.clock.now()
    assert len(copies_of(wrapped, house.keys)) == 1, "a younger backup may hold it"
    create_at(house, days - 1)
    told = create_at(house, 1)
    assert house.clock.now() <= destroyed_at + days * DAY, "the promise of the certificate"
    assert copies_of(wrapped, *live, house.keys) == []
    kept = backups.listed(house.to, house.keys)
    assert len(kept["backups"]) == 3, "backups of data hold no key and may stay"
    assert len(told["keysPruned"]) == 1
    assert all(parse(one["goneBy"]) > house.clock.now() for one in kept["keys"])
    # a copy that nobody deleted
    target()
    house.restoring("back")
    settings = load(house.folder / "back")
    wanted = backups.Wanted(house.to, first["id"], house.folder / "forgotten")
    with pytest.raises(KeyUnusable, match="had to be gone by"):
        backups.restore(settings, house.clock, wanted, lambda *_: None)
    assert [p.name for p in settings.data.iterdir()] == ["keys"], "nothing was put"
    taken = replace(wanted, outdated_keys=True)
    backups.restore(settings, house.clock, taken, lambda *_: None)
    assert house.audit("back")["state"] == "sound"
    done = house.run("activity", "list", "--data", str(settings.data), "--json")[1]
    assert '"RestoreBackup"' in done
    assert '"keysOutdated":"true"' in done.replace(" ", "").replace("\\", "")


def test_the_setting_of_certificates_is_that_of_backups(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITKEEP_KEY_BACKUP_DAYS", "30")
    told = create_at(house, 0)
    assert parse(told["keysGoneBy"]) == house.clock.now() + 30 * DAY
    monkeypatch.setenv("AUDITKEEP_KEY_BACKUP_DAYS", "3")
    end = Instant(house.clock.now() + 3 * DAY)
    before = Instant(end - DAY)
    settings = load(house.data)
    days = settings.key_backup_days

    def checked(now: Instant) -> Any:
        key = [house.made.key]
        return backups.verify(house.to, "", house.keys, key, [], days, now, lambda *_: None)

    assert checked(before)["state"] == "whole"
    assert "had to be gone by" in str(checked(end)["problems"])
    assert backups.prune_keys_of(settings, house.keys, before) == []
    assert backups.prune_keys_of(settings, house.keys, end) == [told["keysId"]]
    monkeypatch.setenv("AUDITKEEP_KEY_BACKUP_DAYS", "0")
    with house.parts() as parts, pytest.raises(Exception, match="promises that no backup"):
        backups.create(parts, house.to, house.keys, None, lambda *_: None)


def test_what_was_destroyed_after_a_backup_stays_destroyed(house: House) -> None:
    """An old backup of data with the key store that is left, or with the newest backup of it."""
    first = house.create()
    with house.parts() as parts:
        bucket, *_ = destroy(house, parts)
    house.create()
    told = house.restore("back", "--point", first["id"])
    assert [one["bucket"] for one in told["stayDestroyed"]] == [bucket]
    assert told["stayDestroyed"][0]["class"] == "manual/a"
    found = house.audit("back")
    assert found["state"] == "sound"
    assert any("which had been destroyed since the backup" in n for n in found["notices"])
    assert copies_of(b"auditkeep/blob/1", house.folder / "back" / "objects") == []


def test_a_tenant_that_had_left_with_everything_does_not_come_back(house: House) -> None:
    with house.parts() as parts:
        with parts.db.write(LEAVING) as tx:
            from auditkeep.accounts import store
            from auditkeep.accounts.model import TenantSettings

            store.register(tx, None, house.clock.now())
            store.save_settings(tx, TenantSettings(), "DEFAULT")
        parts.log_now()
    first = create_at(house, 0)
    with house.parts() as parts:
        with parts.db.write(LEAVING) as tx:
            given = governance.authority(
                governance.DEREGISTER_ACCOUNT, "arn:x", "r", "", house.clock.now()
            )
            governance.record(
                tx, parts.lake, [given], principal="arn:x", run="r", now=house.clock.now()
            )
            begun = erasure.begin(tx, new_id(), given.id, house.clock.now(), 10)
        parts.log_now()
        handler = erase_handler(parts.deps, house.clock, parts.deps.caches.clear)
        from threading import Thread

        erasing = Thread(target=handler.run, args=(LEAVING, begun.id))
        erasing.start()
        while erasing.is_alive():
            parts.log_now()
            erasing.join(0.05)
        with parts.db.read(LEAVING) as tx2:
            assert tx2.scalar(tx2.select(tenants.c.status)) == "ERASED"
        certified = json.loads(certificate(parts, LEAVING))
    assert parse(first["keysGoneBy"]) <= parse(certified["outOfBackupsBy"])
    assert f"longer than {parts.settings.key_backup_days} days" in certified["statement"]
    house.create()
    told = house.restore("back", "--point", first["id"])
    assert {one["account"] for one in told["stayDestroyed"]} == {LEAVING.account}
    with (
        Deployment(house.folder / "back", house.clock).parts() as parts,
        parts.db.read(LEAVING) as tx3,
    ):
        assert tx3.scalar(tx3.select(tenants.c.status)) == "ERASED"
        assert tx3.scalar(tx3.select(tenants.c.settings)) is None
    assert house.audit("back")["state"] == "sound"


# --- refused -------------------------------------------------------------------------------------


def test_a_restore_replaces_nothing(house: House) -> None:
    house.create()
    words = house.restoring("back")
    (house.folder / "back" / "mine.txt").write_text("mine")
    assert "is not empty ('mine.txt')" in house.refused(*words)
    (house.folder / "back" / "mine.txt").unlink()
    (house.folder / "back" / "keys" / "log.key").write_text("mine")
    assert "There is a key store" in house.refused(*words)
    assert "There is no key store" in house.refused(*house.restoring("third", keys=False))
    house.restore("second")
    assert "is not empty" in house.refused(*house.restoring("second"))


def test_a_restore_refuses_what_does_not_belong_together(house: House) -> None:
    house.create()
    older = house.folder / "older-keys"
    shutil.copytree(house.keys, older)
    with house.parts() as parts, parts.db.write(TENANT) as tx:
        put_blob(tx, parts.lake, "manual/b", "manual/b/f", b"new", house.clock.now())
    house.create()
    words = ("backup", "restore", "--from", str(house.to), "--keys", str(older), "--data")
    house.restoring("back")
    assert "which is older than the backup of data" in house.refused(
        *words, str(house.folder / "back")
    )
    other = House(build(house.folder / "other"), house.run)
    other.create()
    words = ("backup", "restore", "--from", str(house.to), "--keys", str(other.keys), "--data")
    house.restoring("third")
    assert "of another deployment" in house.refused(*words, str(house.folder / "third"))


def test_a_restore_refuses_a_backup_that_is_not_whole(house: House) -> None:
    house.create()
    next((house.to / "objects").rglob("??????????*")).unlink()
    told = house.refused(*house.restoring("back"))
    assert "is not whole, and nothing was restored" in told
    assert not (house.folder / "back" / "audit.db").exists()


def test_places_of_data_keys_and_backups_lie_apart(house: House) -> None:
    where = ("backup", "create", "--data", str(house.data))
    inside = str(house.data / "backups")
    assert "lies in the data directory" in house.refused(*where, "--to", inside)
    to = ("--to", str(house.to), "--keys", str(house.to / "keys"))
    assert "lie in each other" in house.refused(*where, *to)
    house.create()
    swapped = ("--to", str(house.keys), "--keys", str(house.to))
    assert "lie apart" in house.refused(*where, *swapped)


def test_keys_are_not_backed_up_without_one_that_cannot_be_read(house: House) -> None:
    broken = house.data / "keys" / "buckets" / "11111111-2222-4333-8444-555555555555"
    broken.mkdir()
    where = ("--data", str(house.data), "--to", str(house.to), "--keys", str(house.keys))
    code, _, errors = house.run("backup", "create", *where)
    assert code != 0
    assert f"{broken} cannot be read" in errors
    assert not list(house.keys.rglob("keys"))
