"""`auditkeep access policies …`: identity policies of accounts, and who carries them."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import Account, Data, Json, report

Document = Annotated[
    Path, Parameter(help="A JSON file, or `-`: the standard input.", allow_leading_hyphen=True)
]
Name = Annotated[str, Parameter(help="The policy's name.")]
User = Annotated[str, Parameter(help="The user whose keys are meant.")]


def put(name: Name, file: Document, *, data: Data, account: Account, json: Json = False) -> int:
    """Keep an IAM policy document under a name, in place of an earlier one.

    `FILE` may be `-` for the standard input. A document that holds anything that is not understood
    is refused, and what was there before stays.
    """
    from auditkeep.app import access
    from auditkeep.errors import SetupError

    try:
        document = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{file} cannot be read: {error}.") from error
    with deployment(data) as parts:
        access.put_policy(parts, account, name, document)
    report({"account": account, "name": name, "characters": len(document)}, as_json=json)
    return 0


def get(name: Name, *, data: Data, account: str | None = None) -> int:
    """Print the document of a managed policy, or of an account's own."""
    from auditkeep.app import access

    with deployment(data) as parts:
        print(access.policy_document(parts, account, name).rstrip())
    return 0


def list_policies(*, data: Data, account: str | None = None, json: Json = False) -> int:
    """Every policy: those shipped, and those of one account or of all, with who carries them."""
    from auditkeep.access import policies
    from auditkeep.app import access

    with deployment(data) as parts:
        own = access.own_policies(parts, account)
    report(
        {
            "managed": [
                {"name": name, "description": policy.description}
                for name, policy in policies.shipped().items()
            ],
            "own": [
                {
                    "account": o.account,
                    "name": o.name,
                    "attachedTo": list(o.carriers) if json else ", ".join(o.carriers),
                }
                for o in own
            ],
        },
        as_json=json,
    )
    return 0


def delete(name: Name, *, data: Data, account: Account) -> int:
    """Forget an account's own policy; refused while anything carries it."""
    from auditkeep.app import access

    with deployment(data) as parts:
        access.delete_policy(parts, account, name)
    return 0


def attach(name: Name, *, data: Data, account: Account, user: User, json: Json = False) -> int:
    """Let all keys in use of a user carry a policy. A running server knows within seconds."""
    from auditkeep.app import access

    with deployment(data) as parts:
        changed = access.attach_policy(parts, account, user, name)
    report({"user": user, "policy": name, "keysChanged": changed}, as_json=json)
    return 0


def detach(name: Name, *, data: Data, account: Account, user: User, json: Json = False) -> int:
    """Take a policy off all keys of a user. A running server knows within seconds."""
    from auditkeep.app import access

    with deployment(data) as parts:
        changed = access.detach_policy(parts, account, user, name)
    report({"user": user, "policy": name, "keysChanged": changed}, as_json=json)
    return 0
