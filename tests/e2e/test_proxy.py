"""Behind nginx, in the very configuration that docs/proxy.md gives, and in wrong ones.

nginx runs as whoever runs the tests, on a free port; only TLS is taken out of the page's text.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.conftest import ROOT, missing
from tests.e2e.conftest import ACCOUNT, Running, free_port, running_at

pytestmark = [pytest.mark.server, pytest.mark.slow]

SET = "Identity & access / people: (A)"


def page(port: int, backend: str) -> list[str]:
    """The page's configurations, without TLS and on ports of this machine."""
    found = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs/proxy.md").read_text(), re.DOTALL)
    blocks = []
    for block in found:
        text = re.sub(r"^ *ssl_certificate.*\n", "", block, flags=re.MULTILINE)
        text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
        blocks.append(text.replace("127.0.0.1:8080", backend.removeprefix("http://")))
    return blocks


@contextmanager
def nginx(folder: Path, port: int, http: str) -> Iterator[str]:
    """nginx with what stands inside `http { }`; its URL."""
    program = shutil.which(
        "nginx",
        path=f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/usr/local/sbin",
    )
    if program is None:
        missing("nginx is not installed: make install-dev, or apt-get install nginx-light")
    folder.mkdir(parents=True)
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{ worker_connections 128; }}\nhttp {{\naccess_log off;\n{places}{http}\n}}\n"
    )
    process = subprocess.Popen(
        [str(program), "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            assert process.poll() is None, (folder / "error.log").read_text()
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture(scope="module")
def backend(ports: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose clients know it by the proxy's URL."""
    settings = {
        "AUDITKEEP_EXTERNAL_URL": f"http://127.0.0.1:{ports[1]}",
        "AUDITKEEP_TRUSTED_PROXIES": "127.0.0.1",
    }
    with running_at(ports[0], tmp_path_factory.mktemp("served") / "audit", settings) as made:
        yield made


@pytest.fixture(scope="module")
def unnamed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that was not told how clients call it."""
    with running_at(free_port(), tmp_path_factory.mktemp("served") / "audit", {}) as made:
        yield made


@pytest.fixture(scope="module")
def proxied(
    backend: Running, ports: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("nginx") / "right"
    with nginx(folder, ports[1], page(ports[1], backend.url)[0]) as url:
        yield url


def client(server: Running, url: str) -> Any:
    return boto3.client(
        "auditmanager", endpoint_url=url, region_name="us-east-1",
        aws_access_key_id=server.access_key, aws_secret_access_key=server.secret_key,
    )  # fmt: skip


def assessment(api: Any, name: str) -> dict[str, Any]:
    """An assessment with a control set whose name holds what proxies like to change."""
    control = api.create_control(
        name=f"{name} control",
        controlMappingSources=[
            {
                "sourceName": "by hand",
                "sourceSetUpOption": "Procedural_Controls_Mapping",
                "sourceType": "MANUAL",
            }
        ],
    )["control"]
    framework = api.create_assessment_framework(
        name=f"{name} framework", controlSets=[{"name": SET, "controls": [{"id": control["id"]}]}]
    )["framework"]
    made: dict[str, Any] = api.create_assessment(
        name=name,
        assessmentReportsDestination={"destinationType": "S3", "destination": "s3://reports"},
        scope={"awsAccounts": [{"id": ACCOUNT}]},
        roles=[{"roleType": "PROCESS_OWNER", "roleArn": f"arn:aws:iam::{ACCOUNT}:user/admin"}],
        frameworkId=framework["id"],
    )["assessment"]
    return made


def test_paths_with_encoded_slashes_go_through(backend: Running, proxied: str) -> None:
    api = client(backend, proxied)
    made = assessment(api, "through")
    where = {"assessmentId": made["metadata"]["id"], "controlSetId": SET}
    control = made["framework"]["controlSets"][0]["controls"][0]["id"]
    shown = api.update_assessment_control(
        **where, controlId=control, controlStatus="UNDER_REVIEW", commentBody="seen"
    )
    assert shown["control"]["status"] == "UNDER_REVIEW"
    assert api.get_evidence_folders_by_assessment_control(**where, controlId=control)
    api.tag_resource(resourceArn=made["arn"], tags={"team/who=x": "a+b & c"})
    assert api.list_tags_for_resource(resourceArn=made["arn"])["tags"] == {"team/who=x": "a+b & c"}
    api.untag_resource(resourceArn=made["arn"], tagKeys=["team/who=x"])
    assert api.list_tags_for_resource(resourceArn=made["arn"])["tags"] == {}


def test_files_go_in_and_out_by_presigned_links(backend: Running, proxied: str) -> None:
    api = client(backend, proxied)
    made = assessment(api, "files")
    link = api.get_evidence_file_upload_url(fileName="policy & proof.pdf")
    assert link["uploadUrl"].startswith(proxied + "/")
    content = b"%PDF-1.7\n" + os.urandom(3 * 1024 * 1024)
    put = urllib.request.Request(link["uploadUrl"], content, method="PUT")
    with urllib.request.urlopen(put, timeout=60) as answer:
        assert answer.status == 200
    where = {
        "assessmentId": made["metadata"]["id"],
        "controlSetId": SET,
        "controlId": made["framework"]["controlSets"][0]["controls"][0]["id"],
    }
    done = api.batch_import_evidence_to_assessment_control(
        **where,
        manualEvidence=[{"evidenceFileName": link["evidenceFileName"]}],
    )
    assert done["errors"] == []
    [folder] = api.get_evidence_folders_by_assessment_control(**where)["evidenceFolders"]
    api.associate_assessment_report_evidence_folder(
        assessmentId=where["assessmentId"], evidenceFolderId=folder["id"]
    )
    report = api.create_assessment_report(name="r", assessmentId=made["metadata"]["id"])
    for _ in range(300):
        rows = api.list_assessment_reports()["assessmentReports"]
        states = {r["id"]: r["status"] for r in rows}
        if states.get(report["assessmentReport"]["id"]) != "IN_PROGRESS":
            break
        time.sleep(0.2)
    url = api.get_assessment_report_url(
        assessmentReportId=report["assessmentReport"]["id"],
        assessmentId=made["metadata"]["id"],
    )["preSignedUrl"]["link"]
    assert url.startswith(proxied + "/")
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.read(4) == b"PK\x03\x04"


def test_signing_in_goes_through(backend: Running, proxied: str) -> None:
    sts = boto3.client(
        "sts", endpoint_url=proxied, region_name="us-east-1",
        aws_access_key_id=backend.access_key, aws_secret_access_key=backend.secret_key,
    )  # fmt: skip
    assert sts.get_caller_identity()["Account"] == ACCOUNT


def test_a_path_in_front_is_taken_away_as_the_page_has_it(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    settings = {"AUDITKEEP_EXTERNAL_URL": f"http://127.0.0.1:{ports[1]}/audit"}
    with running_at(ports[0], tmp_path / "audit", settings) as server:
        first, second = page(ports[1], server.url)
        upstream = first[: first.index("\nserver {")]
        below = second.replace("# as above, but for:", f"listen 127.0.0.1:{ports[1]};")
        with nginx(tmp_path / "nginx", ports[1], upstream + below) as url:
            api = client(server, f"{url}/audit")
            made = assessment(api, "below")
            api.tag_resource(resourceArn=made["arn"], tags={"a/b": "c"})
            assert api.list_tags_for_resource(resourceArn=made["arn"])["tags"] == {"a/b": "c"}
            api.untag_resource(resourceArn=made["arn"], tagKeys=["a/b"])
            link = api.get_evidence_file_upload_url(fileName="x.pdf")["uploadUrl"]
            put = urllib.request.Request(link, b"%PDF", method="PUT")
            with urllib.request.urlopen(put, timeout=60) as answer:
                assert answer.status == 200


def refused(call: Any, **ask: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**ask)
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"
    return str(caught.value.response["Error"]["Message"])


def test_a_proxy_that_decodes_the_path_is_named(backend: Running, tmp_path: Path) -> None:
    port = free_port()
    wrong = page(port, backend.url)[0].replace(
        "proxy_pass http://auditkeep;", "proxy_pass http://auditkeep/;"
    )
    made = assessment(client(backend, backend.url), "decoded")
    with nginx(tmp_path / "nginx", port, wrong) as url:
        api = client(backend, url)
        assert api.get_account_status()["status"] == "ACTIVE"
        said = refused(api.list_tags_for_resource, resourceArn=made["arn"])
        assert "Your proxy altered the path: it was signed as /tags/arn%3Aaws" in said
        said = refused(
            api.update_assessment_control_set_status,
            assessmentId=made["metadata"]["id"], controlSetId=SET, status="REVIEWED", comment="x",
        )  # fmt: skip
        assert "Your proxy altered the path" in said
        assert "Identity%20%26%20access%20%2F%20people" in said


def test_a_proxy_that_writes_its_own_host_is_named(unnamed: Running, tmp_path: Path) -> None:
    port = free_port()
    right = page(port, unnamed.url)[0]
    said_so = "proxy_set_header X-Forwarded-Host $http_host;"
    wrong = re.sub(r"proxy_set_header Host .*;.*", said_so, right)
    with nginx(tmp_path / "told", port, wrong) as url:
        said = refused(client(unnamed, url).get_account_status)
        assert f"signed for 127.0.0.1:{port} and arrived for auditkeep" in said
        assert "AUDITKEEP_EXTERNAL_URL" in said
    with nginx(tmp_path / "silent", port, wrong.replace(said_so, "")) as url:
        assert "must pass its path and Host on" in refused(client(unnamed, url).get_account_status)


def test_an_external_url_makes_up_for_a_host_that_was_rewritten(
    backend: Running, ports: tuple[int, int], tmp_path: Path
) -> None:
    port = free_port()
    rewritten = re.sub(r"proxy_set_header Host .*;", "", page(port, backend.url)[0])
    with nginx(tmp_path / "nginx", port, rewritten) as url:
        api = client(backend, url)
        named = f"127.0.0.1:{ports[1]}"
        api.meta.events.register(
            "before-sign.auditmanager", lambda request, **_: request.headers.add_header("Host", named)
        )  # fmt: skip
        api.meta.events.register(
            "before-send.auditmanager", lambda request, **_: request.headers.__delitem__("Host")
        )
        assert api.get_account_status()["status"] == "ACTIVE"
