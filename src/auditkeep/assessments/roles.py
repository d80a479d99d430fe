"""When two ARNs name the same owner or delegate, however each of them is written. Pure."""

from auditkeep.ids import iam_arn


def same_role(left: str, right: str) -> bool:
    """Whether two ARNs name one principal; a role's path is not part of its session's ARN."""
    return left == right or _without_path(iam_arn(left)) == _without_path(iam_arn(right))


def _without_path(arn: str) -> str:
    head, mark, name = arn.partition(":role/")
    return f"{head}{mark}{name.rsplit('/', 1)[-1]}" if mark else arn
