"""Answers of AWS made from botocore's own models, for unmodified clients of it."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.session import get_session
from botocore.stub import Stubber
from tests.simulator.cloud import Simulator

from auditkeep.errors import NotCollected
from auditkeep.ids import GLOBAL_REGION
from auditkeep.sources.pull import Page

ACCOUNT = "111122223333"
AT = datetime(2026, 5, 1, 10, 11, 12, tzinfo=UTC)

_KEYS = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "secret"}


@cache
def _session() -> Any:
    return get_session()


def client(
    service: str, region: str = "eu-west-1", url: str | None = None, session: Any = None
) -> Any:
    home = "us-east-1" if region == "aws-global" else region
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)
    return (session or _session()).create_client(
        service, home, config=config, endpoint_url=url, **_KEYS
    )


@dataclass
class Simulated:
    """An account's clients, as `Clients`, that ask a simulated cloud."""

    cloud: Simulator
    account: str
    made: dict[tuple[str, str], Any] = field(default_factory=dict)

    def client(self, service: str, region: str) -> Any:
        region = "us-east-1" if region == GLOBAL_REGION else region
        if (service, region) not in self.made:
            self.made[service, region] = self.cloud.client(service, region, self.account)
        return self.made[service, region]


@dataclass
class Stubbed:
    """Clients whose answers are set in advance, in order; each service has one client."""

    made: dict[str, Any] = field(default_factory=dict)
    stubs: dict[str, Stubber] = field(default_factory=dict)
    regions: list[tuple[str, str]] = field(default_factory=list)

    def client(self, service: str, region: str) -> Any:
        self.regions.append((service, region))
        return self._stub(service, region)[0]

    def _stub(self, service: str, region: str = "eu-west-1") -> tuple[Any, Stubber]:
        if service not in self.made:
            self.made[service] = client(service, region)
            self.stubs[service] = Stubber(self.made[service])
            self.stubs[service].activate()
        return self.made[service], self.stubs[service]

    def answer(
        self, service: str, operation: str, response: dict[str, Any], expected: Any = None
    ) -> None:
        self._stub(service)[1].add_response(xform_name(operation), response, expected)

    def refuse(
        self, service: str, operation: str, code: str, message: str = "", status: int = 400
    ) -> None:
        stub = self._stub(service)[1]
        stub.add_client_error(xform_name(operation), code, message, http_status_code=status)

    def done(self) -> None:
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()


def sample(shape: Any, name: str, number: Iterator[int], depth: int = 0) -> Any:
    """A value of a shape with every member, no two texts alike; lists of one."""
    kind = shape.type_name
    if kind == "structure":
        if depth > 6:
            return {k: sample(shape.members[k], k, number, depth) for k in shape.required_members}
        members = list(shape.members.items())
        some = members[:1] if shape.is_tagged_union else members
        return {k: sample(m, k, number, depth + 1) for k, m in some}
    if kind == "list":
        least = max(1, shape.metadata.get("min", 1))
        return [sample(shape.member, name, number, depth + 1) for _ in range(least)]
    if kind == "map":
        return {"key".ljust(32, "x"): sample(shape.value, name, number, depth + 1)}
    if kind in ("integer", "long", "float", "double"):
        return max(1, shape.metadata.get("min", 1))
    if kind == "boolean":
        return False
    if kind == "timestamp":
        return AT
    text = f"{name}-{next(number)}-".ljust(shape.metadata.get("min", 0), "x")
    if kind == "blob":
        return text.encode()
    return shape.enum[0] if getattr(shape, "enum", None) else text


def answers(
    service: str, operation: str, lists: Sequence[tuple[str, str, str]], sizes: Sequence[int]
) -> list[dict[str, Any]]:
    """Answers whose lists of resources have these sizes, and no other; nothing else is left out."""
    model = _session().get_service_model(service).operation_model(operation)
    number = itertools.count(1)
    made = []
    for size in sizes:
        answer = sample(model.output_shape, "", number)
        for path, _, _ in lists:
            holder, names = answer, path.split("|")[0].split(".")
            shape = model.output_shape
            for name in names[:-1]:
                holder, shape = holder[name], shape.members[name]
                if isinstance(holder, list):
                    holder, shape = holder[0], shape.member
            member = shape.members[names[-1]].member
            holder[names[-1]] = [sample(member, names[-1], number, 1) for _ in range(size)]
        made.append(answer)
    return made


def until(found: Iterator[Page]) -> tuple[list[Page], NotCollected]:
    """The pages before a failure, and the failure."""
    got: list[Page] = []
    with pytest.raises(NotCollected) as raised:
        got.extend(found)
    return got, raised.value


@contextmanager
def moto() -> Iterator[Callable[[str, str], Any]]:
    """Moto in this process, asked by unmodified clients."""
    from moto import mock_aws

    before = dict(os.environ)
    made: dict[tuple[str, str], Any] = {}
    session = get_session()  # moto is in sessions that were made after it
    with mock_aws():

        def get(service: str, region: str) -> Any:
            if (service, region) not in made:
                made[service, region] = client(service, region, session=session)
            return made[service, region]

        yield get
    os.environ.clear()
    os.environ.update(before)
