"""Role ARNs: one form for whoever plays a role, and when two of them are the same.

A signed-in role shows itself as `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION`, while owners
and delegates are named as `arn:aws:iam::ACCOUNT:role/NAME` (spec section 12, point 17). Pure.
"""

import re

_ASSUMED = re.compile(r"arn:([^:]*):sts::(\d*):assumed-role/([^/]+)(?:/.*)?")


def iam_arn(arn: str) -> str:
    """The IAM ARN of a principal: an assumed role's is that of the role."""
    assumed = _ASSUMED.fullmatch(arn)
    if assumed is None:
        return arn
    partition, account, name = assumed.groups()
    return f"arn:{partition}:iam::{account}:role/{name}"


def same_role(left: str, right: str) -> bool:
    """Whether two ARNs name one principal; a role's path is not part of its session's ARN."""
    return left == right or _without_path(iam_arn(left)) == _without_path(iam_arn(right))


def _without_path(arn: str) -> str:
    head, mark, name = arn.partition(":role/")
    return f"{head}{mark}{name.rsplit('/', 1)[-1]}" if mark else arn
