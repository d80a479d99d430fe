"""Values of any shape of the service model: at its boundaries, and just beyond them.

Everything follows from botocore's model and the random source handed in: the same seed gives the
same values. `Values.valid` keeps every constraint of the model; `spoil` breaks exactly one of them
and says whether the model forbids what came of it (some harm is none: a member nobody knows, or a
null where nothing need be).
"""

import copy
import random
import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.wire.model_cases import SAMPLES

ASCII = string.ascii_letters + string.digits + " -.,:;()[]{}'\"!?#%&+/=*@<>|~^$"
UNICODE = "äßéñ監査証跡Ω≈ç√∫עִבְרִיתع\u0301\u0327\u200d\u202e\u2028\ufeff\ufffd\ufdd0🔑👩‍💻\U0010ffff\u0085\u00a0ıİſK"
CONTROL = "\t\n\r\x01\x1f\x7f"
BESIDES = "äßéñ監査Ω≈🔑\u0301"
"""What most patterned names may hold as well."""

FILL: dict[str, tuple[str, str]] = {
    "AWSServiceName": ("iam", string.ascii_letters + "-(). "),
    "AccountName": ("A", string.ascii_letters + " ~!&"),
    "AssessmentReportName": ("r", string.ascii_letters + string.digits + "-_."),
    "AuditManagerArn": (SAMPLES["AuditManagerArn"], string.ascii_letters + "/:%é 監"),
    "ControlCatalogId": (SAMPLES["ControlCatalogId"], string.ascii_letters + "/:é"),
    "ControlDomainId": (SAMPLES["ControlDomainId"], string.ascii_letters + "/:é"),
    "EmailAddress": ("a@b", string.ascii_letters + "@.é"),
    "IamArn": ("arn:aws:iam::111122223333:role/", string.ascii_letters + "/+=,.@-_"),
    "KeywordValue": ("iam_CreateUser", string.ascii_letters + string.digits + "_-. ():/"),
    "KmsKey": (SAMPLES["KmsKey"], string.ascii_letters + "/:"),
    "ManualEvidenceLocalFileName": ("a", string.ascii_letters + " .-_é監"),
    "S3Url": ("s3://audit-reports/", string.ascii_letters + string.digits + "-.()'*_!=+@: ,?/"),
    "SnsArn": (SAMPLES["SnsArn"], string.ascii_letters + "-_"),
    "TagKey": ("k", string.ascii_letters + "+,-.:/=" + string.digits + ";<"),
    "TagValue": ("", ASCII + BESIDES),
    "Token": ("QUJD", string.ascii_letters + string.digits + "+/="),
    "AssessmentName": ("", ASCII + BESIDES + "_"),
    "ControlName": ("", ASCII + BESIDES + "_"),
    "FrameworkName": ("", ASCII + BESIDES + "_"),
    "ControlSetName": ("", ASCII + BESIDES),
    "String": ("", ASCII + BESIDES),
}
"""How a string of a shape with a pattern begins, and what it is filled up with."""

SOME_KEYWORDS = (
    "iam_CreateUser",
    "s3_CreateBucket",
    "kms_DisableKey",
    "IAM_PASSWORD_POLICY",
    "ec2_DescribeInstances",
    "IAM.1",
    "nobody_KnowsThis",
)
HUGE = 300_000
"""Characters of a string that is far beyond any limit."""
DEPTHS = (33, 200, 400)
"""Levels of nesting; deeper ones are written as bytes, see `requests.BODIES`."""


def _digits(source: random.Random) -> str:
    return "".join(source.choices(string.digits, k=12))


def uuid_of(source: random.Random) -> str:
    text = f"{source.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


FIXED: dict[str, Callable[[random.Random], str]] = {
    "AccountId": lambda r: r.choice(["111122223333", "111122223333", "999988887777", _digits(r)]),
    "Region": lambda r: r.choice(["us-east-1", "eu-west-1", "ap-south-1"]),
    "UUID": uuid_of,
}


class _Missing:
    """The mark of a member that is to be left out."""

    def __deepcopy__(self, _: Any) -> "_Missing":
        return self


MISSING = _Missing()


