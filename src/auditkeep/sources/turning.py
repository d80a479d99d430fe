"""Turning the pages of an operation whose answers are kept in the service's own bytes.

For services that answer JSON with one token: AWS Config, Security Hub, License Manager.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from auditkeep.sources.answers import Exchange, exchange
from auditkeep.sources.pull import Refused, Request
from auditkeep.sources.refusals import asking


@dataclass(frozen=True, slots=True)
class Turned:
    """One answer: its bytes as they came, what botocore read in them, and the next token."""

    request: Request
    answer: bytes
    response: dict[str, Any]
    following: str | None

    def exchange(self) -> Exchange:
        return exchange(self.request, self.answer)


def pages(
    client: Any,
    operation: str,
    parameters: dict[str, Any],
    *,
    token: str | None = None,
    member: str = "NextToken",
) -> Iterator[Turned]:
    """Every page of an operation from a token on; `member` is the token's name in and out."""
    while True:
        turned = once(client, operation, {**parameters, **({member: token} if token else {})})
        following = turned.response.get(member) or None
        if following is not None and following == token:
            name = client.meta.service_model.service_name
            raise Refused(
                f"{name}:{operation} goes round in circles: its next page is itself.",
                service=name,
                operation=operation,
            )
        yield Turned(turned.request, turned.answer, turned.response, following)
        if following is None:
            return
        token = following


def once(client: Any, operation: str, parameters: dict[str, Any]) -> Turned:
    """One call and its answer."""
    from botocore import xform_name  # noqa: PLC0415 - heavy

    with asking(client, operation) as ear:
        response = getattr(client, xform_name(operation))(**parameters)
        answer = ear.take(response)
    service = client.meta.service_model.service_name
    return Turned(Request(service, operation, parameters), answer, response, None)
