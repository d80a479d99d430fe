"""A power cut: what was written but never synced is gone.

In the working process every `os.fsync` copies what it makes durable to a mirror: of a file its
bytes, of a folder its list of names. After the process has ended, `survivors` puts together what a
disk would hold that keeps what was synced and nothing else. The database's own files are
taken as they are: SQLite syncs them itself (`synchronous=FULL`, asserted in tests/db).
"""

import json
import os
import shutil
import stat
from pathlib import Path


def note_syncs(data: Path, mirror: Path) -> None:
    """From now on note in `mirror` what this process makes durable below `data`."""
    real = os.fsync
    root = data.resolve()
    mirror.mkdir(parents=True, exist_ok=True)

    def fsync(handle: int) -> None:
        real(handle)
        path = Path(f"/proc/self/fd/{handle}").resolve()
        if path != root and root not in path.parents:
            return
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            names = {e.name: e.inode() for e in os.scandir(path)}
            content = json.dumps(names).encode()
        else:
            content = os.pread(handle, status.st_size, 0) if _readable(handle) else _read(handle)
        kept = mirror / f"{status.st_ino}.new"
        kept.write_bytes(content)
        kept.replace(mirror / str(status.st_ino))

    os.fsync = fsync  # type: ignore[assignment]


def survivors(data: Path, mirror: Path, target: Path) -> None:
    """The data directory as it is after a power cut."""
    target.mkdir()
    for path in data.glob("audit.db*"):
        shutil.copy(path, target / path.name)
    names = json.loads((mirror / str(data.stat().st_ino)).read_bytes())
    for name, inode in names.items():
        if not name.startswith("audit.db"):
            _restore(inode, data / name, mirror, target / name)


def _restore(inode: int, path: Path, mirror: Path, target: Path) -> None:
    """`path`, as far as it was synced: a folder's names, a file's bytes (none if it was not)."""
    kept = mirror / str(inode)
    if path.is_dir():
        target.mkdir(mode=0o700)
        names = json.loads(kept.read_bytes()) if kept.exists() else {}
        for name, below in names.items():
            _restore(below, path / name, mirror, target / name)
    else:
        target.write_bytes(kept.read_bytes() if kept.exists() else b"")
        target.chmod(0o600)


def _readable(handle: int) -> bool:
    import fcntl

    return fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE != os.O_WRONLY


def _read(handle: int) -> bytes:
    return Path(f"/proc/self/fd/{handle}").read_bytes()
