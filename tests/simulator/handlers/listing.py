"""Any operation whatever, from its model: a list of the estate's resources, or one thing's sample.

An operation that botocore can paginate lists what its result keys name; another one lists its only
list of structures or names, if it has one and needs nothing to be asked. What is left describes
one thing: that of its required parameter, or of the account.
"""

from functools import cache, lru_cache
from typing import Any

from tests.simulator.asking import Ask, Output
from tests.simulator.encoding import Refusal
from tests.simulator.estate import Resource
from tests.simulator.models import Service
from tests.simulator.samples import Seed, sample

from auditkeep.clock import Instant

_TOKENS = ("NextToken", "nextToken", "NextMarker", "Marker", "nextPageToken", "NextPageToken")
_READS = (
    "Describe", "Get", "List", "BatchGet", "BatchDescribe", "Search", "Lookup", "Select", "Query",
    "Generate", "Check", "Head", "Scan", "Receive", "Simulate", "Test", "Validate", "Estimate",
)  # fmt: skip

CHILDREN: dict[str, tuple[str, str, str]] = {
    "dynamodb:DescribeTable": ("TableName", "dynamodb:ListTables", "ResourceNotFoundException"),
    "kms:GetKeyPolicy": ("KeyId", "kms:ListKeys", "NotFoundException"),
    "kms:GetKeyRotationStatus": ("KeyId", "kms:ListKeys", "NotFoundException"),
    "kms:DescribeKey": ("KeyId", "kms:ListKeys", "NotFoundException"),
    "acm:DescribeCertificate": (
        "CertificateArn", "acm:ListCertificates", "ResourceNotFoundException"
    ),
    "backup:GetBackupPlan": (
        "BackupPlanId", "backup:ListBackupPlans", "ResourceNotFoundException"
    ),
    "guardduty:GetDetector": ("DetectorId", "guardduty:ListDetectors", "BadRequestException"),
    "sns:GetTopicAttributes": ("TopicArn", "sns:ListTopics", "NotFound"),
    "sqs:GetQueueAttributes": ("QueueUrl", "sqs:ListQueues", "QueueDoesNotExist"),
    "firehose:DescribeDeliveryStream": (
        "DeliveryStreamName", "firehose:ListDeliveryStreams", "ResourceNotFoundException"
    ),
    "emr:DescribeSecurityConfiguration": (
        "Name", "emr:ListSecurityConfigurations", "InvalidRequestException"
    ),
    "kinesis:DescribeStreamSummary": (
        "StreamName", "kinesis:ListStreams", "ResourceNotFoundException"
    ),
}  # fmt: skip
"""What describes one resource: by which parameter, of which list, and the error without it."""

PARENTS = {
    "efs:DescribeAccessPoints": "FileSystemId",
    "sagemaker:ListUserProfiles": "DomainIdEquals",
    "sagemaker:ListMonitoringAlerts": "MonitoringScheduleName",
}
"""Lists that may be narrowed to what belongs to one resource (member `parent`)."""

NAMES = {
    "sqs:ListQueues": "https://sqs.{region}.amazonaws.com/{account}/{name}",
    "ecs:ListClusters": "arn:aws:ecs:{region}:{account}:cluster/{name}",
    "eks:DescribeAddonVersions": "{name}",
}
"""How a list of texts spells the name of a resource, where it is not the name."""

ALIASES = {"ecs:DescribeClusters": "ecs:ListClusters"}
"""Lists of the same resources as another operation's."""


def answer(ask: Ask) -> Output:
    """What an operation answers that has no handler of its own."""
    if not ask.operation.name.startswith(_READS):
        raise Refusal("AccessDeniedException", f"{ask.kind} changes things: nobody may.", 403)
    if ask.kind in CHILDREN:
        return _child(ask)
    plan = _plan(ask.service, ask.operation.name)
    return _list(ask, plan) if plan is not None else _single(ask)


# ---- lists


class _Plan:
    """Where in its output an operation lists, and where its tokens are."""

    def __init__(
        self, paths: list[str], token: str | None, into: str | None, more: str | None
    ) -> None:
        self.paths, self.token, self.into, self.more = paths, token, into, more


@cache
def _plan(service: Service, name: str) -> _Plan | None:
    operation = service.operation(name)
    output = operation.output_shape
    if output is None:
        return None
    paginator = service.paginators.get(name)
    if paginator is not None:
        paths = _many(paginator["result_key"])
        lists = [p for p in paths if _shape(output, p).type_name == "list"]
        if not lists:
            return None
        token = _many(paginator["input_token"])[0]
        into = _many(paginator["output_token"])[0].split("||")[0].strip()
        return _Plan(lists, token, into, paginator.get("more_results"))
    if operation.input_shape is not None and operation.input_shape.required_members:
        return None
    lists = [
        name
        for name, member in output.members.items()
        if member.type_name == "list" and member.member.type_name in {"structure", "string"}
    ]
    if len(lists) != 1:
        return None
    members = operation.input_shape.members if operation.input_shape is not None else {}
    sent = next((t for t in _TOKENS if t in members), None)
    answered = next((t for t in _TOKENS if t in output.members), None)
    if sent is None or answered is None:
        return _Plan(lists, None, None, None)
    return _Plan(lists, sent, answered, None)


