"""`auditkeep keys show|new|rotate|log|report|escrow|recover`: keys that protect data and sign."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import DEFAULT_REGION, Data, Json, Region, report

Signing = Annotated[
    str, Parameter(help="`local`, a KMS key's ARN or a pkcs11: URI; an HSM makes it if it must.")
]


def new() -> int:
    """Print a new local master key, one line of base64, to be kept where you give it from."""
    import base64

    from auditkeep.crypto.aead import new_key

    print(base64.b64encode(new_key()).decode())
    return 0


def show(*, data: Data, json: Json = False) -> int:
    """The deployment's master keys by name, newest last: more than one while a rotation lasts.

    And where the keys of the log and of reports are.
    """
    from auditkeep.app.places import Places
    from auditkeep.crypto.signers import name_of

    with deployment(data) as parts:
        ring = parts.lake.keys.ring
        names = list(ring.key_ids)
        body = {"source": ring.masters.source, "keys": names, "current": names[-1]}
        places = Places.of(parts.settings)
        signing = {"log": name_of(places.log_key), "report": name_of(places.report_key)}
        report({**body, **signing}, as_json=json)
    return 0


def log_key(*, data: Data, to: Signing, json: Json = False) -> int:
    """Sign the log with another key from now on: the log's next epoch, while no server runs.

    The former key vouches for the new one, in every report too: whoever has pinned it can follow.
    Hand out the new one all the same.
    """
    from auditkeep.app.signing import change_log_key

    with deployment(data) as parts:
        vkey = change_log_key(parts, to)
    report({"logKey": vkey}, as_json=json)
    return 0


def report_key(*, data: Data, to: Signing, json: Json = False) -> int:
    """Sign reports with another key; a server that runs does so after its next start.

    Nobody need be told: each report carries the log's word for the key that signed it.
    """
    from auditkeep.app.signing import change_report_key

    with deployment(data) as parts:
        name = change_report_key(parts, to)
    report({"reportKey": name}, as_json=json)
    return 0


def rotate(
    *,
    data: Data,
    tenant: Annotated[
        str, Parameter(help="Only what this account has, to the key its new data goes under.")
    ] = "",
    region: Region = DEFAULT_REGION,
    to: Annotated[
        str, Parameter(help="`local`, a KMS key's ARN or a pkcs11: URI; empty: the kind there is.")
    ] = "",
    json: Json = False,
) -> int:
    """Wrap every data key anew, under a new master key; content stays as it is.

    A server may go on running. Interrupted, it goes on when run again. The old master key is taken
    off the list when nothing is wrapped under it any more; exit 2 says that it is needed still.
    """
    from auditkeep.cli.progress import RotationProgress
    from auditkeep.ids import Tenant

    quiet = json or not sys.stderr.isatty()
    whose = Tenant(tenant, region) if tenant else None
    with (
        deployment(data) as parts,
        RotationProgress(quiet=quiet) as progress,
    ):
        done = parts.rotate_keys(whose, to, progress)
    body: dict[str, object] = {
        "masterKey": done.master,
        "wrapped": done.keys,
        "unchanged": done.unchanged,
        "retired": list(done.retired),
    }
    if done.left:
        body["left"] = list(done.left)
    report(body, as_json=json)
    if done.waiting:
        print(
            f"auditkeep: {done.waiting} keys may be about to be used under the old master key, "
            "which stays. Run this again in an hour.",
            file=sys.stderr,
        )
        return 2
    return 0


def escrow(
    *,
    data: Data,
    out: Annotated[Path, Parameter(help="A folder for shares, or the file of a sealed copy.")],
    shares: Annotated[int, Parameter(help="How many shares are made.")] = 0,
    threshold: Annotated[int, Parameter(help="How many of them open the key.")] = 0,
    passphrase_file: Annotated[
        Path | None, Parameter(help="Seal with the passphrase in this file's first line.")
    ] = None,
    recipient: Annotated[
        Path | None, Parameter(help="Seal to the X25519 public key (PEM) in this file.")
    ] = None,
    json: Json = False,
) -> int:
    """Copy the master key for the day this machine is gone: in shares, or sealed.

    Take what is written away from here. The copy opens every backup of the key directory, together
    with that backup; alone it opens nothing. The activity log has a record of it before it is made.
    """
    from auditkeep.app import escrow as app
    from auditkeep.app import opened
    from auditkeep.clock import SystemClock
    from auditkeep.crypto import escrow as crypto
    from auditkeep.errors import SetupError
    from auditkeep.settings import load

    ways = [bool(shares or threshold), passphrase_file is not None, recipient is not None]
    if sum(ways) != 1:
        raise SetupError(
            "Name one way: --shares 5 --threshold 3, --passphrase-file FILE or --recipient FILE."
        )
    settings = load(data)
    if settings.crypto == "approved" and not ways[0]:
        raise SetupError(
            "AUDITKEEP_CRYPTO=approved admits neither scrypt nor X25519, which seal such a copy. "
            "Split the key: --shares 5 --threshold 3."
        )
    secret = app.secret(settings)
    name = crypto.name_of(secret)
    if passphrase_file is not None:
        how, made = "passphrase", {out: crypto.with_passphrase(secret, _line(passphrase_file))}
    elif recipient is not None:
        how, made = "recipient", {out: crypto.to_recipient(secret, _read(recipient))}
    else:
        how = f"{threshold} of {shares} shares"
        texts = crypto.shares(secret, threshold, shares)
        made = {
            out / f"share-{number}-of-{shares}.txt": f"{text}\n".encode()
            for number, text in enumerate(texts, 1)
        }
    told = {"keyId": name, "how": how}
    with opened(settings, SystemClock()) as parts:
        parts.db.system_change(lambda tx: parts.note(tx, "EscrowMasterKey", told))
    for path, content in made.items():
        app.write(path, content)
    app.note(settings, name, how, SystemClock().now())
    body = {"masterKey": name, "how": how, "files": [str(path) for path in made]}
    report(body, as_json=json)
    return 0


def recover(
    *files: Annotated[Path, Parameter(help="Share files, or one sealed copy.")],
    data: Data,
    passphrase_file: Annotated[Path | None, Parameter(help="What opens a sealed copy.")] = None,
    identity: Annotated[
        Path | None, Parameter(help="The X25519 private key (PEM) that opens a sealed copy.")
    ] = None,
    json: Json = False,
) -> int:
    """Put the master key back from shares or a sealed copy; a key that is there stays."""
    from auditkeep.app import escrow as app
    from auditkeep.crypto import escrow as crypto
    from auditkeep.errors import SetupError
    from auditkeep.settings import load

    if not files:
        raise SetupError("Name the files of the shares, or the sealed copy.")
    contents = [_read(path) for path in files]
    if len(contents) == 1 and contents[0].lstrip().startswith(b"{"):
        phrase = "" if passphrase_file is None else _line(passphrase_file)
        pem = b"" if identity is None else _read(identity)
        secret = crypto.opened(contents[0], passphrase=phrase, identity_pem=pem)
    else:
        secret = crypto.from_shares([text.decode(errors="replace") for text in contents])
    path = app.restore(load(data), secret)
    report({"masterKey": crypto.name_of(secret), "file": str(path)}, as_json=json)
    return 0


def _read(path: Path) -> bytes:
    from auditkeep.errors import SetupError

    try:
        return path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}.") from error


def _line(path: Path) -> str:
    return _read(path).decode(errors="replace").partition("\n")[0].strip()
