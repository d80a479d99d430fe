"""An HSM for tests: SoftHSM2 from the system's packages, with a token of its own for each test."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import missing

PIN = "5678"
TOKEN = "audit token"

_PLACES = (
    Path(sys.prefix) / "lib/softhsm/libsofthsm2.so",
    *Path("/usr/lib").glob("*/softhsm/libsofthsm2.so"),
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/local/lib/softhsm/libsofthsm2.so"),
)


def module() -> Path:
    """The PKCS#11 library."""
    found = [place for place in _PLACES if place.exists()]
    if not found or shutil.which(_util()) is None:
        missing("SoftHSM2 is not there: make install-dev, or apt-get install softhsm2")
    return found[0]


def new_token(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh token named TOKEN in `folder`; the library to reach it through.

    The library reads where its tokens are when it is loaded, so what was loaded before is unloaded.
    """
    import pkcs11

    library = module()
    pkcs11.unload(str(library))
    tokens = folder / "tokens"
    tokens.mkdir()
    config = folder / "softhsm2.conf"
    config.write_text(
        f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    monkeypatch.setenv("SOFTHSM2_CONF", str(config))
    subprocess.run(
        [
            _util(),
            "--module",
            str(library),
            "--init-token",
            "--free",
            "--label",
            TOKEN,
            "--so-pin",
            "1234",
            "--pin",
            PIN,
        ],
        check=True,
        capture_output=True,
        env=os.environ,
    )
    return library


def _util() -> str:
    beside = Path(sys.prefix) / "bin/softhsm2-util"
    return str(beside) if beside.exists() else "softhsm2-util"
