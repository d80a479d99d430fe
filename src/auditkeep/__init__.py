"""Auditkeep: an open, self-hosted audit manager that speaks the AWS Audit Manager API."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "client"]


def client(endpoint_url: str | None = None, session: Any = None, **options: Any) -> Any:
    """The boto3 client for what is offered beyond AWS's API; see `auditkeep.wire.client`."""
    from auditkeep.wire.client import client as make  # noqa: PLC0415  # `import auditkeep` is light

    return make(endpoint_url, session, **options)
