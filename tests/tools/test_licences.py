"""The licence check admits what ADR 0007 admits, and nothing else."""

import importlib.util
from typing import Any

import pytest
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def check() -> Any:
    spec = importlib.util.spec_from_file_location(
        "check_licences", ROOT / "tools" / "check_licences.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("licence", "admitted"),
    [
        ("MIT License", True),
        ("Apache-2.0", True),
        ("BSD-3-Clause", True),
        ("MPL-2.0", True),
        ("Apache-2.0 OR GPL-2.0", True),
        ("GPL-3.0", False),
        ("GNU Affero General Public License v3 (AGPLv3)", False),
        ("LGPL-3.0-only", False),
        ("Business Source License", False),
        ("UNKNOWN", False),
    ],
)
def test_a_licence_is_judged(check: Any, licence: str, admitted: bool) -> None:
    row = {"Name": "thing", "Version": "1", "License-Expression": licence}
    assert (check.problem(row) is None) is admitted


def test_only_the_named_exceptions_pass(check: Any) -> None:
    row = {"Name": "psycopg", "Version": "3", "License-Expression": "LGPL-3.0-only"}
    assert check.problem(row) is None
