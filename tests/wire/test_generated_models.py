"""The generated modules follow from botocore's models, and say what the models say."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import botocore.session
import pytest
from tests.wire.model_cases import MODEL

from auditkeep.wire.models import auditmanager as am
from auditkeep.wire.models import controlcatalog as cc

TOOL = Path(__file__).parents[2] / "tools" / "generate_models.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_models", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("service", ["auditkeep", "auditmanager", "controlcatalog"])
def test_the_checked_in_module_is_what_the_tool_writes(tool: ModuleType, service: str) -> None:
    assert service in tool.SERVICES
    assert tool.target(service).read_text() == tool.render(service)


def test_all_operations_are_there() -> None:
    assert [o.name for o in am.OPERATIONS] == sorted(MODEL.operation_names)
    assert len(am.OPERATIONS) == 62
    catalogue = botocore.session.get_session().get_service_model("controlcatalog")
    assert [o.name for o in cc.OPERATIONS] == sorted(catalogue.operation_names)
    assert {o.service for o in cc.OPERATIONS} == {"controlcatalog"}


def test_what_the_model_calls_sensitive_is_told_by_shape() -> None:
    assert am.SENSITIVE[am.CreateDelegationRequest] == {"comment"}
    assert am.SENSITIVE[am.CreateAssessmentRequest] >= {"name", "description", "roles"}
    assert am.SENSITIVE[am.GetEvidenceFileUploadUrlResponse] == {"evidenceFileName", "uploadUrl"}
    assert am.TagResourceRequest not in am.SENSITIVE


def test_a_class_of_the_model_is_ascii_as_in_java(tool: ModuleType) -> None:
    pattern = re.compile(tool.python_pattern(r"^[\w,\s-]+\.[A-Za-z]+$"))
    assert pattern.search("policy v2.pdf")
    assert not pattern.search("politique é.pdf")


def test_a_pattern_is_anchored_at_the_very_end(tool: ModuleType) -> None:
    pattern = re.compile(tool.python_pattern("^[0-9]{12}$"))
    assert pattern.search("111122223333")
    assert not pattern.search("111122223333\n")


def test_the_widest_wildcards_are_matched_in_linear_time(tool: ModuleType) -> None:
    hostile = "arn:" + ":controlcatalog:" * 60 + ":" * 1000
    model = MODEL.shape_for("ControlDomainId").metadata["pattern"]
    pattern = re.compile(tool.python_pattern(model))
    assert pattern.search(hostile) is None
    assert pattern.search("arn:aws:controlcatalog:::domain/x")
    assert pattern.search("UNCATEGORIZED")
    assert not pattern.search("arn:aws:controlcatalog:domain/x")
