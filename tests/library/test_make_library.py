"""The NIST file says what the facts and the tool say: edit those, not it."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conftest import ROOT, missing

SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="module")
def tool() -> Any:
    spec = importlib.util.spec_from_file_location("make_library", ROOT / "tools/make_library.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_nist_file_follows_from_the_facts(tool: Any, tmp_path: Path) -> None:
    if not (SHARED / "facts").is_dir():
        missing("the facts are not beside this checkout")
    again = tmp_path / "again.yaml"
    tool.write(again, tool.nist(tool.Facts(SHARED)))
    assert again.read_text() == (tool.CONTENT / f"{tool.SLUG}.yaml").read_text()


def test_keywords_are_written_as_the_catalogue_spells_them(tool: Any) -> None:
    assert tool.listed("AWS_Cloudtrail", "lambda_CreateFunction20150331") == "lambda_CreateFunction"
    assert tool.listed("AWS_Cloudtrail", "iam_GetCredentialReport") is None
    assert tool.listed("AWS_Config", "IAM_PASSWORD_POLICY") == "IAM_PASSWORD_POLICY"


def test_numbers_sort_as_numbers(tool: Any) -> None:
    assert sorted(["IAM.10", "IAM.2", "EC2.1"], key=tool.natural) == ["EC2.1", "IAM.2", "IAM.10"]


def test_each_family_has_its_words(tool: Any) -> None:
    families = yaml.safe_load(tool.FAMILIES.read_text())
    for words in families.values():
        assert set(words) == {"objective", "about", "papers", "people", "look", "act"}
        assert not any(words[w].endswith(".") for w in ("about", "papers", "people", "look"))
        assert words["act"].endswith(".")
