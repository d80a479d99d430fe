"""API calls: every documented one through unmodified clients, every page, one item a resource."""

import json
from typing import Any

import msgspec
import pytest
from tests.sources import asking
from tests.sources.asking import ACCOUNT, Stubbed, until
from tests.sources.reading import EVERYTHING, Read, read_pages

from auditkeep.clock import DAY, Day, day_from_name, parse
from auditkeep.errors import NotCollected
from auditkeep.ids import GLOBAL_REGION
from auditkeep.mapping import calls
from auditkeep.mapping.calls import Call
from auditkeep.mapping.interest import Interest
from auditkeep.sources import own_counts
from auditkeep.sources.apicalls import ELSEWHERE, FED, ApiCalls
from auditkeep.sources.pull import Ask, Denied, Page
from auditkeep.sources.records import NO_CONTROL, Context

PULLER = ApiCalls()
SLOT = day_from_name("2026-05-01")
REGION = "eu-west-1"


def ask(what: str, **more: Any) -> Ask:
    return Ask("AWS_API_Call", ACCOUNT, REGION, what, **{"slot": SLOT, **more})


def call_of(keyword: str) -> Call:
    found = calls.find(keyword)
    assert isinstance(found, Call)
    return found


def pages(clients: Any, question: Ask, resume: str | None = None) -> list[Page]:
    return list(PULLER.get(clients, question, resume))


def read(some: list[Page], context: Context = EVERYTHING) -> Read:
    return read_pages(PULLER, some, context)


def names(some: list[Page]) -> list[str]:
    result = read(some)
    assert result.rejected == []
    return [o.resources[0].value for o in result.observations]


def vpcs(*ids: str, token: str = "") -> dict[str, Any]:
    answer: dict[str, Any] = {"Vpcs": [{"VpcId": i} for i in ids]}
    return answer | ({"NextToken": token} if token else {})


# --- every documented call --------------------------------------------------------------------


def _stubbed(call: Call) -> tuple[Stubbed, int]:
    """Two pages of three and two resources, or one answer, and how many items follow."""
    clients = Stubbed()
    if not call.lists:
        (answer,) = asking.answers(call.service, call.operation, (), (0,))
        clients.answer(call.service, call.operation, answer)
        return clients, 1
    return clients, _listing(clients, call, (3, 2) if call.paging else (3,))


def _listing(clients: Stubbed, call: Call, sizes: tuple[int, ...]) -> int:
    answers = asking.answers(call.service, call.operation, call.lists, sizes)
    token: dict[str, Any] = {}
    for number, answer in enumerate(answers):
        last = number == len(answers) - 1
        expected = {**call.given, **token}
        if call.within:
            expected[call.within] = REGION
            for element in answer[call.lists[0][0]]:
                element[call.within] = REGION
        if call.paging:
            token = _turn(call, answer, last=last)
        clients.answer(call.service, call.operation, answer, expected)
    return sum(sizes) * len(call.lists)


def _turn(call: Call, answer: dict[str, Any], *, last: bool) -> dict[str, Any]:
    """Make an answer say whether it is the last; the parameters of the next one."""
    assert call.paging
    if call.paging.more:
        holder = answer
        *path, name = call.paging.more.split(".")
        for step in path:
            holder = holder[step]
        holder[name] = not last
    token = {}
    for name, output in zip(call.paging.inputs, call.paging.outputs, strict=True):
        holder = answer
        *path, leaf = output.split(".")
        for step in path:
            holder = holder[step]
        if leaf.endswith("[-1]"):
            token[name] = holder[leaf.removesuffix("[-1]")][-1]
        elif last:
            holder.pop(leaf)
        else:
            token[name] = holder[leaf]
    return token


FED_CALLS = {k for k, c in calls.documented().items() if c.feed}
FED_ONE = {k for k in FED_CALLS if not call_of(k).feed.named}  # type: ignore[union-attr]


