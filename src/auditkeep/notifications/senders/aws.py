"""Topics and event buses: SNS `Publish` and EventBridge `PutEvents`, by boto3.

Credentials come from the environment's default chain, the region from the ARN that is addressed.
Clients are made when first needed and kept: boto3 is not imported by a server that sends nothing.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from auditkeep.clock import to_datetime
from auditkeep.errors import ChannelDown, DeliveryError
from auditkeep.notifications.model import SUBJECT, Event, Telling

_FIFO = ".fifo"
_ABOUT_THE_MESSAGE = frozenset(
    {"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid"}
)


class Aws:
    """boto3 clients, one for each service and region. Safe to share between threads."""

    def __init__(self, endpoints: Mapping[str, str] | None = None) -> None:
        self._endpoints = dict(endpoints or {})
        self._clients: dict[tuple[str, str], Any] = {}
        self._making = threading.Lock()

    def publish(self, topic: str, telling: Telling) -> None:
        """Publish a notice to a topic, standard or FIFO.

        A FIFO topic keeps the order of one assessment's notices, as far as they are not retried,
        and drops a repetition within five minutes.
        """
        ask: dict[str, Any] = {
            "TopicArn": topic,
            "Subject": SUBJECT,
            "Message": msgspec.json.encode(telling.body()).decode(),
        }
        if topic.endswith(_FIFO):
            ask["MessageGroupId"] = telling.about.assessment_id
            ask["MessageDeduplicationId"] = telling.id
        with _answers("SNS"):
            self._client("sns", topic).publish(**ask)

    def put_event(self, bus: str, event: Event, source: str) -> None:
        """Put an event on a bus, under the source given: AWS's own is reserved there."""
        entry = {
            "Time": to_datetime(event.at),
            "Source": source,
            "Resources": event.resources,
            "DetailType": event.detail_type,
            "Detail": msgspec.json.encode(event.detail()).decode(),
            "EventBusName": bus,
        }
        with _answers("EventBridge"):
            answer = self._client("events", bus).put_events(Entries=[entry])
        if answer.get("FailedEntryCount"):
            code = answer["Entries"][0].get("ErrorCode", "an error without a code")
            raise ChannelDown(f"EventBridge answered {code}.")

    def _client(self, service: str, arn: str) -> Any:
        region = _region_of(arn)
        with self._making:
            client = self._clients.get((service, region))
            if client is None:
                client = self._clients[service, region] = self._made(service, region)
        return client

    def _made(self, service: str, region: str) -> Any:
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        return boto3.session.Session().client(
            service,
            region_name=region,
            endpoint_url=self._endpoints.get(service) or None,
            config=Config(connect_timeout=4, read_timeout=8, retries={"total_max_attempts": 1}),
        )


def _region_of(arn: str) -> str:
    parts = arn.split(":")
    if len(parts) < 6 or not parts[3]:
        raise DeliveryError("The ARN that is to be notified names no region.")
    return parts[3]


@contextlib.contextmanager
def _answers(service: str) -> Iterator[None]:
    """What boto3 raises, as our errors; codes and kinds only, for messages may quote."""
    from botocore.exceptions import (  # noqa: PLC0415
        BotoCoreError,
        ClientError,
        NoCredentialsError,
    )

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "an error without a code"))
        kind = DeliveryError if code in _ABOUT_THE_MESSAGE else ChannelDown
        raise kind(f"{service} answered {code}.") from error
    except NoCredentialsError as error:
        raise ChannelDown(
            f"There are no AWS credentials for {service}: give the server some in its environment."
        ) from error
    except BotoCoreError as error:
        raise ChannelDown(f"{service} cannot be asked ({type(error).__name__}).") from error
