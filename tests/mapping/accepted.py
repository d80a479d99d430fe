"""Every operation of botocore that a control may name: judged once, for all tests of them."""

from functools import cache
from typing import Any

from botocore.session import get_session

from auditkeep.mapping import readonly
from auditkeep.mapping.calls import Call, Refusal


@cache
def _session() -> Any:
    return get_session()


@cache
def _models() -> dict[str, Any]:
    return {
        name: _session().get_service_model(name) for name in _session().get_available_services()
    }


def operation_of(call: Call) -> Any:
    """botocore's model of a call's operation."""
    return _models()[call.service].operation_model(call.operation)


@cache
def judged() -> dict[str, Call | Refusal]:
    """What becomes of every operation of every service, by keyword."""
    return {
        f"{service}_{operation}": readonly.judge(f"{service}_{operation}")
        for service, model in _models().items()
        for operation in model.operation_names
        if readonly.reads(operation)
    }


@cache
def accepted() -> dict[str, Call]:
    return {keyword: found for keyword, found in judged().items() if isinstance(found, Call)}


def shape_at(shape: Any, path: str) -> Any:
    """The shape at a path of members, through lists."""
    for name in path.split("."):
        shape = shape.member if shape.type_name == "list" else shape
        shape = shape.members[name]
    return shape


def kept_of(call: Call) -> list[Any]:
    """The shapes of what is kept of an answer: elements of its lists, or all of it."""
    answer = operation_of(call).output_shape
    return [shape_at(answer, path).member for path, _, _ in call.lists] or [answer]