class Values:
    """Valid values of shapes, drawn from one random source."""

    def __init__(self, source: random.Random) -> None:
        self.random = source

    def valid(self, shape: Any, *, whole: float = 0.5) -> Any:
        """A value of `shape`; each optional member is there with the probability `whole`."""
        kind = shape.type_name
        if kind == "structure":
            return {
                name: self.valid(inner, whole=whole)
                for name, inner in shape.members.items()
                if name in shape.required_members or self.random.random() < whole
            }
        if kind == "list":
            low, high = shape.metadata.get("min", 0), min(shape.metadata.get("max", 4), 60)
            size = self.random.choice([max(low, 1), max(low, 1), max(low, 1), low, 2])
            size = high if self.random.random() < 0.01 else min(size, high)
            return [self.valid(shape.member, whole=whole) for _ in range(size)]
        if kind == "map":
            size = self.random.choice([0, 1, 1, 2, 3])
            pairs = (
                (self.valid(shape.key, whole=whole), self.valid(shape.value, whole=whole))
                for _ in range(size)
            )
            return dict(pairs)
        if kind == "integer":
            low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 1000)
            return self.random.choice([low, low + 1, high, self.random.randint(low, high)])
        if kind == "boolean":
            return self.random.random() < 0.5
        return self.text(shape)

    def text(self, shape: Any) -> str:
        """A string of a shape: any length the model allows, its ends most of all."""
        if getattr(shape, "enum", None):
            return str(self.random.choice(shape.enum))
        if shape.name in FIXED:
            return FIXED[shape.name](self.random)
        if shape.name == "KeywordValue" and self.random.random() < 0.8:
            return self.random.choice(SOME_KEYWORDS)
        if shape.name in ("SnsArn", "KmsKey") and self.random.random() < 0.3:
            return {"SnsArn": "NONE", "KmsKey": "DEFAULT"}[shape.name]
        if "ontrolDomainId" in shape.name and self.random.random() < 0.3:
            return "UNCATEGORIZED"
        low, high = max(shape.metadata.get("min", 0), 0), shape.metadata.get("max", 300)
        if shape.name == "TagValue":
            high = 255  # the pattern, which AWS matches from the beginning only, stops there
        start, alphabet = FILL.get(shape.name, ("", self._free()))
        length = self.random.choice(
            [low, low + 1, min(high, low + 12), min(high, low + 30), high - 1, high]
        )
        length = max(length, len(start), low)
        return start + "".join(self.random.choices(alphabet, k=length - len(start)))

    def _free(self) -> str:
        return self.random.choice([ASCII, ASCII, UNICODE, ASCII + UNICODE + CONTROL + "\\_"])


@dataclass(frozen=True)
class Spoilt:
    """A request's members with one thing wrong."""

    ask: dict[str, Any]
    what: str
    forbidden: bool
    """Whether the model forbids it, so that the answer can only be a refusal."""


def spoil(
    values: Values,
    shape: Any,
    ask: dict[str, Any],
    labels: frozenset[str],
    texts: frozenset[str],
) -> Spoilt:
    """Break one thing in `ask`.

    Members named in `labels` travel in the path, those in `texts` in the query: both stay texts.
    """
    source = values.random
    steps, at = _somewhere(source, shape, ask)
    name, top = steps[-1], steps[0]
    bad, what, forbidden = _harm(source, at, _holder(ask, steps).get(name))
    holder = shape
    for step in steps[:-1]:
        holder = holder.member if isinstance(step, int) else holder.members[step]
    optional = holder.type_name == "structure" and name not in holder.required_members
    if bad in (None, MISSING) and optional:
        forbidden = False
    if top in labels and (not isinstance(bad, str) or bad in ("", ".", "..")):
        bad, what = "not one of them", "text"
        forbidden = at.name not in ("ControlSetId", "String")
    elif top in texts and bad is not MISSING:
        fits = isinstance(bad, str) and at.type_name != "list"
        bad, forbidden = (bad, forbidden) if fits else (str(bad), False)
    broken = copy.deepcopy(ask)
    target = _holder(broken, steps)
    if bad is MISSING:
        target.pop(name, None)
    else:
        target[name] = bad
    return Spoilt(broken, f"{'.'.join(map(str, steps))}: {what}", forbidden)


def _holder(ask: Any, steps: tuple[Any, ...]) -> Any:
    for step in steps[:-1]:
        ask = ask[step]
    return ask


