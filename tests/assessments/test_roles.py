"""One principal, however its ARN is written."""

import pytest

from auditkeep.ids import iam_arn, same_principal

ROLE = "arn:aws:iam::111122223333:role/Auditor"
SESSION = "arn:aws:sts::111122223333:assumed-role/Auditor/jane"


@pytest.mark.parametrize(
    ("arn", "shown"),
    [
        (SESSION, ROLE),
        (ROLE, ROLE),
        ("arn:aws:iam::111122223333:user/jane", "arn:aws:iam::111122223333:user/jane"),
        ("arn:aws-us-gov:sts::1:assumed-role/R/s", "arn:aws-us-gov:iam::1:role/R"),
    ],
)
def test_a_session_is_shown_as_its_role(arn: str, shown: str) -> None:
    assert iam_arn(arn) == shown


def test_a_role_with_a_path_is_the_role_of_its_session() -> None:
    assert same_principal("arn:aws:iam::111122223333:role/audit/Auditor", SESSION)


@pytest.mark.parametrize(
    "other",
    [
        "arn:aws:iam::999922223333:role/Auditor",
        "arn:aws:iam::111122223333:role/Auditors",
        "arn:aws:iam::111122223333:user/Auditor",
        "arn:aws:iam::111122223333:role/auditor",
    ],
)
def test_another_account_name_or_kind_is_someone_else(other: str) -> None:
    assert not same_principal(ROLE, other)
