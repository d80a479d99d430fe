"""Calls that CloudTrail logs as data events, which are never evidence (spec 3.4).

AWS's rule for keywords says nothing of them, so that its list has some. These are those of the
services with the most of them. Sources: AWS CloudTrail user guide, "Logging data events", and what
each service's own guide says of CloudTrail. One that is missing here is doubted by nobody and
brings nothing; one that is here is never asked for by name.
"""

from collections.abc import Iterable


def _of(prefix: str, names: Iterable[str]) -> frozenset[str]:
    return frozenset(f"{prefix}:{name}" for name in names)


DATA = (
    _of(
        "s3",
        (
            "AbortMultipartUpload",
            "CompleteMultipartUpload",
            "CopyObject",
            "CreateMultipartUpload",
            "CreateSession",
            "DeleteObject",
            "DeleteObjectTagging",
            "DeleteObjects",
            "GetObject",
            "GetObjectAcl",
            "GetObjectTagging",
            "HeadObject",
            "ListObjects",
            "ListObjectsV2",
            "PutObject",
            "PutObjectAcl",
            "PutObjectLegalHold",
            "PutObjectRetention",
            "PutObjectTagging",
            "RestoreObject",
            "SelectObjectContent",
            "UploadPart",
            "UploadPartCopy",
        ),
    )
    | _of(
        "dynamodb",
        (
            "BatchExecuteStatement",
            "BatchGetItem",
            "BatchWriteItem",
            "DeleteItem",
            "ExecuteStatement",
            "ExecuteTransaction",
            "GetItem",
            "PutItem",
            "Query",
            "Scan",
            "TransactGetItems",
            "TransactWriteItems",
            "UpdateItem",
        ),
    )
    | _of("lambda", ("Invoke",))
    | _of("sns", ("Publish", "PublishBatch"))
    | _of(
        "sqs",
        (
            "ChangeMessageVisibility",
            "ChangeMessageVisibilityBatch",
            "DeleteMessage",
            "DeleteMessageBatch",
            "ReceiveMessage",
            "SendMessage",
            "SendMessageBatch",
        ),
    )
    | _of("kinesis", ("GetRecords", "PutRecord", "PutRecords", "SubscribeToShard"))
    | _of("cloudtrail-data", ("PutAuditEvents",))
)
"""Match keys of calls that CloudTrail logs as data events."""
