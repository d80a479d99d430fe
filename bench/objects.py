"""Objects: what our store over S3 costs beside bare obstore, and beside a folder.

S3 is moto on this machine, whose own time is in both figures. Latency is not simulated: over a
network, add a round trip to each put and get, and none to a copy that is there.
"""

import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import moto.server
from bench.result import Result
from obstore.store import S3Store
from werkzeug.serving import make_server

from auditkeep.clock import SystemClock
from auditkeep.lake.objects import LocalObjects
from auditkeep.lake.s3.copies import Copies
from auditkeep.lake.s3.place import Place
from auditkeep.lake.s3.store import S3Objects

REGION, BUCKET = "eu-central-1", "bench-of-objects"
SMALL, LARGE = 8 << 10, 8 << 20


def run(scale: float) -> Iterator[Result]:
    small = max(20, round(200 * scale))
    large = max(3, round(8 * scale))
    with tempfile.TemporaryDirectory(prefix="auditkeep-bench-") as folder, _s3() as url:
        place = Place(BUCKET, "ours", region=REGION, endpoint=url)
        ours = S3Objects(place, Copies(Path(folder, "near"), 1 << 30), SystemClock())
        local = LocalObjects(Path(folder, "objects"))
        bare = S3Store(
            BUCKET, region=REGION, endpoint=url, client_options={"allow_http": True},
            virtual_hosted_style_request=False, prefix="bare", disable_tagging=True,
        )  # fmt: skip
        for name, size, count in (("8 KiB", SMALL, small), ("8 MiB", LARGE, large)):
            yield from _measured(name, os.urandom(size), count, ours, bare, local)


def _measured(
    name: str, data: bytes, count: int, ours: S3Objects, bare: S3Store, local: LocalObjects
) -> Iterator[Result]:
    keys = [f"a/{len(data)}-{n}" for n in range(count)]

    def put_bare(key: str) -> None:
        bare.put(key, data, mode="create", use_multipart=False)

    def get_bare(key: str) -> None:
        bytes(bare.get(key).bytes())

    def put_ours(key: str) -> None:
        ours.put(key, data)

    def put_local(key: str) -> None:
        local.put(key, data)

    def near(key: str) -> None:
        ours.near([key])

    yield _beside(f"put of {name}", _each(keys, put_ours), _each(keys, put_bare))
    yield _beside(f"get of {name}", _each(keys, ours.get), _each(keys, get_bare))
    for what, work in (
        (f"first copy of {name} to this machine", near),
        (f"the same when it is there, {name}", near),
        (f"put of {name} into a folder", put_local),
    ):
        yield Result(what, 1e3 * _each(keys, work), None, None, "", "ms")


def _beside(name: str, ours: float, base: float) -> Result:
    ratio = ours / base
    return Result(
        f"{name}, beside bare obstore", 1e3 * ours, 1e3 * base, ratio, "≤ 2 ×", "ms", ratio <= 2
    )


def _each(keys: Sequence[str], work: Callable[[str], Any]) -> float:
    """Seconds of one: of three rounds the middle one, as a busy machine disturbs it least."""
    rounds = []
    for part in range(3):
        chosen = keys[part::3]
        started = time.perf_counter()
        for key in chosen:
            work(key)
        rounds.append((time.perf_counter() - started) / len(chosen))
    return sorted(rounds)[1]


@contextmanager
def _s3() -> Iterator[str]:
    os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
    applications: Any = moto.server
    application = applications.DomainDispatcherApplication(applications.create_backend_app)
    httpd = make_server("127.0.0.1", 0, application, threaded=True)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request otherwise
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{httpd.port}"
    try:
        client = boto3.client("s3", region_name=REGION, endpoint_url=url)
        client.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield url
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()
