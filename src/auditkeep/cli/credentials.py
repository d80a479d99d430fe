"""`auditkeep credentials`: a session for who one is, in `credential_process` form.

Source: AWS SDKs and Tools Reference, "Process credential provider". Runs on a client's machine: no
data directory, no state but an optional cache that only its owner can read. Invariants: nothing but
the answer goes to standard output; a proof of identity travels over https, or to this machine.
"""

import hashlib
import json as json_format
import os
import re
import secrets
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from auditkeep.cli.options import DEFAULT_REGION
from auditkeep.errors import AuditkeepError, InputError, SetupError

if TYPE_CHECKING:
    from auditkeep.clock import Instant

_UNDER_WAY = "AUDITKEEP_SIGNING_IN"
"""Set while AWS credentials are looked for: a profile that calls this command would never end."""
_LARGEST_TOKEN = 20_000
_USED = "This proof was used before"
"""How the server refuses a proof that another program of the same second made too."""
_SECONDS_TRIED = 5
_NONE = "none"
_IDENTITIES = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE")
"""What of the environment says who one is: credentials are kept for each apart."""


class NotSignedIn(AuditkeepError):
    """The server, or whoever vouches for the caller, refused."""


class _UsedBefore(NotSignedIn):
    """A proof that was used once already."""


def credentials(
    *,
    endpoint: Annotated[str, Parameter(help="The server's URL.")],
    role: Annotated[str, Parameter(help="The role's ARN: arn:aws:iam::ACCOUNT:role/NAME.")],
    source: Annotated[
        Literal["aws", "web-identity"],
        Parameter(
            name="--from", help="Prove who you are by AWS credentials, or by an OpenID token."
        ),
    ] = "aws",
    web_identity_token_file: Annotated[
        Path | None, Parameter(help="The file that holds the token; implies --from web-identity.")
    ] = None,
    aws_profile: Annotated[
        str | None, Parameter(help="The profile of the AWS credentials to prove who you are with.")
    ] = None,
    aws_region: Annotated[
        str, Parameter(help="The region whose STS AWS's word is asked of.")
    ] = DEFAULT_REGION,
    aws_sts: Annotated[
        str | None, Parameter(help="Another STS endpoint, if the server was set to ask that one.")
    ] = None,
    server_name: Annotated[
        str | None, Parameter(help="The name the proof is bound to. Empty: the endpoint's host.")
    ] = None,
    session_name: Annotated[
        str | None, Parameter(help="How the session is called. Empty: the user of this machine.")
    ] = None,
    seconds: Annotated[int, Parameter(help="How long the session lasts.")] = 3600,
    cache: Annotated[
        Path | None,
        Parameter(help="A directory to keep credentials in until they end; only its owner reads."),
    ] = None,
) -> int:
    """Session credentials as JSON, in the form that credential_process expects."""
    from auditkeep.access.trust import is_safe_url
    from auditkeep.clock import SystemClock

    if not is_safe_url(endpoint):
        raise SetupError("The endpoint must be an https URL, or http on this machine.")
    by_token = web_identity_token_file is not None or source == "web-identity"
    now = SystemClock().now()
    identity = [str(web_identity_token_file), str(aws_profile), aws_region, str(server_name)]
    identity += [os.environ.get(name, "") for name in _IDENTITIES]
    wanted = [endpoint, role, str(session_name), str(seconds), str(by_token), *identity]
    kept = None if cache is None else cache / f"{_digest(wanted)}.json"
    found = None if kept is None else _cached(kept, now)
    if found is None:
        name = session_name or _user()
        if by_token:
            found = _taken(endpoint, role, _token_of(web_identity_token_file), name, seconds)
        else:
            prove = partial(_aws_proof, server_name, endpoint, aws_profile, aws_region, aws_sts)
            found = _proven(endpoint, role, prove, name, seconds)
        if kept is not None:
            _keep(kept, found)
    json_format.dump(found, sys.stdout)
    sys.stdout.write("\n")
    return 0


def _token_of(file: Path | None) -> str:
    named = file or os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE")
    if not named:
        raise SetupError("Name the token's file with --web-identity-token-file.")
    try:
        with Path(named).open("rb") as opened:
            content = opened.read(_LARGEST_TOKEN + 1)
    except OSError as error:
        raise SetupError(f"The token in {named} cannot be read: {error.strerror}.") from error
    text = content.decode("ascii", errors="replace").strip()
    if not text or len(content) > _LARGEST_TOKEN or not text.isprintable():
        raise InputError(f"{named} holds no token.")
    return text