@pytest.mark.parametrize("keyword", sorted(calls.documented().keys() - FED_CALLS))
def test_every_page_and_every_resource_of_a_documented_call(keyword: str) -> None:
    call = call_of(keyword)
    clients, expected = _stubbed(call)
    got = pages(clients, ask(keyword))
    clients.done()
    result = read(got)
    assert result.rejected == []
    assert len(result.observations) == expected
    assert len({o.natural_key for o in result.observations}) == expected
    assert got[-1].resume is None
    region = GLOBAL_REGION if call.everywhere else REGION
    assert clients.regions == [(call.service, region)]
    for found in result.observations:
        assert found.match_key == f"api:{keyword}"
        assert (found.account, found.region) == (ACCOUNT, region)
        assert found.event_time == parse("2026-05-01T00:00:00Z")
        assert found.natural_key[-1] == "2026-05-01"
        assert found.event_name == call.operation
        assert found.verdict is None
        assert isinstance(json.loads(found.raw), dict)
        assert b"ResponseMetadata" not in found.raw


def test_every_documented_call_that_moto_knows_is_really_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What moto does not implement is asked of the simulator, as are the counts of most services."""
    counts = {call: own for call, own in own_counts.COUNTS.items() if call[0] in ("iam", "lambda")}
    monkeypatch.setattr(own_counts, "COUNTS", counts)
    lacking, wrong = set(), {}
    with asking.moto() as get:
        get("s3", REGION).create_bucket(
            Bucket="here", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        get("s3", "us-east-1").create_bucket(Bucket="there")
        get("kms", REGION).create_key()

        class Clients:
            client = staticmethod(get)

        for keyword in calls.documented():
            try:
                result = read(pages(Clients, ask(keyword)))
            except NotImplementedError:
                lacking.add(keyword)
            except NotCollected as error:
                if "Not yet implemented" not in str(error):
                    wrong[keyword] = str(error)
                lacking.add(keyword)
            else:
                if result.rejected:
                    wrong[keyword] = str(result.rejected)
                if keyword in ("s3_ListBuckets", "s3_GetBucketEncryption"):
                    assert [o.resources[0].value for o in result.observations] == ["here"]
                if keyword == "iam_GetAccountPasswordPolicy":
                    assert b"NoSuchEntity" in result.only.raw
                if keyword == "kms_GetKeyPolicy":
                    assert json.loads(result.only.raw)["answer"]["Policy"]
    assert wrong == {}
    assert len(lacking) <= 28


# --- paging, resuming, failing ----------------------------------------------------------------


def test_what_was_answered_before_a_failure_is_kept_and_gone_on_from() -> None:
    clients = Stubbed()
    clients.answer("ec2", "DescribeVpcs", vpcs("vpc-1", "vpc-2", token="two"), {})
    clients.refuse("ec2", "DescribeVpcs", "RequestLimitExceeded", status=503)
    got, error = until(PULLER.get(clients, ask("ec2_DescribeVpcs")))
    assert error.reason == "throttled"
    assert error.again
    assert names(got) == ["vpc-1", "vpc-2"]
    clients.answer("ec2", "DescribeVpcs", vpcs("vpc-3"), {"NextToken": "two"})
    assert names(pages(clients, ask("ec2_DescribeVpcs"), got[-1].resume)) == ["vpc-3"]
    clients.done()


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("UnauthorizedOperation", 403, "denied"),
        ("RequestLimitExceeded", 503, "throttled"),
        ("ExpiredToken", 400, "expired"),
        ("AuthFailure", 401, "expired"),
        ("OptInRequired", 403, "switched-off"),
        ("RequestTimeTooSkewed", 403, "wrong-time"),
        ("AccountProblem", 403, "gone"),
        ("InternalError", 500, "unreachable"),
        ("InvalidParameterValue", 400, "refused"),
    ],
)
@pytest.mark.parametrize("good", [0, 1, 2])
def test_every_kind_of_failure_at_every_page(
    code: str, status: int, reason: str, good: int
) -> None:
    clients = Stubbed()
    for number in range(good):
        clients.answer("ec2", "DescribeVpcs", vpcs(f"vpc-{number}", token=f"t{number}"))
    clients.refuse("ec2", "DescribeVpcs", code, status=status)
    got, error = until(PULLER.get(clients, ask("ec2_DescribeVpcs")))
    assert error.reason == reason
    assert names(got) == [f"vpc-{n}" for n in range(good)]


def test_a_denial_names_the_action_from_the_table() -> None:
    clients = Stubbed()
    clients.refuse("s3", "ListBuckets", "AccessDenied", "Access Denied", 403)
    _, error = until(PULLER.get(clients, ask("s3_ListBuckets")))
    assert isinstance(error, Denied)
    assert error.action == "s3:ListAllMyBuckets"


def test_pages_that_go_in_circles_end() -> None:
    clients = Stubbed()
    clients.answer("ec2", "DescribeVpcs", vpcs("vpc-1", token="same"))
    clients.answer("ec2", "DescribeVpcs", vpcs("vpc-1", token="same"))
    got, error = until(PULLER.get(clients, ask("ec2_DescribeVpcs")))
    assert "circles" in str(error)
    assert len(got) == 1


def test_an_answer_without_resources_is_a_page_without_observations() -> None:
    clients = Stubbed()
    clients.answer("ec2", "DescribeVpcs", vpcs())
    (page,) = pages(clients, ask("ec2_DescribeVpcs"))
    assert names([page]) == []
    assert [(r.service, r.operation) for r in page.requests] == [("ec2", "DescribeVpcs")]


def test_the_same_answer_is_the_same_unit_and_another_is_another() -> None:
    clients = Stubbed()
    for ids in (("vpc-1",), ("vpc-1",), ("vpc-2",)):
        clients.answer("ec2", "DescribeVpcs", vpcs(*ids))
    units = [pages(clients, ask("ec2_DescribeVpcs"))[0].unit for _ in range(3)]
    assert units[0] == units[1] != units[2]


def test_a_call_that_may_not_be_asked_is_refused_without_asking() -> None:
    _, error = until(PULLER.get(Stubbed(), ask("secretsmanager_GetSecretValue")))
    assert "its answer is a secret" in str(error)
    assert PULLER.actions("secretsmanager_GetSecretValue") == frozenset()


# --- fan-out ----------------------------------------------------------------------------------


def tables(clients: Stubbed, *listed: str, token: str = "") -> None:
    more = {"LastEvaluatedTableName": token} if token else {}
    clients.answer("dynamodb", "ListTables", {"TableNames": list(listed), **more})


def described(clients: Stubbed, *listed: str) -> None:
    for name in listed:
        answer = {"Table": {"TableName": name, "TableArn": f"arn:aws:dynamodb:::{name}"}}
        clients.answer("dynamodb", "DescribeTable", answer, {"TableName": name})


FAN_OUT = "dynamodb_DescribeTable"


def test_a_fed_call_is_made_for_each_of_every_page_of_its_feed() -> None:
    clients = Stubbed()
    tables(clients, "aaa", "bbb", token="bbb")
    described(clients, "aaa", "bbb")
    tables(clients, "ccc")
    described(clients, "ccc")
    got = pages(clients, ask(FAN_OUT))
    assert names(got) == ["aaa", "bbb", "ccc"]
    assert [p.resume is None for p in got] == [False, True]
    body = json.loads(read(got).observations[0].raw)
    assert body["parameters"] == {"TableName": "aaa"}
    assert body["answer"]["Table"]["TableName"] == "aaa"


def test_a_fed_call_goes_on_behind_the_page_that_was_kept() -> None:
    clients = Stubbed()
    many = [f"t{n:03}" for n in range(FED + 2)]
    tables(clients, *many)
    described(clients, *many[:FED])
    clients.refuse("dynamodb", "DescribeTable", "ThrottlingException")
    got, error = until(PULLER.get(clients, ask(FAN_OUT)))
    assert error.reason == "throttled"
    assert names(got) == many[:FED]
    tables(clients, *many)
    described(clients, *many[FED:])
    assert names(pages(clients, ask(FAN_OUT), got[-1].resume)) == many[FED:]
    clients.done()


def test_a_resource_that_is_denied_is_a_fault_and_stops_no_other() -> None:
    clients = Stubbed()
    tables(clients, "aaa", "bbb", "ccc")
    described(clients, "aaa")
    clients.refuse("dynamodb", "DescribeTable", "AccessDeniedException", status=400)
    described(clients, "ccc")
    (page,) = pages(clients, ask(FAN_OUT))
    assert names([page]) == ["aaa", "ccc"]
    (fault,) = page.faults
    assert (fault.resource, fault.reason, fault.action) == (
        "bbb",
        "denied",
        "dynamodb:DescribeTable",
    )


def test_a_call_that_is_denied_for_all_is_denied() -> None:
    clients = Stubbed()
    tables(clients, "aaa", "bbb")
    for _ in range(2):
        clients.refuse("dynamodb", "DescribeTable", "AccessDeniedException", status=400)
    got, error = until(PULLER.get(clients, ask(FAN_OUT)))
    assert got == []
    assert error.reason == "denied"


def test_what_vanished_meanwhile_is_passed_over() -> None:
    clients = Stubbed()
    tables(clients, "aaa", "bbb")
    clients.refuse("dynamodb", "DescribeTable", "ResourceNotFoundException")
    described(clients, "bbb")
    (page,) = pages(clients, ask(FAN_OUT))
    assert names([page]) == ["bbb"]
    assert page.faults == ()


def test_a_fed_call_names_both_its_actions() -> None:
    assert PULLER.actions("s3_GetBucketEncryption") == {
        "s3:ListAllMyBuckets",
        "s3:GetEncryptionConfiguration",
    }


def test_that_nothing_is_set_is_evidence() -> None:
    clients = Stubbed()
    clients.answer("s3", "ListBuckets", {"Buckets": [{"Name": "one"}]}, {"BucketRegion": REGION})
    code = "ServerSideEncryptionConfigurationNotFoundError"
    clients.refuse("s3", "GetBucketEncryption", code, "none", 404)
    found = read(pages(clients, ask("s3_GetBucketEncryption"))).only
    assert json.loads(found.raw) == {
        "answer": {"Error": {"Code": code, "Message": "none"}},
        "parameters": {"Bucket": "one"},
    }


@pytest.mark.parametrize("keyword", ["s3_ListBuckets", "s3_GetBucketEncryption"])
def test_buckets_of_other_regions_are_not_evidence_of_this_one(keyword: str) -> None:
    clients = Stubbed()
    listed = [
        {"Name": "here", "BucketRegion": REGION},
        {"Name": "there", "BucketRegion": "us-east-1"},
    ]
    clients.answer("s3", "ListBuckets", {"Buckets": listed})
    if keyword == "s3_GetBucketEncryption":
        clients.answer("s3", "GetBucketEncryption", {}, {"Bucket": "here"})
    result = read(pages(clients, ask(keyword)))
    assert [o.resources[0].value for o in result.observations] == ["here"]
    if keyword == "s3_ListBuckets":
        assert result.tally.unmatched == {ELSEWHERE: 1}


@pytest.mark.parametrize("keyword", sorted(FED_ONE))
def test_every_documented_fan_out(keyword: str) -> None:
    call = call_of(keyword)
    assert call.feed
    listing = call_of(f"{call.service}_{call.feed.operation}")
    clients = Stubbed()
    _listing(clients, listing, (2,))
    for _ in range(2):
        size = 1 if call.feed.named else 2
        (answer,) = asking.answers(call.service, call.operation, call.lists, (size,))
        if call.paging:
            _turn(call, answer, last=True)
        clients.answer(call.service, call.operation, answer)
    result = read(pages(clients, ask(keyword)))
    clients.done()
    assert result.rejected == []
    one = 1 if call.feed.named or not call.lists else 2
    assert len({o.natural_key for o in result.observations}) == 2 * one


# --- what is kept -----------------------------------------------------------------------------


def test_five_route_tables_are_five_items() -> None:
    clients = Stubbed()
    answer = {"RouteTables": [{"RouteTableId": f"rtb-{n}", "VpcId": "v"} for n in range(5)]}
    clients.answer("ec2", "DescribeRouteTables", answer)
    result = read(pages(clients, ask("ec2_DescribeRouteTables")))
    assert [json.loads(o.raw) for o in result.observations] == answer["RouteTables"]


def test_instances_are_items_not_the_requests_that_started_them() -> None:
    clients = Stubbed()
    answer = {
        "Reservations": [
            {"ReservationId": "r-1", "Instances": [{"InstanceId": "i-1"}, {"InstanceId": "i-2"}]},
            {"ReservationId": "r-2", "Instances": [{"InstanceId": "i-3"}]},
        ]
    }
    clients.answer("ec2", "DescribeInstances", answer)
    assert names(pages(clients, ask("ec2_DescribeInstances"))) == ["i-1", "i-2", "i-3"]


def test_names_alone_become_objects() -> None:
    clients = Stubbed()
    tables(clients, "aaa")
    assert read(pages(clients, ask("dynamodb_ListTables"))).only.raw == b'{"TableNames":"aaa"}'


@pytest.mark.parametrize(
    ("keyword", "operation", "answer", "secret", "cuts"),
    [
        (
            "ec2_DescribeVpnConnections",
            "DescribeVpnConnections",
            {
                "VpnConnections": [
                    {
                        "VpnConnectionId": "vpn-1",
                        "CustomerGatewayConfiguration": "<ike><pre_shared_key>hush</></ike>",
                        "Options": {"TunnelOptions": [{"PreSharedKey": "hush"}]},
                    }
                ]
            },
            b"hush",
            2,
        ),
        (
            "lambda_ListFunctions",
            "ListFunctions",
            {
                "Functions": [
                    {
                        "FunctionName": "f",
                        "FunctionArn": "arn:aws:lambda:::f",
                        "Environment": {"Variables": {"DB": "hush", "MODE": "1"}},
                        "Version": "1",
                    }
                ]
            },
            b"hush",
            2,
        ),
        (
            "iam_ListVirtualMFADevices",
            "ListVirtualMFADevices",
            {
                "VirtualMFADevices": [
                    {"SerialNumber": "arn:aws:iam::1:mfa/a", "Base32StringSeed": b"hush" * 9}
                ]
            },
            b"aHVzaGh1c2",
            1,
        ),
        (
            "directconnect_DescribeVirtualInterfaces",
            "DescribeVirtualInterfaces",
            {
                "virtualInterfaces": [
                    {
                        "virtualInterfaceId": "dxvif-1",
                        "authKey": "hush",
                        "customerRouterConfig": "<bgp_auth_key>hush</bgp_auth_key>",
                        "bgpPeers": [{"bgpPeerId": "p", "authKey": "hush"}],
                    }
                ]
            },
            b"hush",
            3,
        ),
        (
            "batch_DescribeJobDefinitions",
            "DescribeJobDefinitions",
            {
                "jobDefinitions": [
                    {
                        "jobDefinitionName": "j",
                        "jobDefinitionArn": "arn:aws:batch:::j",
                        "revision": 1,
                        "type": "container",
                        "containerProperties": {
                            "environment": [{"name": "DB", "value": "hush"}],
                        },
                    }
                ]
            },
            b"hush",
            1,
        ),
    ],
)
def test_what_the_model_calls_sensitive_or_its_name_tells_is_cut(
    keyword: str, operation: str, answer: dict[str, Any], secret: bytes, cuts: int
) -> None:
    clients = Stubbed()
    clients.answer(call_of(keyword).service, operation, answer)
    found = read(pages(clients, ask(keyword))).only
    assert secret not in found.raw
    assert len(found.cuts) == cuts
    assert {c.rule for c in found.cuts} == {"sensitive"}
    for cut in found.cuts:
        assert found.raw[cut.offset : cut.offset + 5] == b"[cut]"
    kept = json.loads(found.raw)
    assert kept.get("Version", "1") == "1"


def test_a_first_look_is_dated_to_its_moment() -> None:
    at = parse("2026-05-01T10:11:12Z")
    clients = Stubbed()
    clients.answer("ec2", "DescribeVpcs", vpcs("vpc-1"))
    found = read(pages(clients, ask("ec2_DescribeVpcs", slot=None, at=at))).only
    assert found.event_time == at
    assert found.natural_key[-1] == "2026-05-01T10:11:12.000000Z"


def test_another_slot_is_another_observation() -> None:
    clients = Stubbed()
    keys = set()
    for slot in (SLOT, Day(SLOT + 1)):
        clients.answer("ec2", "DescribeVpcs", vpcs("vpc-1"))
        found = read(pages(clients, ask("ec2_DescribeVpcs", slot=slot))).only
        keys.add((found.natural_key, found.event_time // DAY))
    assert len(keys) == 2


def test_what_no_control_looks_at_is_counted_and_not_kept() -> None:
    clients = Stubbed()
    clients.answer("ec2", "DescribeVpcs", vpcs("vpc-1", "vpc-2"))
    narrow = Context(EVERYTHING.tenant, Interest.of(["api:other"]), EVERYTHING.cutter)
    result = read(pages(clients, ask("ec2_DescribeVpcs")), narrow)
    assert result.tally.records == 2
    assert result.tally.unmatched == {NO_CONTROL: 2}


def test_a_page_that_is_none_is_rejected() -> None:
    page = Page(ask("ec2_DescribeVpcs"), "u", b"no", ())
    assert "JSON" in read([page]).reason


def test_any_other_reading_operation_is_asked_alike() -> None:
    clients = Stubbed()
    clients.answer("rds", "DescribeDBSnapshots", {"DBSnapshots": [{"DBSnapshotIdentifier": "s"}]})
    found = read(pages(clients, ask("rds_DescribeDBSnapshots"))).only
    assert found.match_key == "api:rds_DescribeDBSnapshots"
    assert found.resources[0].value == "s"


def test_resources_without_a_name_are_told_apart_by_content() -> None:
    clients = Stubbed()
    answer = {"Addresses": [{"Domain": "vpc"}, {"Domain": "standard"}]}
    clients.answer("ec2", "DescribeAddresses", answer)
    assert len(set(names(pages(clients, ask("ec2_DescribeAddresses"))))) == 2


def test_an_answer_survives_its_way_through_bytes() -> None:
    clients = Stubbed()
    answer = {"Volumes": [{"VolumeId": "v", "CreateTime": asking.AT, "Size": 8}]}
    clients.answer("ec2", "DescribeVolumes", answer)
    found = read(pages(clients, ask("ec2_DescribeVolumes"))).only
    assert msgspec.json.decode(found.raw) == {
        "CreateTime": "2026-05-01T10:11:12.000000Z",
        "Size": 8,
        "VolumeId": "v",
    }


# --- every element is one item ----------------------------------------------------------------


def ssm_items(*found: tuple[str, str]) -> dict[str, Any]:
    return {
        "ComplianceItems": [
            {"ResourceId": machine, "Id": patch, "ComplianceType": "Patch"}
            for machine, patch in found
        ]
    }


def test_elements_that_share_a_name_are_items_of_their_own_and_equal_ones_are_one() -> None:
    clients = Stubbed()
    answer = ssm_items(("i-1", "KB1"), ("i-2", "KB1"), ("i-1", "KB1"), ("i-1", "KB2"))
    clients.answer("ssm", "ListComplianceItems", answer)
    result = read(pages(clients, ask("ssm_ListComplianceItems")))
    keys = [o.natural_key for o in result.observations]
    assert keys[0] == keys[2]
    assert len(set(keys)) == 3
    shown = [o.resources[0].value for o in result.observations]
    assert [name.partition("#")[0] for name in shown] == ["KB1", "KB1", "KB1", "KB2"]
    assert all(o.natural_key[3] == o.resources[0].value for o in result.observations)


def test_elements_of_one_owner_are_items_of_their_own() -> None:
    clients = Stubbed()
    images = [
        {"registryId": ACCOUNT, "repositoryName": "repo", "imageDigest": f"sha256:{n}"}
        for n in range(3)
    ]
    clients.answer("ecr", "DescribeRepositories", {"repositories": [{"repositoryName": "repo"}]})
    clients.answer("ecr", "DescribeImages", {"imageDetails": images}, {"repositoryName": "repo"})
    result = read(pages(clients, ask("ecr_DescribeImages")))
    assert len({o.natural_key for o in result.observations}) == 3
    assert {o.resources[0].value.partition("/")[0] for o in result.observations} == {"repo"}


def test_elements_that_differ_by_a_secret_only_are_items_of_their_own() -> None:
    clients = Stubbed()
    jobs = [
        {"Name": "etl", "DefaultArguments": {"--key": secret}} for secret in ("one", "two", "one")
    ]
    clients.answer("glue", "GetJobs", {"Jobs": jobs})
    result = read(pages(clients, ask("glue_GetJobs")))
    keys = [o.natural_key for o in result.observations]
    assert keys[0] == keys[2] != keys[1]
    assert len({o.raw for o in result.observations}) == 1


def test_texts_that_two_lists_hold_are_items_of_their_own() -> None:
    clients = Stubbed()
    answer = {"ScaleUpModifications": ["m5"], "ScaleDownModifications": ["m5"]}
    clients.answer("elasticache", "ListAllowedNodeTypeModifications", answer)
    result = read(pages(clients, ask("elasticache_ListAllowedNodeTypeModifications")))
    assert len({o.natural_key for o in result.observations}) == 2


def test_pages_of_an_answer_without_lists_are_parts_of_it() -> None:
    clients = Stubbed()

    def stream(destination: str, *, more: bool) -> dict[str, Any]:
        told = {
            "DeliveryStreamName": "s",
            "DeliveryStreamARN": "arn:aws:firehose:::s",
            "DeliveryStreamStatus": "ACTIVE",
            "DeliveryStreamType": "DirectPut",
            "VersionId": "1",
            "Destinations": [{"DestinationId": destination}],
            "HasMoreDestinations": more,
        }
        return {"DeliveryStreamDescription": told}

    listed = {"DeliveryStreamNames": ["s"], "HasMoreDeliveryStreams": False}
    clients.answer("firehose", "ListDeliveryStreams", listed)
    given = {"DeliveryStreamName": "s"}
    clients.answer("firehose", "DescribeDeliveryStream", stream("d1", more=True), given)
    given = {"DeliveryStreamName": "s", "ExclusiveStartDestinationId": "d1"}
    clients.answer("firehose", "DescribeDeliveryStream", stream("d2", more=False), given)
    found = names(pages(clients, ask("firehose_DescribeDeliveryStream")))
    clients.done()
    assert found[0] == "s"
    assert found[1].startswith("s#")


def test_what_says_more_than_a_list_is_kept_whole() -> None:
    clients = Stubbed()
    answer = {"State": "enabled", "ImageCriteria": [{"ImageProviders": ["amazon"]}]}
    clients.answer("ec2", "GetAllowedImagesSettings", answer)
    found = read(pages(clients, ask("ec2_GetAllowedImagesSettings"))).only
    assert json.loads(found.raw) == answer
    assert found.resources[0].value == ACCOUNT


@pytest.mark.parametrize(
    ("keyword", "answers", "given", "items"),
    [
        (
            "cloudfront_ListFunctions",
            [
                {
                    "FunctionList": {
                        "NextMarker": "m",
                        "MaxItems": 1,
                        "Quantity": 1,
                        "Items": [
                            {
                                "Name": "f",
                                "FunctionConfig": {"Comment": "1", "Runtime": "cloudfront-js-2.0"},
                                "FunctionMetadata": {
                                    "FunctionARN": "arn:aws:cloudfront:::f",
                                    "LastModifiedTime": asking.AT,
                                },
                            }
                        ],
                    }
                },
                {"FunctionList": {"MaxItems": 1, "Quantity": 0}},
            ],
            [{}, {"Marker": "m"}],
            1,
        ),
        (
            "lightsail_GetBuckets",
            [
                {"buckets": [{"arn": "a"}], "nextPageToken": "t"},
                {"buckets": [{"arn": "b"}]},
            ],
            [{}, {"pageToken": "t"}],
            2,
        ),
        (
            "kinesisanalytics_ListApplications",
            [
                {
                    "ApplicationSummaries": [
                        {
                            "ApplicationName": "one",
                            "ApplicationARN": "arn:aws:kinesisanalytics:::one",
                            "ApplicationStatus": "READY",
                        }
                    ],
                    "HasMoreApplications": True,
                },
                {"ApplicationSummaries": [], "HasMoreApplications": False},
            ],
            [{}, {"ExclusiveStartApplicationName": "one"}],
            1,
        ),
    ],
)
def test_pages_beyond_the_documented_calls_are_followed(
    keyword: str, answers: list[dict[str, Any]], given: list[dict[str, Any]], items: int
) -> None:
    clients = Stubbed()
    call = call_of(keyword)
    for answer, parameters in zip(answers, given, strict=True):
        clients.answer(call.service, call.operation, answer, parameters)
    result = read(pages(clients, ask(keyword)))
    clients.done()
    assert len({o.natural_key for o in result.observations}) == items
