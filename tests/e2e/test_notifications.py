"""From a delegation asked for with boto3 to a topic, a mailbox, a webhook and a bus."""

import base64
import hashlib
import hmac
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.e2e.conftest import ACCOUNT, Running, auditkeep, free_port, running, serving
from tests.moto_server import running_moto
from tests.receivers import MailRelay, Posted, certificate, mail_relay, web_server

pytestmark = [pytest.mark.server, pytest.mark.slow]

EXPERT = f"arn:aws:iam::{ACCOUNT}:user/expert"
ADMIN = f"arn:aws:iam::{ACCOUNT}:user/admin"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
BUS = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/audit"


class Cloud:
    """A topic and a bus whose messages end in queues that can be read."""

    def __init__(self, url: str) -> None:
        self.url = url
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        where = {"region_name": "us-east-1", "endpoint_url": url}
        self.sns, self.sqs, self.events = (
            boto3.client(name, **keys, **where) for name in ("sns", "sqs", "events")
        )
        self.topic = self.sns.create_topic(Name="audit")["TopicArn"]
        self.fifo = self.sns.create_topic(Name="audit.fifo", Attributes={"FifoTopic": "true"})[
            "TopicArn"
        ]
        self.told = self._queue("told")
        self.told_in_order = self._queue("told.fifo", FifoQueue="true")
        self.seen = self._queue("seen")
        for topic, queue in [(self.topic, self.told), (self.fifo, self.told_in_order)]:
            self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self._arn(queue))
        self.events.create_event_bus(Name="audit")
        self.events.put_rule(
            Name="all", EventBusName="audit", EventPattern=json.dumps({"source": ["auditkeep"]})
        )
        self.events.put_targets(
            Rule="all", EventBusName="audit", Targets=[{"Id": "1", "Arn": self._arn(self.seen)}]
        )

    def read(self, queue: str, count: int, seconds: float = 20) -> list[Any]:
        found: list[Any] = []
        until = time.monotonic() + seconds
        while len(found) < count and time.monotonic() < until:
            got = self.sqs.receive_message(
                QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"]
            ).get("Messages", [])
            for message in got:
                self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            found += [json.loads(m["Body"]) for m in got]
            time.sleep(0.1)
        assert len(found) == count, found
        return found

    def _queue(self, name: str, **attributes: str) -> str:
        url: str = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url

    def _arn(self, queue: str) -> str:
        got = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        arn: str = got["Attributes"]["QueueArn"]
        return arn


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with running_moto() as url:
        yield Cloud(url)


@contextmanager
def everything(folder: Path, cloud: Cloud, **more: str) -> Iterator[tuple[Running, MailRelay]]:
    """A server that delivers to all four, over TLS and with a login where there can be."""
    tls = certificate(folder)
    (folder / "password").write_text("correct horse\n")
    with (
        mail_relay(tls, password="correct horse") as relay,
        running(
            folder / "audit",
            **CREDENTIALS,
            AUDITKEEP_SNS_ENDPOINT_URL=cloud.url,
            AUDITKEEP_EVENTS_ENDPOINT_URL=cloud.url,
            AUDITKEEP_EVENT_BUS=BUS,
            AUDITKEEP_SMTP_HOST="localhost",
            AUDITKEEP_SMTP_PORT=str(relay.port),
            AUDITKEEP_SMTP_FROM="audit@example.com",
            AUDITKEEP_SMTP_USER="auditkeep",
            AUDITKEEP_SMTP_PASSWORD_FILE=str(folder / "password"),
            AUDITKEEP_OUTGOING_CA_FILE=str(tls.file),
            AUDITKEEP_WEBHOOK_NETWORKS="127.0.0.0/8,::1/128",
            **more,
        ) as server,
    ):
        yield server, relay


def notify(server: Running, *words: str, check: bool = True) -> Any:
    tenant = [] if words[0] == "failures" else ["--account", ACCOUNT]
    done = auditkeep(
        "notify", *words, "--data", str(server.data), *tenant, "--json",
        environment=server.environment, check=check,
    )  # fmt: skip
    return json.loads(done.stdout)


