"""botocore's service models: loaded when first asked for, once for a process."""

from functools import cache
from typing import Any


@cache
def session() -> Any:
    from botocore.session import get_session  # noqa: PLC0415 - heavy

    return get_session()


@cache
def services() -> frozenset[str]:
    """The services there are, as botocore names them."""
    return frozenset(session().get_available_services())


def operation(service: str, name: str) -> Any:
    """The model of an operation."""
    return session().get_service_model(service).operation_model(name)
