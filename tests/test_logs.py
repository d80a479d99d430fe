"""Nothing that a URL hides is told on stderr, whoever says it."""

import logging
import subprocess
import sys

import pytest

from auditkeep.logs import Line, redacted


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("https://ann:hunter2@example.org/a", "https://***@example.org/a"),
        ("https://hunter2@example.org", "https://***@example.org"),
        ("GET /tiles?token=hunter2 HTTP/1.1", "GET /tiles?token=*** HTTP/1.1"),
        (
            "('https://x.org/h?a=hunter2&X-Amz-Signature=hunter2')",
            "('https://x.org/h?a=***&X-Amz-Signature=***')",
        ),
        ('{"url":"https://x.org/?k=hunter2","b":1}', '{"url":"https://x.org/?k=***","b":1}'),
        ("s3://bucket/a@b?versionId=hunter2", "s3://bucket/a@b?versionId=***"),
        ("Is it so? a=b and c@d.org stays", "Is it so? a=b and c@d.org stays"),
        ("pkcs11:token=one;object=two", "pkcs11:token=one;object=two"),
    ],
)
def test_of_a_url_only_the_place_is_told(said: str, told: str) -> None:
    assert redacted(said) == told
    assert redacted(told) == told


def test_the_traceback_of_a_defect_is_redacted_too() -> None:
    with pytest.raises(ValueError, match="hunter2") as caught:
        int("https://x.org/hook?token=hunter2")
    error = (caught.type, caught.value, caught.tb)
    told = Line().format(logging.LogRecord("n", 40, "p", 1, "at %s", ("/a?b=hunter2",), error))
    assert "'https://x.org/hook?token=***'" in told
    assert "at /a?b=***" in told
    assert "hunter2" not in told


DEFECT = """
import logging, threading, urllib3
from auditkeep import logs
logs.begin()
url = "http://127.0.0.1:9/hook?token=hunter2"
pool = urllib3.PoolManager(retries=urllib3.Retry(1, backoff_factor=0))
try:
    pool.request("GET", url)  # warns of each try
except urllib3.exceptions.HTTPError:
    logging.getLogger("auditkeep.any").exception("not posted")
def work(): raise ValueError(url)
thread = threading.Thread(target=work); thread.start(); thread.join()
raise ValueError("https://ann:hunter2@example.org")
"""


def test_a_process_that_dies_and_libraries_that_warn_tell_no_token() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DEFECT], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "hunter2" not in done.stderr + done.stdout
    for said in (
        "WARNING urllib3.connectionpool: Retrying",
        "ERROR auditkeep.any: not posted",
        "ValueError: http://127.0.0.1:9/hook?token=***",
        "ValueError: https://***@example.org",
    ):
        assert said in done.stderr
