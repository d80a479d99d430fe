"""Policies of one's own on a real server, and explanations that agree with what it answers."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.e2e.conftest import ACCOUNT, Running, auditkeep, running

pytestmark = [pytest.mark.server, pytest.mark.slow]

SOURCE = {
    "sourceName": "s",
    "sourceSetUpOption": "Procedural_Controls_Mapping",
    "sourceType": "MANUAL",
}
Asking = Callable[..., Any]


def statement(action: str, condition: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    found = {"Effect": "Allow", "Action": action, "Resource": "*", **more}
    return found if condition is None else {**found, "Condition": condition}


POLICIES = {
    "office": [statement("*", {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}})],
    "team": [
        statement("auditmanager:CreateControl", {"StringEquals": {"aws:RequestTag/Team": "red"}}),
        statement("auditmanager:GetControl", {"StringEquals": {"aws:ResourceTag/Team": "red"}}),
    ],
    "careful": [
        statement("*"),
        statement(
            "*",
            {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
            Effect="Deny",
            Sid="OnlyWithMfa",
        ),
    ],
    "anything": [statement("*")],
}


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that trusts a proxy on this machine."""
    folder = tmp_path_factory.mktemp("access")
    with running(folder / "audit", AUDITKEEP_TRUSTED_PROXIES="127.0.0.1/32") as made:
        made.client().register_account()
        yield made


@pytest.fixture(scope="module")
def client(proxied: Running, tmp_path_factory: pytest.TempPathFactory) -> Asking:
    """Clients of users who carry the policy of their name; `via` is what the proxy says."""
    where = ("--data", str(proxied.data), "--account", ACCOUNT)
    keys = {}
    for name, statements in POLICIES.items():
        file: Path = tmp_path_factory.mktemp("policies") / f"{name}.json"
        file.write_text(json.dumps({"Version": "2012-10-17", "Statement": statements}))
        auditkeep("access", "policies", "put", name, str(file), *where)
        made = auditkeep("keys", "create", "--user", name, "--policy", name, "--json", *where)
        keys[name] = json.loads(made.stdout)

    def ask(name: str, via: str | None = None) -> Any:
        key = keys[name]
        found = proxied.client(access_key=key["accessKeyId"], secret_key=key["secretAccessKey"])
        if via is not None:
            found.meta.events.register(
                "before-send.auditmanager",
                lambda request, **_: request.headers.__setitem__("X-Forwarded-For", via),
            )
        return found

    return ask


def denial(method: Asking, /, **ask: Any) -> str:
    with pytest.raises(ClientError) as caught:
        method(**ask)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    return str(caught.value.response["Error"]["Message"])


def explained(server: Running, user: str, action: str, *more: str) -> tuple[int, Any]:
    ask = ("access", "explain", "--data", str(server.data), "--user", user, "--action", action)
    done = auditkeep(*ask, "--json", *more, check=False)
    return done.returncode, json.loads(done.stdout)


def test_an_address_counts_as_the_proxy_tells_it(client: Asking, proxied: Running) -> None:
    assert "IpAddress aws:SourceIp" in denial(client("office").list_assessments)
    assert "on resource: *" in denial(client("office", "203.0.113.9, 192.0.2.1").list_assessments)
    assert client("office", "203.0.113.9").list_assessments()["assessmentMetadata"] == []
    for address, code in (("203.0.113.9", 0), ("192.0.2.1", 1)):
        context = ("--context", f"aws:SourceIp={address}")
        assert explained(proxied, "office", "ListAssessments", *context)[0] == code


def test_tags_count_on_the_request_and_on_the_resource(client: Asking, proxied: Running) -> None:
    team, admin = client("team"), proxied.client()
    ask = {"name": "c", "controlMappingSources": [SOURCE]}
    assert "StringEquals aws:RequestTag/Team" in denial(team.create_control, **ask)
    red = team.create_control(**ask, tags={"Team": "red"})["control"]
    blue = admin.create_control(**{**ask, "name": "d"}, tags={"Team": "blue"})["control"]
    assert team.get_control(controlId=red["id"])["control"]["name"] == "c"
    assert f"resource: {blue['arn']}, because" in denial(team.get_control, controlId=blue["id"])
    for control, code in ((red, 0), (blue, 1)):
        told = explained(proxied, "team", "GetControl", "--resource", control["arn"])
        assert told[0] == code


def test_a_second_factor_is_missed_and_the_statement_named(
    client: Asking, proxied: Running
) -> None:
    assert "OnlyWithMfa of the policy careful" in denial(client("careful").list_assessments)
    code, told = explained(proxied, "careful", "ListAssessments")
    assert (code, told["statement"], told["decidedBy"]) == (1, "OnlyWithMfa", "identity policies")


def test_the_second_layer_is_told_from_the_first(client: Asking, proxied: Running) -> None:
    admin = proxied.client()
    framework = admin.list_assessment_frameworks(frameworkType="Standard")["frameworkMetadataList"]
    made = admin.create_assessment(
        name="a",
        frameworkId=framework[0]["id"],
        assessmentReportsDestination={"destinationType": "S3", "destination": "s3://reports"},
        scope={"awsAccounts": [{"id": ACCOUNT}]},
        roles=[{"roleType": "PROCESS_OWNER", "roleArn": f"arn:aws:iam::{ACCOUNT}:user/office"}],
    )["assessment"]
    ask = {"assessmentId": made["metadata"]["id"]}
    assert client("office", "203.0.113.9").get_assessment(**ask)["userRole"]
    message = denial(client("anything").get_assessment, **ask)
    assert f"auditmanager:GetAssessment on resource: {made['arn']}, because only audit" in message
    code, told = explained(proxied, "anything", "GetAssessment", "--resource", made["arn"])
    assert (code, told["decidedBy"]) == (1, "roles in the assessment")
    assert [layer["allowed"] for layer in told["layers"]] == [True, True, False]