def _many(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _shape(shape: Any, path: str) -> Any:
    for part in path.split("."):
        shape = shape.members[part]
    return shape


def _list(ask: Ask, plan: _Plan) -> Output:
    page, more = _page(ask, plan, ALIASES.get(ask.kind, ask.kind))
    output: Output = {}
    for number, path in enumerate(plan.paths):
        shape = _shape(ask.operation.output_shape, path).member
        chosen = [
            r for r in page
            if _together(ask.kind) or r.members.get("listed", plan.paths[0]) == path
        ]  # fmt: skip
        _put(output, path, [element(shape, r) for r in chosen])
        if number == 0:
            _required(ask.operation.output_shape, path, output, more is not None)
    if plan.more:
        _put(output, plan.more, more is not None)
    if more is not None and plan.into:
        _put(output, plan.into, more)
    return output


def _page(ask: Ask, plan: _Plan, kind: str) -> tuple[list[Resource], str | None]:
    """A page; all there is where the operation knows none."""

    def resources(at: Instant) -> list[Resource]:
        return _narrowed(ask, ask.estate.listed(ask.account, ask.region, kind, at))

    if plan.token is not None:
        return ask.page(resources, ask.params.get(plan.token))
    found = resources(ask.at)
    ask.listed += len(found)
    return found, None


def _together(kind: str) -> bool:
    """Whether the lists of an output say the same resources in several ways."""
    return kind == "kinesis:ListStreams"


def _narrowed(ask: Ask, resources: list[Resource]) -> list[Resource]:
    """Those of the parent that is asked for."""
    parent = ask.params.get(PARENTS.get(ask.kind, ""))
    if not isinstance(parent, str):
        return resources
    return [r for r in resources if r.members.get("parent", parent) == parent]


def _put(output: Output, path: str, value: Any) -> None:
    *above, last = path.split(".")
    node = output
    for part in above:
        node = node.setdefault(part, {})
    node[last] = value


def _required(shape: Any, path: str, output: Output, more: bool) -> None:
    """Members beside a list that its model wants always."""
    above = path.rpartition(".")[0]
    inside = _shape(shape, above) if above else shape
    node = output[above] if above else output
    for name in inside.required_members:
        if name not in node:
            member = inside.members[name]
            blank = {"boolean": more, "integer": 0, "long": 0, "list": [], "map": {}}
            node[name] = blank.get(member.type_name, "")


def element(shape: Any, resource: Resource) -> Any:
    """A resource as an operation's list shows it."""
    own = {k: v for k, v in resource.members.items() if k not in {"listed", "parent"}}
    if shape.type_name != "structure":
        spelling = NAMES.get(resource.kind, "{name}")
        return spelling.format(region=resource.region, account=resource.account, name=resource.name)
    made = _sampled(shape, _seed(resource))
    return {**made, **own} if own else made


def _seed(resource: Resource) -> Seed:
    return Seed(
        resource.account,
        resource.region,
        resource.kind,
        resource.name,
        resource.version,
        resource.at,
    )


@lru_cache(maxsize=100_000)
def _sampled(shape: Any, seed: Seed) -> Any:
    return sample(shape, seed)


# ---- one thing


def _child(ask: Ask) -> Output:
    member, kind, error = CHILDREN[ask.kind]
    wanted = str(ask.params.get(member, ""))
    resource = ask.estate.found(
        ask.account, ask.region, kind, wanted.rstrip("/").rpartition("/")[2], ask.at
    )
    if resource is None:
        raise Refusal(error, f"There is no {wanted}.")
    shape = ask.operation.output_shape
    made = dict(_sampled(shape, _seed(resource)))
    own = resource.members.get(ask.operation.name)
    return {**made, **own} if isinstance(own, dict) else made


def _single(ask: Ask) -> Output:
    """The account's own setting, or a sample of what the required parameters name."""
    if ask.operation.output_shape is None:
        return {}
    made = _described(ask)
    return {name: value for name, value in made.items() if name not in _TOKENS}


def _described(ask: Ask) -> Output:
    required = ask.operation.input_shape.required_members if ask.operation.input_shape else []
    named = [ask.params[n] for n in required if isinstance(ask.params.get(n), str)]
    name = named[0].rstrip("/").rpartition("/")[2] if named else ask.operation.name
    held = ask.estate.found(ask.account, ask.region, ask.kind, name, ask.at)
    if held is None:
        seed = Seed(ask.account, ask.region, ask.kind, name)
        return dict(_sampled(ask.operation.output_shape, seed))
    ask.listed = 1
    return {**_sampled(ask.operation.output_shape, _seed(held)), **held.members}
