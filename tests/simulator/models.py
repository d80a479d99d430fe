"""From a request to the operation of a service model that it asks for, and its parameters.

Any model of botocore is served, unless its service speaks CBOR only. Who signs as what tells the
service (`elasticloadbalancing` is two of them); then the target header, the action of a form or,
for REST services, our own router.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, StructureShape

from auditkeep.errors import MethodNotAllowed, UnknownOperation
from auditkeep.wire import query as query_string
from auditkeep.wire.messages import Request
from auditkeep.wire.model import Operation, Shape
from auditkeep.wire.router import Router

_SIGNED_AS = {
    "elasticloadbalancing": ("elbv2", "elb"),
    "elasticfilesystem": ("efs",),
    "elasticmapreduce": ("emr",),
    "monitoring": ("cloudwatch",),
    "rds": ("rds", "docdb", "neptune"),
    "email": ("ses", "sesv2"),
    "states": ("stepfunctions",),
}
_LABEL = re.compile(r"\{([^}]+)\}")

_loader = Loader()


class Unknown(Exception):
    """No model has what the request asks for."""


@dataclass(frozen=True, slots=True, eq=False)
class Meant:
    """What a request asks for."""

    service: "Service"
    operation: OperationModel
    params: dict[str, Any]


class Service:
    """One service model, its routes and paginators."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.model = ServiceModel(_loader.load_service_model(name, "service-2"), name)
        self.protocol: str = self.model.resolved_protocol
        self.operations = frozenset(self.model.operation_names)
        self._router: Router | None = None
        self._routes: dict[tuple[str, str], list[str]] = {}

    @property
    def signing_name(self) -> str:
        return str(self.model.signing_name)

    def operation(self, name: str) -> OperationModel:
        return self.model.operation_model(name)

    @property
    def paginators(self) -> dict[str, Any]:
        return paginators(self.name)

    def routed(self, request: Request) -> tuple[OperationModel, dict[str, str]] | None:
        """The operation of a REST service behind a path, with the values of its labels."""
        router = self._built()
        for path in _paths(request.path):
            try:
                match = router.find(request.method, path)
            except (UnknownOperation, MethodNotAllowed):
                continue
            names = self._routes[request.method, match.operation.name]
            found = self._chosen(names, request)
            if found is not None:
                labels = _LABEL.findall(found.http["requestUri"].partition("?")[0])
                values = match.labels.values()
                return found, {
                    label.rstrip("+"): value for label, value in zip(labels, values, strict=True)
                }
        return None

    def _chosen(self, names: list[str], request: Request) -> OperationModel | None:
        """The one of several operations on a path of which the request brings most: the fixed
        part of its query, and the members it needs there or in headers.
        """
        given = {name for name, _ in query_string.pairs(request.query)}
        given |= {name.decode() for name, _ in request.headers}
        best, most = None, -1
        for name in names:
            operation = self.operation(name)
            fixed = {
                part.partition("=")[0]
                for part in operation.http["requestUri"].partition("?")[2].split("&")
                if part
            } | _needed(operation)
            if fixed <= given and len(fixed) > most:
                best, most = operation, len(fixed)
        return best

    def _built(self) -> Router:
        if self._router is None:
            stand_ins = {}
            for name in sorted(self.operations):
                http = self.operation(name).http
                path = http["requestUri"].partition("?")[0].rstrip("/")
                labels = _LABEL.findall(path)
                path = _LABEL.sub("{label}", path)
                for number, _ in enumerate(labels):
                    path = path.replace("{label}", f"{{{number}}}", 1)
                key = (http["method"], path or "/")
                stand_ins[key] = Operation(self.name, path or "/", *key, Shape, Shape)
                self._routes.setdefault(key, []).append(name)
            self._router = Router(stand_ins.values())
        return self._router


def _needed(operation: OperationModel) -> set[str]:
    """Names of the required members of a request that travel in its query or headers."""
    shape = operation.input_shape
    if shape is None:
        return set()
    needed = set()
    for name in shape.required_members:
        how = shape.members[name].serialization
        sent = str(how.get("name", name))
        if how.get("location") == "querystring":
            needed.add(sent)
        elif how.get("location") == "header":
            needed.add(sent.lower())
    return needed


def _paths(path: bytes) -> Iterator[bytes]:
    """A path, then with its tail as one segment: a label may be greedy (an object's key)."""
    path = path.rstrip(b"/") or b"/"
    yield path
    segments = path.split(b"/")
    for end in range(len(segments) - 1, 1, -1):
        yield b"/".join((*segments[:end], b"%2F".join(segments[end:])))


@cache
def service(name: str) -> Service:
    return Service(name)


