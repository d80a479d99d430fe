"""Buckets with what lies in them, and queues: as much as reading a trail's files needs."""

import hashlib
import time
import uuid
from typing import Any

from tests.simulator.asking import Ask, Handler, Message, Output
from tests.simulator.encoding import Refusal
from tests.simulator.estate import BUCKET, Resource

from auditkeep.clock import Instant


def _all_buckets(ask: Ask, at: Instant) -> list[Resource]:
    """An account's buckets in every region: ListBuckets knows no region."""
    found = [
        r
        for region in ask.estate.regions
        for r in ask.estate.listed(ask.account, region, BUCKET, at)
    ]
    return sorted(found, key=lambda r: r.name)


def _buckets(ask: Ask) -> Output:
    region, prefix = ask.params.get("BucketRegion"), ask.params.get("Prefix", "")

    def buckets(at: Instant) -> list[Resource]:
        return [
            r for r in _all_buckets(ask, at)
            if (not region or r.region == region) and r.name.startswith(prefix)
        ]  # fmt: skip

    asked = "MaxBuckets" in ask.params or "ContinuationToken" in ask.params
    if asked:
        page, more = ask.page(
            buckets, ask.params.get("ContinuationToken"), limit=ask.params.get("MaxBuckets")
        )
    else:
        page, more = buckets(ask.at), None
        ask.listed = len(page)
    shown = [{"Name": r.name, "CreationDate": r.at, "BucketRegion": r.region} for r in page]
    return {
        "Buckets": shown,
        "Owner": {"ID": f"{ask.account:0>64}"},
        "ContinuationToken": more,
    }


def _bucket(ask: Ask) -> Resource:
    name = ask.params["Bucket"]
    for account in ask.estate.accounts:
        for region in ask.estate.regions:
            found = ask.estate.found(account, region, BUCKET, name, ask.at)
            if found is not None:
                return found
    raise Refusal("NoSuchBucket", f"There is no bucket {name}.", 404)


def _own(ask: Ask) -> Resource:
    """A bucket of the caller's account, asked for in its own region."""
    found = _bucket(ask)
    if found.account != ask.account:
        raise Refusal("AccessDenied", "The bucket is another account's.", 403)
    if found.region != ask.region:
        raise Refusal("PermanentRedirect", f"The bucket lies in {found.region}.", 301)
    return found


def _location(ask: Ask) -> Output:
    region = _bucket(ask).region
    return {"LocationConstraint": None if region == "us-east-1" else region}


def _head_bucket(ask: Ask) -> Output:
    return {"BucketRegion": _bucket(ask).region}


def _encryption(ask: Ask) -> Output:
    bucket = _own(ask)
    if bucket.members.get("encryption", "") is None:
        raise Refusal(
            "ServerSideEncryptionConfigurationNotFoundError", "The bucket has no encryption.", 404
        )
    algorithm = ("AES256", "aws:kms")[bucket.version % 2]
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm},
        "BucketKeyEnabled": bool(bucket.version % 2),
    }
    return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}


# ---- objects


def _objects(ask: Ask) -> Output:
    bucket = _own(ask).name
    prefix, delimiter = ask.params.get("Prefix", ""), ask.params.get("Delimiter")
    after = ask.params.get("StartAfter", "")
    with ask.world.lock:
        keys = sorted(
            key
            for b, key in ask.world.objects
            if b == bucket and key.startswith(prefix) and key > after
        )
    folders = sorted(
        {
            prefix + key[len(prefix) :].partition(delimiter)[0] + delimiter
            for key in keys
            if delimiter and delimiter in key[len(prefix) :]
        }
    )
    plain = [k for k in keys if not delimiter or delimiter not in k[len(prefix) :]]
    page, more = ask.page(lambda _: plain, ask.params.get("ContinuationToken"), most=1_000)
    return {
        "Name": bucket,
        "Prefix": prefix,
        "KeyCount": len(page),
        "MaxKeys": ask.params.get("MaxKeys", 1_000),
        "IsTruncated": more is not None,
        "NextContinuationToken": more,
        "Contents": [_entry(ask, bucket, key) for key in page],
        "CommonPrefixes": [{"Prefix": folder} for folder in folders],
    }


