"""A queue in Amazon SQS: taken from in small lots, and given back to. Only here is it asked.

A message that was taken is hidden for `HIDDEN_SECONDS` and comes again unless it is deleted: so it
is deleted only when what it told of is kept. One that is left for later is hidden for longer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from auditkeep.sources.refusals import asking

LOT = 10
"""Messages of one call, the most there may be."""
HIDDEN_SECONDS = 900
LONGEST_SECONDS = 12 * 3600


@dataclass(frozen=True, slots=True)
class Message:
    """`handle` names this delivery of it; `times` counts how often it was taken."""

    id: str
    handle: str
    body: str
    times: int


class Queue:
    """One queue, through boto3's client for `sqs`."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self.url = url

    def take(self, wait_seconds: int = 0) -> list[Message]:
        """Some messages, or none if none came in that time."""
        with asking(self._client, "ReceiveMessage"):
            answer = self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=LOT,
                WaitTimeSeconds=wait_seconds,
                VisibilityTimeout=HIDDEN_SECONDS,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        return [
            Message(
                m["MessageId"],
                m["ReceiptHandle"],
                m["Body"],
                int(m.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
            )
            for m in answer.get("Messages", ())
        ]

    def delete(self, messages: Sequence[Message]) -> None:
        """These are done with. One that cannot be deleted comes again, and is found to be done."""
        for start in range(0, len(messages), LOT):
            entries = [
                {"Id": str(number), "ReceiptHandle": m.handle}
                for number, m in enumerate(messages[start : start + LOT])
            ]
            with asking(self._client, "DeleteMessageBatch", action="sqs:DeleteMessage"):
                self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)

    def later(self, message: Message, seconds: int) -> None:
        """Hide a message for so long."""
        with asking(self._client, "ChangeMessageVisibility"):
            self._client.change_message_visibility(
                QueueUrl=self.url,
                ReceiptHandle=message.handle,
                VisibilityTimeout=max(0, min(seconds, LONGEST_SECONDS)),
            )
