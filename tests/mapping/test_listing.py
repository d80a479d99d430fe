"""Pages, lists and names of answers, as botocore's models tell them: all of them, and some known."""

import re
from typing import Any

import pytest
from botocore.model import OperationModel, ServiceModel
from tests.mapping.accepted import accepted, judged, operation_of, shape_at

from auditkeep.mapping import calls, listing
from auditkeep.mapping.calls import Call, Paging, Refusal

TOKEN = re.compile(
    r"(?:next|page|pagination|continuation)_?token|^token$|marker$|^cursor$|^position$|offset$"
    r"|^page_?(?:number)?$|exclusive_?start|last_?evaluated_?(?!at$)|starting_?after|^start_?at$",
    re.IGNORECASE,
)
"""What pages by the look of its name, told without the rule's own list."""

DOCUMENTED = calls.documented()


def called(keyword: str) -> Call:
    found = calls.find(keyword)
    assert isinstance(found, Call), found
    return found


def inside(shape: Any) -> dict[str, Any]:
    """The members of an answer and of what it is wrapped in."""
    members = dict(shape.members)
    for member in shape.members.values():
        if len(shape.members) == 1 and member.type_name == "structure":
            members |= member.members
    return members


def test_every_operation_of_every_model_is_paged_or_has_nothing_to_page_by() -> None:
    untold = set()
    for keyword, call in accepted().items():
        model = operation_of(call)
        if call.paging is not None:
            continue
        inputs = model.input_shape.members if model.input_shape else {}
        tokens = [n for n in inputs if TOKEN.search(n)]
        tokens += [
            n
            for n, m in inside(model.output_shape).items()
            if m.type_name == "string" and TOKEN.search(n)
        ]
        if tokens:
            untold.add(f"{keyword}: {tokens}")
    assert untold == set()
    assert len([c for c in accepted().values() if c.paging]) > 1500


def test_what_pages_go_on_with_is_in_every_model() -> None:
    for keyword, call in accepted().items():
        if call.paging is None:
            continue
        model = operation_of(call)
        assert set(call.paging.inputs) <= set(model.input_shape.members), keyword
        assert len(call.paging.inputs) == len(call.paging.outputs), keyword
        for output in call.paging.outputs:
            for one in output.split(" || "):
                path = one.replace("[-1]", "")
                assert shape_at(model.output_shape, path) is not None, keyword


def test_an_operation_that_nobody_can_page_through_is_refused_with_the_reason() -> None:
    refused = {k for k, r in judged().items() if isinstance(r, Refusal) and r.reason == "pages"}
    assert refused == {"guardduty_GetFindingsStatistics"}
    found = calls.find("guardduty_GetFindingsStatistics")
    assert isinstance(found, Refusal)
    assert "NextToken" in found.sentence
    assert found.sentence.endswith(".")


@pytest.mark.parametrize(
    ("keyword", "paging"),
    [
        ("lightsail_GetBuckets", Paging(("pageToken",), ("nextPageToken",))),
        ("servicecatalog_SearchProducts", Paging(("PageToken",), ("NextPageToken",))),
        ("cloudfront_ListFunctions", Paging(("Marker",), ("FunctionList.NextMarker",))),
        (
            "s3_ListBucketInventoryConfigurations",
            Paging(("ContinuationToken",), ("NextContinuationToken",), "IsTruncated"),
        ),
        (
            "dynamodb_ListGlobalTables",
            Paging(("ExclusiveStartGlobalTableName",), ("LastEvaluatedGlobalTableName",)),
        ),
        (
            "kinesisanalytics_ListApplications",
            Paging(
                ("ExclusiveStartApplicationName",),
                ("ApplicationSummaries[-1].ApplicationName",),
                "HasMoreApplications",
            ),
        ),
        (
            "route53_ListTrafficPolicies",
            Paging(("TrafficPolicyIdMarker",), ("TrafficPolicyIdMarker",), "IsTruncated"),
        ),
        (
            "route53_ListHostedZonesByName",
            Paging(("DNSName", "HostedZoneId"), ("NextDNSName", "NextHostedZoneId"), "IsTruncated"),
        ),
        # its `Marker` is an echo of what was asked
        (
            "route53_ListReusableDelegationSets",
            Paging(("Marker",), ("NextMarker",), "IsTruncated"),
        ),
        ("pinpoint_GetApps", Paging(("Token",), ("ApplicationsResponse.NextToken",))),
        ("wafv2_GetWebACL", None),
    ],
)
def test_how_an_answer_goes_on(keyword: str, paging: Paging | None) -> None:
    assert called(keyword).paging == paging