def _aws_proof(
    server: str | None, url: str, profile: str | None, region: str, endpoint: str | None
) -> str:
    """A GetCallerIdentity presigned with this machine's AWS credentials, bound to one server."""
    import botocore.exceptions
    import botocore.session

    from auditkeep.operations.sts.presigned import server_name
    from auditkeep.operations.sts.proving import aws_proof

    if os.environ.get(_UNDER_WAY):
        raise SetupError(
            "The AWS profile gets its credentials from this very command: name the profile that "
            "proves who you are with --aws-profile."
        )
    os.environ[_UNDER_WAY] = "1"
    try:
        session = botocore.session.Session(profile=profile)
        found = session.get_credentials()
        frozen = None if found is None else found.get_frozen_credentials()
    except botocore.exceptions.BotoCoreError as error:
        raise NotSignedIn(f"AWS credentials cannot be had: {error}") from error
    finally:
        del os.environ[_UNDER_WAY]
    if frozen is None or not frozen.access_key:
        raise NotSignedIn("No AWS credentials are found here: sign in to AWS first.")
    return aws_proof(frozen, server=server or server_name(url), region=region, endpoint=endpoint)


def _proven(
    endpoint: str, role: str, prove: Callable[[], str], name: str, seconds: int
) -> dict[str, Any]:
    """What the server hands out for a proof of AWS.

    A proof names its second, and is good for one use: of two programs that sign in within one
    second with the same credentials, one has to make another.
    """
    for _ in range(_SECONDS_TRIED - 1):
        try:
            return _taken(endpoint, role, prove(), name, seconds)
        except _UsedBefore:
            time.sleep(1 - time.time() % 1 + secrets.randbelow(500) / 1000)
    return _taken(endpoint, role, prove(), name, seconds)


def _taken(endpoint: str, role: str, token: str, name: str, seconds: int) -> dict[str, Any]:
    """What the server hands out for the token."""
    import botocore.exceptions
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config

    config = Config(
        signature_version=UNSIGNED,
        connect_timeout=10,
        read_timeout=60,
        retries={"total_max_attempts": 1},  # a proof of AWS is good for one use
    )
    try:
        client = botocore.session.Session().create_client(
            "sts",
            region_name=DEFAULT_REGION,
            endpoint_url=endpoint,
            aws_access_key_id=_NONE,  # nothing is signed: no credentials are to be looked for
            aws_secret_access_key=_NONE,
            config=config,
        )
        answer = client.assume_role_with_web_identity(
            RoleArn=role, RoleSessionName=name, WebIdentityToken=token, DurationSeconds=seconds
        )
    except botocore.exceptions.ClientError as error:
        said = error.response["Error"]
        kind = _UsedBefore if _USED in said["Message"] else NotSignedIn
        raise kind(f"{endpoint} refuses: {said['Message']} ({said['Code']})") from error
    except botocore.exceptions.BotoCoreError as error:
        raise NotSignedIn(f"{endpoint} cannot be asked: {error}") from error
    made = answer["Credentials"]
    return {
        "Version": 1,
        "AccessKeyId": made["AccessKeyId"],
        "SecretAccessKey": made["SecretAccessKey"],
        "SessionToken": made["SessionToken"],
        "Expiration": made["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _user() -> str:
    name = os.environ.get("USER") or os.environ.get("USERNAME") or "auditkeep"
    fitting = re.sub(r"[^A-Za-z0-9_+=,.@-]", "-", name)[:64]
    return fitting if len(fitting) > 1 else "auditkeep"


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def _cached(file: Path, now: "Instant") -> dict[str, Any] | None:
    """What was kept, if it is good for five more minutes and nobody else could have written it."""
    from auditkeep.clock import MINUTE, parse

    try:
        with file.open("rb") as opened:
            about = os.fstat(opened.fileno())
            if about.st_uid != os.getuid() or about.st_mode & 0o077:
                return None
            found: dict[str, Any] = json_format.loads(opened.read(100_000))
        return found if parse(found["Expiration"]) > now + 5 * MINUTE else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no cache is as good as a broken one: the answer is asked for again


def _keep(file: Path, found: dict[str, Any]) -> None:
    part = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(opened, "w") as out:
            json_format.dump(found, out)
        part.replace(file)
    except OSError as error:
        sys.stderr.write(f"auditkeep: the credentials are not kept: {error.strerror}\n")