def assessment(client: Any) -> dict[str, str]:
    """An assessment of one control in one set."""
    client.register_account()
    source = {
        "sourceName": "s",
        "sourceSetUpOption": "Procedural_Controls_Mapping",
        "sourceType": "MANUAL",
    }
    control = client.create_control(name="c", controlMappingSources=[source])["control"]["id"]
    framework = client.create_assessment_framework(
        name="f", controlSets=[{"name": "Access", "controls": [{"id": control}]}]
    )["framework"]["id"]
    made = client.create_assessment(
        name="Q3 review",
        frameworkId=framework,
        assessmentReportsDestination={"destinationType": "S3", "destination": "s3://reports"},
        scope={"awsAccounts": [{"id": ACCOUNT}]},
        roles=[{"roleType": "PROCESS_OWNER", "roleArn": ADMIN}],
    )["assessment"]
    return {
        "assessmentId": made["metadata"]["id"],
        "controlSetId": "Access",
        "controlId": control,
        "arn": made["arn"],
    }


def delegate(client: Any, made: dict[str, str], comment: str = "please look") -> None:
    client.batch_create_delegation_by_assessment(
        assessmentId=made["assessmentId"],
        createDelegationRequests=[
            {
                "roleArn": EXPERT,
                "roleType": "RESOURCE_OWNER",
                "controlSetId": "Access",
                "comment": comment,
            }
        ],
    )


def test_everyone_is_told_by_every_way(tmp_path: Path, cloud: Cloud) -> None:
    with everything(tmp_path, cloud) as (server, relay), web_server() as web:
        client = server.client()
        secret = notify(server, "webhook", "put", "siem", web.url)["secret"]
        for principal in (EXPERT, ADMIN):
            mailbox = principal.rsplit("/", 1)[-1] + "@example.com"
            notify(server, "address", "put", principal, mailbox)
        client.update_settings(snsTopic=cloud.topic)
        made = assessment(client)
        where = {k: made[k] for k in ("assessmentId", "controlSetId")}
        delegate(client, made)
        expert = _client_of(server, "expert")
        expert.update_assessment_control(
            **where, controlId=made["controlId"], controlStatus="REVIEWED"
        )
        expert.update_assessment_control_set_status(**where, status="UNDER_REVIEW", comment="done")
        client.update_assessment_control_set_status(**where, status="REVIEWED", comment="")
        client.update_assessment(
            assessmentId=made["assessmentId"], scope={"awsAccounts": [{"id": ACCOUNT}]}
        )
        client.delete_assessment(assessmentId=made["assessmentId"])

        told = [
            ("CONTROL_SET_DELEGATED", ADMIN, "please look"),
            ("CONTROL_SET_HANDED_BACK", EXPERT, "done"),
            ("CONTROL_SET_REVIEWED", ADMIN, "The control set 'Access' is now REVIEWED."),
        ]
        seen = [
            ("Assessment Created", "CREATE", "ASSESSMENT", ADMIN),
            ("Assessment ControlSet Delegation Created", "CREATE", "DELEGATION", ADMIN),
            ("Assessment Control Reviewed", "REVIEWED", "CONTROL", EXPERT),
            ("Assessment ControlSet Reviewed", "REVIEWED", "CONTROL_SET", ADMIN),
            ("Assessment Updated", "UPDATE_METADATA", "ASSESSMENT", ADMIN),
            ("Assessment Deleted", "DELETE", "ASSESSMENT", ADMIN),
        ]

        published = cloud.read(cloud.told, 3)
        assert {p["Subject"] for p in published} == {"Audit Manager notification"}
        bodies = [json.loads(p["Message"]) for p in published]
        assert sorted((b["type"], b["source"], b["description"]) for b in bodies) == sorted(told)
        for body in bodies:
            assert set(body) == {
                "assessmentId", "assessmentName", "controlSetId", "controlSetName", "source",
                "description", "eventTime", "type",
            }  # fmt: skip
            assert body["assessmentName"] == "Q3 review"
            assert abs(body["eventTime"] / 1000 - time.time()) < 120

        events = cloud.read(cloud.seen, 6)
        assert sorted(_told(e) for e in events) == sorted(seen)
        for event in events:
            assert event["source"] == "auditkeep"
            assert event["resources"] == [made["arn"]]
            assert event["detail"]["assessmentID"] == made["assessmentId"]
            assert event["detail"]["assessmentTenantId"] == ACCOUNT

        posted = web.wait(9)
        assert len({p.headers["webhook-id"] for p in posted}) == len(posted) == 9
        assert all(_signed(p, secret) for p in posted)
        contents = [json.loads(p.body) for p in posted]
        assert sorted(_told(c) for c in contents if "detail" in c) == sorted(seen)
        assert {c["source"] for c in contents if "detail" in c} == {"aws.auditmanager"}
        assert sorted(c["type"] for c in contents if "type" in c) == sorted(t[0] for t in told)

        mails = relay.wait(3)
        assert (
            sorted(to for _, to, _ in mails) == ["admin@example.com"] + ["expert@example.com"] * 2
        )
        assert all(tls for _, _, tls in mails)
        assert set(relay.logins) == {"auditkeep"}
        assert all("Q3 review" in str(mail["subject"]) for mail, _, _ in mails)
        assert any("> please look" in mail.get_content() for mail, _, _ in mails)
        assert notify(server, "failures") == {"failures": []}