@pytest.mark.parametrize(
    ("keyword", "lists"),
    [
        ("cloudfront_ListFunctions", ["FunctionList.Items"]),
        ("pinpoint_GetApps", ["ApplicationsResponse.Item"]),
        ("lightsail_GetBuckets", ["buckets"]),
        # what says more than its lists is kept whole
        ("ec2_GetAllowedImagesSettings", []),
        ("shield_DescribeDRTAccess", []),
        ("guardduty_DescribeOrganizationConfiguration", []),
        # what describes the one it was asked about, too
        ("iam_GetGroup", []),
        ("kinesis_DescribeStream", []),
        ("ecr_DescribeImages", ["imageDetails"]),
    ],
)
def test_which_lists_hold_resources(keyword: str, lists: list[str]) -> None:
    assert [path for path, _, _ in called(keyword).lists] == lists


@pytest.mark.parametrize(
    "keyword",
    [
        "ce_GetAnomalySubscriptions",
        "dms_DescribeEventSubscriptions",
        "ec2_DescribeInstanceStatus",
        "ec2_DescribeLaunchTemplateVersions",
        "ecr_DescribeImages",
        "ram_ListPermissionAssociations",
        "redshift_DescribeEventSubscriptions",
        "route53_ListResourceRecordSets",
        "sagemaker_ListApps",
        "securityhub_GetFindings",
        "ssm_ListComplianceItems",
    ],
)
def test_names_that_several_may_have_are_told_apart_by_content(keyword: str) -> None:
    call = called(keyword)
    assert call.digested


@pytest.mark.parametrize(
    ("keyword", "member"),
    [
        ("rds_DescribeDBSnapshots", "DBSnapshotIdentifier"),
        ("ec2_DescribeSecurityGroupRules", "SecurityGroupRuleId"),
        ("lightsail_GetBuckets", "arn"),
        ("ec2_DescribeDhcpOptions", "DhcpOptionsId"),
        ("kms_ListAliases", "AliasArn"),
        ("batch_DescribeJobDefinitions", "jobDefinitionArn"),
        ("vpc-lattice_ListServices", "arn"),
        ("rds_DescribeEventSubscriptions", "EventSubscriptionArn"),
    ],
)
def test_names_that_are_certainly_one_s_own_stay_the_same_from_day_to_day(
    keyword: str, member: str
) -> None:
    call = called(keyword)
    assert [m for _, m, _ in call.lists] == [member]
    assert call.digested == ()


def test_no_element_of_any_model_is_named_by_whose_or_where_it_is() -> None:
    """Beyond what was looked at one by one: owners, accounts, places, what a thing lies in."""
    others = re.compile(
        r"^(?:.*(?:owner|account|customer|registry|zone|vpc|user)_?id)$", re.IGNORECASE
    )
    wrong = {
        f"{keyword}: {member}"
        for keyword, call in accepted().items()
        if keyword not in DOCUMENTED
        for _, member, _ in call.lists
        if others.search(member)
    }
    known = {w for w in wrong if _is_what_is_listed(*w.split(": "))}
    assert wrong - known == set()


def _is_what_is_listed(keyword: str, member: str) -> bool:
    thing = re.sub(r"_?id$", "", member, flags=re.IGNORECASE).lower()
    call = accepted()[keyword]
    (path,) = [p for p, m, _ in call.lists if m == member]
    element = shape_at(operation_of(call).output_shape, path).member
    listed = f"{keyword} {path} {element.name}".lower()
    return thing in listed


def operation(inputs: list[str], output: dict[str, Any], name: str = "ListThings") -> Any:
    shapes: dict[str, Any] = {
        "Text": {"type": "string"},
        "Flag": {"type": "boolean"},
        "Texts": {"type": "list", "member": {"shape": "Text"}},
        "In": {"type": "structure", "members": {n: {"shape": "Text"} for n in inputs}},
        "Out": {
            "type": "structure",
            "members": {n: {"shape": shape} for n, shape in output.items()},
        },
    }
    described = {"metadata": {}, "shapes": shapes, "operations": {}}
    model = ServiceModel(described, "none-such")
    return OperationModel(
        {"name": name, "input": {"shape": "In"}, "output": {"shape": "Out"}}, model, name
    )


@pytest.mark.parametrize(
    ("inputs", "output", "tokens"),
    [
        (["NextToken"], {"Things": "Texts", "NextToken": "Text"}, []),
        (["BrandNewMarker"], {"Things": "Texts"}, ["BrandNewMarker"]),
        ([], {"Things": "Texts", "NextToken": "Text"}, ["NextToken"]),
        (["Cursor"], {"Things": "Texts", "Elsewhere": "Text"}, ["Cursor"]),
        (["ExclusiveStartThingName"], {"Things": "Texts", "HasMoreThings": "Flag"}, []),
        (["ExclusiveStartThingName"], {"Things": "Texts"}, ["ExclusiveStartThingName"]),
        (["ClientToken", "StartTime"], {"Things": "Texts", "LockToken": "Text"}, []),
    ],
)
def test_a_token_that_no_rule_explains_is_told(
    inputs: list[str], output: dict[str, str], tokens: list[str]
) -> None:
    shape = operation(inputs, output)
    assert listing.unread(shape) == tokens
    explained = not tokens and "ClientToken" not in inputs
    assert (listing.paging_of(shape) is not None) == explained