def _somewhere(source: random.Random, shape: Any, ask: dict[str, Any]) -> tuple[Any, Any]:
    """A member of the request at any depth: the way to it, and its shape."""
    name = source.choice(sorted(shape.members))
    steps: tuple[Any, ...] = (name,)
    inner, value = shape.members[name], ask.get(name)
    while source.random() < 0.7:
        if inner.type_name == "list" and isinstance(value, list) and value:
            if inner.member.type_name != "structure" or not isinstance(value[0], dict):
                break
            member = source.choice(sorted(inner.member.members))
            index = source.randrange(len(value))
            steps, inner, value = (
                (*steps, index, member),
                inner.member.members[member],
                value[index].get(member),
            )
        elif inner.type_name == "structure" and isinstance(value, dict):
            member = source.choice(sorted(inner.members))
            steps, inner, value = (*steps, member), inner.members[member], value.get(member)
        else:
            break
    return steps, inner


def _harm(source: random.Random, shape: Any, value: Any) -> tuple[Any, str, bool]:
    """What to put in place of a value: it, what it is called, whether the model forbids it."""
    kind, meta = shape.type_name, shape.metadata
    wrong: list[tuple[Any, str, bool]] = [
        (MISSING, "missing", True),
        (None, "null", True),
        (nested(source.choice(DEPTHS)), "deep", True),
    ]
    by_kind: dict[str, list[Any]] = {
        "string": [7, -1.5, True, [], {}, ["x"], {"x": "y"}],
        "boolean": [1, 0, "true", [], {}],
        "integer": ["x", "1.5", "1e3", "٣", "", " 7", "9" * 400, "+1"],
        "list": ["x", 7, {}, True],
        "map": ["x", 7, [], True],
        "structure": ["x", 7, [], True],
    }
    wrong += [(other, f"a {type(other).__name__}", True) for other in by_kind[kind]]
    if kind == "integer":
        wrong += [(str(n), str(n), True) for n in (meta["min"] - 1, meta["max"] + 1)]
    if kind == "string":
        wrong += _harmed_strings(source, shape, value)
    if kind == "list" and "max" in meta:
        item = value[0] if isinstance(value, list) and value else None
        wrong.append(([item] * (meta["max"] + 1), "too many", True))
        wrong.append(([item] * 20_000, "far too many", True))
    if kind == "list" and meta.get("min", 0):
        wrong.append(([], "too few", True))
    if kind == "list":
        wrong.append(([None], "a null item", True))
    if kind == "structure":
        wrong.append((({**value} if isinstance(value, dict) else {}) | {"x": 1}, "more", False))
    if kind == "map":
        wrong += [
            ({f"k{'x' * n}": "v" for n in range(meta.get("max", 50) + 1)}, "too many", True),
            ({"aws:mine": "v"}, "a reserved key", True),
            ({"": "v"}, "an empty key", True),
            ({"k": None}, "a null value", False),
            ({"k": 5}, "a number", True),
        ]
    return source.choice(wrong)


def _harmed_strings(source: random.Random, shape: Any, value: Any) -> list[tuple[Any, str, bool]]:
    meta = shape.metadata
    text = value if isinstance(value, str) and value else "Some text"
    if getattr(shape, "enum", None):
        return [(other, "no such", True) for other in (text.swapcase() + "x", "", text + " ")]
    wrong: list[tuple[Any, str, bool]] = [
        (text[:5] + "\0", "U+0000", True),
        (text[:5] + "\ud800", "half a surrogate pair", True),
    ]
    if meta.get("max"):
        wrong.append(((text * (meta["max"] // len(text) + 1))[: meta["max"] + 1], "too long", True))
        wrong.append((text * (HUGE // len(text)), "huge", True))
        wrong.append((("é🔑" * meta["max"])[: meta["max"] + 1], "too long", True))
    if meta.get("min", 0) > 0:
        wrong.append((text[: meta["min"] - 1], "too short", True))
    pattern = strict(shape)
    if pattern is not None:
        for odd in ("\\", "/", "_", "Ünicode", "\n", "#", "aws:x", source.choice(UNICODE)):
            changed = (odd + text)[: meta.get("max", 4000)]
            if pattern.search(changed) is None:
                wrong.append((changed, f"pattern {odd!r}", True))
    return wrong


def strict(shape: Any) -> re.Pattern[str] | None:
    """A shape's pattern as a whole match, where it says anything at all."""
    text = shape.metadata.get("pattern")
    if text is None or text in (".*", "(?s).*", r"[^\/]*", ".{0,255}") or r"[\w\W\s\S]" in text:
        return None
    text = text.replace(r"\s-_", r"\s\-_").removeprefix("^").removesuffix("$")
    return re.compile(rf"\A(?:{text})\Z", re.ASCII)


def nested(depth: int) -> Any:
    """Lists and objects within each other."""
    value: Any = "x"
    for level in range(depth):
        value = [value] if level % 2 else {"x": value}
    return value