@cache
def paginators(name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = _loader.load_service_model(name, "paginators-1")["pagination"]
    except Exception:  # botocore has a class of its own for each loader's failure
        return {}
    return found


@cache
def signed_as(signing_name: str) -> tuple[Service, ...]:
    """The services whose requests are signed with a name."""
    known = _SIGNED_AS.get(signing_name)
    if known is None:
        available = _loader.list_available_services("service-2")
        known = (
            (signing_name,)
            if signing_name in available
            else tuple(n for n in available if service(n).signing_name == signing_name)
        )
    return tuple(service(name) for name in known)


def meant(request: Request, signing_name: str) -> Meant:
    """The operation and parameters that a request asks for; Unknown if there is none such."""
    services = signed_as(signing_name)
    target = request.header(b"x-amz-target")
    if target is not None:
        prefix, _, name = target.decode().rpartition(".")
        for one in services:
            if one.model.metadata.get("targetPrefix") == prefix and name in one.operations:
                operation = one.operation(name)
                return Meant(one, operation, _json(operation.input_shape, request.body))
    elif (request.header(b"content-type") or b"").startswith(b"application/x-www-form-urlencoded"):
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        found = _by_action(services, form)
        if found is not None:
            one, operation = found
            return Meant(one, operation, _form(operation.input_shape, form, one.protocol == "ec2"))
    else:
        for one in services:
            if one.protocol.startswith("rest"):
                routed = one.routed(request)
                if routed is not None:
                    return Meant(one, routed[0], _rest(routed[0], routed[1], request))
    raise Unknown(f"{signing_name} has no {target or request.path!r}")


def _by_action(
    services: tuple[Service, ...], form: dict[str, str]
) -> tuple[Service, OperationModel] | None:
    action, version = form.get("Action", ""), form.get("Version")
    for one in services:
        if one.model.api_version == version and action in one.operations:
            return one, one.operation(action)
    return None


def _json(shape: Any, body: bytes) -> dict[str, Any]:
    value = json.loads(body) if body else {}
    return _named(shape, value) if shape is not None else {}


def _named(shape: Any, value: Any) -> Any:
    """A JSON value with members called as the model calls them, not as they travel."""
    if isinstance(value, dict) and shape.type_name == "structure":
        found = {}
        for name, member in shape.members.items():
            sent = member.serialization.get("name", name)
            if value.get(sent) is not None:
                found[name] = _named(member, value[sent])
        return found
    if isinstance(value, list) and shape.type_name == "list":
        return [_named(shape.member, one) for one in value]
    if isinstance(value, dict) and shape.type_name == "map":
        return {key: _named(shape.value, one) for key, one in value.items()}
    return value


def _form(shape: Any, form: dict[str, str], ec2: bool) -> dict[str, Any]:
    if shape is None:
        return {}
    tree: dict[str, Any] = {}
    for name, value in form.items():
        node, *rest = tree, *name.split(".")
        for part in rest[:-1]:
            node = node.setdefault(part, {})
        node[rest[-1]] = value
    found: dict[str, Any] = _branch(shape, tree, ec2)
    return found


def _branch(shape: Any, tree: Any, ec2: bool) -> Any:
    kind = shape.type_name
    if kind == "structure":
        found = {}
        for name, member in shape.members.items():
            sent = _form_name(member, name, ec2)
            if sent in tree:
                found[name] = _branch(member, tree[sent], ec2)
        return found
    if kind == "list":
        if not isinstance(tree, dict):
            return []
        if not ec2 and not shape.serialization.get("flattened"):
            tree = tree.get(shape.member.serialization.get("name", "member"), {})
        return [_branch(shape.member, tree[n], ec2) for n in sorted(tree, key=int)]
    if kind == "map":
        entries = tree if shape.serialization.get("flattened") else tree.get("entry", {})
        return {e["key"]: _branch(shape.value, e["value"], ec2) for e in entries.values()}
    return _scalar(kind, tree)


def _form_name(member: Any, name: str, ec2: bool) -> str:
    if not ec2:
        flat_list = member.type_name == "list" and member.serialization.get("flattened")
        if flat_list and "name" in member.member.serialization:
            return str(member.member.serialization["name"])
        return str(member.serialization.get("name", name))
    if "queryName" in member.serialization:
        return str(member.serialization["queryName"])
    sent = str(member.serialization.get("name", name))
    return sent[0].upper() + sent[1:]


def _scalar(kind: str, text: str) -> Any:
    if kind in {"integer", "long"}:
        return int(text)
    if kind in {"float", "double"}:
        return float(text)
    if kind == "boolean":
        return text == "true"
    return text


def _rest(operation: OperationModel, labels: dict[str, str], request: Request) -> dict[str, Any]:
    shape: StructureShape | None = operation.input_shape
    if shape is None:
        return {}
    found: dict[str, Any] = {}
    query: dict[str, list[str]] = {}
    for name, value in query_string.pairs(request.query):
        query.setdefault(name, []).append(value)
    payload = shape.serialization.get("payload")
    for name, member in shape.members.items():
        sent, where = member.serialization.get("name", name), member.serialization.get("location")
        if where == "uri":
            found[name] = unquote(labels[sent]) if "%" in labels[sent] else labels[sent]
        elif where == "querystring" and sent in query:
            values = query[sent]
            one = member.member.type_name if member.type_name == "list" else member.type_name
            parsed = [_scalar(one, value) for value in values]
            found[name] = parsed if member.type_name == "list" else parsed[0]
        elif where == "header":
            header = request.header(sent.lower().encode())
            if header is not None:
                found[name] = _scalar(member.type_name, header.decode())
    if payload is not None and shape.members[payload].type_name == "blob":
        found[payload] = request.body
    elif request.body.startswith((b"{", b"[")):
        body = shape.members[payload] if payload else shape
        value = _named(body, json.loads(request.body))
        found.update({payload: value} if payload else value)
    return found