def _entry(ask: Ask, bucket: str, key: str) -> Output:
    content = ask.world.objects[bucket, key]
    return {
        "Key": key,
        "LastModified": ask.at,
        "ETag": _etag(content),
        "Size": len(content),
        "StorageClass": "STANDARD",
    }


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _content(ask: Ask) -> bytes:
    bucket, key = _own(ask).name, ask.params["Key"]
    with ask.world.lock:
        content = ask.world.objects.get((bucket, key))
    if content is None:
        raise Refusal("NoSuchKey", f"There is no object {key}.", 404)
    return content


def _get(ask: Ask) -> Output:
    content = _content(ask)
    return {
        "Body": content,
        "ETag": _etag(content),
        "LastModified": ask.at,
        "ContentType": "application/octet-stream",
    }


def _head(ask: Ask) -> Output:
    content = _content(ask)
    return {"ContentLength": len(content), "ETag": _etag(content), "LastModified": ask.at}


def _put(ask: Ask) -> Output:
    bucket = _own(ask).name
    with ask.world.lock:
        ask.world.objects[bucket, ask.params["Key"]] = ask.request.body
    return {"ETag": _etag(ask.request.body)}


# ---- queues


def _queue(ask: Ask) -> list[Message]:
    name = str(ask.params["QueueUrl"]).rpartition("/")[2]
    try:
        return ask.world.queues[name]
    except KeyError:
        raise Refusal("QueueDoesNotExist", f"There is no queue {name}.") from None


def _receive(ask: Ask) -> Output:
    most = ask.params.get("MaxNumberOfMessages", 1)
    with ask.world.lock:
        now = time.monotonic()
        taken = [m for m in _queue(ask) if m.hidden_until <= now][:most]
        for message in taken:
            message.hidden_until = now + ask.params.get("VisibilityTimeout", 30)
            message.receipt = str(uuid.uuid4())
    ask.listed = len(taken)
    shown: list[dict[str, Any]] = [
        {
            "MessageId": m.id,
            "ReceiptHandle": m.receipt,
            "Body": m.body,
            "MD5OfBody": hashlib.md5(m.body.encode(), usedforsecurity=False).hexdigest(),
        }
        for m in taken
    ]
    return {"Messages": shown} if shown else {}


def _delete(ask: Ask) -> Output:
    _drop(ask, {ask.params["ReceiptHandle"]})
    return {}


def _delete_batch(ask: Ask) -> Output:
    entries = ask.params["Entries"]
    _drop(ask, {entry["ReceiptHandle"] for entry in entries})
    return {"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}


def _drop(ask: Ask, receipts: set[str]) -> None:
    with ask.world.lock:
        queue = _queue(ask)
        queue[:] = [m for m in queue if m.receipt not in receipts]


def _visibility(ask: Ask) -> Output:
    with ask.world.lock:
        for message in _queue(ask):
            if message.receipt == ask.params["ReceiptHandle"]:
                message.hidden_until = time.monotonic() + ask.params["VisibilityTimeout"]
    return {}


def _send(ask: Ask) -> Output:
    body = ask.params["MessageBody"]
    message = Message(str(uuid.uuid4()), body)
    with ask.world.lock:
        _queue(ask).append(message)
    digest = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
    return {"MessageId": message.id, "MD5OfMessageBody": digest}


HANDLERS: dict[str, Handler] = {
    "s3:ListBuckets": _buckets,
    "s3:GetBucketLocation": _location,
    "s3:HeadBucket": _head_bucket,
    "s3:GetBucketEncryption": _encryption,
    "s3:ListObjectsV2": _objects,
    "s3:GetObject": _get,
    "s3:HeadObject": _head,
    "s3:PutObject": _put,
    "sqs:ReceiveMessage": _receive,
    "sqs:DeleteMessage": _delete,
    "sqs:DeleteMessageBatch": _delete_batch,
    "sqs:ChangeMessageVisibility": _visibility,
    "sqs:SendMessage": _send,
}