def test_a_fifo_topic_is_published_to_in_groups(tmp_path: Path, cloud: Cloud) -> None:
    with everything(tmp_path, cloud) as (server, _):
        client = server.client()
        client.register_account()
        settings = client.update_settings(snsTopic=cloud.fifo)["settings"]
        assert settings["snsTopic"] == cloud.fifo
        delegate(client, assessment(client))
        (published,) = cloud.read(cloud.told_in_order, 1)
        assert json.loads(published["Message"])["type"] == "CONTROL_SET_DELEGATED"
        client.update_settings(snsTopic="NONE")
        assert "snsTopic" not in client.get_settings(attribute="ALL")["settings"]


@pytest.mark.parametrize("answer", [500, 60.0])
def test_what_was_queued_outlives_the_process(tmp_path: Path, cloud: Cloud, answer: float) -> None:
    """Killed after a refusal, and in the middle of a delivery."""
    with everything(tmp_path, cloud) as (server, _), web_server() as web:
        web.answers.append(answer)
        client = server.client()
        client.register_account()
        notify(server, "webhook", "put", "siem", web.url, "--send", "notices")
        delegate(client, assessment(client))
        (first,) = web.wait(1)
        server.process.kill()
        server.process.wait()
        with sqlite3.connect(server.data / "audit.db") as db:  # the minute of a lease passes
            db.execute("UPDATE jobs SET lease_until = 1, due_at = 1 WHERE state <> 'done'")
        db.close()
        with serving(server.data, **server.environment):
            again = web.wait(2)[1]
        assert again.headers["webhook-id"] == first.headers["webhook-id"]
        assert again.body == first.body


def test_a_dead_channel_holds_no_other_and_is_seen(tmp_path: Path, cloud: Cloud) -> None:
    with everything(tmp_path, cloud) as (server, relay), web_server() as web:
        client = server.client()
        client.register_account()
        dead = f"http://127.0.0.1:{free_port()}/hook"
        notify(server, "webhook", "put", "dead", dead, "--send", "notices")
        notify(server, "webhook", "put", "slow", web.url, "--send", "notices")
        notify(server, "webhook", "put", "well", web.url, "--send", "notices")
        web.answers[:] = [60.0]
        notify(server, "address", "put", EXPERT, "expert@example.com")
        began = time.monotonic()
        delegate(client, assessment(client))
        assert time.monotonic() - began < 5
        relay.wait(1)
        web.wait(2)
        assert time.monotonic() - began < 9  # the slow one is given ten seconds
        (trouble,) = [f for f in notify(server, "failures")["failures"] if "dead" in f["message"]]
        assert trouble["error"].startswith("The webhook's server cannot be reached")
        assert trouble["state"].startswith("again at ")


def _client_of(server: Running, user: str) -> Any:
    made = json.loads(
        auditkeep(
            "keys", "create", "--data", str(server.data), "--account", ACCOUNT,
            "--user", user, "--policy", "AuditkeepDelegate", "--json",
            environment=server.environment,
        ).stdout
    )  # fmt: skip
    return server.client(access_key=made["accessKeyId"], secret_key=made["secretAccessKey"])


def _told(event: Any) -> tuple[str, ...]:
    detail = event["detail"]
    return event["detail-type"], detail["eventName"], detail["eventType"], detail["author"]


def _signed(posted: Posted, secret: str) -> bool:
    """The verification that docs/notifications.md shows."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    headers = posted.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + posted.body
    good = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    return fresh and hmac.compare_digest(f"v1,{good}", headers["webhook-signature"])
